"""The trust_store formats package."""
