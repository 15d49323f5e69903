"""The pool where the server, the network or the caller does what it should not."""

import asyncio
import socket
import ssl
from types import SimpleNamespace

import ngh2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from pushkeeper.core.delivery.outcome import Silence
from pushkeeper.providers.transport.limits import Limits
from pushkeeper.providers.transport.response import NoResponse, Request, Response

STREAMS = ngh2.Setting.MAX_CONCURRENT_STREAMS
NO_H2 = b"HTTP/1.1 400 Bad Request\r\n\r\n"


def silence(answer):
    assert isinstance(answer, NoResponse), answer
    return answer.silence


async def test_bytes_that_are_no_http2_lose_what_was_under_way_and_close_the_connection(server, connect):
    server.on_request = lambda connection, _: (
        connection.transport.write(NO_H2) if len(server.asked) == 3 else None
    )
    client = connect(server, Limits(max_connections=1, max_streams=3))
    client.send(0, 1, 2)
    answers = await client.answered(3)
    assert {silence(answer) for answer in answers.values()} == {Silence.LOST}
    await server.until(lambda: server.lost == 1)
    server.on_request = lambda connection, stream_id: connection.answer(stream_id)
    client.send(3)
    assert isinstance((await client.answered(4))[3], Response)


async def test_a_server_that_speaks_something_else_after_tls_is_not_waited_for(make_server, connect):
    async with make_server() as server:
        server.settings = None
        server.on_connection = lambda connection: connection.transport.write(NO_H2)
        client = connect(server, Limits(max_connections=1, settings_timeout_s=60.0, queue_timeout_s=60.0))
        client.send(1)
        assert silence((await client.answered(1))[1]) is Silence.NOT_SENT


@pytest.mark.parametrize("ending", ["close", "abort"])
async def test_a_goodbye_without_an_answer_is_as_good_as_none(server, connect, ending):
    server.on_request = lambda connection, _: getattr(connection.transport, ending)()
    client = connect(server, Limits(max_connections=1))
    client.send("x")
    assert silence((await client.answered(1))["x"]) is Silence.LOST
    assert len(server.asked) == 1


async def test_what_the_server_said_before_it_closed_counts(server, connect):
    def answer_and_leave(connection, stream_id):
        connection.answer(stream_id)
        connection.h2.send_goaway(0, last_stream_id=stream_id)
        connection.flush()
        connection.transport.close()

    server.on_request = answer_and_leave
    client = connect(server, Limits(max_connections=1))
    client.send(1)
    answer = (await client.answered(1))[1]
    assert isinstance(answer, Response)
    assert (answer.status, answer.body) == (200, b"/1")


async def test_a_reset_in_the_middle_of_an_answer_is_no_answer(server, connect):
    def answer_half(connection, stream_id):
        connection.h2.send_response(stream_id, ((b":status", b"200"),))
        connection.h2.send_data(stream_id, b"half")
        connection.flush()
        connection.h2.reset_stream(stream_id, server.code)

    server.on_request = answer_half
    client = connect(server)
    for server.code in (ngh2.ErrorCode.NO_ERROR, ngh2.ErrorCode.REFUSED_STREAM, 0xABC):
        client.send(server.code)
        answer = (await client.answered(len(client.answers) + 1))[server.code]
        assert silence(answer) is Silence.LOST
    assert len(server.asked) == 3, "the server had begun to answer: none is sent again"
    assert "0xabc" in client.answers[0xABC].detail


async def test_an_answer_that_comes_before_the_end_of_the_request_counts(make_server, connect, post):
    async with make_server(settings={STREAMS: 10, ngh2.Setting.INITIAL_WINDOW_SIZE: 0}) as server:

        def refuse_early(connection, stream_id):
            connection.answer(stream_id, 413, b"too much")
            connection.h2.reset_stream(stream_id, ngh2.ErrorCode.NO_ERROR)

        server.on_headers = refuse_early
        answer = await connect(server).pool.fetch(post("/", b"b" * 10_000))
    assert (answer.status, answer.body) == (413, b"too much")


async def test_trailers_and_informational_responses_do_not_confuse(server, connect):
    def answer(connection, stream_id):
        connection.h2.send_informational_response(stream_id, ((b":status", b"103"), (b"link", b"</x>")))
        connection.h2.send_response(stream_id, ((b":status", b"200"), (b"a", b"b")))
        connection.h2.send_data(stream_id, b"body")
        connection.h2.send_trailers(stream_id, ((b"grpc-status", b"0"),))

    server.on_request = answer
    client = connect(server)
    client.send(1)
    assert (await client.answered(1))[1] == Response(200, ((b"a", b"b"),), b"body")


async def test_large_headers_go_through_both_ways(server, connect, post):
    large = (b"x-large", b"v" * 30_000)

    server.on_request = lambda connection, stream_id: connection.h2.send_response(
        stream_id, ((b":status", b"200"), large), end_stream=True
    )
    plain = post("/large")
    answer = await connect(server).pool.fetch(Request((*plain.headers, large), plain.body))
    assert answer.headers == (large,)
    assert large in next(e for e in server.events if isinstance(e, ngh2.RequestReceived)).headers


