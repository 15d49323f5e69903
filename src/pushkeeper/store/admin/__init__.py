"""Workspaces, keys, credentials, accounts, audit."""
