"""Processes that a benchmark runs, and what the operating system says that they used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from pushkeeper.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator

_TICKS = os.sysconf("SC_CLK_TCK")
# Of /proc/<pid>/stat after the name: user and system time, and those of children that have ended.
_TIMES = slice(11, 15)
_END_S = 30.0


@contextmanager
def pushkeeper(*command: str, core: int | None = None, **settings: str) -> Iterator[dict[str, Any]]:
    """Run one of our long commands in a process of its own, with settings; what it says once it is ready, with its `pid`.

    Raises:
        Misconfigured: it ended before it was ready.
    """
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    run = [*pinned, sys.executable, "-m", "pushkeeper", *command, "--json"]
    # What a machine can do is measured, and not what a key may.
    settings = {"requests_per_s": "none", **settings}
    environment = os.environ | {f"PUSHKEEPER_{name.upper()}": value for name, value in settings.items()}
    process = subprocess.Popen(  # noqa: S603 - our own
        run, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    try:
        line = process.stdout.readline()
        if not line:
            raise Misconfigured(f"bench: `pushkeeper {command[0]}` did not start")
        yield {**json.loads(line), "pid": process.pid}
    finally:
        process.terminate()
        try:
            process.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def cpu_s(*roots: int) -> float:
    """CPU-seconds that these processes have used, with their children, living and ended."""
    used = 0.0
    for root in roots:
        for pid in _tree(root):
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
                used += sum(map(int, fields[_TIMES])) / _TICKS
    return used


def rss_mb(pid: int) -> float:
    """Megabytes that a process holds."""
    found: int = psutil.Process(pid).memory_info().rss
    return found / 2**20


def postmaster(data_dir: Path) -> int:
    """The embedded PostgreSQL's first process."""
    return int((data_dir / "postgres" / "postmaster.pid").read_text(encoding="ascii").split()[0])


def _tree(root: int) -> list[int]:
    with suppress(psutil.NoSuchProcess):
        return [root, *(child.pid for child in psutil.Process(root).children(recursive=True))]
    return []
