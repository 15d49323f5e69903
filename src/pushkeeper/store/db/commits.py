"""Commits whose answer was lost with the connection: the server knows whether they took place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from pushkeeper.errors import Unreachable
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.store.db.database import Database

SQL = load_queries(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A transaction by its number, which is its own until the server that began it is started again."""

    number: str
    server_started_at: datetime


class Ending(Enum):
    """How a transaction ended."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    UNKNOWN = None  # the server has been restarted, or another has its place


async def ending(database: Database, transaction: Transaction) -> Ending:
    """How a transaction ended.

    Raises:
        Unreachable: it runs still, or the server does not answer.
    """
    found = await database.value(SQL["standing"], transaction.number, transaction.server_started_at)
    if found == "in progress":
        raise Unreachable("the database is still at what was asked before")
    return Ending(found)
