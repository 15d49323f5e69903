"""The sender's pool beside h2load: the same requests to the same server, in turns.

The server is nghttpd where it is installed, and else the simulator's FCM. Client and server have a core each.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trustme
import uvloop

from pushkeeper.providers.answer import Request
from pushkeeper.providers.limits import Limits
from pushkeeper.providers.pool import Pool
from pushkeeper.providers.tls import Endpoint, tls_context

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pushkeeper.providers.answer import Answer

REQUESTS = 60_000
RUNS = 3
BODY = b'{"message":{"token":"%s","notification":{"title":"A title","body":"%s"}}}' % (b"t" * 160, b"b" * 240)
CLIENT_CORE, SERVER_CORE = 0, 1


@dataclass(frozen=True, slots=True)
class Shape:
    """Connections and streams on each."""

    connections: int
    streams: int

    def __str__(self) -> str:
        return f"{self.connections}x{self.streams}"


SHAPES = (Shape(1, 100), Shape(4, 100), Shape(1, 1000))


def measure() -> Iterator[dict[str, Any]]:
    """Medians of interleaved runs, for each shape."""
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as folder, _server(Path(folder)) as (port, ca_file):
        for shape in SHAPES:
            ours, theirs = [], []
            for _ in range(RUNS):
                ours.append(_in_a_process(port, ca_file, shape))
                if shutil.which("h2load"):
                    theirs.append(_h2load(port, shape, Path(folder)))
            yield {
                "name": f"sender {shape}",
                **_median(ours),
                "beside": [{"name": "h2load", **_median(theirs)}] if theirs else [],
                "ratio": round(_middle(ours) / _middle(theirs), 2) if theirs else None,
            }


def _on(core: int) -> tuple[str, ...]:
    return ("taskset", "-c", str(core))


def _middle(runs: Sequence[dict[str, float]]) -> float:
    return statistics.median(run["requests_per_s"] for run in runs)


def _median(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(run[name] for run in runs), 3) for name in runs[0]}


@contextmanager
def _server(folder: Path) -> Iterator[tuple[int, Path]]:
    ca = trustme.CA()
    leaf = ca.issue_cert("localhost")
    ca_file, cert, key = folder / "ca.pem", folder / "server.pem", folder / "server.key"
    ca.cert_pem.write_to_path(ca_file)
    leaf.cert_chain_pems[0].write_to_path(cert)
    leaf.private_key_pem.write_to_path(key)
    if not shutil.which("nghttpd"):
        with _simulator(folder) as found:
            yield found
        return
    (folder / "www").mkdir()
    (folder / "www" / "index.html").write_text("{}")
    with _free_port() as port:
        pass
    command = ["nghttpd", "-m", "1000", "-d", str(folder / "www"), str(port), str(key), str(cert)]
    process = subprocess.Popen([*_on(SERVER_CORE), *command], stdout=subprocess.DEVNULL)
    try:
        asyncio.run(_until_it_answers(port))
        yield port, ca_file
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _simulator(folder: Path) -> Iterator[tuple[int, Path]]:
    import json
    from urllib.parse import urlsplit

    command = [sys.executable, "-m", "pushkeeper", "simulate", "--data", str(folder / "simulator"), "--json"]
    process = subprocess.Popen([*_on(SERVER_CORE), *command], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        facts = json.loads(process.stdout.readline())
        yield urlsplit(facts["fcm_url"]).port or 443, Path(facts["ca_file"])
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _free_port() -> Iterator[int]:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def _until_it_answers(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return


def _h2load(port: int, shape: Shape, folder: Path) -> dict[str, float]:
    body = folder / "body"
    body.write_bytes(BODY)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [
            *_on(CLIENT_CORE),
            *("h2load", "-n", str(REQUESTS), "-c", str(shape.connections)),
            *("-m", str(shape.streams), "-d", str(body), f"https://localhost:{port}/"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"([\d.]+) req/s", done.stdout)
    assert found is not None, done.stdout
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"requests_per_s": float(found[1]), "cpu_s_per_10k": cpu_s / REQUESTS * 10_000}


def _in_a_process(port: int, ca_file: Path, shape: Shape) -> dict[str, float]:
    """Ours, in a process of its own, so that nothing of a former run helps or hinders it."""
    import json

    command = [
        sys.executable,
        "-m",
        "bench.sender",
        str(port),
        str(ca_file),
        str(shape.connections),
        str(shape.streams),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


async def _ours(port: int, ca_pem: str, shape: Shape) -> dict[str, float]:
    limits = Limits(max_connections=shape.connections, max_streams=shape.streams, first_streams=shape.streams)
    left, following, done = REQUESTS, 0, asyncio.Event()
    sent_at = [0.0] * REQUESTS
    took_s: list[float] = []
    fixed = ((b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"localhost"))
    loop = asyncio.get_running_loop()

    def answered(answers: list[tuple[int, Answer]]) -> None:
        nonlocal left
        now = loop.time()
        for key, _ in answers:
            took_s.append(now - sent_at[key])
        left -= len(answers)
        if not left:
            done.set()
        submit(len(answers))

    def submit(count: int) -> None:
        nonlocal following
        now = loop.time()
        for key in range(following, min(following + count, REQUESTS)):
            sent_at[key] = now
            pool.submit(
                key,
                Request((*fixed, (b":path", b"/?%d" % key), (b"content-length", b"%d" % len(BODY))), BODY),
            )
        following = min(following + count, REQUESTS)

    pool: Pool[int] = Pool(Endpoint("localhost", port, tls_context(ca_pem)), limits, answered)
    gc.collect()
    gc.freeze()
    cpu_s, started = time.process_time(), time.perf_counter()
    submit(shape.connections * shape.streams * 2)
    await done.wait()
    elapsed_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
    await pool.aclose(1.0)
    took_s.sort()
    return {
        "requests_per_s": REQUESTS / elapsed_s,
        "cpu_s_per_10k": cpu_s / REQUESTS * 10_000,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "p50_ms": took_s[len(took_s) // 2] * 1000,
        "p99_ms": took_s[len(took_s) * 99 // 100] * 1000,
    }


if __name__ == "__main__":
    import json

    os.sched_setaffinity(0, {CLIENT_CORE})
    asked = Shape(int(sys.argv[3]), int(sys.argv[4]))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(_ours(int(sys.argv[1]), Path(sys.argv[2]).read_text(), asked))))
