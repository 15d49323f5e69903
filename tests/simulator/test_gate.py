"""No web page drives the simulator: not by a form, not by a script, and not under a name that was made to lead here."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from pushkeeper.simulator.gate import OriginGuard

JSON = "application/json"
MINT = b'{"platform": "android"}'


async def ask(
    desk: Any, method: str, path: str, body: bytes | None = None, **headers: Any
) -> tuple[int, Any]:
    """Status and answer of a request with these headers; None leaves one out."""
    address = urlsplit(desk.simulator.control_url)
    sent = {"host": address.netloc, "content_type": JSON, **headers}

    def exchange() -> tuple[int, Any]:
        connection = http.client.HTTPConnection(address.netloc, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                if value is not None:
                    connection.putheader(name.replace("_", "-"), value)
            connection.putheader("content-length", str(len(body or b"")))
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")
        finally:
            connection.close()

    return await asyncio.to_thread(exchange)


def port_of(desk: Any) -> int:
    return urlsplit(desk.simulator.control_url).port or 0


# Every call that changes something, with what it takes.
WRITES = (
    ("/tokens", MINT),
    ("/subscriptions", b'{"count": 0}'),
    ("/uninstall", b'{"tokens": []}'),
    ("/install", b'{"tokens": []}'),
    ("/script", b'{"token": "x", "answers": []}'),
    ("/days", b'{"days": 1}'),
    ("/trouble", b'{"service": "fcm", "trouble": "outage"}'),
    ("/goaway", b'{"service": "fcm"}'),
    ("/streams", b'{"service": "fcm", "streams": 1}'),
    ("/certificate", b'{"topic": "com.example.other"}'),
    ("/revoke", b""),
    ("/reset", b""),
)
READS = ("/about", "/journal", "/counts")
PAGES: list[dict[str, str]] = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost:3000"},
    {"origin": "http://127.0.0.1"},
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site"},
    {"origin": "http://evil.example", "host": "evil.example"},
]


def test_all_calls_are_tried(desk: Any) -> None:
    gate = desk.simulator._control.config.app
    assert isinstance(gate, OriginGuard)
    routed: Any = gate._app
    paths = {(route.path, "POST" in route.methods) for route in routed.routes}
    assert paths == {*((path, True) for path, _ in WRITES), *((path, False) for path in READS)}


@pytest.mark.parametrize("headers", PAGES, ids=str)
async def test_a_page_of_another_site_is_refused_everywhere(desk: Any, headers: dict[str, str]) -> None:
    before = (await desk.control("/about"))[1]
    for path, body in WRITES:
        status, answer = await ask(desk, "POST", path, body, **headers)
        assert (status, set(answer)) == (403, {"error"}), path
    for path in READS:
        assert (await ask(desk, "GET", path, None, **headers))[0] == 403, path
    assert (await desk.control("/about"))[1] == before


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "evil.example:80",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "notlocalhost",
            "",
        ),
        *(
            "[::1].evil.example",
            "127.0.0.1@evil.example",
            "1.2.3.4.5",
            "localhost@evil.example",
            "evil.example.",
        ),
    ],
)
async def test_a_name_that_leads_here_and_is_none_of_ours_is_refused(desk: Any, host: str) -> None:
    """As after DNS rebinding: the browser takes us for that site, and sends what it would send to it."""
    for headers in ({}, {"origin": f"http://{host}", "sec_fetch_site": "same-origin"}):
        for method, path, body in (("POST", "/tokens", MINT), ("GET", "/journal", None)):
            status, answer = await ask(desk, method, path, body, **{"host": host, **headers})
            assert (status, answer["error"]["field"]) == (403, "host")


async def test_a_request_without_a_host_or_with_two_is_refused(desk: Any) -> None:
    assert (await ask(desk, "GET", "/about", host=None))[0] in {400, 403}
    assert (await ask(desk, "GET", "/about", Host=f"127.0.0.1:{port_of(desk)}", host="evil.example"))[0] in {
        400,
        403,
    }


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "localhost", "LOCALHOST.", "shop.localhost", "[::1]", "192.168.7.12"]
)
async def test_programs_and_pages_of_the_same_origin_are_let_through(desk: Any, name: str) -> None:
    host = f"{name}:{port_of(desk)}"
    for headers in (
        {},
        {"origin": f"http://{host}", "sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
    ):
        assert (await ask(desk, "POST", "/tokens", MINT, **{"host": host, **headers}))[0] == 200
        assert (await ask(desk, "GET", "/about", None, **{"host": host, **headers}))[0] == 200


@pytest.mark.parametrize(
    "kind",
    [
        *(
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            None,
            "",
            "text/json",
        ),
        *("application/jsonp", "text/plain; application/json", "application/json, text/plain"),
    ],
)
async def test_what_a_page_may_send_without_asking_first_is_refused(desk: Any, kind: str | None) -> None:
    for path, body in WRITES:
        status, answer = await ask(desk, "POST", path, body, content_type=kind)
        assert (status, answer["error"]["field"]) == (415, "content-type"), path
    assert (await ask(desk, "GET", "/about", content_type=kind))[0] == 200


async def test_json_with_a_charset_is_json(desk: Any) -> None:
    assert (await ask(desk, "POST", "/tokens", MINT, content_type="Application/JSON; charset=utf-8"))[
        0
    ] == 200


async def test_the_name_that_a_simulator_was_given_is_its_own(desk: Any) -> None:
    answers: list[int] = []

    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answers.append(message["status"])

    gate = OriginGuard(app, "Simulator")
    for host in (b"simulator:8394", b"SIMULATOR", b"simulator.evil.example", b"other"):
        scope = {"type": "http", "method": "GET", "headers": [(b"host", host)]}
        await gate(scope, desk.control, send)
    assert answers == [200, 200, 403, 403]


async def test_a_preflight_of_another_site_is_not_granted(desk: Any) -> None:
    status, _ = await ask(
        desk, "OPTIONS", "/tokens", origin="https://evil.example", access_control_request_method="POST"
    )
    assert status == 403
