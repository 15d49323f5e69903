"""Benchmarks: each against a provider process of its own, and beside others where they are installed."""

from pathlib import Path

ROOT = Path(__file__).parents[1]  # children that run `-m benchmarks…` start here
