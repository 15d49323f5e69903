"""Devices: spellings and ages of their tokens."""
