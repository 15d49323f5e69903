"""What can be done to a service with bytes alone: smuggled requests, what has no end, bombs that unzip, and old TLS."""

import gzip
import json
import resource
import socket
import ssl
import zlib
from base64 import b64encode
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import psutil
import pytest

from support.processes import answer, running
from support.service import Http

MIB = 1 << 20


@pytest.fixture(scope="module")
def service(folder):
    with running(
        "serve", "--data", folder / "wire", "--port", "0", "--tls-self-signed", "--no-worker"
    ) as started:
        yield started


@pytest.fixture(scope="module")
def keys(service):
    return answer("workspace", "create", "wire", "--data", service["data_dir"])


def connected(service, context=None):
    parts = urlsplit(service["url"])
    context = context or ssl.create_default_context(cafile=service["ca_file"])
    return context.wrap_socket(
        socket.create_connection((parts.hostname, parts.port), timeout=20), server_hostname=parts.hostname
    )


# Requests.


def heard(service, sent):
    """All that comes back until the connection is closed."""
    said = b""
    with connected(service) as connection:
        connection.sendall(sent)
        while True:
            try:
                some = connection.recv(65_536)
            except (ConnectionError, ssl.SSLEOFError):
                break
            if not some:
                break
            said += some
    return said


HEAD = b"POST /api/v1/metrics HTTP/1.1\r\nHost: localhost\r\n"
NEXT = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
SMUGGLED = {
    "both lengths": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "both lengths, turned round": HEAD
    + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
    + NEXT,
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}" + NEXT,
    "two lengths in one": HEAD + b"Content-Length: 2, 3\r\n\r\n{}" + NEXT,
    "a length with a sign": HEAD + b"Content-Length: +2\r\n\r\n{}" + NEXT,
    "a negative length": HEAD + b"Content-Length: -2\r\n\r\n{}" + NEXT,
    "a length in hex": HEAD + b"Content-Length: 0x2\r\n\r\n{}" + NEXT,
    "a length too large": HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n{}" + NEXT,
    "an empty length": HEAD + b"Content-Length: \r\n\r\n" + NEXT,
    "a coding that is none": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + NEXT,
    "chunked twice": HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "chunked and more": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + NEXT,
    "a blank before the colon": HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "a name that is none": HEAD + b"Transfer-Encoding\x0b: chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "a folded line": HEAD + b"Content-Length: 2\r\n Transfer-Encoding: chunked\r\n\r\n{}" + NEXT,
    "a folded coding": HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "a chunk's size that is none": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n" + NEXT,
    "a negative chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + NEXT,
    "a chunk too large": HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}" + NEXT,
    "a chunk that is longer than it says": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx\r\n0\r\n\r\n"
    + NEXT,
    "a chunk with a line feed alone": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n" + NEXT,
    "lines that end with LF alone": b"POST /api/v1/metrics HTTP/1.1\nHost: localhost\nContent-Length: 2\n\n{}"
    + NEXT,
    "a CR alone": HEAD + b"X: a\rContent-Length: 2\r\n\r\n{}" + NEXT,
    "a NUL in a header": HEAD + b"X: a\0b\r\nContent-Length: 2\r\n\r\n{}" + NEXT,
    "another version": b"GET /readyz HTTP/9.9\r\nHost: localhost\r\n\r\n" + NEXT,
    "a blank in the path": b"GET /ready z HTTP/1.1\r\nHost: localhost\r\n\r\n" + NEXT,
}


def test_a_request_that_is_well_formed_is_answered_and_so_is_the_next(service):
    said = heard(service, HEAD + b"Content-Length: 2\r\nContent-Type: application/json\r\n\r\n{}" + NEXT)
    assert said.count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize("trick", SMUGGLED)
def test_where_a_request_ends_is_never_a_matter_of_opinion(service, trick):
    """One refusal, and the connection is closed: what comes behind it is not taken for a request."""
    said = heard(service, SMUGGLED[trick])
    assert said.count(b"HTTP/1.1 ") <= 1, said
    assert b" 200 " not in said.partition(b"\r\n")[0], said
    if said:
        assert said.startswith(b"HTTP/1.1 400"), said


# Bodies.


def bombs():
    zeros = zlib.compressobj(9, zlib.DEFLATED, 31)
    long = b"".join(zeros.compress(bytes(MIB)) for _ in range(900)) + zeros.flush()
    spaces = gzip.compress(b'{"batch": [' + b" " * (200 * MIB) + b"]}")
    member = gzip.compress(b" ")
    return {
        "zeros": long,
        "zipped twice": gzip.compress(long),
        "blanks between brackets": spaces,
        "members without end": member * 20_000 + gzip.compress(b"{}"),
        "a member that is cut": gzip.compress(bytes(5 * MIB))[:-9],
        "a promise that is not kept": gzip.compress(b"{}")[:-4] + b"\xff\xff\xff\xff",
    }


