"""The trust_store storage package."""
