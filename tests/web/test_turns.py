"""Several processes at one socket: each accepts its share, and none that hangs or ends takes anybody with it."""

from contextlib import ExitStack

import pytest

from pushkeeper.interprocess.memory import SharedMemory
from pushkeeper.interprocess.turns import AcceptAlways, FewestFirst
from support.bounded import QUIET, answered, heard, request, serving, status

PATIENT_S = 30.0


@pytest.fixture
def memory():
    with SharedMemory.made(3) as made:
        made.occupy(1, 1)
        made.occupy(2, 2)
        yield made


def both(memory, stack, secured, **more):
    one = stack.enter_context(serving(QUIET, secured, turns=FewestFirst(memory, 1, **more)))
    other = stack.enter_context(serving(QUIET, secured, turns=FewestFirst(memory, 2, **more), socket_of=one))
    return one, other


def opened(site, stack):
    client = stack.enter_context(site.connect())
    client.sendall(request("/"))
    assert answered(client) == 200
    return client


def test_connections_are_spread_evenly(memory, secured):
    with ExitStack() as stack:
        one, other = both(memory, stack, secured, patience_s=PATIENT_S)
        clients = [opened(one, stack) for _ in range(20)]
        assert [len(site.capacity.open) for site in (one, other)] == [10, 10]
        assert [memory.connections(slot) for slot in (1, 2)] == [10, 10]
        for client in clients:
            client.close()
        one.until(lambda: [memory.connections(slot) for slot in (1, 2)] == [0, 0])


def test_who_has_more_connections_lets_others_accept_until_they_have_as_many(memory):
    with ExitStack() as stack:
        one = stack.enter_context(serving(turns=FewestFirst(memory, 1, patience_s=PATIENT_S)))
        memory.occupy(2, 0)
        for _ in range(6):
            opened(one, stack)
        other = stack.enter_context(
            serving(turns=FewestFirst(memory, 2, patience_s=PATIENT_S), socket_of=one)
        )
        memory.occupy(2, 2)
        for _ in range(6):
            opened(one, stack)
        assert [len(site.capacity.open) for site in (one, other)] == [6, 6]


def test_one_that_hangs_keeps_nobody_waiting_for_long(memory):
    with ExitStack() as stack:
        one = stack.enter_context(serving(turns=FewestFirst(memory, 1)))
        # The second never accepts, as if it were stopped.
        for _ in range(20):
            opened(one, stack)
        assert len(one.capacity.open) == 20


def test_too_many_connections_are_told_so(memory):
    few = type(QUIET)(connections=2)
    with ExitStack() as stack:
        site = stack.enter_context(serving(few, turns=FewestFirst(memory, 1)))
        held = [stack.enter_context(site.tcp()) for _ in range(2)]
        for client in held:
            client.sendall(request("/held"))
            assert site.application.began.acquire(timeout=30)
        with site.tcp() as late:
            said = heard(late)
            assert status(said) == 503
            assert b"retry-after: 1\r\n" in said
        site.release()
        assert [answered(client) for client in held] == [200, 200]


def test_a_process_that_still_starts_accepts_only_while_no_other_answers(memory):
    turns = AcceptAlways(memory)
    assert not turns.is_ours
    memory.occupy(1, 0)
    memory.occupy(2, 0)
    assert turns.is_ours
