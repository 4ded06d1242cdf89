"""The monitor documents package."""
