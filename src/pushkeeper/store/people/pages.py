"""People as one pages through them, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushkeeper.core import identity
from pushkeeper.core.filters.nodes import And
from pushkeeper.store.audiences import filter_sql
from pushkeeper.store.db import pagination
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.people.people import Member

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.core.model import PersonId, WorkspaceId
    from pushkeeper.store.db.database import Database

SQL = load_queries(__name__)

_EVERYTHING = And(())
FIRST = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPerson:
    """A person by what they are known by, and how many devices they have of each last status."""

    person_id: PersonId
    id: str | None
    email: str | None
    unsubscribed: bool
    created_at: datetime
    devices: dict[str, int]

    @property
    def cio_id(self) -> str:
        return identity.cio_id(self.person_id)


async def page(
    database: Database, workspace: WorkspaceId, node: Node | None, *, after: int, limit: int
) -> pagination.Page[ShownPerson, int]:
    """People who match a filter, after one of them."""
    where = filter_sql.condition(node or _EVERYTHING, first=5, now=datetime.now(UTC))
    query = SQL["page"].replace("{condition}", where.sql)

    statements = database.surveying(workspace) if node else database.of(workspace)

    async def read(at: int, rows: int, look: int) -> tuple[Sequence[ShownPerson], int | None]:
        bound: int | None = await statements.value(SQL["bound"], workspace, at, look) if node else None
        found = await statements.rows_with_custom_plan(
            query, workspace, at, bound or 0, rows, *where.parameters
        )
        some = [ShownPerson(**row) for row in found]
        return some, some[-1].person_id if len(some) == rows else bound

    if node:
        await database.know(workspace)
    return await pagination.filled(read, after, limit)


async def search(
    database: Database, workspace: WorkspaceId, node: Node, *, after: int, limit: int
) -> list[Member]:
    """The people who match a filter and whose keys come after this one, in order."""
    where = filter_sql.condition(node, first=4, now=datetime.now(UTC))
    query = SQL["search"].replace("{condition}", where.sql)
    return [Member(**row) for row in await database.survey(query, workspace, after, limit, *where.parameters)]
