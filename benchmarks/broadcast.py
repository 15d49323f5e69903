"""Broadcasts as their sender sees them: how soon the first push leaves, and how soon the last after a cancel."""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import processes
from benchmarks.figures import Figure, percentile
from benchmarks.fleet import BY, call, fleet, queue_is_empty
from pushkeeper.core.model import Content
from pushkeeper.services.broadcasts.creation import BroadcastRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.fleet import Fleet

DEVICES = 20_000
QUICK_DEVICES = 4_000
RUNS = 15  # the first six or so of a new worker are slower, so that the middle of five tells nothing
_CANCELLED_AFTER = 0.1  # of the devices
_LOOK_S = 0.005
_PAGE = 500
_CONTENT = Content(
    title="News for {{ person.id }}", message="{{ person.id }}, there is some, and this is about it."
)


async def measure(*, devices: int = DEVICES, runs: int = RUNS) -> list[Figure]:
    """The first push after the start, and the last after a cancel in mid-flight, of broadcasts to all devices."""
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as folder:
        async with fleet(Path(folder), count=devices) as found:
            with processes.pushkeeper("worker", "--data", str(found.data_dir)) as worker:
                bench = _Bench(found, devices)
                seen = [await bench.run() for _ in range(runs)]
                rss_mb = processes.rss_mb(worker["pid"])
    return [
        _figure(
            "broadcast, the first push after the start", [first for first, _ in seen], rss_mb, "1,000 ms"
        ),
        _figure("broadcast, the last push after a cancel", [last for _, last in seen], rss_mb, "1,000 ms"),
    ]


class _Bench:
    def __init__(self, found: Fleet, devices: int) -> None:
        self._found = found
        self._devices = devices
        self._rooms = found.store.services.broadcasts

    async def run(self) -> tuple[float, float]:
        """Seconds from the start to the first push, and from the cancel to the last; below zero is before it."""
        workspace = self._found.workspace_id
        asked = BroadcastRequest(content=_CONTENT, audience="everybody", send_to_unsubscribed=True)
        number = (await self._rooms.create(BY, workspace, asked)).broadcast_id
        # The usual author reads the estimate before starting; computed during the start, it would be measured with
        # it.
        pending = True
        while pending:
            await asyncio.sleep(_LOOK_S)
            estimate = (await self._rooms.one(workspace, number)).estimate
            pending = estimate is not None and estimate.state == "pending"
        await self._rooms.start(BY, workspace, number)
        before, started_at = await self._seen(), time.time()
        await self._until(lambda seen: seen > before)
        first_at = min(at for at in await self._latest() if at >= started_at)
        await self._until(lambda seen: seen >= before + self._devices * _CANCELLED_AFTER)
        await self._rooms.cancel(BY, workspace, number)
        cancelled_at = time.time()
        await queue_is_empty(self._found)
        return first_at - started_at, max((await self._latest())[-1] - cancelled_at, 0.0)

    async def _until(self, enough: Callable[[int], bool]) -> None:
        """Until the simulator has seen enough pushes."""
        while True:
            if enough(await self._seen()):
                return
            await asyncio.sleep(_LOOK_S)

    async def _seen(self) -> int:
        counts = (await call(f"{self._found.simulator['control_url']}/counts"))["providers"]
        return sum(count for provider, count in counts.items() if provider != "oauth")

    async def _latest(self) -> list[float]:
        """When the last pushes came to the simulator."""
        url = f"{self._found.simulator['control_url']}/journal?limit={_PAGE}"
        total = (await call(f"{self._found.simulator['control_url']}/journal?limit=1"))["total"]
        entries = (await call(f"{url}&offset={max(total - _PAGE, 0)}"))["requests"]
        return [
            datetime.fromisoformat(one["at"]).timestamp() for one in entries if one["provider"] != "oauth"
        ]


def _figure(name: str, waits_s: list[float], rss_mb: float, goal: str) -> Figure:
    waits = sorted(waits_s)
    return Figure(
        name=name,
        requests_per_s=len(waits) / max(sum(waits), 0.001),
        rss_mb=rss_mb,
        p50_ms=percentile(waits, 0.5),
        p99_ms=percentile(waits, 0.99),
        goal=goal,
    )
