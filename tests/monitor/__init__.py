"""The tests monitor package."""
