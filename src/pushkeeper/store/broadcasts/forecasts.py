"""Forecasts: audiences, grouped by what decides whether a device is reached, and outcomes of past pushes."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from pushkeeper.core.broadcasts.forecast import DailyOutcomes, DeviceGroup, ZoneState, by_day
from pushkeeper.core.model import DeviceId, PersonId, Platform, TokenShape
from pushkeeper.store.broadcasts import planning
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushkeeper.core.broadcasts.forecast import SendRules
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.broadcasts.broadcasts import Broadcast
    from pushkeeper.store.broadcasts.planning import Targeting
    from pushkeeper.store.db.database import Database

SQL = load_queries(__name__)

HISTORY_DAYS = 90
_LISTED = "join broadcast_people l on l.workspace_id = d.workspace_id and l.broadcast_id = $2 and l.person_id = d.person_id"
_ZONE = (
    f"case when {planning.ZONE} is null then 'missing' "
    f"when {planning.ZONE_KEY} = any ({{zones}}) then 'known' else 'unknown' end"
)


async def kinds(
    database: Database,
    workspace: WorkspaceId,
    broadcast_id: int,
    whom: Targeting,
    asks: SendRules,
    *,
    by_zone: bool,
) -> list[DeviceGroup]:
    """An audience's devices, counted by kind; `by_zone` looks whether their time zones are known.

    Raises:
        TooSlow: it takes longer than a minute.
    """
    query, parameters = _query(SQL["kinds"], whom, by_zone=by_zone)
    query = query.replace("{asks}", _asks(asks))
    rows = await database.survey(query, workspace, broadcast_id, *parameters)
    return [
        DeviceGroup(
            **{
                **row,
                "platform": Platform(row["platform"]),
                "shape": TokenShape(row["shape"]),
                "zone": ZoneState(row["zone"]),
            }
        )
        for row in rows
    ]


class ReachableDevice(NamedTuple):
    """A device that a broadcast would be sent to, and the data that the list of recipients has for its person."""

    device_id: DeviceId
    person_id: PersonId
    platform: Platform
    data: Mapping[str, Any]


async def reachable(
    database: Database,
    broadcast: Broadcast,
    whom: Targeting,
    asks: SendRules,
    *,
    after: DeviceId,
    limit: int,
) -> list[ReachableDevice]:
    """Some devices that a broadcast would be sent to after a key, in the order of keys, which are spread evenly.

    Raises:
        TooSlow: it takes longer than a minute.
    """
    conditions = planning.conditions(whom, first=5)
    query = SQL["reachable"].replace("{condition}", conditions.sql).replace("{asks}", _asks(asks))
    # Only listed recipients have data of their own.
    query = query.replace("{listed}", _LISTED if whom.listed else f"left {_LISTED}")
    rows = await database.survey(
        query, broadcast.workspace_id, broadcast.broadcast_id, after, limit, *conditions.parameters
    )
    return [
        ReachableDevice(
            DeviceId(row["device_id"]),
            PersonId(row["person_id"]),
            Platform(row["platform"]),
            row["data"] if isinstance(row["data"], dict) else {},
        )
        for row in rows
    ]


def _asks(asks: SendRules) -> str:
    # Written as constants, so that the planner leaves out what is not asked for.
    flags = (asks.send_to_unsubscribed, asks.skip_without_permission, asks.one_per_phone)
    return ", ".join([*("true" if flag else "false" for flag in flags), "null"])


async def unknown_zones(
    database: Database, workspace: WorkspaceId, broadcast_id: int, whom: Targeting
) -> dict[str, int]:
    """The most frequent values of unknown time zones among an audience's devices, with their counts.

    Raises:
        TooSlow: it takes longer than a minute.
    """
    query, parameters = _query(SQL["unknown_zones"], whom, by_zone=True)
    rows = await database.survey(query, workspace, broadcast_id, *parameters)
    return {row["zone"]: row["devices"] for row in rows}


async def people(database: Database, workspace: WorkspaceId, broadcast_id: int, whom: Targeting) -> int:
    """How many people have devices of an audience.

    Raises:
        TooSlow: it takes longer than a minute.
    """
    query, parameters = _query(SQL["people"], whom)
    [row] = await database.survey(query, workspace, broadcast_id, *parameters)
    found: int = row["people"]
    return found


async def history(database: Database, workspace: WorkspaceId) -> list[DailyOutcomes]:
    """Outcomes of a workspace's pushes in the last ninety days."""
    rows = await database.reading(workspace).rows(SQL["history"], workspace, HISTORY_DAYS)
    return [
        day
        for _, of_day in groupby(rows, itemgetter("day"))
        for day in by_day((row["platform"], row["seen"], row["ending"], row["pushes"]) for row in of_day)
    ]


async def fastest_per_s(database: Database, workspace: WorkspaceId) -> float | None:
    """How many pushes of broadcasts were accepted in a second of the best minute of the last week; None of none."""
    found: int | None = await database.reading(workspace).value(SQL["fastest"], workspace)
    return None if not found else found / 60


def _query(text: str, whom: Targeting, *, by_zone: bool = False) -> tuple[str, list[object]]:
    conditions = planning.conditions(whom, first=3)
    zone = "'known'"
    if by_zone:
        zone = _ZONE.replace("{zones}", conditions.parameter(planning.zone_keys(), "text[]"))
    query = text.replace("{zone}", zone).replace("{said}", planning.ZONE)
    query = query.replace("{listed}", _LISTED if whom.listed else "").replace("{condition}", conditions.sql)
    return query, conditions.parameters
