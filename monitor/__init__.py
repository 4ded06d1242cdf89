"""The monitor package."""
