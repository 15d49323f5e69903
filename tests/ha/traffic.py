"""Clients that call at a fixed rate whatever they are answered, and what of that is in the database afterwards."""

from __future__ import annotations

import asyncio
import email
import itertools
import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from pushkeeper.core.model import Platform
from support import crowd

REGISTRATIONS_PER_S = 60
SENDS_PER_S = 20
MOST = 20_000  # registrations; a third as many sends


@dataclass(frozen=True, slots=True)
class Call:
    kind: str  # "register" or "send"
    token: str  # what it registers, or sends to: each is in one call only
    started: float
    ended: float
    status: int  # 0: the connection was cut
    retry_after: str | None

    @property
    def acknowledged(self):
        return self.status == 200

    @property
    def took_s(self):
        return self.ended - self.started


class Traffic:
    """New devices are registered and pushes sent to single devices, until it is left; every call is in `calls`.

    Each send goes to a device of its own, so that a device that gets two pushes got one of them twice.
    """

    def __init__(self, workspace, url):
        self.calls: list[Call] = []
        self.began = self.ended = 0.0
        self._workspace = workspace
        tokens = [token for _ in range(4) for token in workspace.mint("android", MOST // 3)]
        self._targets, self._new = tokens[: MOST // 3], iter(tokens[MOST // 3 :])
        crowd.load(url, workspace.name, self._targets, platform=Platform.ANDROID, of="s")
        self._sends = enumerate(self._targets)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self):
        self.began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join()
        self.ended = time.monotonic()

    def next_target(self):
        """A device of its own for one more send: the person's id, and the token."""
        number, token = next(self._sends)
        return f"s{number}", token

    async def _run(self):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        round_s = 1 / SENDS_PER_S
        async with asyncio.TaskGroup() as group:
            for number in itertools.count(1):
                for _ in range(REGISTRATIONS_PER_S // SENDS_PER_S):
                    group.create_task(self._register(next(self._new)))
                group.create_task(self._send(*self.next_target()))
                await asyncio.sleep(max(begun + number * round_s - loop.time(), 0))  # its pace
                if self._stopping.is_set():
                    return

    async def _register(self, token):
        body = {"device": {"id": token, "platform": "android"}}
        path = f"/api/v1/customers/r-{token[:40]}/devices"
        await self._call("register", token, ("PUT", self._workspace.track, path, body))

    async def _send(self, person, token):
        body = {"identifiers": {"id": person}, "title": "One", "message": "for you"}
        await self._call("send", token, ("POST", self._workspace.app, "/v1/send/push", body))

    async def _call(self, kind, token, asked):
        method, http, path, body = asked
        started = time.monotonic()
        status, retry_after = 0, None
        with suppress(OSError, asyncio.IncompleteReadError):
            async with asyncio.timeout(60):
                status, headers = await _answer(http, method, path, json.dumps(body).encode())
            retry_after = headers["retry-after"]
        self.calls.append(Call(kind, token, started, time.monotonic(), status, retry_after))

    def acknowledged(self, kind):
        return {call.token for call in self.calls if call.kind == kind and call.acknowledged}

    def acknowledged_since(self, moment):
        return sum(call.acknowledged and call.started > moment for call in self.calls)

    def longest_gap_s(self):
        """The longest time in which no call was acknowledged."""
        moments = sorted(call.ended for call in self.calls if call.acknowledged)
        return max(after - before for before, after in itertools.pairwise([self.began, *moments, self.ended]))

    def slowest(self):
        return max(self.calls, key=lambda call: call.took_s)

    def refused(self):
        """Calls that were answered by anything but 200 or a 503 that says when to try again, by status."""
        return sorted(
            call.status
            for call in self.calls
            if not (call.acknowledged or (call.status == 503 and call.retry_after))
        )

    def lost(self, url):
        """How many acknowledged registrations and sends are not in the database; no send may have two pushes."""
        registered = {token for (token,) in crowd.query(url, "select token from devices")}
        pushes = dict(
            crowd.query(
                url,
                "select d.token, count(*) from pushes p join devices d using (device_id) "
                "where p.ending = 'accepted' and d.token = any ($1) group by 1",
                self._targets,
            )
        )
        assert set(pushes.values()) <= {1}
        return len(self.acknowledged("register") - registered), len(self.acknowledged("send") - pushes.keys())


async def _answer(http, method, path, body):
    """Status and headers of a call's answer, each over a connection of its own."""
    reader, writer = await asyncio.open_connection(http.parts.hostname, http.parts.port)
    try:
        said = {
            "host": http.parts.netloc,
            "connection": "close",
            "content-length": len(body),
            **http.headers,
        }
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in said.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        status, _, headers = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
        return int(status.split()[1]), email.message_from_bytes(headers)
    finally:
        writer.close()
