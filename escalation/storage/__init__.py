"""The escalation storage package."""