def test_what_unzips_to_more_than_a_body_may_be_is_not_unzipped(service, keys):
    process = psutil.Process(service["pid"])
    authorization = b64encode(f"{keys['write_key']}:".encode()).decode()
    head = (
        "POST /v1/batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Strict-Mode: 1\r\n"
        f"Authorization: Basic {authorization}\r\nContent-Encoding: gzip\r\nConnection: close\r\n"
    )
    before = process.memory_info().rss
    for name, bomb in bombs().items():
        said = heard(service, f"{head}Content-Length: {len(bomb)}\r\n\r\n".encode() + bomb)
        status = int(said.split(b" ", 2)[1])
        assert status in {400, 413}, (name, said)
        assert process.memory_info().rss - before < 100 * MIB, name
    track = Http(service["url"], f"Basic {authorization}", service["ca_file"])
    assert track.request("GET", "/readyz")[0] == 200


# TLS.

OLD = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
WEAK = (
    *("AES128-SHA", "AES256-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA"),
    *(
        "ECDHE-ECDSA-AES128-SHA256",
        "ECDHE-ECDSA-AES256-SHA384",
        "ADH-AES128-SHA256",
        "eNULL",
        "PSK-AES128-GCM-SHA256",
    ),
)


def lenient():
    """A client that would take anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    return context


@pytest.mark.parametrize("version", OLD, ids=str)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_old_version_of_tls_is_refused(service, version):
    context = lenient()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.maximum_version = version
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connected(service, context)


@pytest.mark.parametrize("suite", WEAK)
def test_a_weak_suite_is_refused(service, suite):
    context = lenient()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{suite}:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connected(service, context)


@pytest.mark.parametrize(
    ("version", "suites"),
    [
        (ssl.TLSVersion.TLSv1_3, None),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-GCM-SHA384"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-CHACHA20-POLY1305"),
    ],
)
def test_a_version_and_a_suite_of_today_are_spoken(service, version, suites):
    context = ssl.create_default_context(cafile=service["ca_file"])
    context.maximum_version = version
    if suites:
        context.set_ciphers(suites)
    with connected(service, context) as connection:
        assert "GCM" in connection.cipher()[0] or "POLY1305" in connection.cipher()[0]
        connection.sendall(NEXT)
        assert json.loads(connection.recv(65_536).partition(b"\r\n\r\n")[2] or b"{}") is not None


# Limits.


def rss_mib(service):
    return psutil.Process(service["pid"]).memory_info().rss / MIB


@contextmanager
def files_at_most(count):
    """What is started in here may have so many files open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_headers_without_end_take_no_memory(service):
    before = rss_mib(service)
    for _ in range(5):
        with connected(service) as connection:
            try:
                connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n")
                while True:
                    connection.sendall(b"a:b\r\n" * 10_000)
            except OSError:  # closed
                pass
    assert rss_mib(service) - before < 50
    assert b" 200 " in heard(service, NEXT)


def test_bodies_that_are_held_back_take_no_more_memory_than_they_are_given(tmp_path):
    head = b"POST /api/v1/metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n\r\n"
    env = {"PUSHKEEPER_MAX_BODY_MEMORY_MB": "32"}
    command = ("serve", "--data", tmp_path / "data", "--port", "0", "--no-worker")
    with running(*command, env=env) as service, ExitStack() as held:
        before = rss_mib(service)
        at = (urlsplit(service["url"]).hostname, urlsplit(service["url"]).port)
        for _ in range(300):
            connection = held.enter_context(socket.create_connection(at, timeout=20))
            # Those that were refused in the meantime are closed: nobody reads their answers.
            connection.sendall(head + b" " * 900_000)
        assert Http(service["url"]).request("GET", "/readyz")[0] == 200
        assert rss_mib(service) - before < 150


def test_with_few_files_a_flood_of_connections_shuts_nobody_out(tmp_path):
    with (
        files_at_most(200),
        running(
            "serve", "--data", tmp_path / "data", "--port", "0", "--tls-self-signed", "--no-worker"
        ) as service,
    ):
        with files_at_most(1_000), ExitStack() as held:
            at = (urlsplit(service["url"]).hostname, urlsplit(service["url"]).port)
            for _ in range(3):
                for _ in range(260):
                    held.enter_context(socket.create_connection(at, timeout=20))
                assert b" 200 " in heard(service, NEXT)
        assert psutil.Process(service["pid"]).num_fds() < 200
