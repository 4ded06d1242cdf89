"""The escalation delivery package."""
