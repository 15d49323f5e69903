"""The head and the body of a response leave in one write; whatever is written, nothing is lost, late or out of order."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushkeeper.web.response_writer import ResponseWriter
from support.bounded import QUIET, heard, request, serving
from support.examples import examples

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
LARGE = bytes(100_000)


class Wire(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self):
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data):
        assert not self.closed
        self.writes.append(data)

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed


def written(write):
    """What has left by the end of the turn of the event loop in which `write` did its work, and after that turn."""

    async def within_one_turn():
        wire = Wire()
        write(ResponseWriter(wire, asyncio.get_running_loop()))
        at_once = list(wire.writes)
        await asyncio.sleep(0)
        return at_once, wire

    return asyncio.run(within_one_turn())


@pytest.mark.parametrize("body", [b"{}", b""])
def test_a_head_and_its_body_are_one_write(body):
    def write(writer):
        writer.write(HEAD)
        writer.write(body)

    at_once, wire = written(write)
    assert at_once == wire.writes == [HEAD + body]


def test_a_large_body_is_not_copied():
    def write(writer):
        writer.write(HEAD)
        writer.write(LARGE)

    assert written(write)[0] == [HEAD, LARGE]


def test_a_head_whose_body_takes_its_time_leaves_before_it():
    at_once, wire = written(lambda writer: writer.write(HEAD))
    assert at_once == []
    assert wire.writes == [HEAD]


def test_what_is_held_leaves_before_the_connection_is_closed():
    def write(writer):
        writer.write(HEAD)
        writer.close()
        assert writer.is_closing()

    at_once, wire = written(write)
    assert at_once == wire.writes == [HEAD]
    assert wire.closed


def test_what_is_held_for_a_connection_that_breaks_is_dropped():
    async def broken():
        wire = Wire()
        writer = ResponseWriter(wire, asyncio.get_running_loop())
        writer.write(HEAD)
        wire.close()
        await asyncio.sleep(0)
        return wire.writes

    assert asyncio.run(broken()) == []


PIECES = st.sampled_from([HEAD, b"{}", b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"data: x\n\n", LARGE])


@settings(max_examples=examples(200))
@given(st.lists(st.one_of(PIECES, st.just("turn"), st.just("flush"))))
def test_all_is_written_in_order_by_the_end_of_each_turn(steps):
    async def take():
        wire = Wire()
        writer = ResponseWriter(wire, asyncio.get_running_loop())
        given_so_far = b""
        for step in (*steps, "turn"):
            if isinstance(step, bytes):
                given_so_far += step
                writer.write(step)
                continue
            if step == "flush":
                writer.flush()
            else:
                await asyncio.sleep(0)
            assert b"".join(wire.writes) == given_so_far

    asyncio.run(take())


def test_a_head_alone_is_answered_and_so_is_what_was_asked_behind_it(secured):
    with serving(QUIET, secured) as site, site.connect() as connection:
        connection.sendall(
            request("/").replace(b"GET", b"HEAD", 1) * 2 + request("/", b"", "Connection: close")
        )
        said = heard(connection)
        assert said.count(b"HTTP/1.1 200 OK\r\n") == 3, said
