"""Metrics that the database holds for others, and about itself."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core.delivery.reason_codes import MEANINGS
from pushkeeper.core.delivery.reason_codes import OTHER as OTHER_REASON
from pushkeeper.observability.meters import Histogram, Series
from pushkeeper.observability.metrics import Kind, Metric
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.delivery.workers import MetricSample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pushkeeper.store.db.database import Database

SQL = load_queries(__name__)

_METRICS = {metric.value.name: metric for metric in Metric}
_SUM = "sum"
_REASON = Metric.PUSHES.value.labels.index("reason")
_REASONS = frozenset({*MEANINGS, OTHER_REASON})


def written(several: Iterable[Series]) -> list[MetricSample]:
    """Series in stored form: a histogram has one value per bound, and one for its sum."""
    found: list[MetricSample] = []
    for series in several:
        adds_up = series.metric.value.kind is not Kind.GAUGE
        if isinstance(series.value, Histogram):
            parts = [
                (str(bound), count)
                for bound, count in zip((*series.value.bounds, inf), series.value.counts, strict=True)
            ]
            found += [
                MetricSample(_key(series, part), adds_up, value)
                for part, value in [*parts, (_SUM, series.value.total)]
            ]
        else:
            found.append(MetricSample(_key(series, ""), adds_up, series.value))
    return found


def read(stored: Mapping[str, float]) -> list[Series]:
    """The series of stored values; metrics, labels and bounds of another release are skipped."""
    found: dict[tuple[Metric, tuple[str, ...]], float | Histogram] = {}
    for key, value in stored.items():
        name, labels, part = msgspec.json.decode(key, type=tuple[str, tuple[str, ...], str])
        metric = _METRICS.get(name)
        if metric is None or len(labels) != len(metric.value.labels):
            continue
        if metric is Metric.PUSHES and labels[_REASON] not in _REASONS:
            continue
        if metric.value.kind is Kind.HISTOGRAM:
            spread = found.setdefault((metric, labels), Histogram(metric.value.bounds))
            assert isinstance(spread, Histogram)  # noqa: S101 - set as one just above
            _add(spread, part, value)
        else:
            found[metric, labels] = value
    return [Series(metric, labels, value) for (metric, labels), value in found.items()]


def _key(series: Series, part: str) -> str:
    return msgspec.json.encode((series.metric.value.name, series.labels, part)).decode()


def _add(spread: Histogram, part: str, value: float) -> None:
    if part == _SUM:
        spread.total += value
    elif (bound := float(part)) == inf:
        spread.counts[-1] += int(value)
    elif bound in spread.bounds:
        spread.counts[spread.bounds.index(bound)] += int(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepth:
    """The queue of a workspace; `oldest_due_s` is the oldest batch that nothing delays, None without one."""

    workspace: str
    priority: int
    state: str
    batches: int
    devices: int
    oldest_due_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRecord:
    """A webhook: its queue, and since when its endpoint fails."""

    workspace: str
    webhook_id: int
    disabled: bool
    failing_s: float
    waiting: int


async def queue(database: Database) -> list[QueueDepth]:
    """The queue, by workspace, priority and state."""
    return [QueueDepth(**row) for row in await database.rows(SQL["queue"])]


async def held(database: Database) -> dict[tuple[int, str], int]:
    """How many refusals are held, by route and why."""
    return {(row["route_id"], row["why"]): row["held"] for row in await database.rows(SQL["held"])}


async def hooks(database: Database) -> list[WebhookRecord]:
    """Every webhook."""
    return [WebhookRecord(**row) for row in await database.rows(SQL["hooks"])]


async def devices(database: Database) -> dict[tuple[str, str, str], int]:
    """How many devices there are, by workspace, platform and last status."""
    rows = await database.reading().rows(SQL["devices"])
    return {(row["workspace"], row["platform"], row["status"]): row["devices"] for row in rows}


async def workspace_names(database: Database) -> dict[Any, str]:
    """The name of every workspace, by its id."""
    return {row["workspace_id"]: row["name"] for row in await database.rows(SQL["workspaces"])}


async def size_bytes(database: Database) -> int:
    """The size of the database on disk."""
    found: int = await database.value(SQL["size"])
    return found


async def server_version(database: Database) -> str:
    """PostgreSQL's own version, as it says it."""
    found: str = await database.value(SQL["version"])
    return found
