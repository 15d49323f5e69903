"""The sans-I/O connection against libnghttp2's own server side, in memory, under whatever order things happen in."""

from contextlib import suppress

import ngh2
from hypothesis import given, settings
from hypothesis import strategies as st

from pushkeeper.core.delivery.outcome import Silence
from pushkeeper.providers.transport.connection import Connection, Exchange
from pushkeeper.providers.transport.limits import Limits
from pushkeeper.providers.transport.response import NoResponse, Request, Response
from support.examples import examples

STREAMS = ngh2.Setting.MAX_CONCURRENT_STREAMS

HAPPENINGS = (
    st.tuples(st.just("submit"), st.integers(1, 8)),
    st.tuples(
        st.just("deliver"), st.just(1 << 16)
    ),  # so that exchanges come to an end; the rest comes in pieces
    st.tuples(st.just("to_server"), st.integers(1, 400)),
    st.tuples(st.just("to_client"), st.integers(1, 400)),
    st.tuples(st.just("answer"), st.integers(0, 20)),
    st.tuples(st.just("refuse"), st.integers(0, 20)),
    st.tuples(st.just("reset"), st.integers(0, 20)),
    st.tuples(st.just("limit"), st.integers(0, 6)),
    st.tuples(st.just("goaway"), st.integers(0, 20)),
    st.tuples(st.just("tick"), st.integers(1, 3)),
)


class World:
    """A client and a server with a wire of bytes in between, either way."""

    def __init__(self, first_streams):
        self.now = 0.0
        self.limits = Limits(max_streams=20, first_streams=first_streams, request_timeout_s=5.0)
        self.client: Connection[int] = Connection(self.limits, self.now)
        self.server = ngh2.Connection(ngh2.Role.SERVER)
        self.server.initiate_connection({STREAMS: 5})
        self.up = bytearray()
        self.down = bytearray()
        self.submitted = []
        self.outcomes = {}
        self.seen = {}  # stream id -> key, as the server sees them
        self.open = {}  # those that the server has not ended
        self.untouched = set()  # keys that the server refused
        self.last = None  # the last stream that GOAWAY promised to finish
        self.drain()

    def submit(self, count):
        for _ in range(min(count, self.client.capacity)):
            key = len(self.submitted)
            self.submitted.append(key)
            headers = (
                (b":method", b"POST"),
                (b":scheme", b"https"),
                (b":authority", b"a"),
                (b":path", b"/%d" % key),
            )
            self.client.submit(Exchange(key, Request(headers, b"body"), 99.0), self.now)
        self.drain()

    def drain(self):
        self.up += self.client.data_to_send()
        self.down += self.server.data_to_send()

    def to_server(self, count):
        chunk, self.up = bytes(self.up[:count]), self.up[count:]
        with suppress(ngh2.ConnectionStateError):
            self.server.receive_data(chunk)
        for event in self.server.events():
            match event:
                case ngh2.RequestReceived(stream_id, headers, _):
                    self.seen[stream_id] = self.open[stream_id] = int(dict(headers)[b":path"][1:])
                case ngh2.StreamClosed(stream_id):
                    self.open.pop(stream_id, None)
        self.drain()

    def to_client(self, count):
        chunk, self.down = bytes(self.down[:count]), self.down[count:]
        if chunk:
            self.client.receive(chunk, self.now)
        self.drain()
        self.take()

    def deliver(self, count):
        self.to_server(count)
        self.to_client(count)

    def take(self):
        for key, answer in self.client.take_answers():
            assert key not in self.outcomes, "answered twice"
            self.outcomes[key] = answer
        for exchange in self.client.take_refused():
            assert exchange.key not in self.outcomes, "handed back after an answer"
            self.outcomes[exchange.key] = "refused"

    def _pick(self, which):
        streams = sorted(self.open)
        return streams[which % len(streams)] if streams else None

    def answer(self, which):
        if (stream_id := self._pick(which)) is not None:
            del self.open[stream_id]
            with suppress(ngh2.ConnectionStateError):
                self.server.send_response(stream_id, ((b":status", b"200"),))
                self.server.send_data(stream_id, b"%d" % self.seen[stream_id], end_stream=True)
            self.drain()

    def refuse(self, which):
        if (stream_id := self._pick(which)) is not None:
            self.untouched.add(self.open.pop(stream_id))
            with suppress(ngh2.ConnectionStateError):
                self.server.reset_stream(stream_id, ngh2.ErrorCode.REFUSED_STREAM)
            self.drain()

    def reset(self, which):
        if (stream_id := self._pick(which)) is not None:
            del self.open[stream_id]
            with suppress(ngh2.ConnectionStateError):
                self.server.reset_stream(stream_id, ngh2.ErrorCode.INTERNAL_ERROR)
            self.drain()

    def limit(self, count):
        with suppress(ngh2.ConnectionStateError):
            self.server.update_settings({STREAMS: count})
        self.drain()

    def goaway(self, which):
        streams = sorted(self.seen)
        last = streams[which % len(streams)] if streams else 0
        if self.last is not None and last > self.last:
            return  # a promise may shrink, but not grow
        with suppress(ngh2.ConnectionStateError):
            self.server.send_goaway(0, last_stream_id=last, debug_data=b"bye")
            self.last = last
        # What it names it promises to finish; the rest it will not look at.
        for stream_id in [s for s in self.open if s > last]:
            del self.open[stream_id]
        self.drain()

    def garble(self, which):
        if self.down:
            self.down[which % len(self.down)] ^= 1 << which % 8

    def tick(self, seconds):
        self.now += seconds
        self.client.sweep(self.now)
        self.drain()
        self.take()

    def end(self):
        self.to_client(1 << 20)
        self.client.close()
        self.take()
        self.to_server(1 << 20)  # what was on its way then arrives all the same
        assert sorted(self.outcomes) == self.submitted

    def may_have_looked_at(self, key):
        # libnghttp2's server refuses some by itself, while a lower limit is on its way: those it never shows.
        shown = [stream_id for stream_id, seen in self.seen.items() if seen == key]
        promised = self.last is None or any(stream_id <= self.last for stream_id in shown)
        return bool(shown) and promised and key not in self.untouched


