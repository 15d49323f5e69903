"""From no connection to one that takes requests: what is waited for, how long, and how often it is tried."""

import asyncio
import socket
from types import SimpleNamespace

import ngh2

from pushkeeper.core.delivery.outcome import Silence
from pushkeeper.providers.transport.limits import Limits
from pushkeeper.providers.transport.pool import Pool
from pushkeeper.providers.transport.response import NoResponse, Response
from pushkeeper.providers.transport.tls import Endpoint, tls_context


def silences(answers):
    return {answer.silence for answer in answers.values() if isinstance(answer, NoResponse)}


async def test_not_a_byte_of_a_request_leaves_before_the_servers_settings(make_server, connect):
    async with make_server() as server:
        server.mute = True
        client = connect(server, Limits(max_connections=1))
        client.send(*range(5))
        await server.until(lambda: any(isinstance(event, ngh2.SettingsReceived) for event in server.events))
        server.mute = False
        server.connections[0].flush()
        await client.answered(5)
    kinds = [type(event) for event in server.events]
    assert kinds.index(ngh2.SettingsAcknowledged) < kinds.index(ngh2.RequestReceived)


async def test_each_connection_begins_with_one_stream(server, connect):
    held = []
    server.on_request = lambda connection, stream_id: held.append((connection.number, stream_id))
    client = connect(server, Limits(max_connections=2, first_streams=1))
    client.send(*range(10))
    await server.until(lambda: len(held) == 2)
    assert sorted(number for number, _ in held) == [0, 1]
    server.on_request = lambda connection, stream_id: connection.answer(stream_id)
    for number, stream_id in held:
        server.connections[number].answer(stream_id)
        server.connections[number].flush()
    assert all(isinstance(answer, Response) for answer in (await client.answered(10)).values())


async def test_a_handshake_that_stalls_has_its_own_deadline(connect):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts; nobody speaks TLS
        client = connect(
            SimpleNamespace(port=silent.getsockname()[1]), Limits(max_connections=1, connect_timeout_s=0.2)
        )
        client.send(1)
        assert silences(await client.answered(1)) == {Silence.NOT_SENT}


async def test_what_arrives_during_a_long_back_off_is_answered_at_once_and_nothing_is_dialled(connect):
    attempts = 0

    def hang_up(_, writer):
        nonlocal attempts
        attempts += 1
        writer.close()

    refusing = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with refusing:
        port = refusing.sockets[0].getsockname()[1]
        limits = Limits(max_connections=1, first_backoff_s=60.0)
        client = connect(SimpleNamespace(port=port), limits, jitter=0.99)
        client.send(1)
        assert silences(await client.answered(1)) == {Silence.NOT_SENT}
        for key in range(2, 50):
            client.send(key)
            await client.answered(key)
        assert silences(client.answers) == {Silence.NOT_SENT}
        assert client.answers[49].detail == client.answers[1].detail, "why is not forgotten"
    assert attempts == 1


async def test_submitting_in_return_during_a_long_back_off_does_not_spin_the_loop(connect, post):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    turns, told = 0, []
    limits = Limits(max_connections=1, first_backoff_s=60.0)

    def again(batch):
        told.extend(batch)
        if len(told) < 4:
            pool.submit(len(told), post("/again"))
        else:
            done.set()

    async def count_turns():
        nonlocal turns
        while True:
            await asyncio.sleep(limits.tick_s / 50)
            turns += 1

    done = asyncio.Event()
    endpoint = Endpoint("localhost", port, tls_context())
    pool = Pool(endpoint, limits, again, jitter=lambda: 0.99)
    pool.submit(0, post("/again"))
    counting = asyncio.create_task(count_turns())
    await asyncio.wait_for(done.wait(), 60)
    counting.cancel()
    await pool.aclose(0.0)
    assert {answer.silence for _, answer in told} == {Silence.NOT_SENT}
    assert turns > 20, (
        "two answers at least waited for a tick of the pool, during which others had their turns"
    )


async def test_a_server_that_opens_and_leaves_is_not_besieged(make_server, connect):
    async with make_server() as server:

        def leave(connection):
            connection.h2.send_goaway(0, last_stream_id=0, debug_data=b"server_shutting_down")
            connection.flush()

        server.on_connection = leave
        client = connect(server, Limits(max_connections=1, first_backoff_s=60.0), jitter=0.99)
        client.send(*range(5))
        answers = await client.answered(5)
        assert silences(answers) == {Silence.NOT_SENT}
        assert "server_shutting_down" in answers[0].detail
        client.send(5)
        await client.answered(6)
        assert len(server.connections) == 1
