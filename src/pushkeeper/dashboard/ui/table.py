"""Tables: which columns, how many rows, in which order and from which row on, as the address of a page says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from pushkeeper.dashboard.ui.csv_download import ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushkeeper.dashboard.ui.page_request import PageRequest

SIZES = (25, ROWS, 100, 200)
_CHOSEN = "columns"
_MOST_ROWS = 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """How a table is shown.

    Attributes:
        path: the address of its page.
        names: the columns that can be chosen, by their keys.
        chosen: those that are shown.
        is_usual: nobody has chosen.
        size: the number of rows of a page.
        sort: the order; empty for the usual one.
        reverse: it is the other way round.
        kept: what else the address asks for, such as a filter.
        first: the number of rows before this page.
        start: where the page begins, in the terms of the list; empty for the first page.
        trail: where the pages before this one begin.
    """

    path: str
    names: Mapping[str, str]
    chosen: frozenset[str]
    is_usual: bool
    size: int
    sort: str
    reverse: bool
    kept: Mapping[str, str]
    first: int
    start: str
    trail: tuple[str, ...]

    def asked(self, **more: str) -> list[tuple[str, str]]:
        """What an address asks for to show this table from its beginning."""
        found = [(name, text) for name, text in self.kept.items() if text]
        if not self.is_usual:
            found += [(_CHOSEN, name) for name in self.names if name in self.chosen] or [(_CHOSEN, "")]
        if self.size != ROWS:
            found.append(("size", str(self.size)))
        order = {"sort": self.sort, "reverse": "yes" if self.reverse else ""} | more
        return found + [(name, text) for name, text in order.items() if text]

    def address(self, **more: str) -> str:
        """The address of the first page."""
        asked = self.asked(**more)
        return f"{self.path}?{urlencode(asked)}" if asked else self.path

    def sorted_by(self, sort: str) -> str:
        """The address that the heading of a column leads to: its order, or the reverse of that where it is shown already."""
        turned = sort == self.sort and not self.reverse
        return self.address(sort=sort, reverse="yes" if turned else "")

    def direction(self, sort: str) -> str:
        """The `aria-sort` of a column, whose highest come first as a rule; empty of another column than the sorted one."""
        if sort != self.sort:
            return ""
        return "ascending" if self.reverse else "descending"

    def following(self, start: object | None, rows: int) -> str | None:
        """The address of the next page, which begins at `start`; None after the last."""
        if start is None:
            return None
        return self._at((*self.trail, self.start), str(start), self.first + rows)

    @property
    def previous(self) -> str | None:
        """The address of the page before; None of the first."""
        if not self.trail:
            return None
        *before, start = self.trail
        return self._at(tuple(before), start, max(self.first - self.size, 0))

    def _at(self, trail: Sequence[str], start: str, first: int) -> str:
        if not start:
            return self.address()
        place = [("start", start), ("first", str(first)), *(("before", one) for one in trail)]
        return f"{self.path}?{urlencode([*self.asked(), *place])}"

    def range(self, rows: int, total: str = "") -> str:
        """The rows of this page in words, "51 to 100", and of how many if that is known."""
        if not rows:
            return "No rows"
        shown = f"{self.first + 1:,}–{self.first + rows:,}"  # noqa: RUF001 - a dash
        return f"{shown} of {total}" if total else shown


def table_view(
    request: PageRequest,
    path: str,
    names: Mapping[str, str],
    usual: Sequence[str],
    *,
    sorts: Sequence[str] = (),
    kept: Mapping[str, str] | None = None,
) -> TableView:
    """What a request asks of a table; whatever it cannot have is the usual."""
    chosen = request.query.getlist(_CHOSEN)
    size, sort = request.asked("size"), request.asked("sort")
    first = request.asked("first")
    return TableView(
        path=path,
        names=names,
        chosen=frozenset(chosen or usual) & frozenset(names),
        is_usual=not chosen,
        size=int(size) if size in map(str, SIZES) else ROWS,
        sort=sort if sort in sorts else "",
        reverse=request.asked("reverse") == "yes",
        kept=kept or {},
        first=min(int(first), _MOST_ROWS) if first.isascii() and first.isdigit() else 0,
        start=request.asked("start"),
        trail=tuple(request.query.getlist("before")),
    )
