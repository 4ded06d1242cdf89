"""The trust_store package."""
