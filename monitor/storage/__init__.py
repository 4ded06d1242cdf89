"""The monitor storage package."""
