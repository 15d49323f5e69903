"""Imports: people and devices from the files of other services."""
