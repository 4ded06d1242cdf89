"""The tests of package formats: fixtures made by real tools, and hostile ones."""
