"""How an audience is counted, and which indexes would make that faster."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core.filters.nodes import And, Unit
from pushkeeper.store.audiences import audiences, filter_index
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.store.audiences.audiences import Audience, Size
    from pushkeeper.store.audiences.filter_index import Index
    from pushkeeper.store.db.database import Database

SQL = load_queries("pushkeeper.store.audiences.audiences")

_PART_S = 10.0
_WORTH_AN_INDEX = 0.1  # of all devices: of more, reading all of them is as fast
_EVERYBODY = And(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One table that is read, by which index (None: all of it), and how many rows PostgreSQL expects of it."""

    table: str
    index: str | None
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """An index that is not there, what makes it, and the share of all devices that its condition leaves."""

    index: Index
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AudiencePlan:
    """How an audience is counted: what is read, how long that took, and what would be faster."""

    size: Size
    took_ms: float
    scans: tuple[Scan, ...]
    advice: tuple[Advice, ...]


async def explain(database: Database, audience: Audience) -> AudiencePlan:
    """Count an audience and say how.

    Raises:
        TooSlow: it cannot be counted within a minute.
    """
    query, parameters = audiences.counting(audience)
    asked = SQL["plan"].replace("{query}", query.rstrip(";"))
    [row] = await database.survey(asked, audience.workspace_id, *parameters)
    started = time.perf_counter()
    size = await audiences.size(database, audience)
    took_ms = (time.perf_counter() - started) * 1000
    [plan] = msgspec.json.decode(row["QUERY PLAN"])
    advice = await _advice(database, audience)
    return AudiencePlan(size=size, took_ms=took_ms, scans=tuple(_scans(plan["Plan"])), advice=advice)


def _scans(plan: dict[str, Any]) -> Iterator[Scan]:
    index = plan.get("Index Name")
    for inner in plan.get("Plans", ()):
        for scan in _scans(inner):
            # A bitmap's index is reported beside its table.
            if scan.table:
                yield scan
            else:
                index = scan.index
    if "Relation Name" in plan or index:
        yield Scan(table=plan.get("Relation Name", ""), index=index, rows=int(plan["Plan Rows"]))


async def _advice(database: Database, audience: Audience) -> tuple[Advice, ...]:
    possible = {index.name: index for index in filter_index.candidates(audience.node)}
    rows = await database.rows(SQL["indexes"], list(possible))
    missing = [index for name, index in possible.items() if name not in {row["relname"] for row in rows}]
    if not missing:
        return ()
    everybody = await _devices(database, audience, _EVERYBODY)
    found = []
    for index in missing:
        share = await _devices(database, audience, index.node) / max(everybody, 1)
        if share <= _WORTH_AN_INDEX:
            found.append(Advice(index=index, share=share))
    return tuple(sorted(found, key=lambda advice: advice.share))


async def _devices(database: Database, audience: Audience, node: Node) -> int:
    one = replace(audience, node=node, unit=Unit.DEVICE)
    return (await audiences.from_a_part(database, one, within_s=_PART_S)).devices
