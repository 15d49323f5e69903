"""Pushkeeper keeps an app's people and their devices, and knows who is getting your pushes."""

__version__ = "0.2.0"
