"""Neighbours: what one workspace sees of another that does its worst, beside what it sees while that is quiet."""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
import time
from base64 import b64encode
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from benchmarks import load, processes
from benchmarks.dashboard import log_in
from benchmarks.figures import percentile
from benchmarks.fixtures import Size, fill
from benchmarks.fleet import BY, add_credentials, call, fleet, person_of, queue_is_empty, register
from benchmarks.sink import Sink
from benchmarks.troubles import ALL, DEVICES, TROUBLES, NoisyNeighbour, nothing
from pushkeeper.core.model import Content, Platform
from pushkeeper.errors import Misconfigured
from pushkeeper.services.broadcasts.creation import BroadcastRequest
from pushkeeper.store.admin import workspaces
from pushkeeper.store.messages.templates import Draft, TemplateKind
from pushkeeper.store.webhooks import WebhookDefinition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from benchmarks.fleet import Fleet
    from benchmarks.load import LoadResult

SECONDS = 12
QUICK_SECONDS = 1
PEOPLE = 60_000
QUICK_PEOPLE = 500
QUICK_SCALE = 0.01
GOAL = 2.0
_QUIET = "quiet"
_QUIET_EVERY = 3  # troubles
_PHONES = 40
_PER_S = 50  # calls of the quiet workspace, of which two in five are pushes, and one registers, one is a page
_WARM_UP_S = 2
_LOOK_S = 0.2
_PATIENCE = 3  # how many times a trouble's duration its results are awaited
_EVERY_S = 3.0  # a broadcast
_JOURNAL = 10_000
_PAGES = ("", "/devices", "/devices?filter=platform%20%3D%20ios", "/people", "/broadcasts", "/messages")
_OK = 200


