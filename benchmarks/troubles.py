"""What a workspace can do at its worst to those that share a service with it."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks import load
from benchmarks.fleet import BY, person_of, queue_is_empty
from pushkeeper.core.model import Content
from pushkeeper.services.broadcasts.creation import BroadcastRequest
from pushkeeper.store.webhooks import WebhookDefinition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from benchmarks.fleet import Fleet
    from benchmarks.sink import Sink

DEVICES = 44
_WEBHOOKS = 10
_SURVEYS = 20
_CONDITIONS = 400
_FILES = 3
_ITEMS = 3_000
_BODIES = 8
_EMPTY_LISTS = 2_000_000
_TEMPLATES = 40
_ROUNDS = 1_000
_REFUSED_S = 0.1  # rejected clients wait as long before they retry
_LOOP = '{% for i in (1..ROUNDS) %}{% assign y = trigger.a | where: "x", 1 %}{% endfor %}{{ y | size }}'


@dataclass(frozen=True, slots=True)
class NoisyNeighbour:
    """The workspace that makes the trouble, with its devices, people and a template, and requests of a size; and where everything is."""

    fleet: Fleet
    port: int
    sink: Sink
    template_id: int
    scale: float

    @property
    def bearer(self) -> str:
        return f"Bearer {self.fleet.keys.app_api_key}"

    def request(self, path: str, body: Any) -> bytes:  # noqa: ANN401 - JSON
        return load.request("POST", path, self.bearer, body)


@asynccontextmanager
async def nothing(noisy: NoisyNeighbour) -> AsyncIterator[None]:
    """None."""
    del noisy
    yield


@asynccontextmanager
async def slow_files(noisy: NoisyNeighbour) -> AsyncIterator[None]:
    """Broadcasts whose files come a byte at a time."""
    triggers = f"/v1/campaigns/{noisy.template_id}/triggers"
    asked = noisy.request(triggers, {"data_file_url": noisy.sink.address("/file"), "id_ignore_missing": True})
    await _send(noisy.port, [asked] * _FILES)
    try:
        yield
    finally:
        rooms, workspace = noisy.fleet.store.services.broadcasts, noisy.fleet.workspace_id
        rows = await noisy.fleet.store.database.rows(
            "select broadcast_id from broadcasts where workspace_id = $1 and state = 'fetching'", workspace
        )
        for row in rows:
            await rooms.cancel(BY, workspace, row["broadcast_id"])


@asynccontextmanager
async def slow_webhooks(noisy: NoisyNeighbour) -> AsyncIterator[None]:
    """Endpoints that take seconds, and have as many calls waiting as the workspace has devices."""
    webhooks = noisy.fleet.store.services.webhooks
    workspace = noisy.fleet.workspace_id
    made = [
        await webhooks.make(
            BY,
            workspace,
            WebhookDefinition(name=f"slow {n}", endpoint=noisy.sink.address("/slow"), events=("push_sent",)),
        )
        for n in range(_WEBHOOKS)
    ]
    rooms = noisy.fleet.store.services.broadcasts
    asked = BroadcastRequest(content=Content(title="News"), audience="everybody", send_to_unsubscribed=True)
    await rooms.start(BY, workspace, (await rooms.create(BY, workspace, asked)).broadcast_id)
    await queue_is_empty(noisy.fleet)
    try:
        yield
    finally:
        for webhook, _ in made:
            await webhooks.delete(BY, workspace, webhook.webhook_id)


def surveys(noisy: NoisyNeighbour) -> AbstractAsyncContextManager[None]:
    """Searches of everybody by hundreds of conditions that no index helps with."""
    conditions = [
        {"attribute": {"field": f"field{n}", "operator": "contains", "value": f"x{n}"}}
        for n in range(round(_CONDITIONS * noisy.scale))
    ]
    return _again(
        noisy.port, noisy.request("/v1/customers?limit=1000", {"filter": {"or": conditions}}), _SURVEYS
    )


def batches(noisy: NoisyNeighbour) -> AbstractAsyncContextManager[None]:
    """Batches of an SDK, all about one person, who is suppressed by each item."""
    item = {"type": "track", "event": "User Suppressed", "userId": "somebody"}
    body = {"writeKey": noisy.fleet.keys.write_key, "batch": [item] * round(_ITEMS * noisy.scale)}
    return _again(noisy.port, load.request("POST", "/v1/b", "", body), 2)


@asynccontextmanager
async def templates(noisy: NoisyNeighbour) -> AsyncIterator[None]:
    """Pushes whose text goes through a list again and again: as many as keep a process busy for seconds."""
    token = await noisy.fleet.store.database.of(noisy.fleet.workspace_id).value(
        "select token from devices where workspace_id = $1 limit 1", noisy.fleet.workspace_id
    )
    body = {
        "identifiers": {"id": person_of(token)},
        "title": _LOOP.replace("ROUNDS", str(round(_ROUNDS * noisy.scale))),
        "message": "-",
        "message_data": {"a": [{"x": 0}] * 1_000},
    }
    await _send(noisy.port, [noisy.request("/v1/send/push", body)] * _TEMPLATES)
    yield


def bodies(noisy: NoisyNeighbour) -> AbstractAsyncContextManager[None]:
    """Bodies of megabytes, of nothing but empty lists."""
    request = noisy.request(
        f"/v1/campaigns/{noisy.template_id}/triggers", {"ids": [[]] * round(_EMPTY_LISTS * noisy.scale)}
    )
    return _again(noisy.port, request, _BODIES)


@asynccontextmanager
async def computing(noisy: NoisyNeighbour) -> AsyncIterator[None]:
    """Another process of the machine that takes as much of the processors as one thread gets, and asks us nothing."""
    del noisy
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass")
    try:
        yield
    finally:
        process.kill()
        await process.wait()


TROUBLES: dict[str, Callable[[NoisyNeighbour], AbstractAsyncContextManager[None]]] = {
    "slow data files": slow_files,
    "slow webhooks": slow_webhooks,
    "searches": surveys,
    "batches of one person": batches,
    "heavy templates": templates,
    "large bodies": bodies,
}
# What is no fault of the service: how much the other workspace's clients take of the machine where it is the same.
CONTROLS: dict[str, Callable[[NoisyNeighbour], AbstractAsyncContextManager[None]]] = {
    "a process that computes": computing,
}
ALL = TROUBLES | CONTROLS


@asynccontextmanager
async def _again(port: int, request: bytes, connections: int) -> AsyncIterator[None]:
    """The same request again and again, on so many connections."""
    async with AsyncExitStack() as stack:
        tasks = [asyncio.create_task(_one_after_the_other(port, request)) for _ in range(connections)]
        for task in tasks:
            stack.push_async_callback(_ended, task)
        yield


async def _one_after_the_other(port: int, request: bytes) -> None:
    while True:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                while await _exchange(reader, writer, request):
                    pass
            finally:
                writer.close()
        await asyncio.sleep(_REFUSED_S)


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bool:
    """Whether it was taken."""
    writer.write(request)
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length or b"0"))
    return head.split(b" ", 2)[1] == b"200"


async def _send(port: int, requests: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        await _exchange(reader, writer, request)
    writer.close()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
