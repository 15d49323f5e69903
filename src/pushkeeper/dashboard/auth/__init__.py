"""Who may see which page."""
