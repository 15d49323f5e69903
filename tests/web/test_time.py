"""How long a client is waited for: for its handshake, its head, its body, to take an answer, and to ask again."""

import select
import threading
import time
from dataclasses import replace

import pytest

from support.bounded import QUIET, answered, heard, request, serving, status

SOON = 0.4


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET"])
def test_a_tls_handshake_that_is_not_ended_is_closed(certificate, sent):
    with serving(replace(QUIET, arrival_s=SOON), certificate) as site, site.tcp() as connection:
        connection.sendall(sent)
        assert b"HTTP" not in heard(connection)
        site.check(connections=0)


def test_who_says_nothing_is_closed_without_a_word(secured):
    with serving(replace(QUIET, arrival_s=SOON), secured) as site, site.connect() as connection:
        assert heard(connection) == b""


@pytest.mark.parametrize("sent", [b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: y", request("/")[:-1]])
def test_a_head_that_does_not_end_is_refused(secured, sent):
    with serving(replace(QUIET, head_s=SOON), secured) as site, site.connect() as connection:
        connection.sendall(sent)
        assert status(heard(connection)) == 408
        site.check(held=0)


def test_a_second_head_that_does_not_end_is_refused_too(secured):
    with serving(replace(QUIET, head_s=SOON), secured) as site, site.connect() as connection:
        connection.sendall(request("/") + b"GET / HTTP/1.1\r\n")
        said = heard(connection)
        assert (status(said), said.count(b"HTTP/1.1 408 ")) == (200, 1)


@pytest.mark.parametrize(
    "sent", [request("/read", b"x" * 1000)[:-1], request("/read", b"", "Transfer-Encoding: chunked")]
)
def test_a_body_that_stops_is_refused_and_the_application_told_that_its_client_left(secured, sent):
    sent = sent.replace(b"Content-Length: 0\r\n", b"")
    with serving(replace(QUIET, window_s=SOON), secured) as site, site.connect() as connection:
        connection.sendall(sent)
        assert status(heard(connection)) == 408
        assert site.application.left.acquire(timeout=10)
        site.check(held=0, running=0)


def paced(connection, pieces, every_s):
    """Send them one after the other, until an answer comes."""
    for piece in pieces:
        connection.sendall(piece)
        if select.select([connection], [], [], every_s)[0]:
            return


def test_a_body_that_trickles_is_refused_and_one_that_is_as_fast_as_it_must_be_is_not():
    limits = replace(QUIET, window_s=SOON, bytes_per_s=2_000)
    with serving(limits) as site:
        for size, expected in ((10, 408), (400, 200)):
            sent = request("/read", b"x" * size * 20)
            head, body = sent[: -size * 20], sent[-size * 20 :]
            with site.connect() as connection:
                pieces = [head, *(body[at : at + size] for at in range(0, len(body), size))]
                paced(connection, pieces, 0.05)
                connection.settimeout(10)
                assert answered(connection) == expected


def test_a_connection_that_asks_nothing_more_is_closed(secured):
    with serving(replace(QUIET, idle_s=SOON, window_s=SOON), secured) as site, site.connect() as connection:
        connection.sendall(request("/"))
        assert status(heard(connection)) == 200
        site.check(connections=0)


def test_the_rest_of_a_body_that_was_answered_is_not_waited_for_without_end(secured):
    with serving(replace(QUIET, window_s=SOON), secured) as site, site.connect() as connection:
        connection.sendall(request("/", b"x" * 100_000)[:-1])
        assert status(heard(connection)) == 200
        site.check(held=0)


def test_the_rest_of_a_body_that_was_answered_is_read_slowly_and_then_the_next_request(secured):
    rest = 32_000_000  # more than the system keeps between us
    with serving(QUIET, secured) as site, site.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % rest)
        assert b"200 OK" in connection.recv(1000)
        connection.settimeout(1.0)
        with pytest.raises(TimeoutError):
            connection.sendall(b"x" * rest)
        assert site.ask("/read", b"x" * 1_000_000) == 200
    with serving(QUIET, secured) as site, site.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n\r\n")
        assert b"200 OK" in connection.recv(1000)
        connection.sendall(b"x" * 300_000 + request("/read", b"x" * 300_000, "Connection: close"))
        assert status(heard(connection)) == 200


def test_an_answer_that_nobody_reads_is_dropped(secured):
    with serving(replace(QUIET, idle_s=SOON, window_s=SOON), secured) as site, site.connect() as connection:
        connection.sendall(request("/long/50000000"))
        assert site.application.began.acquire(timeout=10)
        site.check(connections=0)
        assert len(heard(connection)) < 50_000_000


def test_an_answer_that_is_read_as_it_comes_is_whole(secured):
    with (
        serving(replace(QUIET, window_s=SOON, bytes_per_s=100_000), secured) as site,
        site.connect() as connection,
    ):
        connection.sendall(request("/long/20000000", b"", "Connection: close"))
        unread = site.capacity.unread.since
        site.until(lambda: unread)
        size = 0
        for window in range(1, 5):
            before = list(unread.values())
            while size < 1_000_000 * window:
                size += len(connection.recv(65_536))
            site.until(lambda before=before: list(unread.values()) != before)
        assert size + len(heard(connection)) > 20_000_000


def test_who_waits_for_an_answer_is_waited_for(secured):
    limits = replace(QUIET, arrival_s=SOON, head_s=SOON, window_s=SOON, idle_s=SOON)
    with serving(limits, secured) as site, site.connect() as waiting:
        waiting.sendall(request("/held", b"x" * 1000))
        with site.connect() as other:
            other.sendall(request("/"))
            assert status(heard(other)) == 200  # closed as it was idle: as long passed for the first
        site.release()
        assert answered(waiting) == 200


def test_what_arrived_while_the_server_was_busy_is_not_late(secured):
    with serving(replace(QUIET, head_s=SOON), secured) as site, site.connect() as connection:
        connection.sendall(request("/")[:-2])
        site.until(lambda: site.capacity.heads.since)
        busy, sent = threading.Event(), threading.Event()

        def keep_busy():
            busy.set()
            assert sent.wait(10)
            until = time.monotonic() + 2 * SOON
            while time.monotonic() < until:
                pass

        site.loop.call_soon_threadsafe(keep_busy)
        assert busy.wait(10)
        connection.sendall(b"\r\n")
        sent.set()
        assert answered(connection) == 200


def test_who_waits_to_be_asked_for_its_body_is_waited_for(secured):
    with serving(replace(QUIET, window_s=SOON), secured) as site, site.connect() as connection:
        connection.sendall(request("/later", b"x", "Expect: 100-continue")[:-1])
        assert site.application.began.acquire(timeout=10)
        with site.connect() as other:
            other.sendall(request("/read", b"xx")[:-1])
            assert status(heard(other)) == 408  # as long passed for the first
        site.release()
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"x")
        assert answered(connection) == 200


@pytest.mark.parametrize("sent", [b"", request("/")[:-2]], ids=["nothing yet", "half a head"])
def test_who_arrives_while_the_server_ends_is_answered(secured, sent):
    with serving(QUIET, secured) as site, site.connect() as connection:
        connection.sendall(sent)
        site.until(lambda: (site.capacity.heads if sent else site.capacity.arriving).since)
        site.server.should_exit = True
        site.until(lambda: not site.server._listeners)  # it accepts no more
        connection.sendall(request("/")[len(sent) :])
        assert answered(connection) == 200
