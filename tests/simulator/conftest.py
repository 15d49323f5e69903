"""A client of our own over ngh2, which shares nothing with pushkeeper's, and the simulator that it talks to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt
import ngh2
import pytest

from pushkeeper.simulator import Origin, Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

PATIENCE_S = 60


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    frames: int = 0
    complete: bool = False
    reset: int | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One HTTP/2 connection, which sends what it is told to, rude or not, and remembers everything that comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str) -> None:
        self._reader = reader
        self._writer = writer
        self._authority = authority.encode()
        self._h2 = ngh2.Connection(ngh2.Role.CLIENT, ngh2.Configuration(peer_max_concurrent_streams=10_000))
        self._h2.initiate_connection()
        self.answers: dict[int, Answer] = {}
        self.limits: list[int] = []
        self.goaways: list[ngh2.GoAwayReceived] = []
        self.closed = False

    def send(
        self,
        path: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        method: str = "POST",
        scheme: bytes = b"https",
        naming: bytes = b":authority",
        trailer: tuple[bytes, bytes] | None = None,
    ) -> int:
        """Queue one request and return its stream; `flush` or an `answer` writes it."""
        lines = [(b":method", method.encode()), (b":scheme", scheme), (b":path", path.encode())]
        lines.append((naming, self._authority))
        lines += [(name.encode(), value.encode()) for name, value in headers]
        stream_id = self._h2.send_request(lines, end_stream=not body)
        if body and trailer:
            self._h2.send_data(stream_id, body)
            self._h2.send_trailers(stream_id, [trailer])
        elif body:
            self._h2.send_data(stream_id, body, end_stream=True)
        self.answers[stream_id] = Answer()
        return stream_id

    def ping(self) -> None:
        self._h2.ping()

    def cancel(self, stream_id: int) -> None:
        self._h2.reset_stream(stream_id, ngh2.ErrorCode.CANCEL)

    async def flush(self) -> None:
        self._writer.write(self._h2.data_to_send())
        with contextlib.suppress(ConnectionError):  # what came before the end is still to be read
            await self._writer.drain()

    async def until(self, condition: Callable[[], object]) -> None:
        """Read until it is so; fails if the connection ends before."""
        async with asyncio.timeout(PATIENCE_S):
            await self.flush()
            while not condition():
                assert not self.closed, "the connection ended before what was waited for"
                await self._read()

    async def answer(self, stream_id: int) -> Answer:
        """The whole answer of a stream, or how it was reset."""
        answer = self.answers[stream_id]
        await self.until(lambda: answer.complete or answer.reset is not None)
        return answer

    async def ended(self) -> None:
        """Read until the server has closed."""
        await self.until(lambda: self.closed)

    async def ask(
        self, path: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", **more: Any
    ) -> Answer:
        return await self.answer(self.send(path, headers, body, **more))

    async def close(self) -> None:
        self._writer.close()

    async def _read(self) -> None:
        try:
            received = await self._reader.read(65_536)
        except (ConnectionError, ssl.SSLError):
            received = b""
        if not received:
            self.closed = True
            return
        self._h2.receive_data(received)
        written = self._h2.data_to_send()
        for event in self._h2.events():
            self._take(event)
        if written:
            self._writer.write(written)

    def _take(self, event: ngh2.Event) -> None:
        match event:
            case ngh2.ResponseReceived(stream_id, headers, end_stream):
                answer = self.answers[stream_id]
                answer.headers = {name.decode(): value.decode() for name, value in headers}
                answer.status = int(answer.headers.pop(":status"))
                answer.complete = end_stream
            case ngh2.DataReceived(stream_id, data, end_stream):
                answer = self.answers[stream_id]
                answer.body += data
                answer.frames += 1
                answer.complete = end_stream
            case ngh2.StreamReset(stream_id, error_code):
                self.answers[stream_id].reset = error_code
            case ngh2.SettingsReceived(settings):
                if ngh2.Setting.MAX_CONCURRENT_STREAMS in settings:
                    self.limits.append(settings[ngh2.Setting.MAX_CONCURRENT_STREAMS])
            case ngh2.GoAwayReceived():
                self.goaways.append(event)


class Clock:
    """A clock that goes only when it is told to."""

    def __init__(self) -> None:
        self.now_s = float(int(time.time()))

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Desk:
    """A sender's desk: the simulator and everything that is needed to push to it."""

    simulator: Simulator
    clock: Clock
    clients: list[Client] = field(default_factory=list)
    _usual: dict[int, str] = field(default_factory=dict)

    async def connect(
        self, url: str, certificate: Path | str | None = None, *, alpn: tuple[str, ...] = ("h2",)
    ) -> Client:
        context = ssl.create_default_context(cafile=self.simulator.ca_file)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if certificate is not None:
            context.load_cert_chain(certificate)
        where = urlsplit(url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port, ssl=context)
        client = Client(reader, writer, where.netloc)
        self.clients.append(client)
        return client

    def mint(self, count: int = 1, **origin: Any) -> list[str]:
        return self.simulator.world.mint(count, Origin(**origin))

    def android(self, **origin: Any) -> str:
        return self.mint(platform="android", provider="fcm", **origin)[0]

    def iphone(self, **origin: Any) -> str:
        return self.mint(platform="ios", provider="apns", **origin)[0]

    async def fcm(self) -> Client:
        return await self.connect(self.simulator.fcm_url)

    async def apns(self, certificate: Path | str | None = None) -> Client:
        return await self.connect(self.simulator.apns_url, certificate)

    async def send(self, message: object, **more: Any) -> Answer:
        """One FCM message on a connection of its own; `validate_only` and `project` may be given."""
        client = await self.fcm()
        project = more.pop("project", "simulated-project")
        return await client.ask(
            fcm_path(project), self.bearer(), json.dumps({"message": message, **more}).encode()
        )

    def bearer(self) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {self.simulator.oauth.issue()}")]

    async def push(
        self, token: str, *headers: tuple[str, str], body: bytes = b'{"aps":{"alert":"x"}}'
    ) -> Answer:
        """One APNs push on a connection of its own; a header given here takes the place of the usual one."""
        client = await self.apns()
        return await client.ask(f"/3/device/{token}", self.apple_headers(*headers), body)

    def apple_headers(self, *headers: tuple[str, str]) -> list[tuple[str, str]]:
        usual = {"authorization": f"bearer {self._usual_token()}", "apns-topic": "com.example.app"}
        given = {name for name, _ in headers}
        return [(name, value) for name, value in usual.items() if name not in given] + list(headers)

    def _usual_token(self) -> str:
        """The same provider token while the clock stands: a connection may not change it often."""
        now_s = int(self.clock.now_s)
        return self._usual.setdefault(now_s, self.provider_token())

    def provider_token(self, **changes: Any) -> str:
        """A provider token as Apple wants it; `iat`, `iss`, `kid`, `key` and `algorithm` may be changed."""
        claims = {"iss": self.simulator.apns_team_id, "iat": int(self.clock.now_s)}
        claims |= {name: changes.pop(name) for name in ("iss", "iat") if name in changes}
        key = changes.get("key", Path(self.simulator.apns_key_file).read_text())
        kid = changes.get("kid", self.simulator.apns_key_id)
        return jwt.encode(claims, key, changes.get("algorithm", "ES256"), {"kid": kid})

    async def control(self, path: str, asked: object = None) -> tuple[int, Any]:
        """Ask the control API: POST with something asked, GET without; (status, answer)."""
        body = None if asked is None else json.dumps(asked).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.simulator.control_url + path, body, headers)

        def ask() -> tuple[int, Any]:
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
                    return response.status, json.load(response)
            except urllib.error.HTTPError as error:
                return error.code, json.load(error)

        return await asyncio.to_thread(ask)


