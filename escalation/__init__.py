"""The escalation package."""
