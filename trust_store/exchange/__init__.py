"""Keys and anchors in the formats of other programs: import always as proposals, export of what is valid, the signed bundle."""
