"""The tests trust_store package."""
