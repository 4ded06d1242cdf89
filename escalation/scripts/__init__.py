"""The escalation scripts package."""
