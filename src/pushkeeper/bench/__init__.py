"""Benchmarks: each against a provider process of its own, and beside others where they are installed."""
