"""The trust_store model package."""
