"""The pool against a server that misbehaves on demand, over real TLS."""

import asyncio
import socket
import ssl
from dataclasses import replace
from types import SimpleNamespace

import ngh2
import pytest
import trustme

from pushkeeper.core.delivery.outcome import Silence
from pushkeeper.providers.transport.limits import Limits
from pushkeeper.providers.transport.response import NoResponse, Response
from pushkeeper.providers.transport.tls import tls_context

STREAMS = ngh2.Setting.MAX_CONCURRENT_STREAMS
ONE = Limits(max_connections=1, first_backoff_s=0.01)


def silence(answer):
    assert isinstance(answer, NoResponse), answer
    return answer.silence


async def test_every_request_is_answered_once_with_its_own_answer(server, connect):
    client = connect(server)
    client.send(*range(500))
    answers = await client.answered(500)
    assert all(answers[n] == Response(200, answers[n].headers, f"/{n}".encode()) for n in range(500))
    assert client.pool.pending == 0
    assert max(client.batches) > 1, "answers are handed over in batches"


async def test_one_request_can_be_awaited(server, connect, post):
    answer = await connect(server).pool.fetch(post("/one"))
    assert (answer.status, answer.body) == (200, b"/one")


async def test_nothing_is_sent_before_the_servers_settings(make_server, connect):
    async with make_server(settings={STREAMS: 3}) as server:
        held = []
        server.on_request = lambda connection, stream_id: held.append((connection, stream_id))
        client = connect(server, Limits(max_connections=1))
        client.send(*range(10))
        await server.until(lambda: len(held) == 3)
        while len(client.answers) < 10:
            connection, stream_id = held.pop(0)
            connection.answer(stream_id)
            connection.flush()
            await client.answered(len(client.answers) + 1)
            assert len(held) <= 3
            await server.until(lambda: held or len(client.answers) >= 10 - len(held))


async def test_a_limit_that_drops_to_one_in_mid_flight_is_kept_and_so_is_its_return(server, connect):
    held = []
    server.on_request = lambda _, stream_id: held.append(stream_id)
    client = connect(server, Limits(max_connections=1))
    client.send(*range(5))
    await server.until(lambda: len(held) == 5)
    [connection] = server.connections
    connection.h2.update_settings({STREAMS: 1})
    connection.flush()
    await server.until(
        lambda: any(isinstance(event, ngh2.SettingsAcknowledged) for event in server.events[-3:])
    )
    client.send(*range(5, 10))
    for stream_id in held[:4]:
        connection.answer(stream_id)
    connection.flush()
    await client.answered(4)
    assert len(held) == 5, "one stream is still open: no other may be"
    server.on_request = lambda connection, stream_id: connection.answer(stream_id)
    connection.answer(held[4])
    connection.h2.update_settings({STREAMS: 100})
    connection.flush()
    await client.answered(10)
    assert len(server.connections) == 1


async def test_one_stream_until_the_first_answer(server, connect):
    held = []
    server.on_request = lambda _, stream_id: held.append(stream_id)
    client = connect(server, Limits(max_connections=1, first_streams=1))
    client.send(*range(10))
    await server.until(lambda: held)
    assert len(held) == 1
    server.connections[0].answer(held[0])
    server.connections[0].flush()
    await server.until(lambda: len(held) == 10)
    for stream_id in held[1:]:
        server.connections[0].answer(stream_id)
    server.connections[0].flush()
    await client.answered(10)


async def test_goaway_waits_for_the_promised_and_sends_the_others_elsewhere(server, connect):
    held = []
    server.on_request = lambda _, stream_id: held.append(stream_id)
    client = connect(server, Limits(max_connections=1))
    client.send(*range(6))
    await server.until(lambda: len(held) == 6)
    [first] = server.connections
    server.on_request = lambda connection, stream_id: connection.answer(stream_id)
    first.h2.send_goaway(0, last_stream_id=held[2], debug_data=b'{"reason":"Shutdown"}')
    first.flush()
    await client.answered(3)
    assert {number for number, _, _ in server.asked[6:]} == {1}, "on a new connection"
    for stream_id in held[:3]:
        first.answer(stream_id)
    first.flush()
    answers = await client.answered(6)
    assert all(isinstance(answer, Response) for answer in answers.values())
    paths = [path for _, _, path in server.asked]
    assert sorted(set(paths)) == sorted(f"/{n}" for n in range(6))
    assert len(paths) == 9, "only what the server did not look at was sent again"


async def test_what_a_goaway_refuses_goes_again_in_its_old_order_so_that_none_is_refused_each_time(
    server, connect
):
    asked = []

    def hold(_, stream_id):
        asked.append(stream_id)

    server.on_request = hold
    client = connect(server, Limits(max_connections=1, max_streams=50, first_streams=50))
    client.send(*range(50))
    await server.until(lambda: len(asked) == 50)
    [first] = server.connections
    server.on_request = lambda connection, stream_id: connection.answer(stream_id)
    first.h2.send_goaway(0, last_stream_id=0)
    first.flush()
    await client.answered(50)
    assert [path for number, _, path in server.asked if number == 1] == [f"/{n}" for n in range(50)]