async def test_a_request_that_is_none_is_answered_and_hurts_no_other(server, connect, post):
    client = connect(server)
    client.send(1)
    broken = await client.pool.fetch(Request(((b":method", b"POST"), (b"Not A Name", b"\n")), b""))
    assert isinstance(broken, NoResponse)
    huge = await client.pool.fetch(Request((*post("/").headers, (b"x", b"y" * 1_000_000)), b""))
    assert isinstance(huge, NoResponse)
    client.send(2)
    assert all(isinstance(answer, Response) for answer in (await client.answered(2)).values())
    assert len(server.connections) == 1


async def test_a_request_that_no_connection_takes_in_time_was_not_sent(make_server, connect):
    async with make_server(settings={STREAMS: 0}) as server:
        client = connect(server, Limits(max_connections=1, queue_timeout_s=0.2))
        client.send(1, 2)
        assert {silence(answer) for answer in (await client.answered(2)).values()} == {Silence.NOT_SENT}
        assert server.asked == []


@pytest.mark.parametrize("word", ["nothing", "goaway"])
async def test_a_server_that_only_opens_and_closes_is_left_in_peace_for_longer_each_time(
    make_server, connect, word
):
    def leave(connection):
        if word == "goaway":
            connection.h2.send_goaway(0, last_stream_id=0)
            connection.flush()
        connection.transport.close()

    async with make_server() as server:
        server.on_connection = leave
        limits = Limits(max_connections=1, max_streams=1, first_backoff_s=0.02, queue_timeout_s=2.0)
        client = connect(server, limits, jitter=1.0)
        client.send(*range(50))
        assert all(isinstance(answer, NoResponse) for answer in (await client.answered(50)).values())
        # After 0.02, 0.04, 0.08, 0.16, 0.32, 0.64 and 1.28 s, and no connection in between.
        assert 2 <= len(server.connections) <= 8


async def test_who_comes_while_the_endpoint_is_left_in_peace_waits_for_the_next_attempt(make_server, connect):
    server = make_server()
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and not listening: refused
        client = connect(
            SimpleNamespace(port=bound.getsockname()[1]), Limits(first_backoff_s=0.9), jitter=1.0
        )
        client.send("early")
        assert silence((await client.answered(1))["early"]) is Silence.NOT_SENT
        client.send("late")
        await server.listen(bound.dup())
        assert isinstance((await client.answered(2))["late"], Response)
        await client.pool.aclose(1.0)
        await server.__aexit__()


@given(failures=st.integers(1, 10_000), jitter=st.floats(0, 1, exclude_max=True))
def test_the_back_off_doubles_to_a_minute_and_is_spread_over_all_of_it(failures, jitter):
    longest = min(2.0 ** min(failures - 1, 100), 60.0)
    assert Limits().backoff_s(failures, jitter) == pytest.approx(jitter * longest)


async def test_dns_is_resolved_for_each_connection(server, connect, monkeypatch):
    loop = asyncio.get_running_loop()
    asked, resolve = [], loop.getaddrinfo

    async def listen_in(host, port, **more):
        asked.append(host)
        return await resolve(host, port, **more)

    monkeypatch.setattr(loop, "getaddrinfo", listen_in)
    client = connect(server, Limits(max_connections=1))
    for key in range(3):
        client.send(key)
        await client.answered(key + 1)
        client.pool.close_connections()
    assert asked.count("localhost") == 3  # uvloop asks for the address that was found, too


async def test_an_idle_connection_is_pinged_and_left_once_it_is_dead(server, connect):
    limits = Limits(max_connections=1, idle_s=None, ping_after_idle_s=0.1, ping_timeout_s=1.0)
    client = connect(server, limits)
    client.send(1)
    await client.answered(1)
    pings = lambda: sum(isinstance(event, ngh2.PingReceived) for event in server.events)  # noqa: E731 - a condition
    await server.until(lambda: pings() >= 2)
    assert server.lost == 0, "it answers its pings"
    server.deaf = True
    await server.until(lambda: server.lost == 1)
    server.deaf = False
    client.send(2)
    assert isinstance((await client.answered(2))[2], Response)


async def test_a_caller_that_fails_on_an_answer_stops_nothing(server, connect):
    with capture_logs() as said:
        client = connect(server, Limits(max_connections=1, max_streams=1))
        client.answers = {1: "taken"}
        client.send(1, 2, 3)
        await client.answered(3)
    assert [line["event"] for line in said] == ["answers_not_heard"]
    assert isinstance(client.answers[3], Response)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_that_the_server_does_not_know_is_refused(connect, authority, version):
    def refuse(listener):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.maximum_version = version
        authority.issue_cert("localhost").configure_cert(tls)
        tls.set_alpn_protocols(["h2"])
        tls.verify_mode = ssl.CERT_REQUIRED
        taken, _ = listener.accept()
        with taken, pytest.raises(ssl.SSLError, match="CERTIFICATE"):
            tls.wrap_socket(taken, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusing = asyncio.create_task(asyncio.to_thread(refuse, listener))
        tls = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
        tls.set_alpn_protocols(["h2"])
        authority.issue_cert("client@example.com").configure_cert(tls)
        client = connect(SimpleNamespace(port=listener.getsockname()[1]), Limits(max_connections=1), tls=tls)
        client.send(1)
        answer = (await client.answered(1))[1]
        await refusing
    assert isinstance(answer, NoResponse)
    assert answer.certificate_refused
