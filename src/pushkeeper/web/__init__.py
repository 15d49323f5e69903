"""The HTTP server: uvicorn's, with a limit for everything that a client can take of it."""
