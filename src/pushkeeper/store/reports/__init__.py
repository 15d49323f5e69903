"""Reports: what apps report, and counts over time."""
