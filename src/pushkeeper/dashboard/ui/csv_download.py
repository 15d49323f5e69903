"""Tables as CSV: the same rows as on the page, all of them, written while they are read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, TypeVar

from pushkeeper.core import csv_text
from pushkeeper.core.pagination import Page
from pushkeeper.web.response import Response, download

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

T = TypeVar("T")
K = TypeVar("K")

ROWS = 50
CSV_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A column: its heading in a file, and what a row has in it."""

    name: str
    cell: Callable[[T], object]


def csv_of(name: str, columns: Sequence[Column[T]], rows: Sequence[T]) -> Response:
    """A file of rows that are there already."""

    async def no_more(_: None) -> Page[T, None]:
        return Page([], None, whole=True)

    return _file(name, columns, _pages(Page(rows, None, whole=True), no_more))


async def csv_of_pages(
    name: str, columns: Sequence[Column[T]], read: Callable[[K], Awaitable[Page[T, K]]], first: K
) -> Response:
    """A file of all rows, read page by page from a first key; pages in which nothing was found are passed over.

    The first page is read before anything is sent: what is wrong with the request can still be said then.
    """
    return _file(name, columns, _pages(await read(first), read))


async def _pages(found: Page[T, K], read: Callable[[K], Awaitable[Page[T, K]]]) -> AsyncIterator[Sequence[T]]:
    yield found.rows
    while found.following is not None:
        found = await read(found.following)
        yield found.rows


def _file(name: str, columns: Sequence[Column[T]], pages: AsyncIterator[Sequence[T]]) -> Response:
    async def parts() -> AsyncGenerator[bytes, None]:
        yield csv_text.lines([[column.name for column in columns]])
        async for rows in pages:
            if rows:
                yield csv_text.lines([column.cell(row) for column in columns] for row in rows)

    return download(f"{name}-{datetime.now(UTC):%Y-%m-%d}.csv", parts())
