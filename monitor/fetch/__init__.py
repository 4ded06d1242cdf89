"""The monitor fetch package."""
