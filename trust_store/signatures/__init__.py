"""The trust_store signatures package."""
