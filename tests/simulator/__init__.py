"""The tests simulator package."""
