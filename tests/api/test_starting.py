"""A service that still starts: every route says when to come back, and that the process lives."""

from __future__ import annotations

import json

from pushkeeper.web.starting import Starting


async def ask(app, method, path):
    sent = []

    async def send(message):
        sent.append(message)

    await app({"type": "http", "method": method, "path": path, "headers": []}, None, send)
    start, body = sent
    return start["status"], dict(start["headers"]), json.loads(body["body"])


async def test_every_route_but_that_of_life_is_to_be_tried_again(routes) -> None:
    app = Starting()
    app.wait_for("the database does not answer")
    for route in routes:
        for method in ("GET", "POST", "PUT", "DELETE"):
            status, headers, said = await ask(app, method, route.path)
            assert headers[b"connection"] == b"close"
            if route.path == "/healthz":
                assert (status, said) == (200, {"status": "ok"})
                continue
            assert status == 503
            assert 1 <= int(headers[b"retry-after"]) <= 10
            assert "the database does not answer" in json.dumps(said)
