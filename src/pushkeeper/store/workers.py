"""Workers: who sends now, so that each knows its share."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from pushkeeper.store.database import load_queries

if TYPE_CHECKING:
    from uuid import UUID

    from pushkeeper.store.database import Database

SQL = load_queries("workers")


async def beat(database: Database, worker: UUID, *, alive_for_s: float) -> int:
    """Say that this worker is alive, and return how many are, itself among them."""
    alive: int = await database.value(SQL["beat"], worker, socket.gethostname(), os.getpid(), alive_for_s)
    return alive


async def leave(database: Database, worker: UUID) -> None:
    """Say that this worker ends."""
    await database.rows(SQL["leave"], worker)


async def alive(database: Database, *, within_s: float) -> int:
    """How many workers said of late that they are alive."""
    found: int = await database.value(SQL["alive"], within_s)
    return found
