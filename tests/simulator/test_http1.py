"""FCM and its token endpoint over HTTP/1.1, as Google's SDKs ask them; APNs speaks HTTP/2 alone."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import replace
from urllib.parse import urlsplit

import h11
import pytest

from pushkeeper.simulator import FCM_CONNECTION, Behaviour

PATH = "/v1/projects/simulated-project/messages:send"


class Client:
    """One connection, by h11's client side: what is asked, and what comes."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.http = h11.Connection(h11.CLIENT)

    def send(self, *events):
        for event in events:
            self.writer.write(self.http.send(event))

    async def event(self):
        async with asyncio.timeout(60):
            while (event := self.http.next_event()) is h11.NEED_DATA:
                self.http.receive_data(await self.reader.read(65_536))
            return event

    async def answer(self):
        """Status and body of the next answer."""
        response, body = await self.event(), b""
        while not isinstance(event := await self.event(), h11.EndOfMessage):
            body += event.data
        if self.http.our_state is h11.DONE and self.http.their_state is h11.DONE:
            self.http.start_next_cycle()
        return response.status_code, dict(response.headers), body

    async def ask(self, path, headers, body, method="POST"):
        length = ("content-length", str(len(body)))
        fields = [("host", "localhost"), *headers, length]
        self.send(h11.Request(method=method, target=path, headers=fields), h11.Data(data=body))
        self.send(h11.EndOfMessage())
        return await self.answer()

    async def ended(self):
        async with asyncio.timeout(60):
            return await self.reader.read() == b""


@pytest.fixture
async def connect():
    writers = []

    async def connected(desk, url, alpn=()):
        context = ssl.create_default_context(cafile=desk.simulator.ca_file)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        where = urlsplit(url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port, ssl=context)
        writers.append(writer)
        return Client(reader, writer)

    yield connected
    for writer in writers:
        writer.close()


def message(token, **more):
    return json.dumps({"message": {"token": token, **more}}).encode()


@pytest.mark.parametrize("alpn", [(), ("http/1.1",)])
async def test_one_connection_carries_many_messages_one_after_the_other(desk, connect, alpn):
    client = await connect(desk, desk.simulator.fcm_url, alpn)
    gone, good = desk.android(), desk.android()
    desk.simulator.world.uninstall([gone])
    found = [(await client.ask(PATH, desk.bearer(), message(token)))[0] for token in (good, gone, good)]
    assert found == [200, 404, 200]
    assert len(desk.simulator.fcm.connections) == 1
    [*_, request] = desk.simulator.world.journal.read(good)
    assert (b":path", PATH.encode()) in request.headers


async def test_the_token_endpoint_refuses_in_words(desk, connect):
    client = await connect(desk, desk.simulator.oauth_url)
    status, headers, body = await client.ask("/token", [], b"grant_type=x")
    assert (status, json.loads(body)["error"]) == (400, "unsupported_grant_type")
    assert headers[b"content-type"].startswith(b"application/json")


async def test_who_can_speak_both_is_answered_in_http2(desk):
    client = await desk.connect(desk.simulator.fcm_url, alpn=("h2", "http/1.1"))
    assert (await client.ask(PATH, desk.bearer(), message(desk.android()))).status == 200


async def test_a_body_in_chunks_is_put_together(desk, connect):
    client = await connect(desk, desk.simulator.fcm_url)
    token = desk.android()
    fields = [("host", "localhost"), *desk.bearer(), ("transfer-encoding", "chunked")]
    body = message(token, notification={"title": "é" * 400})
    client.send(h11.Request(method="POST", target=PATH, headers=fields))
    client.send(*(h11.Data(data=body[at : at + 100]) for at in range(0, len(body), 100)), h11.EndOfMessage())
    assert (await client.answer())[0] == 200
    [request] = desk.simulator.world.journal.read(token)
    assert request.body == body


async def test_a_client_that_waits_for_100_continue_is_told_to(desk, connect):
    client = await connect(desk, desk.simulator.fcm_url)
    body = message(desk.android())
    fields = [("host", "localhost"), *desk.bearer(), ("content-length", str(len(body)))]
    client.send(h11.Request(method="POST", target=PATH, headers=[*fields, ("expect", "100-continue")]))
    assert (await client.event()).status_code == 100
    client.send(h11.Data(data=body), h11.EndOfMessage())
    assert (await client.answer())[0] == 200


