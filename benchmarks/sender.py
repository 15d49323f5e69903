"""The sender beside h2load: pushes sent, their answers read and handed back, to the same server, in turns, a core each.

What is sent is composed beforehand, as h2load's requests are.

The way in which a server writes its answers decides, so that both kinds are measured where they are installed: nghttpd packs
many into one TLS record, nginx writes one for each frame.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop

from benchmarks import ROOT, peers, servers
from benchmarks.figures import Beside, Done, Figure, percentile
from pushkeeper.core.delivery import delivery_id
from pushkeeper.core.delivery.outcome import Accepted
from pushkeeper.core.model import (
    Content,
    IdKind,
    PersonId,
    Platform,
    Push,
    Token,
    WorkspaceId,
    device_id,
    uuid7,
)
from pushkeeper.errors import Misconfigured
from pushkeeper.providers.apns import message, verdict
from pushkeeper.providers.transport.limits import Limits
from pushkeeper.providers.transport.pool import Pool
from pushkeeper.providers.transport.tls import Endpoint, tls_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.servers import Server
    from pushkeeper.core.delivery.outcome import Verdict
    from pushkeeper.providers.transport.response import Answer

REQUESTS = 60_000
QUICK_REQUESTS = 2_000
RUNS = 5
_DEVICES = 1_000
_CONTENT = Content(title="t" * 60, message="b" * 150, link="l" * 100)
_AUTHORIZATION = b"bearer " + b"j" * 190


class Shape(msgspec.Struct, frozen=True):
    """Connections, and streams on each."""

    connections: int
    streams: int

    def __str__(self) -> str:
        return f"{self.connections} x {self.streams:,}"


SHAPES = (Shape(1, 100), Shape(1, 1000), Shape(4, 100))


class _Run(msgspec.Struct, frozen=True, kw_only=True):
    """What a run in a process of its own is told, on its standard input."""

    port: int
    ca_pem: str
    shape: Shape
    requests: int


def measure(*, requests: int = REQUESTS, runs: int = RUNS) -> list[Figure]:
    """Medians of interleaved runs, for each server and shape.

    Raises:
        Misconfigured: neither nghttpd nor nginx is installed.
    """
    if not servers.names():
        raise Misconfigured(
            "bench: the sender is measured against nghttpd or nginx, and neither is installed"
        )
    return [
        _compare(name, shape, requests=requests, runs=runs) for name in servers.names() for shape in SHAPES
    ]


def _compare(name: str, shape: Shape, *, requests: int, runs: int) -> Figure:
    ours: list[Done] = []
    others: dict[str, list[Done]] = {}
    asked = [_composer().request(push, _AUTHORIZATION) for push in pushes()]
    paths = [dict(request.headers)[b":path"].decode() for request in asked]
    with (
        tempfile.TemporaryDirectory(prefix="pk-bench-") as folder,
        servers.running(name, Path(folder), paths) as server,
    ):
        race = peers.Race(server=server, folder=Path(folder), asked=asked, content=_CONTENT)
        for _ in range(runs):
            ours.append(_in_a_process(server, shape, requests))
            for peer, run in peers.installed().items():
                others.setdefault(peer, []).append(run(race, shape.connections, shape.streams, requests))
    found = _medians(ours)
    return Figure(
        name=f"sender, {name}, {shape}",
        requests_per_s=found.requests_per_s,
        cpu_s_per_10k=found.cpu_s_per_10k,
        rss_mb=found.rss_mb,
        p50_ms=found.p50_ms,
        p99_ms=found.p99_ms,
        beside=tuple(_beside(peer, _medians(done)) for peer, done in others.items()),
        goal="0.5 x, floor 0.35",
    )


def _beside(name: str, done: Done) -> Beside:
    return Beside(name=name, requests_per_s=done.requests_per_s, cpu_s_per_10k=done.cpu_s_per_10k)


def _medians(runs: Sequence[Done]) -> Done:
    return Done(
        **{name: statistics.median(getattr(run, name) for run in runs) for name in Done.__struct_fields__}
    )


def _in_a_process(server: Server, shape: Shape, requests: int) -> Done:
    """Ours, in a process of its own, so that nothing of a former run helps or hinders it."""
    ca_pem = server.ca_file.read_text(encoding="ascii")
    told = _Run(port=server.port, ca_pem=ca_pem, shape=shape, requests=requests)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.sender"],
        input=msgspec.json.encode(told),
        stdout=subprocess.PIPE,
        check=True,
        cwd=ROOT,
    )
    return msgspec.json.decode(done.stdout, type=Done)


def _composer() -> message.Composer:
    return message.Composer(authority="localhost", topic="com.example.app")


def pushes() -> list[Push]:
    """One message to so many iPhones."""
    message_id, now = uuid7(0, bytes(10)), datetime(2026, 11, 23, tzinfo=UTC)
    expires_at = now + timedelta(days=28)
    tokens = [Token(f"{number * 0x9E3779B97F4A7C15:064x}") for number in range(1, _DEVICES + 1)]
    return [
        Push(
            message_id=message_id,
            person_id=PersonId(number),
            delivery_id="0" * delivery_id.CHARACTERS,
            device_id=device_id(WorkspaceId(1), token),
            generation=1,
            token=token,
            id_kind=IdKind.TOKEN,
            platform=Platform.IOS,
            registered_at=now,
            content=_CONTENT,
            expires_at=expires_at,
            keep_until=expires_at,
        )
        for number, token in enumerate(tokens)
    ]


class _Load:
    """Keeps the pool full until all pushes are answered and read, and notes how long each took."""

    def __init__(self, told: _Run) -> None:
        streams = told.shape.streams
        limits = Limits(max_connections=told.shape.connections, max_streams=streams, first_streams=streams)
        endpoint = Endpoint("localhost", told.port, tls_context(told.ca_pem))
        self._pool: Pool[tuple[float, Push]] = Pool(endpoint, limits, self._answered)
        self._full = told.shape.connections * streams * 2
        self._requests = told.requests
        composer = _composer()
        self._pushes = [(push, composer.request(push, _AUTHORIZATION)) for push in pushes()]
        self._sent = 0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.took_s: list[float] = []

    async def run(self) -> None:
        """Send them all.

        Raises:
            Misconfigured: the server refused a push.
        """
        self._submit(self._full)
        await self._done

    async def aclose(self) -> None:
        """Leave the server."""
        await self._pool.aclose(1.0)

    def _submit(self, count: int) -> None:
        now = time.perf_counter()
        first, self._sent = self._sent, min(self._sent + count, self._requests)
        for number in range(first, self._sent):
            push, request = self._pushes[number % _DEVICES]
            self._pool.submit((now, push), request)

    def _answered(self, answers: list[tuple[tuple[float, Push], Answer]]) -> None:
        now, wall = time.perf_counter(), datetime.now(UTC)
        for (sent_at, push), answer in answers:
            found = verdict.read(answer, token=push.token, registered_at=push.registered_at, now=wall)
            if not isinstance(found.outcome, Accepted):
                self._refused(found)
                return
            self.took_s.append(now - sent_at)
        self._submit(len(answers))
        if len(self.took_s) == self._requests:
            self._done.set_result(None)

    def _refused(self, found: Verdict) -> None:
        # Raised where the run waits: what is raised here, in the pool's call, would end in the event loop's log.
        if not self._done.done():
            self._done.set_exception(
                Misconfigured(f"bench: a push was not accepted: {found.code} {found.alert}")
            )


async def _ours(told: _Run) -> Done:
    load = _Load(told)
    gc.collect()
    gc.freeze()
    cpu_s, started = time.process_time(), time.perf_counter()
    await load.run()
    elapsed_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
    await load.aclose()
    took_s = sorted(load.took_s)
    return Done(
        requests_per_s=told.requests / elapsed_s,
        cpu_s_per_10k=cpu_s / told.requests * 10_000,
        rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        p50_ms=percentile(took_s, 0.5),
        p99_ms=percentile(took_s, 0.99),
    )


def main() -> None:
    """One run against a server that is up; leaves its figures as JSON."""
    os.sched_setaffinity(0, {peers.CORE})
    told = msgspec.json.decode(sys.stdin.buffer.read(), type=_Run)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.buffer.write(msgspec.json.encode(runner.run(_ours(told))))


if __name__ == "__main__":
    main()
