"""The trust_store decode package."""
