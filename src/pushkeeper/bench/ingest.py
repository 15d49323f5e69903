"""Ingest: devices registered over HTTP, durably, beside the same server's empty call."""

from __future__ import annotations

import secrets
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pushkeeper import config, wiring
from pushkeeper.bench import load, processes
from pushkeeper.bench.figures import Beside, Figure, percentile
from pushkeeper.errors import Misconfigured
from pushkeeper.store import workspaces

if TYPE_CHECKING:
    from pushkeeper.bench.load import Seen

REQUESTS = 20_000
QUICK_REQUESTS = 400
_OK = 200


async def measure(*, requests: int = REQUESTS) -> list[Figure]:
    """New devices of new people, the same devices again, and half of that load, each beside `/healthz`."""
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as folder:
        data = Path(folder) / "data"
        with processes.pushkeeper("serve", "--data", str(data), "--port", "0") as served:
            keys = await _workspace(data)
            bench = _Bench(served, data, keys)
            return await bench.run(requests)


async def _workspace(data: Path) -> workspaces.NewKeys:
    async with wiring.store(config.load({"data_dir": data})) as store:
        _, keys = await workspaces.create(store.database, "bench")
    return keys


class _Bench:
    def __init__(self, served: dict[str, Any], data: Path, keys: workspaces.NewKeys) -> None:
        self._pid = served["pid"]
        self._port = urlsplit(served["url"]).port or 80
        self._used = (self._pid, processes.postmaster(data))
        self._authorization = "Basic " + b64encode(f"{keys.site_id}:{keys.api_key}".encode()).decode()

    async def run(self, count: int) -> list[Figure]:
        """All figures; the empty call is measured before and after, and its mean is what they stand beside."""
        empty = [load.request("GET", "/healthz", self._authorization)] * count
        first = [self._registration(number) for number in range(count)]
        nothing, _ = await self._load(empty)
        new, new_cpu_s = await self._load(first)
        again, again_cpu_s = await self._load(first)
        nothing_again, _ = await self._load(empty)
        healthz = 2 * count / (nothing.took_s + nothing_again.took_s)
        half, half_cpu_s = await self._load(first, per_s=count / again.took_s / 2)
        beside = (Beside(name="/healthz", requests_per_s=healthz),)
        return [
            self._figure("ingest, new devices", new, new_cpu_s, beside, "0.6 x, floor 0.4"),
            self._figure("ingest, known devices", again, again_cpu_s, beside, "0.6 x, floor 0.4"),
            self._figure("ingest, half load", half, half_cpu_s, (), "p99 50 ms"),
        ]

    def _registration(self, number: int) -> bytes:
        device = {"id": f"{secrets.token_hex(71)}", "platform": ("android", "ios")[number % 2]}
        path = f"/api/v1/customers/person-{number}/devices"
        return load.request("PUT", path, self._authorization, {"device": device})

    async def _load(self, requests: list[bytes], *, per_s: float | None = None) -> tuple[Seen, float]:
        cpu_s = processes.cpu_s(*self._used)
        seen = await load.run(load.Plan(port=self._port, requests=requests, per_s=per_s))
        if set(seen.statuses) != {_OK}:
            raise Misconfigured(f"bench: not all was answered 200: {seen.statuses}")
        return seen, processes.cpu_s(*self._used) - cpu_s

    def _figure(self, name: str, seen: Seen, cpu_s: float, beside: tuple[Beside, ...], goal: str) -> Figure:
        took_s = sorted(seen.latencies_s)
        return Figure(
            name=name,
            requests_per_s=len(took_s) / seen.took_s,
            cpu_s_per_10k=cpu_s / len(took_s) * 10_000,
            rss_mb=processes.rss_mb(self._pid),
            p50_ms=percentile(took_s, 0.5),
            p99_ms=percentile(took_s, 0.99),
            beside=beside,
            goal=goal,
        )
