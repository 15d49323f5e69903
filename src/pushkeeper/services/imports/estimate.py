"""How far an import has come, and how long the rest takes at the speed of the attempt that is running. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushkeeper.store.imports import Import

_LEAST_S = 2.0  # of an attempt, before its speed says anything


def progress_of(found: Import) -> float:
    """The share of the work that is done, from 0 to 1: a file that is applied is read a second time, to be compared."""
    if found.state == "done":
        return 1.0
    return min(_done(found) / max(_all(found), 1), 1.0)


def remaining_s(found: Import) -> float | None:
    """Seconds that the rest takes; None where nobody works at it, or has not for long enough to tell."""
    if found.state != "pending" or found.began_at is None:
        return None
    took_s = (found.updated_at - found.began_at).total_seconds()
    done = _done(found) - found.began_bytes
    if took_s < _LEAST_S or done <= 0:
        return None
    return round((_all(found) - _done(found)) * took_s / done, 1)


def _done(found: Import) -> int:
    return found.read_bytes + found.checked_bytes


def _all(found: Import) -> int:
    return found.bytes * (2 if found.apply else 1)
