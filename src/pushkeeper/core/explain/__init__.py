"""Explanations: why somebody did, or did not, get a message."""