def fcm_path(project: str = "simulated-project") -> str:
    return f"/v1/projects/{project}/messages:send"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A data folder whose keys all tests share, as making them takes time."""
    return tmp_path_factory.mktemp("simulator")


@pytest.fixture(scope="session")
async def running(folder) -> AsyncIterator[Desk]:
    clock = Clock()
    async with Simulator(folder, clock=clock) as simulator:
        yield Desk(simulator, clock)


@pytest.fixture
async def desk(running) -> AsyncIterator[Desk]:
    """A simulator in its usual manner, empty at first."""
    running.simulator.world.reset()
    yield running
    while running.clients:
        await running.clients.pop().close()


@pytest.fixture(scope="session")
def other_folder(tmp_path_factory):
    """Another one, as a folder's service account points to the simulator that was started on it last."""
    return tmp_path_factory.mktemp("other-simulator")


@pytest.fixture
async def behaving(other_folder) -> AsyncIterator[Callable[..., Any]]:
    """Makes a desk whose simulator behaves otherwise."""
    started: list[Desk] = []

    async def make(**options: Any) -> Desk:
        clock = Clock()
        simulator = Simulator(other_folder, clock=clock, **options)
        await simulator.start()
        started.append(Desk(simulator, clock))
        return started[-1]

    yield make
    for desk in started:
        for client in desk.clients:
            await client.close()
        await desk.simulator.stop()
