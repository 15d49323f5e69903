"""How soon `serve` is ready on a new and on an old data folder, and what it holds of memory while it is idle."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks import processes
from benchmarks.figures import Figure


def measure() -> list[Figure]:
    """Starts a second, and megabytes of our own process, PostgreSQL aside; the time to ready is p50."""
    found = []
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as folder:
        data = Path(folder) / "data"
        for name, goal in (("new folder", "5,000 ms; 150 MB"), ("old folder", "2,000 ms; 150 MB")):
            started = time.perf_counter()
            with processes.pushkeeper("serve", "--data", str(data), "--port", "0") as served:
                ready_s = time.perf_counter() - started
                held_mb = processes.rss_mb(served["pid"])
            found.append(
                Figure(
                    name=f"serve, {name}",
                    requests_per_s=1 / ready_s,
                    rss_mb=held_mb,
                    p50_ms=ready_s * 1000,
                    goal=goal,
                )
            )
    return found
