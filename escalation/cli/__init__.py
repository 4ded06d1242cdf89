"""The escalation cli package."""
