"""Devices, and their history."""
