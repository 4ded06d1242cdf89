"""The monitor's tables: sources, documents in every version, claims, quarantined key files, the incoming folder."""