async def test_refused_streams_are_sent_again_and_not_for_ever(server, connect):
    refusals = {"/0": 2, "/1": 1_000}

    def refuse(connection, stream_id):
        path = connection.paths[stream_id]
        if refusals.get(path, 0):
            refusals[path] -= 1
            connection.h2.reset_stream(stream_id, ngh2.ErrorCode.REFUSED_STREAM)
        else:
            connection.answer(stream_id)

    server.on_request = refuse
    client = connect(server, Limits(max_connections=1))
    client.send(0, 1, 2)
    answers = await client.answered(3)
    assert isinstance(answers[0], Response)
    assert isinstance(answers[2], Response)
    assert silence(answers[1]) is Silence.NOT_PROCESSED
    assert [path for _, _, path in server.asked].count("/1") == 4


@pytest.mark.parametrize(
    "code", [code for code in ngh2.ErrorCode if code is not ngh2.ErrorCode.REFUSED_STREAM]
)
async def test_any_other_reset_is_a_lost_answer(server, connect, code):
    server.on_request = lambda connection, stream_id: connection.h2.reset_stream(stream_id, code)
    client = connect(server)
    client.send("x")
    answer = (await client.answered(1))["x"]
    assert silence(answer) is Silence.LOST
    assert code.name in answer.detail
    assert len(server.asked) == 1, "it may have arrived: it is not sent again from here"


async def test_a_request_that_is_never_answered_is_cancelled_at_its_deadline(server, connect):
    server.on_request = lambda connection, stream_id: (
        connection.answer(stream_id) if connection.paths[stream_id] != "/0" else None
    )
    client = connect(server, Limits(request_timeout_s=1.0))
    client.send(0, 1)
    answers = await client.answered(2)
    assert silence(answers[0]) is Silence.TIMED_OUT
    assert isinstance(answers[1], Response)
    await server.until(lambda: any(isinstance(event, ngh2.StreamReset) for event in server.events))
    assert [e.error_code for e in server.events if isinstance(e, ngh2.StreamReset)] == [ngh2.ErrorCode.CANCEL]


async def test_a_connection_that_drops_loses_what_was_under_way_and_the_rest_goes_on(server, connect):
    server.on_request = lambda connection, stream_id: (
        connection.transport.abort() if connection.number == 0 else connection.answer(stream_id)
    )
    client = connect(server, Limits(max_connections=1, max_streams=2))
    client.send(*range(6))
    answers = await client.answered(6)
    lost = [key for key, answer in answers.items() if isinstance(answer, NoResponse)]
    assert lost == [0, 1]
    assert all(silence(answers[key]) is Silence.LOST for key in lost)
    client.send("later")
    assert isinstance((await client.answered(7))["later"], Response)


async def test_nobody_listening_answers_not_sent(connect):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    client = connect(SimpleNamespace(port=port), ONE)
    client.send(1, 2)
    assert {silence(answer) for answer in (await client.answered(2)).values()} == {Silence.NOT_SENT}
    client.send(3)
    assert silence((await client.answered(3))[3]) is Silence.NOT_SENT


async def test_a_name_that_does_not_resolve_answers_not_sent(server, connect):
    client = connect(server, ONE, host="no-such-host.invalid")
    client.send(1)
    assert silence((await client.answered(1))[1]) is Silence.NOT_SENT


async def test_a_server_that_never_speaks_does_not_hang_us(make_server, connect):
    async with make_server() as server:
        server.mute = True
        client = connect(server, replace(ONE, settings_timeout_s=0.3))
        client.send(1)
        answer = (await client.answered(1))[1]
        assert silence(answer) is Silence.NOT_SENT
        assert "TimeoutError" in answer.detail
        assert server.asked == []


async def test_a_certificate_by_a_stranger_is_not_trusted(server, connect):
    client = connect(server, ONE, tls=tls_context(trustme.CA().cert_pem.bytes().decode()))
    client.send(1)
    assert silence((await client.answered(1))[1]) is Silence.UNTRUSTED
    assert server.asked == []


async def test_a_certificate_for_another_name_is_not_trusted(server, connect):
    client = connect(server, ONE, host="127.0.0.1")
    client.send(1)
    assert silence((await client.answered(1))[1]) is Silence.UNTRUSTED


