"""The tests contracts package."""
