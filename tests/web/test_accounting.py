"""What is counted is what there is, whatever clients do to each other and leave behind."""

from contextlib import ExitStack, suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.bounded import QUIET, request, serving
from support.examples import examples

LIMITS = replace(
    QUIET, connections=6, requests=3, held_bytes=60_000, pipelined=2, head_bytes=4_000, headers=12
)
CHUNKED = b"POST /read HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECES = [
    request("/"),
    request("/read", b"x" * 5_000),
    request("/read", b"x" * 30_000),
    request("/unpacked/20000"),
    request("/unpacked/90000"),
    request("/", b"x" * 20_000),
    request("/", b"", "Connection: close"),
    request("/long/300000"),
    request("/read", b"", *(f"X-{n}: {n}" for n in range(14))),
    CHUNKED,
    b"3e8\r\n" + b"x" * 1_000 + b"\r\n",
    b"0\r\n\r\n",
    b"x" * 10_000,
    b"\r\n",
    b"G",
]
# To which connection: send a part of a piece, finish it, break off, or start again.
ACTIONS = st.tuples(
    st.integers(0, 7),
    st.one_of(
        st.tuples(st.sampled_from(PIECES), st.sampled_from([1.0, 1.0, 0.9, 0.1])),
        st.sampled_from(["half-close", "close"]),
    ),
)


@pytest.fixture(scope="module", params=["tcp", "tls"])
def crowded(request, certificate):
    with serving(LIMITS, certificate if request.param == "tls" else None) as site:
        yield site


@settings(max_examples=examples(60))
@given(st.lists(ACTIONS, min_size=5, max_size=40))
def test_nothing_is_left_counted_when_all_have_left(crowded, actions):
    with ExitStack() as held:
        clients = {}
        for number, action in actions:
            with suppress(OSError):  # it was refused, or closed to make room
                if number not in clients:
                    clients[number] = held.enter_context(crowded.connect())
                    clients[number].settimeout(5)
                match action:
                    case "close":
                        clients.pop(number).close()
                    case "half-close":
                        clients[number].shutdown(1)
                    case (piece, share):
                        clients[number].sendall(piece[: int(len(piece) * share) or 1])
                continue
            clients.pop(number, None)
        assert crowded.capacity.held <= LIMITS.held_bytes
        assert len(crowded.capacity.open) <= LIMITS.connections
        crowded.check()
    crowded.check(held=0, running=0, connections=0)
    assert crowded.ask("/read", b"x" * 10_000) == 200