async def test_a_server_that_refuses_our_certificate_says_so(connect, authority):
    def refuse(listener):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(tls)
        tls.set_alpn_protocols(["h2"])
        tls.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(tls)
        taken, _ = listener.accept()
        with taken, pytest.raises(ssl.SSLError, match="CERTIFICATE"):
            tls.wrap_socket(taken, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusing = asyncio.create_task(asyncio.to_thread(refuse, listener))
        client = connect(SimpleNamespace(port=listener.getsockname()[1]), ONE)
        client.send(1)
        answer = (await client.answered(1))[1]
        await refusing
    assert isinstance(answer, NoResponse)
    assert answer.certificate_refused


async def test_a_server_without_http2_is_not_spoken_to(make_server, connect):
    async with make_server() as server:
        server.tls.set_alpn_protocols(["http/1.1"])
        client = connect(server, ONE)
        client.send(1)
        assert silence((await client.answered(1))[1]) is Silence.NOT_SENT


@pytest.mark.parametrize(("body", "chunks"), [(b"", 1), (b"x" * 7, 7), (b"y" * 200_000, 40)])
async def test_bodies_are_read_to_their_end_however_they_come(server, connect, body, chunks):
    server.on_request = lambda connection, stream_id: connection.answer(stream_id, body=body, chunks=chunks)
    client = connect(server)
    client.send(1, 2)
    assert [answer.body for answer in (await client.answered(2)).values()] == [body, body]


async def test_a_body_past_its_bound_is_read_to_its_end_and_cut(server, connect):
    server.on_request = lambda connection, stream_id: connection.answer(stream_id, body=b"z" * (3 << 20))
    client = connect(server, Limits(max_connections=1, max_body_bytes=1 << 16))
    client.send(1)
    answer = (await client.answered(1))[1]
    # A frame that begins within the bound is kept whole.
    assert 1 << 16 <= len(answer.body) <= (1 << 16) + (1 << 14)
    assert not any(isinstance(event, ngh2.StreamReset) for event in server.events)


async def test_an_idle_connection_is_closed_and_the_next_request_opens_another(server, connect):
    client = connect(server, Limits(max_connections=1, idle_s=0.2))
    client.send(1)
    await client.answered(1)
    await server.until(lambda: server.lost == 1)
    client.send(2)
    assert isinstance((await client.answered(2))[2], Response)
    assert len(server.connections) == 2


async def test_an_old_connection_is_retired_without_losing_anything(server, connect):
    client = connect(server, Limits(max_connections=1, max_age_s=0.3))
    sent = 0
    while len(server.connections) < 3:
        client.send(sent)
        sent += 1
        await client.answered(sent)
    assert all(isinstance(answer, Response) for answer in client.answers.values())


async def test_a_connection_is_rotated_before_its_stream_ids_end(server, connect):
    client = connect(server, Limits(max_connections=1, max_requests=4))
    client.send(*range(10))
    answers = await client.answered(10)
    assert all(isinstance(answer, Response) for answer in answers.values())
    assert [number for number, _, _ in server.asked] == [0] * 4 + [1] * 4 + [2] * 2


async def test_a_peer_that_has_died_silently_is_noticed(server, connect):
    client = connect(server, Limits(max_connections=1, ping_after_silence_s=0.5, ping_timeout_s=0.5))
    client.send(1)
    await client.answered(1)
    server.deaf = True
    client.send(2)
    answer = (await client.answered(2))[2]
    assert silence(answer) is Silence.LOST
    assert "ping" in answer.detail


async def test_more_connections_open_as_the_present_ones_are_full(make_server, connect):
    async with make_server(settings={STREAMS: 10}) as server:
        held = []
        server.on_request = lambda connection, stream_id: held.append((connection, stream_id))
        client = connect(server, Limits(max_connections=3))
        client.send(*range(100))
        await server.until(lambda: len(held) == 30)
        assert len(server.connections) == 3
        server.on_request = lambda connection, stream_id: connection.answer(stream_id)
        for connection, stream_id in held:
            connection.answer(stream_id)
            connection.flush()
        await client.answered(100)


async def test_fresh_connections_can_be_asked_for(server, connect):
    client = connect(server, Limits(max_connections=1))
    client.send(1)
    await client.answered(1)
    client.pool.close_connections()
    client.send(2)
    await client.answered(2)
    assert [number for number, _, _ in server.asked] == [0, 1]


async def test_what_is_withdrawn_is_answered_and_what_is_on_a_stream_is_not_withdrawn(server, connect):
    held = []
    server.on_request = lambda _, stream_id: held.append(stream_id)
    client = connect(server, Limits(max_connections=1, max_streams=2))
    client.send(*range(4))
    client.send("urgent", urgent=True)
    assert client.pool.withdraw(lambda key: key == "urgent") == 1, "before anything was sent"
    await server.until(lambda: len(held) == 2)
    assert client.pool.withdraw(lambda key: key in {0, 1, 3}) == 1
    assert client.pool.withdraw(lambda key: key == 3) == 0
    assert 3 not in client.answers, "never from inside withdraw"
    answers = await client.answered(2)
    assert (
        answers["urgent"] == answers[3] == NoResponse(Silence.NOT_PROCESSED, "withdrawn before it was sent")
    )
    for stream_id in held[:2]:
        server.connections[0].answer(stream_id)
    server.connections[0].flush()
    await server.until(lambda: len(held) == 3)
    server.connections[0].answer(held[2])
    server.connections[0].flush()
    await client.answered(5)
    assert all(isinstance(answers[key], Response) for key in range(3))
    assert client.pool.pending == 0
    assert [path for _, _, path in server.asked] == ["/0", "/1", "/2"]


async def test_who_awaits_an_answer_is_not_withdrawn(server, connect, post):
    pool = connect(server).pool
    asking = asyncio.create_task(pool.fetch(post("/awaited")))
    await asyncio.sleep(0)
    assert pool.withdraw(lambda _: True) == 0
    assert (await asking).status == 200


async def test_urgent_requests_leave_first_and_after_those_that_are_sent_again(server, connect):
    held = []
    server.on_request = lambda _, stream_id: held.append(stream_id)
    client = connect(server, Limits(max_connections=1, max_streams=1))
    client.send("first", "a", "b")
    await server.until(lambda: held)
    client.send("u", "v", urgent=True)
    server.on_request = lambda connection, stream_id: connection.answer(stream_id)
    [connection] = server.connections
    connection.h2.reset_stream(held[0], ngh2.ErrorCode.REFUSED_STREAM)
    connection.flush()
    await client.answered(5)
    assert [path for _, _, path in server.asked] == ["/first", "/first", "/u", "/v", "/a", "/b"]


async def test_closing_waits_for_what_is_under_way_and_answers_the_rest(server, connect):
    slow = []
    server.on_request = lambda connection, stream_id: slow.append((connection, stream_id))
    client = connect(server, Limits(max_connections=1, max_streams=2))
    client.send(1, 2, 3)
    await server.until(lambda: len(slow) == 2)
    closing = asyncio.create_task(client.pool.aclose(0.3))
    connection, stream_id = slow[0]
    connection.answer(stream_id)
    connection.flush()
    await closing
    assert isinstance(client.answers[1], Response)
    assert silence(client.answers[2]) is Silence.LOST
    assert client.pool.pending == 0
    client.send(4)
    assert silence((await client.answered(4))[4]) is Silence.NOT_PROCESSED
    await server.until(lambda: server.lost == len(server.connections))


async def test_secrets_are_never_indexed_by_hpack(server, connect):
    client = connect(server)
    client.send(*range(3))
    await client.answered(3)
    [connection] = server.connections
    assert isinstance(connection.h2, ngh2.Connection)
    received = [event for event in server.events if isinstance(event, ngh2.RequestReceived)]
    assert all((b"authorization", b"bearer secret") in event.headers for event in received)
    never = {
        bytes(h[0]) for event in received for h in event.headers if isinstance(h, ngh2.NeverIndexedHeader)
    }
    assert never == {b":path", b"authorization"}


async def test_who_hears_answers_may_raise_and_the_next_are_heard_all_the_same(server, connect):
    client = connect(server)
    client.send(1)
    await client.answered(1)
    heard, raised = client.pool._on_answers, asyncio.Event()

    def raising(_):
        raised.set()
        raise KeyError

    client.pool._on_answers = raising
    client.send(2)
    await raised.wait()
    client.pool._on_answers = heard
    client.send(*range(3, 20))
    await client.answered(18)
    assert client.pool.pending == 0


async def test_whatever_goes_wrong_while_connecting_is_answered_and_tried_again(server, connect, monkeypatch):
    client = connect(server, ONE)
    tries = []

    async def look_up(*_, **__):
        tries.append(1)
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
        client.send(1)
        answers = await client.answered(1)
    assert silence(answers[1]) is Silence.NOT_SENT
    assert len(tries) == 1
    client.send(2)
    assert (await client.answered(2))[2].status == 200


async def test_an_error_of_ours_on_one_connection_ends_it_alone(server, connect):
    held = []
    server.on_request = lambda connection, stream_id: held.append((connection, stream_id))
    client = connect(server, ONE)
    client.send(1)
    await server.until(lambda: held)
    [link] = client.pool._links
    link.h2._read_events = None  # whatever comes next cannot be read
    connection, stream_id = held.pop()
    connection.answer(stream_id)
    connection.flush()
    await server.until(lambda: server.lost)
    server.on_request = lambda connection, stream_id: connection.answer(stream_id)
    client.send(2)
    answers = await client.answered(2)
    assert silence(answers[1]) is Silence.LOST
    assert answers[2].status == 200


def test_the_client_asks_for_a_modern_tls():
    context = tls_context()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