async def test_requests_that_come_at_once_are_answered_in_their_order(desk, connect):
    client = await connect(desk, desk.simulator.fcm_url)
    first, second = desk.android(), desk.android()
    await desk.control("/script", {"token": first, "answers": [{"status": 500, "delay_ms": 50}]})
    [(name, value)] = desk.bearer()
    written = [
        f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\n{name}: {value}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        + body
        for body in (message(first), message(second))
    ]
    client.send(h11.Request(method="GET", target="/", headers=[("host", "localhost")]), h11.EndOfMessage())
    assert (await client.answer())[0] == 404
    client.writer.write(b"".join(written))
    seen = b""
    async with asyncio.timeout(60):
        while seen.count(b"HTTP/1.1 ") < 2 or not seen.endswith(b"}\n"):
            seen += await client.reader.read(65_536)
    assert seen.startswith(b"HTTP/1.1 500")
    assert b"HTTP/1.1 200" in seen


@pytest.mark.parametrize(
    "noise",
    [b"\x16\x03\x01 noise\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n"],
)
async def test_what_is_no_http_is_a_400_and_the_end(desk, connect, noise):
    client = await connect(desk, desk.simulator.fcm_url)
    client.writer.write(noise)
    async with asyncio.timeout(60):
        answer = await client.reader.read()
    assert answer.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("step", [{"reset": 2}, {"close": True}])
async def test_a_lost_answer_is_the_end_of_the_connection(desk, connect, step):
    client = await connect(desk, desk.simulator.fcm_url)
    token = desk.android()
    await desk.control("/script", {"token": token, "answers": [step]})
    with pytest.raises((ConnectionError, h11.RemoteProtocolError, ssl.SSLError)):
        await client.ask(PATH, desk.bearer(), message(token))
    other = await connect(desk, desk.simulator.fcm_url)
    assert (await other.ask(PATH, desk.bearer(), message(token)))[0] == 200


async def test_a_connection_is_told_to_go_and_answers_what_it_took(desk, connect):
    client = await connect(desk, desk.simulator.fcm_url)
    token = desk.android()
    await desk.control("/script", {"token": token, "answers": [{"delay_ms": 1500}]})
    asked = asyncio.create_task(client.ask(PATH, desk.bearer(), message(token)))
    while not (await desk.control(f"/journal?token={token}"))[1]["total"]:
        pass
    _, told = await desk.control("/goaway", {"service": "fcm"})
    status, headers, _ = await asked
    assert (told["connections"], status, headers[b"connection"]) == (1, 200, b"close")
    assert await client.ended()


CONNECTIONS = [
    replace(FCM_CONNECTION, max_requests=1, idle_timeout_s=None),
    replace(FCM_CONNECTION, idle_timeout_s=0.05),
]


@pytest.mark.parametrize("connection", CONNECTIONS)
async def test_a_connection_ends_when_its_time_has_come(behaving, connect, connection):
    desk = await behaving(behaviour=Behaviour(fcm_connection=connection))
    client = await connect(desk, desk.simulator.fcm_url)
    assert (await client.ask(PATH, desk.bearer(), message(desk.android())))[0] == 200
    assert await client.ended()


async def test_a_connection_that_has_become_old_ends_with_its_next_answer(behaving, connect):
    old = replace(FCM_CONNECTION, max_age_s=0.01, idle_timeout_s=None)
    desk = await behaving(behaviour=Behaviour(fcm_connection=old))
    client = await connect(desk, desk.simulator.fcm_url)
    async with asyncio.timeout(60):
        while (await client.ask(PATH, desk.bearer(), message(desk.android())))[1].get(
            b"connection"
        ) != b"close":
            pass
    assert await client.ended()


async def test_apns_answers_nothing_to_http1(desk, connect):
    client = await connect(desk, desk.simulator.apns_url)
    client.writer.write(b"POST /3/device/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")
    async with asyncio.timeout(60):
        assert b"HTTP/1.1" not in await client.reader.read()
