"""Ingest: devices, people, events and reports over HTTP, durably, compared with the same server's empty call."""

from __future__ import annotations

import secrets
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from benchmarks import load, processes
from benchmarks.figures import Beside, Figure, percentile
from pushkeeper import config, wiring
from pushkeeper.core.model import PersonId, uuid7
from pushkeeper.errors import Misconfigured
from pushkeeper.store.admin import workspaces

if TYPE_CHECKING:
    from benchmarks.load import LoadResult
    from pushkeeper.core.delivery.delivery_id import DeliveryId

REQUESTS = 20_000
QUICK_REQUESTS = 400
_ITEMS = 100
_PEOPLE = 5_000
_OK = 200


async def measure(*, requests: int = REQUESTS) -> list[Figure]:
    """Each hot call beside `/healthz` and at half load, and what SDKs send: batches of a hundred."""
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as folder:
        data = Path(folder) / "data"
        with processes.pushkeeper("serve", "--data", str(data), "--port", "0") as served:
            bench = _Bench(served, data, await _workspace(data))
            return await bench.run(requests)


async def _workspace(data: Path) -> tuple[workspaces.NewKeys, DeliveryId]:
    """The keys of a new workspace, and a delivery of it."""
    async with wiring.store(config.load({"data_dir": data})) as store:
        made, keys = await workspaces.create(store.database, "bench")
        return keys, store.database.delivery_ids.of(made.workspace_id, uuid7(1, bytes(10)), PersonId(1))


class _Bench:
    def __init__(
        self, served: dict[str, Any], data: Path, made: tuple[workspaces.NewKeys, DeliveryId]
    ) -> None:
        keys, self._delivery = made
        self._pid = served["pid"]
        self._port = urlsplit(served["url"]).port or 80
        self._used = (self._pid, processes.postmaster(data))
        self._write_key = keys.write_key
        self._authorization = "Basic " + b64encode(f"{keys.site_id}:{keys.api_key}".encode()).decode()

    async def run(self, count: int) -> list[Figure]:
        """All results; each beside the empty call measured just before it."""
        devices = [self._registration(number) for number in range(count)]
        kinds = {
            "new devices": devices,
            "known devices": devices,
            "people": [self._identify(number) for number in range(count)],
            "events": [self._event(number) for number in range(count)],
            "reports": [self._report(number) for number in range(count)],
        }
        figures = []
        for kind, requests in kinds.items():
            whole = await self._beside_empty(f"ingest, {kind}", requests)
            figures.append(whole)
            if kind != "new devices":
                half, cpu_s = await self._load(requests, per_s=whole.requests_per_s / 2)
                figures.append(self._figure(f"ingest, {kind} at half load", half, cpu_s, (), "p99 50 ms"))
        batches = [self._batch(number) for number in range(max(count // 40, 4))]
        seen, cpu_s = await self._load(batches)
        by_batch = self._figure("ingest, items of /v1/b by 100", seen, cpu_s, (), "20,000/s")
        per_item = {
            "requests_per_s": by_batch.requests_per_s * _ITEMS,
            "cpu_s_per_10k": (by_batch.cpu_s_per_10k or 0.0) / _ITEMS,
        }
        return [*figures, msgspec.structs.replace(by_batch, **per_item)]

    async def _beside_empty(self, name: str, requests: list[bytes]) -> Figure:
        nothing, _ = await self._load([load.request("GET", "/healthz", self._authorization)] * len(requests))
        seen, cpu_s = await self._load(requests)
        beside = Beside(name="/healthz", requests_per_s=len(requests) / nothing.took_s)
        return self._figure(name, seen, cpu_s, (beside,), "0.6 x, floor 0.4")

    def _identify(self, number: int) -> bytes:
        path = f"/api/v1/customers/person-{number}"
        return load.request("PUT", path, self._authorization, {"plan": "pro", "visits": number})

    def _event(self, number: int) -> bytes:
        path = f"/api/v1/customers/person-{number}/events"
        return load.request("POST", path, self._authorization, {"name": "bought", "data": {"price": number}})

    def _report(self, number: int) -> bytes:
        at = {"recipient": f"token-{number}", "timestamp": number}
        told = {"delivery_id": str(self._delivery), "metric": "opened", **at}
        return load.request("POST", "/api/v1/metrics", "", told)

    def _batch(self, number: int) -> bytes:
        items = [
            {
                "type": "track",
                "event": "bought",
                "userId": f"person-{(number * _ITEMS + place) % _PEOPLE}",
                "anonymousId": "a",
                "messageId": f"{number}-{place}",
                "timestamp": "2026-10-01T10:00:00Z",
                "properties": {"price": place},
                "context": {"device": {"type": "android", "token": "t" * 142}},
            }
            for place in range(_ITEMS)
        ]
        return load.request("POST", "/v1/b", "", {"writeKey": self._write_key, "batch": items})

    def _registration(self, number: int) -> bytes:
        device = {"id": f"{secrets.token_hex(71)}", "platform": ("android", "ios")[number % 2]}
        path = f"/api/v1/customers/person-{number}/devices"
        return load.request("PUT", path, self._authorization, {"device": device})

    async def _load(self, requests: list[bytes], *, per_s: float | None = None) -> tuple[LoadResult, float]:
        cpu_s = processes.cpu_s(*self._used)
        seen = await load.run(load.Plan(port=self._port, requests=requests, per_s=per_s))
        if set(seen.statuses) != {_OK}:
            raise Misconfigured(f"bench: not all was answered 200: {seen.statuses}")
        return seen, processes.cpu_s(*self._used) - cpu_s

    def _figure(
        self, name: str, seen: LoadResult, cpu_s: float, beside: tuple[Beside, ...], goal: str
    ) -> Figure:
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
