"""Our own API, below `/api/v1`."""
