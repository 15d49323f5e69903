"""Transactional pushes at half load: from the answer that accepts one to its request at the provider."""

from __future__ import annotations

import json
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks import load, processes
from benchmarks.figures import Figure, percentile
from benchmarks.fleet import call, fleet, person_of, queue_is_empty
from pushkeeper.errors import Misconfigured

if TYPE_CHECKING:
    from benchmarks.fleet import Fleet
    from benchmarks.load import LoadResult

REQUESTS = 4_000
QUICK_REQUESTS = 100
_PAGE = 10_000
_OK = 200


async def measure(*, requests: int = REQUESTS) -> list[Figure]:
    """Whole speed first, to know what half of it is; then half, timed push by push."""
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as folder:
        async with fleet(Path(folder), count=requests) as found:
            served = processes.pushkeeper("serve", "--data", str(found.data_dir), "--port", "0")
            # The fleet's own hold on the folder's PostgreSQL is shared with the service.
            with served as facts:
                bench = _Bench(found, facts)
                whole = await bench.load(await bench.people(), None)
                await bench.settled()
                return [await bench.half(requests / whole.took_s / 2)]


class _Bench:
    def __init__(self, found: Fleet, served: dict[str, Any]) -> None:
        self._found = found
        self._pid = served["pid"]
        self._port = urlsplit(served["url"]).port or 80
        self._authorization = f"Bearer {found.keys.app_api_key}"

    async def people(self) -> list[str]:
        """Everybody, each with one device."""
        rows = await self._found.store.database.rows(
            "select token from devices where workspace_id = $1", self._found.workspace_id
        )
        return [person_of(row["token"]) for row in rows]

    async def load(self, people: list[str], per_s: float | None) -> LoadResult:
        """One push to each."""
        requests = [
            load.request(
                "POST",
                "/v1/send/push",
                self._authorization,
                {"identifiers": {"id": person}, "title": "Your code", "message": "It is 123456."},
            )
            for person in people
        ]
        seen = await load.run(load.Plan(port=self._port, requests=requests, per_s=per_s))
        if set(seen.statuses) != {_OK}:
            raise Misconfigured(f"bench: not all was answered 200: {seen.statuses}")
        return seen

    async def settled(self) -> None:
        """Until nothing waits."""
        await queue_is_empty(self._found)

    async def half(self, per_s: float) -> Figure:
        people = await self.people()
        used = (self._pid, processes.postmaster(self._found.data_dir))
        cpu_s = processes.cpu_s(*used)
        seen = await self.load(people, per_s)
        await self.settled()
        cpu_s = processes.cpu_s(*used) - cpu_s
        waits_s = await self._waits(seen)
        return Figure(
            name="transactional, half load",
            requests_per_s=len(people) / seen.took_s,
            cpu_s_per_10k=cpu_s / len(people) * 10_000,
            rss_mb=processes.rss_mb(self._pid),
            p50_ms=percentile(waits_s, 0.5),
            p99_ms=percentile(waits_s, 0.99),
            goal="accepted to provider: p99 100 ms",
        )

    async def _waits(self, seen: LoadResult) -> list[float]:
        """Seconds from the answer to the request's arrival, of each push; below zero is at once."""
        arrived = await self._arrivals()
        waits = []
        for answered_at, body in zip(seen.answered_at, seen.bodies, strict=True):
            delivery_id = json.loads(body)["delivery_id"]
            waits.append(max(arrived[delivery_id] - answered_at, 0.0))
        return sorted(waits)

    async def _arrivals(self) -> dict[str, float]:
        """When each delivery came to the simulator."""
        found: dict[str, float] = {}
        url = f"{self._found.simulator['control_url']}/journal?limit={_PAGE}"
        entries = (await call(url))["requests"]
        entries += (await call(f"{url}&offset={_PAGE}"))["requests"]
        for entry in entries:
            if entry["provider"] == "oauth":
                continue
            body = json.loads(entry["body"])
            root = body.get("message", {}).get("data", body)
            found[root["CIO-Delivery-ID"]] = datetime.fromisoformat(entry["at"]).timestamp()
        return found
