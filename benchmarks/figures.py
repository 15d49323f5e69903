"""What a benchmark finds, for people and for machines."""

from __future__ import annotations

from typing import Any

import msgspec


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """One run, of ours or of somebody else's; what is not measured is 0."""

    requests_per_s: float
    cpu_s_per_10k: float
    rss_mb: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody else, or a server's empty call, reached in the same run."""

    name: str
    requests_per_s: float
    cpu_s_per_10k: float | None = None


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark.

    Attributes:
        cpu_s_per_10k: CPU-seconds, user and system, for 10,000 requests, of all our processes by the operating system's
            own accounting; PostgreSQL's where it takes part, the provider's never.
        rss_mb: what the process that does the work holds in memory at its end.
        p50_ms, p95_ms, p99_ms: how long a request took.
        goal: what it is to be, in words.
    """

    name: str
    requests_per_s: float
    cpu_s_per_10k: float | None = None
    rss_mb: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    beside: tuple[Beside, ...] = ()
    goal: str = ""

    def shown(self) -> dict[str, Any]:
        """Ready for JSON, rounded."""
        found: dict[str, Any] = _rounded(msgspec.to_builtins(self))
        return found

    def row(self) -> list[str]:
        """Cells for a table."""
        numbers = (self.cpu_s_per_10k, self.rss_mb, self.p50_ms, self.p95_ms, self.p99_ms)
        ratios = ", ".join(f"{self.requests_per_s / o.requests_per_s:.2f} x {o.name}" for o in self.beside)
        cells = ["" if number is None else f"{number:.3g}" for number in numbers]
        return [self.name, f"{self.requests_per_s:,.0f}", *cells, ratios, self.goal]


HEADINGS = ["benchmark", "requests/s", "CPU-s/10k", "MB", "p50 ms", "p95 ms", "p99 ms", "beside", "goal"]


def percentile(sorted_s: list[float], share: float) -> float:
    """Milliseconds at this share of sorted seconds."""
    return sorted_s[min(int(len(sorted_s) * share), len(sorted_s) - 1)] * 1000


def _rounded(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return value
