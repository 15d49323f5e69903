"""A server that does what a test tells it, over real TLS; and a pool that keeps what it was answered."""

import asyncio
import ssl

import ngh2
import pytest
import pytest_asyncio
import trustme

from pushkeeper.providers.transport.limits import Limits
from pushkeeper.providers.transport.pool import Pool
from pushkeeper.providers.transport.response import Request
from pushkeeper.providers.transport.tls import Endpoint, tls_context
from support.serving import bound

CA = trustme.CA()
JSON = ((b"content-type", b"application/json"),)


class ServerConnection(asyncio.Protocol):
    """One connection as the server sees it; `number` counts from 0."""

    def __init__(self, server):
        self.server = server
        self.bodies = {}
        self.paths = {}

    def connection_made(self, transport):
        self.number = len(self.server.connections)
        self.server.connections.append(self)
        self.transport = transport
        self.h2 = ngh2.Connection(ngh2.Role.SERVER)
        if self.server.settings is not None:
            self.h2.initiate_connection(self.server.settings)
            self.flush()
        self.server.on_connection(self)

    def data_received(self, data):
        if self.server.deaf:
            return
        try:
            self.h2.receive_data(data)
        except ngh2.NGH2Error:
            self.transport.close()
            return
        for event in self.h2.events():
            self.server.events.append(event)
            match event:
                case ngh2.RequestReceived(stream_id, headers, end_stream):
                    self.paths[stream_id] = dict(headers)[b":path"].decode()
                    self.bodies[stream_id] = b""
                    self.server.on_headers(self, stream_id)
                    if end_stream:
                        self._asked(stream_id)
                case ngh2.DataReceived(stream_id, chunk, end_stream):
                    self.bodies[stream_id] += chunk
                    if end_stream:
                        self._asked(stream_id)
        self.flush()
        self.server.changed.set()

    def _asked(self, stream_id):
        self.server.asked.append((self.number, stream_id, self.paths[stream_id]))
        self.server.on_request(self, stream_id)

    def connection_lost(self, _):
        self.server.lost += 1
        self.server.changed.set()

    def answer(self, stream_id, status=200, body=None, *, chunks=1):
        body = self.paths[stream_id].encode() if body is None else body
        headers = ((b":status", str(status).encode()), *JSON)
        if not body:
            self.h2.send_response(stream_id, headers, end_stream=True)
            return
        self.h2.send_response(stream_id, headers)
        step = -(-len(body) // chunks)
        for at in range(0, len(body), step):
            self.h2.send_data(stream_id, body[at : at + step], end_stream=at + step >= len(body))
            self.flush()

    def flush(self):
        if self.server.mute or self.transport.is_closing():
            return
        if data := self.h2.data_to_send():
            self.transport.write(data)


class Server:
    """Listens on the loopback; `on_request(connection, stream_id)` decides about each request.

    `on_headers` is called before the body, `on_connection` once the SETTINGS are out.
    """

    def __init__(self, *, settings=None):
        self.settings = {ngh2.Setting.MAX_CONCURRENT_STREAMS: 100} if settings is None else settings
        self.connections = []
        self.asked = []
        self.events = []
        self.lost = 0
        self.deaf = False
        self.mute = False
        self.changed = asyncio.Event()
        self.on_connection = lambda _: None
        self.on_headers = lambda _connection, _stream_id: None
        self.on_request = lambda connection, stream_id: connection.answer(stream_id)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        CA.issue_cert("localhost").configure_cert(self.tls)
        self.tls.set_alpn_protocols(["h2"])

    async def __aenter__(self):
        return await self.listen(bound()[0])

    async def listen(self, bound):
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: ServerConnection(self), sock=bound, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for connection in self.connections:
            connection.transport.abort()
        await self._server.wait_closed()

    async def until(self, condition):
        """Wait until it is so, looking again whenever something came in."""
        async with asyncio.timeout(60):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class Client:
    """A pool whose answers are kept by key."""

    def __init__(self, port, limits=None, *, tls=None, host="localhost", jitter=0.0):
        self.answers = {}
        self.batches = []
        self.more = asyncio.Event()
        self.submitting = False
        context = tls or tls_context(CA.cert_pem.bytes().decode())
        limits = Limits() if limits is None else limits
        self.pool = Pool(Endpoint(host, port, context), limits, self._answered, jitter=lambda: jitter)

    def _answered(self, batch):
        assert not self.submitting, "never from inside submit"
        self.batches.append(len(batch))
        for key, answer in batch:
            assert key not in self.answers, f"{key} is answered twice"
            self.answers[key] = answer
        self.more.set()

    def send(self, *keys, urgent=False):
        self.submitting = True
        for key in keys:
            self.pool.submit(key, request(f"/{key}"), urgent=urgent)
        self.submitting = False

    async def answered(self, count):
        async with asyncio.timeout(60):
            while len(self.answers) < count:
                self.more.clear()
                await self.more.wait()
        return self.answers


def request(path, body=b'{"a":1}'):
    headers = (
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", path.encode()),
        (b"authorization", b"bearer secret"),
    )
    return Request(headers, body)


@pytest_asyncio.fixture
async def server():
    async with Server() as started:
        yield started


@pytest_asyncio.fixture
async def connect():
    """Make clients that are closed at the end."""
    made = []

    def make(server, limits=None, **more):
        client = Client(server.port, limits, **more)
        made.append(client)
        return client

    yield make
    for client in made:
        await client.pool.aclose(0.0)


@pytest.fixture
def make_server():
    return Server


@pytest.fixture
def authority():
    """The CA that the servers' certificates are by."""
    return CA


@pytest.fixture
def post():
    return request
