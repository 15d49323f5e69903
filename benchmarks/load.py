"""HTTP load from a process of its own: so many connections, each with one request under way, or at a rate.

Run as `python -m benchmarks.load`; the plan comes as JSON on standard input, and what was seen leaves as JSON.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any, cast

import httptools
import msgspec
import uvloop

from benchmarks import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to send: `requests` in turn, each a whole HTTP/1.1 request; `per_s` bounds the rate of all together."""

    port: int
    requests: list[bytes]
    connections: int = 64
    per_s: float | None = None


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came back: how long it took in all and each, when each was answered (seconds of the epoch), and bodies."""

    took_s: float
    latencies_s: list[float]
    answered_at: list[float]
    statuses: dict[int, int]
    bodies: list[str]


class _Connection(asyncio.Protocol):
    """One connection, with one request under way."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""
        self.answered: asyncio.Future[bytes] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_exception(exc or ConnectionResetError())

    # What httptools calls.

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(body)

    @property
    def status(self) -> int:
        found: int = self._parser.get_status_code()
        return found

    def send(self, request: bytes) -> asyncio.Future[bytes]:
        assert self.transport is not None  # noqa: S101 - it is made
        self._parser = httptools.HttpResponseParser(self)
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.answered


class _Run:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._left = deque(plan.requests)
        self._started = 0.0
        self._given = 0
        self.latencies_s: list[float] = []
        self.answered_at: list[float] = []
        self.statuses: dict[int, int] = {}
        self.bodies: list[str] = []

    async def run(self) -> LoadResult:
        self._started = time.perf_counter()
        await asyncio.gather(*(self._one() for _ in range(self._plan.connections)))
        return LoadResult(
            took_s=time.perf_counter() - self._started,
            latencies_s=self.latencies_s,
            answered_at=self.answered_at,
            statuses=self.statuses,
            bodies=self.bodies,
        )

    async def _one(self) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, "127.0.0.1", self._plan.port)
        for due_at, request in self._turns():
            if (wait_s := due_at - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            sent_at = time.perf_counter()
            body = await connection.send(request)
            # Of a request that had to wait for its connection the wait counts too.
            self.latencies_s.append(time.perf_counter() - min(sent_at, due_at or sent_at))
            self.answered_at.append(time.time())
            self.statuses[connection.status] = self.statuses.get(connection.status, 0) + 1
            self.bodies.append(body.decode())
        assert connection.transport is not None  # noqa: S101 - it is made
        connection.transport.close()

    def _turns(self) -> Iterator[tuple[float, bytes]]:
        while self._left:
            request = self._left.popleft()
            due_at = 0.0 if self._plan.per_s is None else self._started + self._given / self._plan.per_s
            self._given += 1
            yield due_at, request


def request(method: str, path: str, authorization: str, body: Any = None) -> bytes:  # noqa: ANN401 - JSON
    """A whole HTTP/1.1 request."""
    content = b"" if body is None else msgspec.json.encode(body)
    head = (
        f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: {authorization}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def run(plan: Plan) -> LoadResult:
    """Carry a plan out in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    answer, _ = await process.communicate(msgspec.json.encode(plan))
    return msgspec.json.decode(answer, type=LoadResult)


def main() -> None:
    """Read the plan, carry it out, say what was seen."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.buffer.write(msgspec.json.encode(runner.run(_Run(plan).run())))


if __name__ == "__main__":
    main()
