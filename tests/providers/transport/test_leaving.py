"""How connections end, by either side, and what is left behind: nothing."""

import asyncio
import gc

import psutil
import pytest

from pushkeeper.core.delivery.outcome import Silence
from pushkeeper.providers.transport.limits import Limits
from pushkeeper.providers.transport.response import Response

ONE = Limits(max_connections=1, first_backoff_s=0.01)


async def test_a_shutdown_notice_then_the_last_word_loses_nothing(server, connect):
    held = []
    server.on_request = lambda _, stream_id: held.append(stream_id)
    client = connect(server, ONE)
    client.send(1, 2)
    await server.until(lambda: len(held) == 2)
    [first] = server.connections
    first.h2.send_shutdown_notice()
    first.flush()
    server.on_request = lambda connection, stream_id: connection.answer(stream_id)
    client.send(3)  # may still cross the notice on the first, or go on a second
    await client.answered(1)
    first.h2.send_goaway(0, last_stream_id=max(first.paths))
    for stream_id in held:
        first.answer(stream_id)
    first.flush()
    answers = await client.answered(3)
    assert all(isinstance(answer, Response) for answer in answers.values())
    assert len(server.asked) == 3, "each once"


async def test_leaving_connections_finish_what_is_under_way_on_them(server, connect):
    held = []
    server.on_request = lambda _, stream_id: held.append(stream_id)
    client = connect(server, ONE)
    client.send(1, 2)
    await server.until(lambda: len(held) == 2)
    client.pool.close_connections()
    server.on_request = lambda connection, stream_id: connection.answer(stream_id)
    client.send(3)
    await client.answered(1)
    assert server.asked[-1][0] == 1, "new work goes on a fresh connection while the old one is still needed"
    for stream_id in held:
        server.connections[0].answer(stream_id)
    server.connections[0].flush()
    answers = await client.answered(3)
    assert all(isinstance(answer, Response) for answer in answers.values())
    await server.until(lambda: server.lost == 1)


async def test_a_stalled_server_costs_its_own_requests_and_no_others(server, connect):
    """It neither reads nor closes: what was written fills the socket's buffers and stays there."""
    limits = Limits(max_connections=1, request_timeout_s=1.0, ping_after_silence_s=0.6, ping_timeout_s=0.6)
    client = connect(server, limits)
    client.send("first")
    await client.answered(1)
    server.connections[0].transport.pause_reading()
    client.send(*range(100))
    answers = await client.answered(101)
    assert {answers[n].silence for n in range(100)} <= {Silence.LOST, Silence.TIMED_OUT}
    client.send("after")
    assert isinstance((await client.answered(102))["after"], Response)


def descriptors():
    return {(c.fd, c.laddr, c.raddr) for c in psutil.Process().net_connections("tcp")}


@pytest.mark.parametrize("when", ["never used", "dialling", "under way", "idle"])
async def test_closing_leaves_no_task_and_no_socket_behind(make_server, connect, when):
    async with make_server() as server:
        server.on_request = lambda connection, stream_id: (
            None if when == "under way" else connection.answer(stream_id)
        )
        if when == "dialling":
            server.mute = True  # its SETTINGS never come
        tasks, sockets = asyncio.all_tasks(), descriptors()
        client = connect(server, ONE)
        if when != "never used":
            client.send(1)
            await server.until(lambda: server.connections if when == "dialling" else server.asked)
        if when == "idle":
            await client.answered(1)
        await client.pool.aclose(0.05)
        assert client.pool.pending == 0
        assert asyncio.all_tasks() <= tasks
        await server.until(lambda: server.lost == len(server.connections))
        ours = {c for c in descriptors() - sockets if c[2] and c[2].port == server.port}
        assert not ours
    gc.collect()  # a transport or socket that nobody closed complains here, which fails the test


async def test_a_close_that_is_itself_cancelled_still_closes(server, connect):
    server.on_request = lambda *_: None
    client = connect(server, ONE)
    client.send(1)
    await server.until(lambda: server.asked)
    closing = asyncio.create_task(client.pool.aclose(60.0))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert (await client.answered(1))[1].silence is Silence.LOST
    await server.until(lambda: server.lost == 1)
