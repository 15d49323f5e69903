"""Results of broadcasts, for one, a list or a report: status, audience, outcomes, and what apps reported."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from pushkeeper.core.broadcasts import results as rules
from pushkeeper.core.broadcasts.progress import Audience, audience_size
from pushkeeper.core.broadcasts.results import Rank, Rates, Results, Status, StatusInput
from pushkeeper.store.broadcasts import broadcasts
from pushkeeper.store.broadcasts import results as stored
from pushkeeper.store.broadcasts.broadcasts import TO_BE_PLANNED, BroadcastState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.broadcasts.broadcasts import Broadcast
    from pushkeeper.store.db.database import Database

__all__ = [
    "MOST_RANKED",
    "BroadcastSummary",
    "FlatResult",
    "Rank",
    "Rates",
    "Result",
    "Results",
    "Status",
    "flat",
    "summaries",
]

MOST_RANKED = 1_000  # the newest broadcasts that began, among which an order is made


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastSummary:
    """A broadcast with its status and results.

    Attributes:
        due_at: when it, or its first time zone, is due; None when it is not scheduled.
        devices: the number of devices in its audience, an estimate unless `exact`.
        platforms: the results by platform; "" for what cannot be told.
    """

    broadcast: Broadcast
    status: Status
    due_at: datetime | None
    results: Results
    platforms: Mapping[str, Results]
    devices: int
    exact: bool


def summary_of(
    broadcast: Broadcast, counts: Iterable[tuple[str, str, int]], now: datetime
) -> BroadcastSummary:
    """Summarize a broadcast from its counts: platform, outcome or reported metric, and number."""
    by_platform: dict[str, list[tuple[str, int]]] = {}
    for platform, name, count in counts:
        by_platform.setdefault(platform, []).append((name, count))
    results = rules.add_up(pair for pairs in by_platform.values() for pair in pairs)
    facts = StatusInput(
        now=now, state=broadcast.shown_state, planned=broadcast.devices, due_at=broadcast.pass_at
    )
    status = rules.status_of(facts, results)
    devices, exact = audience_size(audience_of(broadcast))
    return BroadcastSummary(
        broadcast=broadcast,
        status=status,
        due_at=broadcast.pass_at if status is Status.SCHEDULED else None,
        results=results,
        platforms={platform: rules.add_up(pairs) for platform, pairs in by_platform.items()},
        devices=max(devices, results.processed),
        exact=exact,
    )


def audience_of(broadcast: Broadcast) -> Audience:
    """What is known of the size of a broadcast's audience."""
    estimate = broadcast.preflight
    return Audience(
        planned=broadcast.devices,
        all_planned=broadcast.state not in TO_BE_PLANNED | {BroadcastState.DRAFT},
        last_device=broadcast.last_device,
        parts=len(broadcast.passes),
        expected=None if estimate is None else int(estimate["devices"]),
    )


async def summaries(
    database: Database, workspace: WorkspaceId, several: Sequence[Broadcast]
) -> list[BroadcastSummary]:
    """Summarize broadcasts, in their order."""
    messages = [one.message_id for one in several if one.message_id is not None]
    counts, now = await stored.of_messages(database, workspace, messages), datetime.now(UTC)
    return [
        summary_of(one, () if one.message_id is None else counts.get(one.message_id, ()), now)
        for one in several
    ]


async def best(
    database: Database, workspace: WorkspaceId, rank: Rank, *, reverse: bool, offset: int, limit: int
) -> list[Broadcast]:
    """Some of the newest thousand broadcasts that began, in an order."""
    counts = await stored.of_workspace(database, workspace, MOST_RANKED)
    order = rules.ranked(
        {number: rules.add_up(pairs) for number, pairs in counts.items()}, rank, reverse=reverse
    )
    wanted = order[offset : offset + limit]
    found = {one.broadcast_id: one for one in await broadcasts.some(database, workspace, wanted)}
    return [found[number] for number in wanted if number in found]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The results of a broadcast compared with its estimate.

    Attributes:
        state: `under_way`, `sent`, `cancelled` or `failed`.
        status: as pages and other calls show it.
        devices: the size of its audience.
        foreseen: how many pushes would be accepted: `least`, `likely` and `most`.
        within: whether as many were; None where it did not come to its end, was a dry run, or nothing was foreseen.
    """

    broadcast_id: int
    name: str
    state: str
    status: Status
    started_at: datetime
    devices: int
    dry_run: bool
    foreseen: dict[str, int] | None
    endings: dict[str, int]
    within: bool | None
    reported: dict[str, int]
    rates: Rates

    @classmethod
    def of(cls, one: BroadcastSummary) -> Result:
        """Of a broadcast that began."""
        broadcast, results = one.broadcast, one.results
        estimate, within = (broadcast.preflight or {}).get("accepted"), None
        state = _state(broadcast)
        if estimate is not None and state == Status.SENT and not broadcast.dry_run:
            within = estimate["least"] <= results.accepted <= estimate["most"]
        return cls(
            broadcast_id=broadcast.broadcast_id,
            name=broadcast.title,
            state=state,
            status=one.status,
            started_at=broadcast.started_at or broadcast.created_at,
            devices=one.devices,
            dry_run=broadcast.dry_run,
            foreseen=estimate,
            endings={name: count for name in rules.OUTCOMES if (count := getattr(results, name))},
            within=within,
            reported={name: getattr(results, name) for name in rules.REPORTED},
            rates=results.rates,
        )


class FlatResult(msgspec.Struct, frozen=True, kw_only=True):
    """The same with a column for each number."""

    broadcast_id: int
    name: str
    state: str
    status: Status
    started_at: datetime
    dry_run: bool
    devices: int
    foreseen_least: int | None
    foreseen_likely: int | None
    foreseen_most: int | None
    within: bool | None
    accepted: int
    bounced: int
    failed: int
    expired: int
    unknown: int
    skipped: int
    delivered: int
    opened: int
    clicked: int
    converted: int


def flat(result: Result) -> FlatResult:
    """The results of a broadcast, for a table."""
    foreseen = result.foreseen or {}
    return FlatResult(
        broadcast_id=result.broadcast_id,
        name=result.name,
        state=result.state,
        status=result.status,
        started_at=result.started_at,
        dry_run=result.dry_run,
        devices=result.devices,
        foreseen_least=foreseen.get("least"),
        foreseen_likely=foreseen.get("likely"),
        foreseen_most=foreseen.get("most"),
        within=result.within,
        **{name: result.endings.get(name, 0) for name in rules.OUTCOMES},
        **{name: result.reported.get(name, 0) for name in rules.REPORTED},
    )


def _state(broadcast: Broadcast) -> str:
    if broadcast.state in {BroadcastState.CANCELLED, BroadcastState.FAILED}:
        return broadcast.state.value
    return "sent" if broadcast.is_over else "under_way"
