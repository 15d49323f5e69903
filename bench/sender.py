"""The sender's pool beside h2load: the same requests to the same server, in turns, a core each.

Every server that `servers` knows here is measured, as the way in which a server writes its answers decides: nghttpd packs
many into one TLS record, nginx writes small ones.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from bench import servers
from pushkeeper.providers.answer import Request, Response
from pushkeeper.providers.limits import Limits
from pushkeeper.providers.pool import Pool
from pushkeeper.providers.tls import Endpoint, tls_context

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.servers import Server
    from pushkeeper.providers.answer import Answer

REQUESTS = 60_000
RUNS = 5
CORE = 0
BODY = b'{"aps":{"alert":{"title":"%s","body":"%s"}},"link":"%s"}' % (b"t" * 60, b"b" * 150, b"l" * 207)
FIELDS = (
    (b"authorization", b"bearer " + b"j" * 190),
    (b"apns-topic", b"com.example.app"),
    (b"apns-push-type", b"alert"),
)
# A device a request, as a query, so that a server of files finds its file.
PATHS = [b"/?/3/device/%064x" % (number * 0x9E3779B97F4A7C15) for number in range(1000)]


@dataclass(frozen=True, slots=True)
class Shape:
    """Connections, and streams on each."""

    connections: int
    streams: int

    def __str__(self) -> str:
        return f"{self.connections}x{self.streams}"


SHAPES = (Shape(1, 100), Shape(4, 100), Shape(1, 1000))


def measure() -> Iterator[dict[str, Any]]:
    """Medians of interleaved runs, for each server and shape."""
    for name in servers.names():
        with (
            tempfile.TemporaryDirectory(prefix="pk-bench-") as folder,
            servers.running(name, Path(folder)) as server,
        ):
            for shape in SHAPES:
                yield _compare(server, shape, Path(folder))


def _compare(server: Server, shape: Shape, folder: Path) -> dict[str, Any]:
    ours, theirs = [], []
    for _ in range(RUNS):
        ours.append(_in_a_process(server, shape))
        if shutil.which("h2load"):
            theirs.append(_h2load(server, shape, folder))
    return {
        "name": f"sender, {server.name}, {shape}",
        **_medians(ours),
        "beside": [{"name": "h2load", **_medians(theirs)}] if theirs else [],
        "ratio": round(_speed(ours) / _speed(theirs), 2) if theirs else None,
    }


def _speed(runs: Sequence[dict[str, float]]) -> float:
    return statistics.median(run["requests_per_s"] for run in runs)


def _medians(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(run[name] for run in runs), 3) for name in runs[0]}


def _h2load(server: Server, shape: Shape, folder: Path) -> dict[str, float]:
    body, uris = folder / "body", folder / "uris"
    body.write_bytes(BODY)
    uris.write_bytes(b"\n".join(b"https://localhost:%d%s" % (server.port, path) for path in PATHS))
    fields = [f"-H{name.decode()}: {value.decode()}" for name, value in FIELDS]
    command = ["h2load", "-n", str(REQUESTS), "-c", str(shape.connections), "-m", str(shape.streams)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        servers.pinned(CORE, *command, *fields, "-d", str(body), "-i", str(uris)),
        capture_output=True,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"([\d.]+) req/s", done.stdout)
    assert found is not None, done.stdout
    assert f"{REQUESTS} done" in done.stdout, done.stdout
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"requests_per_s": float(found[1]), "cpu_s_per_10k": cpu_s / REQUESTS * 10_000}


def _in_a_process(server: Server, shape: Shape) -> dict[str, float]:
    """Ours, in a process of its own, so that nothing of a former run helps or hinders it."""
    asked = [str(server.port), str(server.ca_file), str(shape.connections), str(shape.streams)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.sender", *asked], stdout=subprocess.PIPE, text=True, check=True
    )
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


class _Load:
    """Keeps the pool full until all requests are answered, and notes how long each took from submit to answer."""

    def __init__(self, port: int, ca_pem: str, shape: Shape) -> None:
        limits = Limits(
            max_connections=shape.connections, max_streams=shape.streams, first_streams=shape.streams
        )
        self._pool: Pool[float] = Pool(
            Endpoint("localhost", port, tls_context(ca_pem)), limits, self._answered
        )
        self._full = shape.connections * shape.streams * 2
        self._fixed = ((b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"localhost"))
        self._rest = (*FIELDS, (b"content-length", b"%d" % len(BODY)))
        self._sent = 0
        self._done = asyncio.Event()
        self.took_s: list[float] = []

    async def run(self) -> None:
        """Send them all."""
        self._submit(self._full)
        await self._done.wait()

    async def aclose(self) -> None:
        """Leave the server."""
        await self._pool.aclose(1.0)

    def _submit(self, count: int) -> None:
        now = time.perf_counter()
        first, self._sent = self._sent, min(self._sent + count, REQUESTS)
        for number in range(first, self._sent):
            path = (b":path", PATHS[number % len(PATHS)])
            self._pool.submit(now, Request((*self._fixed, path, *self._rest), BODY))

    def _answered(self, answers: list[tuple[float, Answer]]) -> None:
        now = time.perf_counter()
        for sent_at, answer in answers:
            assert isinstance(answer, Response), answer
            self.took_s.append(now - sent_at)
        self._submit(len(answers))
        if len(self.took_s) == REQUESTS:
            self._done.set()


async def _ours(port: int, ca_pem: str, shape: Shape) -> dict[str, float]:
    load = _Load(port, ca_pem, shape)
    gc.collect()
    gc.freeze()
    cpu_s, started = time.process_time(), time.perf_counter()
    await load.run()
    elapsed_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
    await load.aclose()
    took_s = sorted(load.took_s)
    return {
        "requests_per_s": REQUESTS / elapsed_s,
        "cpu_s_per_10k": cpu_s / REQUESTS * 10_000,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "p50_ms": took_s[len(took_s) // 2] * 1000,
        "p99_ms": took_s[len(took_s) * 99 // 100] * 1000,
    }


def main(port: str, ca_file: str, connections: str, streams: str) -> None:
    """One run against a server that is up; prints its figures as JSON."""
    os.sched_setaffinity(0, {CORE})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        shape = Shape(int(connections), int(streams))
        print(json.dumps(runner.run(_ours(int(port), Path(ca_file).read_text(), shape))))


if __name__ == "__main__":
    main(*sys.argv[1:])
