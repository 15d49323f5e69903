"""The cell of a database, one of several independent ones behind one address (core/cell.py).

It is kept where it works: as the bounds of the sequences that number rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core import cell as cells
from pushkeeper.errors import BadRequest, Conflict
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection, Row

SQL = load_queries(__name__)


async def of(database: Database) -> int:
    """The cell of this database; 0 of one that has no schema yet."""
    return _cell(await database.rows(SQL["numbering"]))


async def choose(database: Database, cell: int) -> None:
    """Make an empty database a cell: whatever it numbers from now on has a number that no other cell gives.

    Raises:
        BadRequest: there can be no such cell.
        Conflict: it is another cell already, or has rows that are numbered as of cell 0.
    """
    if not 0 <= cell <= cells.MOST:
        raise BadRequest("cell", f"expected a number from 0 to {cells.MOST}", "out_of_range")

    async def work(connection: Connection) -> None:
        found = await connection.fetch(SQL["numbering"])
        present = _cell(found)
        if present == cell:
            return
        if present:
            raise Conflict(f"This database is cell {present}, which cannot be changed")
        # Nobody can take a number of a sequence that is being altered, and who took one before is waited for.
        await _number(connection, found, cell)
        for row in found:
            if await connection.fetchval(f"select exists (select from {row['table_name']})"):  # noqa: S608 - a name of the catalog
                raise Conflict(
                    f"cell: only an empty database can become cell {cell}, and this one has rows in {row['table_name']}"
                )

    await database.owned.in_transaction(work)


async def bound(connection: Connection) -> None:
    """Let sequences that migrations have just made, or that are not bounded yet, number as the database's cell."""
    found = await connection.fetch(SQL["numbering"])
    await _number(connection, found, _cell(found))


async def out_of_bounds(database: Database) -> list[str]:
    """The sequences that do not number as the database's cell."""
    found = await database.rows(SQL["numbering"])
    return [row["sequence"] for row in found if not _is_bounded(row, _cell(found))]


async def _number(connection: Connection, sequences: list[Row], cell: int) -> None:
    first, last = cells.first_number(cell), cells.last_number(cell)
    for row in sequences:
        if not _is_bounded(row, cell):
            restart = "" if row["least"] == first else f"restart {first}"
            await connection.execute(
                f"alter sequence {row['sequence']} minvalue {first} maxvalue {last} start {first} {restart}"
            )


def _is_bounded(row: Row, cell: int) -> bool:
    return (row["least"], row["most"]) == (cells.first_number(cell), cells.last_number(cell))


def _cell(sequences: list[Row]) -> int:
    return next((cells.of_number(row["least"]) for row in sequences if row["of_workspaces"]), 0)
