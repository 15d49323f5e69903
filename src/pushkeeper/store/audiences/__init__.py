"""Audiences: filters as SQL, counts, plans, suggestions."""
