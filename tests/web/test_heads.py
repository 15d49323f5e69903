"""What a head may hold, and all else that the parser keeps: without end is never without end here."""

import ssl
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.bounded import QUIET, heard, request, serving, status

HEAD = b"POST /read HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "headers": (HEAD, b"a:b\r\n", 431),
    "headers of some length": (HEAD, b"X-Header: " + b"v" * 1000 + b"\r\n", 431),
    "a value": (HEAD + b"X: ", b"v", 431),
    "a name": (HEAD, b"n", 431),
    "blanks before a value": (HEAD + b"X:", b" ", 431),
    "a path": (b"GET /", b"p", 414),
    "a query": (b"GET /?", b"a=b&", 414),
    "a version": (b"GET / HTTP/1.", b"1", 400),
    "a method": (b"", b"G", 400),
    "lines before a request": (b"", b"\r\n", 431),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\n", b"a:b\r\n", 431),
    "a trailer": (CHUNKED + b"0\r\nX: ", b"v", 431),
    "an extension of a chunk": (CHUNKED + b"1;", b"e", 431),
    "a size of a chunk": (CHUNKED, b"0", 431),
    "lines after an answer": (request("/"), b"\r\n", 431),
}
ENDING_SOON = replace(QUIET, closing_s=0.3)


def sent_until_closed(connection, beginning, again):
    """Send the same again and again, until nobody takes it."""
    piece = again * (65_536 // len(again))
    try:
        connection.sendall(beginning)
        while True:
            connection.sendall(piece)
    except (ConnectionError, ssl.SSLError):
        return


@pytest.mark.parametrize("what", ENDLESS)
def test_what_has_no_end_is_refused_and_not_kept(secured, what):
    beginning, again, refusal = ENDLESS[what]
    with serving(ENDING_SOON, secured) as site:
        with site.connect() as connection:
            connection.settimeout(30)
            said = heard_while(connection, beginning, again * (600_000 // len(again)))
            assert f"HTTP/1.1 {refusal} ".encode() in said, said
        with site.connect() as connection:
            sent_until_closed(connection, beginning, again)
        assert site.ask("/") == 200
        site.check(held=0)


def heard_while(connection, beginning, more):
    """What is answered to something that is more than a server reads before it answers."""
    connection.sendall(beginning + more)
    return heard(connection)


def test_as_many_headers_as_may_be_are_read_and_one_more_is_refused(secured):
    with serving(QUIET, secured) as site:
        # Host, Content-Length and Connection are three.
        assert site.ask("/read", b"{}", *(f"X-{n}: {n}" for n in range(QUIET.headers - 3))) == 200
        assert site.ask("/read", b"{}", *(f"X-{n}: {n}" for n in range(QUIET.headers - 2))) == 431


def test_a_refusal_says_so_in_http_and_closes(secured):
    with serving(QUIET, secured) as site, site.connect() as connection:
        connection.sendall(request("/", b"", "X: " + "v" * QUIET.head_bytes))
        head, _, body = heard(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert b"connection: close" in head
        assert b'"status":"431"' in body


def test_a_trailer_is_no_header(secured):
    with serving(QUIET, secured) as site, site.connect() as connection:
        connection.sendall(
            HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\nx\r\n0\r\nAuthorization: Basic eDp5\r\n\r\n"
        )
        assert heard(connection).endswith(b'{"size": 1, "headers": 3}')


SMALL = replace(QUIET, head_bytes=2_000, headers=20)


@st.composite
def heads(draw):
    """A request, and what it is answered: the limits are of the path, names and values together."""
    path = "/read/" + "p" * draw(st.integers(0, 40) | st.integers(1_900, 2_100))
    names = draw(st.lists(st.integers(1, 60), max_size=24))
    values = [draw(st.integers(0, 30) | st.integers(0, 300)) for _ in names]
    body = b"x" * draw(st.integers(0, 3_000))
    headers = [f"{'n' * name}: {'v' * value}" for name, value in zip(names, values, strict=True)]
    sent = request(path, body, "Connection: close", *headers)
    fixed = len("HostlocalhostContent-LengthConnectionclose") + len(str(len(body)))
    expected = 200
    if len(path) > SMALL.head_bytes:
        expected = 414
    elif len(names) + 3 > SMALL.headers or len(path) + fixed + sum(names + values) > SMALL.head_bytes:
        expected = 431
    return sent, expected


@pytest.fixture(scope="module")
def small():
    with serving(SMALL) as site:
        yield site


@given(heads(), st.data())
def test_a_head_is_judged_alike_however_it_is_cut(small, head, data):
    sent, expected = head
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    with small.connect() as connection:
        try:
            for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
                connection.sendall(sent[begin:end])
        except ConnectionError:
            assert expected != 200
        assert status(heard(connection)) in ({200} if expected == 200 else {expected})
    small.check()
