"""Metrics of all processes of a service: each publishes its own, and any of them returns the sums."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from pushkeeper.observability.meters import Histogram, Series
from pushkeeper.observability.metrics import Kind, Merge, Metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pushkeeper.interprocess.memory import SharedMemory

EVERY_S = 1.0
SUPERVISOR = 0
_METRICS = {metric.value.name: metric for metric in Metric}
# Name, labels, and the value: a number, or a histogram's counts and sum.
_Line: TypeAlias = tuple[str, tuple[str, ...], float | tuple[list[int], float]]
_ENCODER, _DECODER = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(list[_Line])


class SharedMetrics:
    """The metrics of one slot's process, and of the others.

    The counts of a dead process are continued by the next one in its slot: a counter never goes back.
    """

    def __init__(self, memory: SharedMemory, slot: int) -> None:
        self._memory = memory
        self._slot = slot
        self._former = list(_counted(_read(memory.published(slot))))

    def begin(self, own: Iterable[Series]) -> None:
        """Publish for the first time: from now on this process is one of those that are there."""
        self.publish(own)
        self._memory.occupy(self._slot, os.getpid())

    def publish(self, own: Iterable[Series]) -> None:
        """Let others read these figures of this process."""
        lines = [
            (series.metric.value.name, series.labels, _plain(series.value))
            for series in merged(own, self._former)
            if _is_shared(series)
        ]
        self._memory.publish(self._slot, _ENCODER.encode(lines))

    @property
    def processes(self) -> int:
        """How many processes answer."""
        return len(self._memory.alive())

    def of_all(self, own: Iterable[Series]) -> list[Series]:
        """These figures of this process, with those of all others: of those that ended, what they counted."""
        return merged(own, [*self._former, *self._of_others()])

    def _of_others(self) -> Iterator[Series]:
        for slot in self._memory.slots:
            if slot != self._slot:
                found = _read(self._memory.published(slot))
                yield from found if self._memory.pid(slot) else _counted(found)


def merged(own: Iterable[Series], others: Iterable[Series]) -> list[Series]:
    """Figures of several processes as one."""
    found = {(series.metric, series.labels): series.value for series in own}
    for series in others:
        key = series.metric, series.labels
        if not _is_shared(series):
            continue
        ours = found.get(key)
        found[key] = series.value if ours is None else _together(series, ours)
    return [Series(metric, labels, value) for (metric, labels), value in found.items()]


def _is_shared(series: Series) -> bool:
    what = series.metric.value
    return what.kind is not Kind.INFO and what.merge is not Merge.OWN


def _together(series: Series, ours: float | Histogram) -> float | Histogram:
    theirs = series.value
    if isinstance(ours, Histogram) and isinstance(theirs, Histogram):
        # Not in place: it continues to count.
        sum_of = Histogram(ours.bounds)
        sum_of.counts = [a + b for a, b in zip(ours.counts, theirs.counts, strict=True)]
        sum_of.total = ours.total + theirs.total
        return sum_of
    assert not isinstance(ours, Histogram)  # noqa: S101 - of one metric
    assert not isinstance(theirs, Histogram)  # noqa: S101
    return min(ours, theirs) if series.metric.value.merge is Merge.LEAST else ours + theirs


def _counted(several: Iterable[Series]) -> Iterator[Series]:
    """Those that only grow."""
    return (series for series in several if series.metric.value.kind in {Kind.COUNTER, Kind.HISTOGRAM})


def _plain(value: float | Histogram) -> float | tuple[list[int], float]:
    return (value.counts, value.total) if isinstance(value, Histogram) else value


def _read(published: bytes) -> list[Series]:
    found = []
    for name, labels, value in _DECODER.decode(published) if published else ():
        metric = _METRICS[name]
        if isinstance(value, tuple):
            spread = Histogram(metric.value.bounds)
            spread.counts, spread.total = value
            found.append(Series(metric, labels, spread))
        else:
            found.append(Series(metric, labels, value))
    return found
