"""A slash too many, as of a host that was set with one at its end, leads to the same route: and an empty id to none."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from pushkeeper.web import paths
from support.inside import Inside, routes_of

_PARAMETER = re.compile(r"\{[^}]*\}")
_NO_ROUTE = 404


def _variants(template: str, templates: set[str]) -> list[str]:
    """The path with slashes too many, none of them where a parameter of any route stands."""
    segments = template.split("/")[1:]
    doubled = [
        "/" + "/".join([*segments[:place], "", *segments[place:]])
        for place in range(len(segments))
        if not any(other.startswith("/".join(["", *segments[:place], "{"])) for other in templates)
    ]
    return [*doubled, f"{template}/", f"{template}//", f"//{template}/"]


def of_any_request(body: bytes) -> bytes:
    """An answer without the number of its request."""
    return re.sub(rb'"request_id":"[0-9a-f]+"', b"", body)


async def test_each_route_answers_with_a_slash_too_many_as_without(inside: Inside) -> None:
    tried = 0
    routes = routes_of(inside.app)
    for method, template in routes:
        path = _PARAMETER.sub("7%2F%2F8", template)
        expected = await inside.ask(method, path, b"")
        for variant in _variants(template, {other for _, other in routes}):
            seen = await inside.ask(method, _PARAMETER.sub("7%2F%2F8", variant), b"")
            assert (seen.status, of_any_request(seen.body)) == (
                expected.status,
                of_any_request(expected.body),
            ), (method, variant)
            tried += 1
    assert tried > 500


async def test_a_phone_is_registered_by_an_sdk_whose_host_ends_in_a_slash(door: Any) -> None:
    device = {"type": "ios", "token": "c" * 64}
    item = {
        "type": "track",
        "event": "Device Created or Updated",
        "userId": "a/b",
        "context": {"device": device},
    }
    for path in ("//v1/b", "/v1//b", "/v1/b/", "//v1/batch"):
        body = json.dumps({"writeKey": door.keys.write_key, "batch": [item]}).encode()
        status, answer, _ = await door.raw("POST", path, body)
        assert (status, answer) == (200, b"{}\n")
        assert len((await door.person("a%2Fb"))["devices"]) == 1
        assert (await door.track("DELETE", "//api/v1/customers/a%2Fb/"))[0] == 200
        assert (await door.app("GET", "/v1/customers/a%2Fb/attributes"))[0] == 404


async def test_an_empty_parameter_leads_nowhere(inside: Inside) -> None:
    tried = 0
    routes = routes_of(inside.app)
    for method, template in routes:
        for found in _PARAMETER.finditer(template):
            if found.end() == len(template):
                # The list of such things may be asked for so; nothing may be changed or deleted.
                assert method in {"GET", "HEAD"} or (method, template[: found.start() - 1]) not in routes
                continue
            path = _PARAMETER.sub("7", template[: found.start()]) + _PARAMETER.sub(
                "7", template[found.end() :]
            )
            for variant in (path, f"/{path}", f"{path}/"):
                assert (await inside.ask(method, variant, b"")).status == _NO_ROUTE, (method, variant)
                tried += 1
    assert tried > 100


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/v1/b", "/v1/b"),
        ("//v1/b", "/v1/b"),
        ("/v1//b//", "/v1/b"),
        ("/", "/"),
        ("//", "/"),
        ("/c/%2F%2F/", "/c/%2F%2F"),
        ("/c//d", "/c//d"),
        ("/c/1//d", "/c/1/d"),
        ("/c/1/d//2", "/c/1/d//2"),
        ("/x//y", "/x//y"),
        ("/v1//b/c/", "/v1//b/c/"),
    ],
)
def test_empty_segments_are_passed_over_where_no_parameter_may_stand(path: str, found: str) -> None:
    known = paths.tree(["/v1/b", "/c/{id}/d", "/c/{id}/d/{other}", "/c/e"])
    assert paths.without_extra_slashes(path, known) == found
