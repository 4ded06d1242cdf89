"""Speed as ratios within one run; never absolute times."""
