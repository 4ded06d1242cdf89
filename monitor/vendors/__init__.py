"""The monitor vendors package."""
