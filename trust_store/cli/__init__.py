"""The trust_store cli package."""
