"""The API reference has an example of every call that is served: native, or Customer.io's."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

from support.inside import routes_of

FILE = Path(__file__).parents[2] / "docs" / "reference" / "examples.json"
# Calls that need no example of their own, and why. A new call belongs here only if its answer is no JSON.
WITHOUT = {
    **dict.fromkeys(
        ("GET /api/docs", "GET /api/docs/errors", "GET /api/openapi.json"), "documentation itself"
    ),
    "GET /exports/{link}": "a file",
    "GET /webpush/cio-webpush-sw.js": "a script",
    "POST /api/v1/broadcasts/{id}/preflight": "the former name of …/estimate",
    **{f"POST /v1/{short}": "the short name of a call, as analytics.js has it" for short in "agipst"},
    **{
        f"POST /v1/send/{channel}": "a channel that is not supported"
        for channel in ("email", "in_app", "inbox_message", "sms", "whatsapp")
    },
}


def test_every_call_of_the_route_table_has_an_example(routes):
    served = {
        f"{method} {path}"
        for method, path in routes_of(SimpleNamespace(routes=routes))
        if method not in {"HEAD", "OPTIONS"}
    }
    examples = json.loads(FILE.read_text(encoding="utf-8"))
    assert sorted(served - set(examples)) == sorted(WITHOUT)
    assert sorted(set(examples) - served) == []


def test_the_pages_show_a_request_and_a_response_of_every_example():
    pages = [
        (FILE.parent / page).read_text(encoding="utf-8") for page in ("api.md", "customerio-examples.md")
    ]
    shown = {
        call
        for page in pages
        for section in re.split(r"^### ", page, flags=re.MULTILINE)[1:]
        for call in re.findall(r"(?:GET|POST|PUT|PATCH|DELETE) /[^\s`]+", section)[:1]
        if "```sh\ncurl" in section and "\nResponse: 2" in section
    }
    assert shown == set(json.loads(FILE.read_text(encoding="utf-8")))
