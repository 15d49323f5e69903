"""HTTP/2 over TLS: one pool of connections for each endpoint."""
