"""How soon `serve` is ready on a new and on an old data folder, and what it holds of memory while it is idle."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator


def measure() -> Iterator[dict[str, Any]]:
    """Seconds to ready and megabytes resident of our process, PostgreSQL aside."""
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as folder:
        for name in ("new folder", "old folder"):
            started = time.perf_counter()
            command = [
                sys.executable,
                "-m",
                "pushkeeper",
                "serve",
                "--data",
                f"{folder}/data",
                "--port",
                "0",
                "--json",
            ]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            assert process.stdout is not None
            try:
                json.loads(process.stdout.readline())
                ready_s = time.perf_counter() - started
                rss_mb = psutil.Process(process.pid).memory_info().rss / 2**20
            finally:
                process.terminate()
                process.wait()
            yield {"name": f"serve, {name}", "ready_s": round(ready_s, 2), "rss_mb": round(rss_mb, 1)}
    assert not Path(folder).exists()
