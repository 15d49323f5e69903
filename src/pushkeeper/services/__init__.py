"""The use cases: each is called by the APIs, the dashboard, the command line and the worker."""
