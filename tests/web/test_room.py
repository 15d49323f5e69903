"""Shared limits: a client that uses them up locks out nobody."""

from contextlib import ExitStack
from dataclasses import replace

import pytest

from support.bounded import QUIET, answered, heard, request, serving, status

FEW = replace(QUIET, connections=8)
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@pytest.mark.parametrize("sent", [b"", HELLO, b"GET / HTTP/1.1\r\n"])
def test_a_flood_of_connections_shuts_nobody_out(secured, sent):
    with serving(FEW, secured) as site, ExitStack() as held:
        asked = held.enter_context(site.connect())
        asked.sendall(request("/"))
        assert answered(asked) == 200
        for _ in range(5):
            for _ in range(12):
                held.enter_context(site.tcp()).sendall(sent)
            assert site.ask("/") == 200
            assert len(site.capacity.open) <= FEW.connections
        # Who has asked something before is the last to be closed.
        asked.sendall(request("/"))
        assert answered(asked) == 200
        site.check()


def test_of_those_that_have_asked_the_one_that_is_idle_for_longest_makes_room(secured):
    with serving(FEW, secured) as site, ExitStack() as held:
        clients = []
        for _ in range(FEW.connections + 1):
            clients.append(held.enter_context(site.connect()))
            clients[-1].sendall(request("/"))
            assert answered(clients[-1]) == 200
        assert heard(clients[0]) == b""
        for client in clients[1:]:
            client.sendall(request("/"))
            assert answered(client) == 200


def test_nobody_who_is_answered_makes_room(secured):
    with serving(FEW, secured) as site, ExitStack() as held:
        clients = [held.enter_context(site.connect()) for _ in range(FEW.connections)]
        for client in clients:
            client.sendall(request("/held"))
            assert site.application.began.acquire(timeout=10)
        with site.tcp() as late:
            said = heard(late)
            assert status(said) == (None if secured else 503)
            assert secured or b"retry-after: 1\r\n" in said
        site.release()
        assert [answered(client) for client in clients] == [200] * len(clients)
        assert site.ask("/") == 200


def test_more_requests_than_may_be_answered_at_once_are_sent_away(secured):
    with serving(replace(QUIET, requests=4), secured) as site, ExitStack() as held:
        clients = [held.enter_context(site.connect()) for _ in range(4)]
        for client in clients:
            client.sendall(request("/held"))
            assert site.application.began.acquire(timeout=10)
        with site.connect() as late:
            late.sendall(request("/"))
            said = heard(late)
            assert status(said) == 503
            assert b"retry-after: 1\r\n" in said
        site.release()
        assert [answered(client) for client in clients] == [200] * 4
        assert site.ask("/") == 200
        site.check(running=0)


def test_who_holds_its_body_back_gives_its_turn_to_who_does_not(secured):
    with serving(replace(QUIET, requests=4), secured) as site, ExitStack() as held:
        clients = [held.enter_context(site.connect()) for _ in range(4)]
        for client in clients:
            client.sendall(request("/read", b"x" * 1000)[:-1])
            assert site.application.began.acquire(timeout=10)
        assert [site.ask("/read", b"x" * 1000) for _ in range(3)] == [200] * 3
        assert status(heard(clients[0])) == 503
        for client in clients[1:]:
            client.sendall(b"x")
            assert answered(client) == 200


TIGHT = replace(QUIET, held_bytes=1_000_000)


def test_bodies_that_are_held_back_keep_nobody_out(secured):
    with serving(TIGHT, secured) as site:
        with ExitStack() as held:
            clients = []
            for _ in range(30):
                clients.append(held.enter_context(site.connect()))
                clients[-1].sendall(request("/read", b"x" * 100_000)[:-1])
                assert site.application.began.acquire(timeout=10)
                assert site.capacity.held <= TIGHT.held_bytes
            assert site.ask("/read", b"x" * 50_000) == 200
            assert site.ask("/read", b"x" * 900_000) == 200
            said = heard(clients[0])
            assert status(said) == 503
            assert b"retry-after: 1\r\n" in said
        site.check(held=0, connections=0)


def test_bodies_that_are_whole_are_answered_and_who_comes_later_is_sent_away(secured):
    with serving(TIGHT, secured) as site, ExitStack() as held:
        clients = [held.enter_context(site.connect()) for _ in range(9)]
        for client in clients:
            client.sendall(request("/held", b"x" * 100_000))
        site.until(lambda: site.capacity.held > 900_000)
        assert site.ask("/read", b"x" * 150_000) == 503
        assert site.ask("/") == 200
        site.release()
        assert [answered(client) for client in clients] == [200] * 9
        assert site.ask("/read", b"x" * 900_000) == 200
        site.check(held=0)


@pytest.mark.parametrize("chunk", [1, 1_000, 100_000])
def test_a_body_of_chunks_without_end_is_ended(secured, chunk):
    head = b"POST /read HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    piece = b"%x\r\n%s\r\n" % (chunk, b"x" * chunk)
    with serving(TIGHT, secured) as site, site.connect() as connection:
        connection.sendall(head)
        try:
            while True:
                connection.sendall(piece * (100_000 // len(piece) + 1))
        except OSError:  # closed, and its answer lost with what was on its way
            pass
        assert site.application.left.acquire(timeout=10)
        assert site.ask("/") == 200
        site.check(held=0)


def test_what_a_body_is_unpacked_to_counts(secured):
    with serving(TIGHT, secured) as site:
        assert site.ask("/unpacked/900000") == 200
        assert site.ask("/unpacked/1100000") == 503
        site.check(held=0)


def test_who_leaves_is_counted_as_long_as_its_request_runs(secured):
    with serving(TIGHT, secured) as site:
        with site.connect() as connection:
            connection.sendall(request("/held", b"x" * 100_000))
            site.until(lambda: site.capacity.held > 100_000)
        site.until(lambda: not site.capacity.open)
        site.check(running=1)
        assert site.capacity.held > 100_000
        site.release()
        site.until(lambda: site.capacity.held == 0)
        site.check(running=0)


# Requests that come before the answers.


def test_requests_that_come_before_the_answers_are_answered_in_their_order(secured):
    with serving(QUIET, secured) as site, site.connect() as connection:
        sizes = [0, 1, 100_000, 7, 200_000, 0, 3]
        last = request("/read", b"xx", "Connection: close")
        connection.sendall(b"".join(request("/read", b"x" * size) for size in sizes) + last)
        said = heard(connection)
        assert [int(part.split(b",")[0]) for part in said.split(b'"size": ')[1:]] == [*sizes, 2]
        site.check(held=0)


def test_more_of_them_than_may_wait_are_not_read(secured):
    with serving(replace(QUIET, pipelined=5), secured) as site, site.connect() as connection:
        connection.sendall(request("/held") + request("/") * 1_000)
        assert site.application.began.acquire(timeout=10)
        site.release()
        said = heard(connection)
        assert (said.count(b"HTTP/1.1 200 "), said.count(b"HTTP/1.1 503 ")) == (6, 1)
        site.check(held=0)


def test_a_refusal_is_never_in_the_middle_of_another_answer(secured):
    with serving(QUIET, secured) as site, site.connect() as connection:
        connection.sendall(request("/held") + b"no http\r\n\r\n")
        assert site.application.began.acquire(timeout=10)
        site.release()
        said = heard(connection)
        assert [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"200", b"400"]
        site.check(held=0, running=0)
