"""Meters: the counters and histograms that a process keeps, by metric and labels."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushkeeper.observability.metrics import Metric


class Counter:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0


class Histogram:
    """The counts up to each bound (the last is for everything above), and the sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(frozen=True, slots=True)
class Series:
    """One metric with the values of its labels."""

    metric: Metric
    labels: tuple[str, ...]
    value: float | Histogram


class Meters:
    """Counters and histograms by metric and labels. Frequent callers look theirs up once, and keep it."""

    def __init__(self) -> None:
        self._counts: dict[tuple[Metric, tuple[str, ...]], Counter] = {}
        self._spreads: dict[tuple[Metric, tuple[str, ...]], Histogram] = {}

    def count(self, metric: Metric, *labels: str) -> Counter:
        """The count of these labels."""
        found = self._counts.get((metric, labels))
        if found is None:
            found = self._counts[metric, labels] = Counter()
        return found

    def spread(self, metric: Metric, *labels: str) -> Histogram:
        """The spread of these labels."""
        found = self._spreads.get((metric, labels))
        if found is None:
            found = self._spreads[metric, labels] = Histogram(metric.value.bounds)
        return found

    def series(self) -> list[Series]:
        """A snapshot of all counts."""
        counts = [Series(metric, labels, count.value) for (metric, labels), count in self._counts.items()]
        spreads = [Series(metric, labels, spread) for (metric, labels), spread in self._spreads.items()]
        return counts + spreads


# This process's own metrics, like its log: there is one, and anybody can reach it.
PROCESS = Meters()
