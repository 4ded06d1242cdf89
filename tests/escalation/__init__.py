"""The tests escalation package."""
