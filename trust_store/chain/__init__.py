"""The trust_store chain package."""
