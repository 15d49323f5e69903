"""What the server of a database has to be able to, for those who need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.errors import Misconfigured
from pushkeeper.store.db.connections import where
from pushkeeper.store.db.driver_errors import ReadOnly
from pushkeeper.store.db.listening import NotHeard
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database

SQL = load_queries(__name__)


async def require_primary(database: Database) -> None:
    """See that the server may write.

    Raises:
        Unreachable: it is a standby.
    """
    if await database.value(SQL["standby"]):
        raise ReadOnly(
            f"database URL: PostgreSQL at {where(database.url)} is a standby: nothing can be written; point it at the primary",
            retry_after_s=5,
        )


async def require_notifications(database: Database) -> None:
    """See that what is notified arrives, as a worker needs it.

    Raises:
        Misconfigured: it does not: the address is that of a pooler.
    """
    if not database.is_pooled:
        return
    try:
        async with database.listening([]):
            pass
    except NotHeard as error:
        raise Misconfigured(
            f"database URL: {where(database.url)} is a pooler of transactions (PgBouncer), through which notifications do not "
            "arrive; give workers the address of PostgreSQL itself, and run `serve --no-worker` through the pooler"
        ) from error
