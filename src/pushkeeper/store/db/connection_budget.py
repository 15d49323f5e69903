"""The connections that the processes of one service may open, fitted to what the server has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pushkeeper.config import SUPERVISOR_CONNECTIONS
from pushkeeper.errors import Misconfigured
from pushkeeper.store.db import streams, surveys

if TYPE_CHECKING:
    from pushkeeper.config import Settings

LEAST = 2
# Those of a process besides its setting: for searches and exports, and one that listens.
_BESIDE = surveys.AT_ONCE + streams.AT_ONCE + 1
_SPARE = 10  # for commands and administrators


def wanted(settings: Settings) -> int:
    """How many they may open together."""
    several = settings.processes > 1
    # Beside several that answer there is one worker at least.
    workers = max(settings.workers, 1 if several and settings.worker else 0)
    return (
        settings.processes * (settings.database_connections + _BESIDE)
        + workers * (settings.worker_connections + _BESIDE)
        + (SUPERVISOR_CONNECTIONS + _BESIDE if several else 0)
    )


def fits(settings: Settings, limit: int) -> bool:
    """Whether a server of so many connections has enough for them, and some to spare."""
    return wanted(settings) <= limit - _SPARE


def fitted(settings: Settings, limit: int) -> Settings:
    """The settings with as many connections for each process as a server of so many can have open.

    Raises:
        Misconfigured: two for each would be too many already.
    """
    found = settings
    while not fits(found, limit):
        if found.database_connections > LEAST:
            found = replace(found, database_connections=found.database_connections - 1)
        elif found.worker_connections > LEAST:
            found = replace(found, worker_connections=found.worker_connections - 1)
        else:
            raise Misconfigured(
                f"processes, workers: {found.processes} processes that answer and {found.workers} workers need "
                f"{wanted(found) + _SPARE} connections, of which PostgreSQL has {limit}; raise its max_connections, or run fewer"
            )
    return found
