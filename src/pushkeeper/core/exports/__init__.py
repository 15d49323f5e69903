"""Exports: what rows of them have, and how they are written."""
