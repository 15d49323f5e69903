"""Faults that the push services are known for, one by one: every request is answered once, and none is lost."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime

import ngh2
import pytest

from pushkeeper.core.delivery.outcome import Accepted, Refused, Silence, Unavailable
from pushkeeper.core.model import Token
from pushkeeper.providers.apns import verdict as apns_verdict
from pushkeeper.providers.fcm import verdict as fcm_verdict
from pushkeeper.providers.transport.limits import Limits
from pushkeeper.providers.transport.response import NoResponse, Response

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ONE = Limits(max_connections=1, first_backoff_s=0.01)
# Code and debug text of every GOAWAY that was seen of FCM and APNs, and one without a word.
GOODBYES = [
    (0x0, b"session_timeout"),
    (0x0, b"max_age"),
    (0xB, b"too_many_pings"),
    (0x1, b"exceeded_max_concurrent_streams"),
    (0x0, b"server_shutting_down"),
    (0x0, b'{"reason":"Shutdown"}'),
    (0x0, b'{"reason":"IdleTimeout"}'),
    (0x0, b'{"reason":"BadCertificate"}'),
    (0x0, b'{"reason":"BadCertificateEnvironment"}'),
    (0x0, b""),
    (0x0, b"\xff\xfe not UTF-8"),
]


@pytest.mark.parametrize(("code", "debug"), GOODBYES, ids=[str(debug) for _, debug in GOODBYES])
async def test_a_goaway_of_whatever_words_loses_nothing_and_sends_nothing_twice(server, connect, code, debug):
    held = []
    server.on_request = lambda _, stream_id: held.append(stream_id)
    client = connect(server, ONE)
    client.send(1, 2, 3)
    await server.until(lambda: len(held) == 3)
    [first] = server.connections
    server.on_request = lambda connection, stream_id: connection.answer(stream_id)
    # The third is above the mark: it was not looked at, and goes on another connection.
    first.h2.send_goaway(code, last_stream_id=held[1], debug_data=debug)
    for stream_id in held[:2]:
        first.answer(stream_id)
    first.flush()
    answers = await client.answered(3)
    assert {answer.status for answer in answers.values()} == {200}
    processed = [(0, stream_id) for stream_id in held[:2]] + [asked[:2] for asked in server.asked[3:]]
    assert len(processed) == 3
    assert len(server.connections) == 2


@pytest.mark.parametrize("after", ["headers", "half a body"])
async def test_an_answer_that_stops_half_way_is_given_up_and_cancelled(server, connect, after):
    def begin(connection, stream_id):
        connection.h2.send_response(stream_id, ((b":status", b"200"),))
        if after == "half a body":
            connection.h2.send_data(stream_id, b'{"name": "proj', end_stream=False)

    server.on_request = begin
    client = connect(server, Limits(max_connections=1, request_timeout_s=1.0))
    client.send(1)
    answer = (await client.answered(1))[1]
    assert isinstance(answer, NoResponse)
    assert answer.silence is Silence.TIMED_OUT
    await server.until(lambda: any(isinstance(event, ngh2.StreamClosed) for event in server.events))
    [closed] = [event for event in server.events if isinstance(event, ngh2.StreamClosed)]
    assert closed.error_code == ngh2.ErrorCode.CANCEL
    server.on_request = lambda connection, stream_id: connection.answer(stream_id)
    client.send(2)
    assert isinstance((await client.answered(2))[2], Response), "the connection goes on"


BODIES = [
    b"",
    b"<html><head><title>502 Bad Gateway</title></head></html>",
    b'{"error": {"code": 404, "status": "NOT_FOUND", "deta',
    b'{"reason": "Unregi',
    b"\x00\xff" * 40,
    b"[" * 5_000,
]


@pytest.mark.parametrize("body", BODIES, ids=["empty", "html", "cut json", "cut reason", "bytes", "deep"])
@pytest.mark.parametrize("status", [200, 400, 404, 410, 502])
async def test_a_body_of_any_kind_in_any_pieces_is_an_answer_that_bounces_nobody(
    server, connect, status, body
):
    server.on_request = lambda connection, stream_id: connection.answer(stream_id, status, body, chunks=3)
    client = connect(server, ONE)
    client.send(1)
    answer = (await client.answered(1))[1]
    assert isinstance(answer, Response)
    assert (answer.status, answer.body) == (status, body)
    token = Token("t" * 64)
    for found in (
        fcm_verdict.read(answer, token=token, now=NOW),
        apns_verdict.read(answer, token=token, registered_at=NOW, now=NOW),
    ):
        assert not isinstance(found.outcome, Refused)
        if status == 502:
            assert isinstance(found.outcome, Unavailable)
        if isinstance(found.outcome, Accepted):
            assert found.code == "apns_accepted", "APNs says all with its status; FCM names what it took"


async def test_a_connection_that_is_refused_for_a_while_answers_at_once_and_then_goes_on(
    make_server, connect
):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        server = make_server()
        server.port = held.getsockname()[1]
        client = connect(server, Limits(max_connections=1, first_backoff_s=0.02))
        for key in range(20):
            client.send(key)
            answer = (await client.answered(key + 1))[key]
            assert isinstance(answer, NoResponse)
            assert answer.silence is Silence.NOT_SENT
        held.listen()
        await server.listen(held)
        try:
            answer = None
            async with asyncio.timeout(60):
                while not isinstance(answer, Response):
                    key += 1
                    client.send(key)
                    answer = (await client.answered(key + 1))[key]
        finally:
            await server.__aexit__()
        assert len(server.asked) == 1