class Latencies(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace sees, in milliseconds.

    Attributes:
        push_p99_ms: from the call that sends a push to its request at the provider.
        registration_p99_ms: of the call that registers a device.
        broadcast_ms: from the start of a broadcast to its first request at the provider; the slowest.
        webhook_p99_ms: from the request at the provider to the webhook call that reports it.
        page_p95_ms: of the dashboard's pages.
    """

    push_p99_ms: float
    registration_p99_ms: float
    broadcast_ms: float
    webhook_p99_ms: float
    page_p95_ms: float


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """The same while a neighbour makes trouble, and how many times what it is while that is quiet."""

    trouble: str
    felt: Latencies
    times: dict[str, float]

    def row(self) -> list[str]:
        """Cells for a table."""
        return [
            self.trouble,
            *(
                f"{getattr(self.felt, name):,.0f}{f' ({times:.1f} x)' if self.trouble != _QUIET else ''}"
                for name, times in self.times.items()
            ),
        ]


HEADINGS = [
    "the neighbour",
    "push p99 ms",
    "registration p99 ms",
    "broadcast ms",
    "webhook p99 ms",
    "page p95 ms",
]


async def measure(
    *, seconds: int = SECONDS, people: int = PEOPLE, scale: float = 1.0, only: Sequence[str] = ()
) -> list[Beside]:
    """Quiet before, between and after the troubles, each for a number of seconds: of the quiet phases the medians count.

    `scale` is how large requests of the neighbour are; `only` names the troubles, and those beyond the usual ones.
    """
    troubles = {name: ALL[name] for name in only or TROUBLES}
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as folder:
        async with fleet(Path(folder), count=_PHONES) as quiet, Sink().listening() as sink:
            noisy = await _noisy(quiet, people)
            served = processes.pushkeeper(
                *("serve", "--data", str(quiet.data_dir), "--port", "0"),
                webhooks_may_be_private="true",
                requests_per_s="3000",
            )
            with served as facts:
                bench = await _Bench.of(quiet, noisy, sink, urlsplit(facts["url"]).port or 80, scale)
                await bench.felt(nothing, _WARM_UP_S)
                quiets, felt = list[Latencies](), dict[str, Latencies]()
                for place, (name, trouble) in enumerate(troubles.items()):
                    if place % _QUIET_EVERY == 0:
                        quiets.append(await bench.felt(nothing, seconds))
                    felt[name] = await bench.felt(trouble, seconds)
                quiets.append(await bench.felt(nothing, seconds))
                quiet_felt = _medians(quiets)
                return [_beside(name, one, quiet_felt) for name, one in ({_QUIET: quiet_felt} | felt).items()]


def _medians(felt: list[Latencies]) -> Latencies:
    names = Latencies.__struct_fields__
    return Latencies(**{name: median(getattr(one, name) for one in felt) for name in names})


def _beside(name: str, felt: Latencies, quiet: Latencies) -> Beside:
    times = {
        field: getattr(felt, field) / max(getattr(quiet, field), 0.1) for field in Latencies.__struct_fields__
    }
    return Beside(trouble=name, felt=felt, times=times)


async def _noisy(quiet: Fleet, people: int) -> Fleet:
    """Another workspace on the same service, with a number of people and a few phones."""
    made, keys = await workspaces.create(quiet.store.database, "noisy")
    noisy = replace(quiet, workspace_id=made.workspace_id, keys=keys)
    await workspaces.choose(quiet.store.database, made.workspace_id, {"ramp_s": 0})
    await add_credentials(quiet.store, made.workspace_id, quiet.simulator)
    size = Size(devices=0, people=people, events=0)
    await quiet.store.database.owned.in_transaction(
        lambda connection: fill(connection, made.workspace_id, size)
    )
    await register(noisy, Platform.ANDROID, DEVICES)
    for table in ("people", "identifiers", "devices"):
        await quiet.store.database.owned.rows(f"vacuum analyze {table}")
    return noisy


@dataclass(frozen=True, slots=True)
class _Bench:
    quiet: Fleet
    noisy: NoisyNeighbour
    cookie: str
    phones: list[str]

    @classmethod
    async def of(cls, quiet: Fleet, noisy: Fleet, sink: Sink, port: int, scale: float) -> _Bench:
        webhook = WebhookDefinition(name="hook", endpoint=sink.address("/hook"), events=("push_sent",))
        await quiet.store.services.webhooks.make(BY, quiet.workspace_id, webhook)
        draft = Draft(kind=TemplateKind.BROADCAST, name="news", content=Content(title="News"))
        template = await quiet.store.services.templates.make(BY, noisy.workspace_id, draft)
        rows = await quiet.store.database.rows(
            "select token from devices where workspace_id = $1", quiet.workspace_id
        )
        return cls(
            quiet=quiet,
            noisy=NoisyNeighbour(noisy, port, sink, template.template_id, scale),
            cookie="=".join(await log_in(quiet.store)),
            phones=[row["token"] for row in rows],
        )

    async def felt(
        self, trouble: Callable[[NoisyNeighbour], AbstractAsyncContextManager[None]], seconds: int
    ) -> Latencies:
        """What the quiet workspace measures during a trouble."""
        self.noisy.sink.taken.clear()
        before = (await self._journal(0, 1))["total"]
        async with trouble(self.noisy):
            probing = asyncio.create_task(load.run(self._plan(seconds)))
            started = await self._broadcasts(seconds)
            seen = await probing
            for _ in range(int(_PATIENCE * seconds / _LOOK_S)):
                if await self._is_all_there(seen, started, before):
                    break
                await asyncio.sleep(_LOOK_S)
        found = await self._found(seen, started, before)
        await queue_is_empty(self.quiet)
        return found

    def _plan(self, seconds: int) -> load.Plan:
        bearer = f"Bearer {self.quiet.keys.app_api_key}"
        requests = []
        for number in range(seconds * _PER_S):
            match number % 5:
                case 0 | 2:
                    to = {"id": person_of(self.phones[number % len(self.phones)])}
                    body = {"identifiers": to, "title": "Your code", "message": "It is 123456."}
                    requests.append(load.request("POST", "/v1/send/push", bearer, body))
                case 1 | 3:
                    requests.append(self._registration())
                case _:
                    page = _PAGES[number // 5 % len(_PAGES)]
                    requests.append(
                        f"GET /w/bench{page} HTTP/1.1\r\nhost: localhost\r\ncookie: {self.cookie}\r\n\r\n".encode()
                    )
        return load.Plan(port=self.noisy.port, requests=requests, per_s=_PER_S)

    def _registration(self) -> bytes:
        device = {"id": secrets.token_hex(71), "platform": "ios"}
        path = f"/api/v1/customers/new-{secrets.token_hex(8)}/devices"
        return load.request("PUT", path, _basic(self.quiet), {"device": device})

    async def _broadcasts(self, seconds: int) -> dict[str, float]:
        """Start some, one after the other: when each was started, by its title."""
        rooms, workspace = self.quiet.store.services.broadcasts, self.quiet.workspace_id
        started: dict[str, float] = {}
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            title = secrets.token_hex(8)
            asked = BroadcastRequest(
                content=Content(title=title), audience="platform = android", send_to_unsubscribed=True
            )
            number = (await rooms.create(BY, workspace, asked)).broadcast_id
            started[title] = time.time()
            await rooms.start(BY, workspace, number)
            await asyncio.sleep(min(_EVERY_S, max(until - time.monotonic(), 0)))
        return started

    async def _is_all_there(self, seen: LoadResult, started: dict[str, float], before: int) -> bool:
        accepted = {one for body in seen.bodies if (one := _delivery_of(body))}
        if not accepted <= self._told().keys():
            return False
        pushed, titles = await self._arrivals(before)
        return set(started) <= titles.keys() and accepted <= pushed.keys()

    async def _found(self, seen: LoadResult, started: dict[str, float], before: int) -> Latencies:
        if set(seen.statuses) != {_OK}:
            raise Misconfigured(f"bench: not all was answered 200: {seen.statuses}")
        pushed, titles = await self._arrivals(before)
        told, now = self._told(), time.time()
        pushes, registrations, pages, hooks = list[float](), list[float](), list[float](), list[float]()
        for took_s, answered_at, body in zip(seen.latencies_s, seen.answered_at, seen.bodies, strict=True):
            if (delivery := _delivery_of(body)) is not None:
                arrived = pushed.get(delivery, now)
                pushes.append(arrived - (answered_at - took_s))
                hooks.append(max(told.get(delivery, now) - arrived, 0.0))
            else:
                (pages if "<html" in body else registrations).append(took_s)
        return Latencies(
            push_p99_ms=percentile(sorted(pushes), 0.99),
            registration_p99_ms=percentile(sorted(registrations), 0.99),
            broadcast_ms=max(titles.get(title, now) - at for title, at in started.items()) * 1000,
            webhook_p99_ms=percentile(sorted(hooks), 0.99),
            page_p95_ms=percentile(sorted(pages), 0.95),
        )

    async def _journal(self, offset: int, limit: int) -> Any:  # noqa: ANN401 - JSON
        return await call(f"{self.quiet.simulator['control_url']}/journal?limit={limit}&offset={offset}")

    async def _arrivals(self, before: int) -> tuple[dict[str, float], dict[str, float]]:
        """When the first request came to the provider, after so many others: of each delivery, and of each title."""
        entries = (await self._journal(before, _JOURNAL))["requests"]
        pushed: dict[str, float] = {}
        titles: dict[str, float] = {}
        for entry in entries:
            if entry["provider"] == "oauth":
                continue
            at, body = datetime.fromisoformat(entry["at"]).timestamp(), json.loads(entry["body"])
            message = body.get("message", {})
            root = message.get("data", body)
            pushed.setdefault(root["CIO-Delivery-ID"], at)
            if title := message.get("notification", {}).get("title"):
                titles.setdefault(title, at)
        return pushed, titles

    def _told(self) -> dict[str, float]:
        """When the webhook was first called about each delivery."""
        told: dict[str, float] = {}
        for at, body in self.noisy.sink.taken:
            told.setdefault(json.loads(body)["data"]["delivery_id"], at)
        return told


def _basic(of: Fleet) -> str:
    return "Basic " + b64encode(f"{of.keys.site_id}:{of.keys.api_key}".encode()).decode()


def _delivery_of(body: str) -> str | None:
    found: Any = json.loads(body) if body.startswith("{") else {}
    delivery: str | None = found.get("delivery_id")
    return delivery
