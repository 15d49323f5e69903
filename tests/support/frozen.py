"""A PostgreSQL that says nothing any more: its processes are stopped, and the kernel still takes what is sent to them."""

from __future__ import annotations

import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def frozen(pgdata: Path) -> Iterator[None]:
    """Stop the server of this folder, and all its processes, for as long as this lasts."""
    postmaster = psutil.Process(int((pgdata / "postmaster.pid").read_text().splitlines()[0]))
    stopped = [postmaster]
    postmaster.suspend()  # first: it starts no more of them
    for child in postmaster.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.suspend()
            stopped.append(child)
    try:
        yield
    finally:
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
