"""Audiences: the people and devices that match a filter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.core.filters.nodes import Unit
from pushkeeper.errors import TooSlow
from pushkeeper.store.audiences import filter_sql
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.devices.devices import as_device

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.core.model import PersonId, WorkspaceId
    from pushkeeper.store.audiences.filter_sql import Where
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.devices.devices import Device

SQL = load_queries(__name__)

LONGEST_S = 60.0
_EXAMPLES = 5
JOINED = "join people p using (workspace_id, person_id)"
_PART = 8_192  # people that an estimate is based on
_ONE_IN = 64  # people have an index
_INDEXED = f"and hashint8(person_id) & {_ONE_IN - 1} = 0"
_CERTAIN = 1.96  # standard deviations: 19 times in 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """The members of a filter at a moment: devices or people of a workspace."""

    workspace_id: WorkspaceId
    node: Node
    unit: Unit
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many people an audience has, and how many devices."""

    people: int
    devices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """About how many, and how far off that may be: within the margins 19 times in 20."""

    people: int
    devices: int
    people_margin: int
    devices_margin: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """What evaluation per person gets wrong: devices that it includes, and excludes; and examples of each."""

    wrongly_included: int
    wrongly_excluded: int
    included: list[Device]
    excluded: list[Device]


async def size(database: Database, audience: Audience) -> Size:
    """How many people and devices an audience has.

    Raises:
        TooSlow: it cannot be counted within a minute.
    """
    query, parameters = counting(audience)
    [row] = await database.survey(query, audience.workspace_id, *parameters)
    return Size(**row)


def counting(audience: Audience) -> tuple[str, list[object]]:
    """The query that counts an audience, and its parameters after the workspace."""
    where = _where(audience, first=2)
    query = SQL["devices"] if audience.unit is Unit.DEVICE else SQL["people"]
    query = query.replace("{people}", JOINED if where.of_people else "").replace("{condition}", where.sql)
    return query, where.parameters


async def estimate(database: Database, audience: Audience, *, within_s: float) -> Size | Estimate:
    """How many there are, counted where that is possible in half of the time, and else from a part of the people.

    Raises:
        TooSlow: not even that is.
    """
    query, parameters = counting(audience)
    try:
        [row] = await database.survey(query, audience.workspace_id, *parameters, within_s=within_s / 2)
    except TooSlow:
        return await from_a_part(database, audience, within_s=within_s / 2)
    return Size(**row)


async def from_a_part(
    database: Database, audience: Audience, *, within_s: float, people: int = _PART
) -> Estimate:
    """Estimate the size from a sample of about `people` people.

    Raises:
        TooSlow: it takes longer than its limit.
    """
    all_people: int = await database.value(SQL["all_people"])
    one_in = 1 << max(round(math.log2(all_people / people)), 0)
    where = _where(audience, first=3)
    query = SQL["part_of_devices"] if audience.unit is Unit.DEVICE else SQL["part_of_people"]
    [row] = await database.survey(
        query.replace("{indexed}", _INDEXED if one_in >= _ONE_IN else "").replace("{condition}", where.sql),
        audience.workspace_id,
        one_in,
        *where.parameters,
        within_s=within_s,
    )
    return Estimate(
        people=row["people"] * one_in,
        devices=row["devices"] * one_in,
        people_margin=margin(row["people"], one_in),
        devices_margin=margin(row["squares"], one_in),
    )


def margin(squares: int, one_in: int) -> int:
    """How far off a sum may be that was made from one part in so many: the upper end of the score interval of a count.

    The lower end is nearer. Of few that were found, the square root of their number alone would be too narrow: 4 times in 20
    there are more.
    """
    half = _CERTAIN**2 / 2
    deviations = half + _CERTAIN * math.sqrt(squares + half / 2)
    return math.ceil(deviations * math.sqrt(1 - 1 / one_in) * one_in)


async def devices(database: Database, audience: Audience, *, after: bytes, limit: int) -> list[Device]:
    """The devices of an audience (or of its people) whose keys come after this one, in their order."""
    where = _where(audience, first=4)
    asked = SQL["page"].replace("{condition}", where.sql)
    rows = await database.survey(asked, audience.workspace_id, after, limit, *where.parameters)
    return [as_device(row) for row in rows]


async def differences(database: Database, audience: Audience, *, within_s: float = LONGEST_S) -> Differences:
    """The devices that match only per person, or only per device.

    Raises:
        TooSlow: one of its three queries takes longer than its limit.
    """
    people, devices = _readings(audience, first=2)
    if not devices.of_devices:
        return Differences(wrongly_included=0, wrongly_excluded=0, included=[], excluded=[])
    query = (
        SQL["differences"]
        .replace("{of_people}", people.sql)
        .replace("{of_devices}", devices.sql)
        .replace("{people}", JOINED if devices.of_people else "")
    )
    parameters = (*people.parameters, *devices.parameters)
    [row] = await database.survey(query, audience.workspace_id, *parameters, within_s=within_s)

    async def some(wrong: int, *, included: bool) -> list[Device]:
        # Without any, all devices would be searched in vain.
        if not wrong:
            return []
        limit = min(wrong, _EXAMPLES)
        return await differing(
            database, audience, included=included, after=b"", limit=limit, within_s=within_s
        )

    return Differences(
        **row,
        included=await some(row["wrongly_included"], included=True),
        excluded=await some(row["wrongly_excluded"], included=False),
    )


async def differing(
    database: Database,
    audience: Audience,
    *,
    included: bool,
    after: bytes,
    limit: int,
    within_s: float = LONGEST_S,
) -> list[Device]:
    """The next devices, by key, that evaluation per person wrongly includes or excludes.

    Raises:
        TooSlow: it takes longer than its limit.
    """
    people, devices = _readings(audience, first=4)
    wrongly = f"{people.sql} and not {devices.sql}" if included else f"{devices.sql} and not {people.sql}"
    query = SQL["page"].replace("{condition}", wrongly)
    asked = (after, limit, *people.parameters, *devices.parameters)
    rows = await database.survey(query, audience.workspace_id, *asked, within_s=within_s)
    return [as_device(row) for row in rows]


def _readings(audience: Audience, *, first: int) -> tuple[Where, Where]:
    """The condition evaluated per person, and per device, with the parameters of both in order."""
    people = _where(audience, first=first, unit=Unit.PERSON, total=True)
    devices = _where(audience, first=first + len(people.parameters), unit=Unit.DEVICE, total=True)
    return people, devices


def _where(audience: Audience, *, first: int, unit: Unit | None = None, total: bool = False) -> Where:
    return filter_sql.condition(
        audience.node, first=first, now=audience.now, unit=unit or audience.unit, total=total
    )


async def true_of(
    database: Database, workspace: WorkspaceId, person: PersonId, nodes: Mapping[int, Node], now: datetime
) -> set[int]:
    """The numbers of the filters that a person matches."""
    if not nodes:
        return set()
    cases, parameters = list[str](), list[object]()
    for number, node in nodes.items():
        where = filter_sql.condition(node, first=3 + len(parameters), now=now)
        cases.append(f"case when {where.sql} then {number} end")
        parameters += where.parameters
    query = SQL["true_of"].replace("{numbers}", f"array[{', '.join(cases)}]::bigint[]")
    return set(await database.of(workspace).value(query, workspace, person, *parameters) or ())
