"""Imports: one module for each vendor, which reads a record of its export into our row."""
