"""The monitor analysis package."""