@settings(max_examples=examples(300), deadline=None)
@given(steps=st.lists(st.one_of(HAPPENINGS), max_size=60), first_streams=st.sampled_from([1, 20]))
def test_every_request_ends_once_and_nothing_looked_at_is_handed_back(steps, first_streams):
    world = World(first_streams)
    for step, argument in steps:
        before = world.client.open_streams
        getattr(world, step)(argument)
        if step == "submit" and not world.client.answered:
            assert world.client.open_streams <= max(before, first_streams)
        if world.client.open_streams > before:
            granted = world.client._h2.remote_settings[STREAMS]
            assert world.client.open_streams <= min(granted, world.limits.max_streams)
    world.end()
    # libnghttp2's server ends a connection on which a client opens more streams than it has acknowledged to keep to.
    assert "PROTOCOL_ERROR" not in world.client.goodbye
    for key, outcome in world.outcomes.items():
        if outcome == "refused":
            assert not world.may_have_looked_at(key), "it must not be sent again"
        elif isinstance(outcome, Response):
            assert outcome.body == b"%d" % key


@settings(max_examples=examples(300), deadline=None)
@given(steps=st.lists(st.one_of(*HAPPENINGS, st.tuples(st.just("garble"), st.integers(0, 500))), max_size=60))
def test_every_request_ends_once_even_on_a_wire_that_garbles(steps):
    world = World(first_streams=20)
    for step, argument in steps:
        getattr(world, step)(argument)
    world.end()
    assert sorted(world.outcomes) == world.submitted


@given(limits=st.lists(st.integers(0, 10), min_size=1, max_size=6))
def test_the_servers_limit_is_kept_from_the_moment_it_is_known(limits):
    world = World(first_streams=20)
    world.to_client(1 << 20)
    for limit in limits:
        world.limit(limit)
        world.to_client(1 << 20)
        had = world.client.open_streams
        world.submit(20)
        assert world.client.open_streams == max(had, limit)
        world.to_server(1 << 20)


def test_nothing_may_be_submitted_before_the_first_settings():
    assert World(first_streams=20).client.capacity == 0


def test_bytes_that_are_no_http2_break_the_connection_and_nothing_else():
    world = World(first_streams=20)
    world.to_client(1 << 20)
    world.submit(2)
    world.client.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10, world.now)
    world.client.lose(NoResponse(Silence.LOST, "closed"))
    world.take()
    assert [outcome.silence for outcome in world.outcomes.values()] == [Silence.LOST, Silence.LOST]
