"""Where databases are that are gone after the tests: in memory where there is room, as nobody waits for a disk there."""

from __future__ import annotations

import shutil
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ENOUGH_BYTES = 8 << 30


def _place() -> str | None:
    """A folder for `tempfile`; None for its own choice."""
    there = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES
    return str(_MEMORY) if there else None


PLACE = _place()
