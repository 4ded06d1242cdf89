"""Files that ``rootwarden init --starter`` writes out."""
