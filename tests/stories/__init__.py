"""The tests stories package."""
