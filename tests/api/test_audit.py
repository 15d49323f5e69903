"""Every call that changes something leaves one line of the audit log, which says who made it; the calls are those of the route table."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from pushkeeper.api.customerio.template_languages import content_id
from pushkeeper.core.actor import ActorKind
from pushkeeper.services.messages.templates import Templates
from support.requests import SAMPLES
from support.theirs import MARK, TOKEN, Theirs, calls, one_of_each

# What each route that changes something is called in the audit log.
ACTIONS = {
    "PATCH /api/v1/options": "options.change",
    "POST /api/v1/audiences": "audience.make",
    "PUT /api/v1/audiences/{id}": "audience.change",
    "DELETE /api/v1/audiences/{id}": "audience.delete",
    "POST /api/v1/broadcasts": "broadcast.make",
    "PUT /api/v1/broadcasts/{id}": "broadcast.change",
    **{
        f"POST /api/v1/broadcasts/{{id}}/{verb}": f"broadcast.{verb}"
        for verb in ("start", "pause", "resume", "cancel")
    },
    "POST /api/v1/customers/{identifier}/erase": "person.erase",
    "DELETE /api/v1/drafts/{id}": "draft.drop",
    "POST /api/v1/imports": "import.make",
    **{f"POST /api/v1/imports/{{id}}/{verb}": f"import.{verb}" for verb in ("apply", "cancel")},
    "POST /api/v1/drafts/{id}/send": "draft.send",
    **{f"POST /api/v1/jobs/{{kind}}/{{job}}/{verb}": f"job.{verb}" for verb in ("retry", "cancel")},
    **{
        f"POST /api/v1/routes/{{route}}/{verb}": f"route.{verb}"
        for verb in ("pause", "resume", "apply", "discard")
    },
    **{f"POST /api/v1/sending/{verb}": f"sending.{verb}" for verb in ("pause", "resume")},
    "POST /api/v1/templates": "template.make",
    "PUT /api/v1/templates/{id}": "template.change",
    "DELETE /api/v1/templates/{id}": "template.delete",
    "POST /api/v1/undo": "strikes.undo",
    "PUT /v1/broadcasts/{id}/actions/{action}": "template.change",
    "PUT /v1/broadcasts/{id}/actions/{action}/language/{language}": "template.change",
    "POST /v1/campaigns/{id}/triggers": "broadcast.trigger",
    "POST /api/v1/exports": "export.make",
    "POST /api/v1/exports/{id}/cancel": "export.cancel",
    "POST /v1/exports/customers": "export.make",
    "POST /v1/exports/deliveries": "export.make",
    "POST /v1/imports": "import.make",
    # A read, but its link gives access to the whole file.
    "GET /v1/exports/{id}/download": "export.link",
    "POST /v1/reporting_webhooks": "webhook.add",
    "PUT /v1/reporting_webhooks/{id}": "webhook.change",
    "DELETE /v1/reporting_webhooks/{id}": "webhook.delete",
    "POST /v1/segments": "audience.make",
    "DELETE /v1/segments/{segment}": "audience.delete",
    "POST /v1/snippets": "snippet.make",
    "PUT /v1/snippets": "snippet.put",
    "DELETE /v1/snippets/{snippet}": "snippet.delete",
    "PUT /v1/transactional/{id}/content/{content}": "template.change",
    "PUT /v1/transactional/{id}/language/{language}": "template.change",
}

_PEOPLE = "what a client's back end says of its own customers, a million times a day; the person's and the device's history have it"
_SDK = "what happened in an app, as its SDK says it"
_SENT = "a message to one person; the message is its own record"
_ASKED = "it only asks, in a body"
_OTHER = "a channel that there is none of; always refused"
# What leaves no line, and why.
UNAUDITED = {
    "PUT /api/v1/customers/{identifier}": _PEOPLE,
    "DELETE /api/v1/customers/{identifier}": _PEOPLE,
    "PUT /api/v1/customers/{identifier}/devices": _PEOPLE,
    "DELETE /api/v1/customers/{identifier}/devices/{device_id}": _PEOPLE,
    "POST /api/v1/customers/{identifier}/events": _PEOPLE,
    "POST /api/v1/customers/{identifier}/suppress": _PEOPLE,
    "POST /api/v1/customers/{identifier}/unsuppress": _PEOPLE,
    "POST /api/v1/events": _PEOPLE,
    "POST /api/v1/forms/{form}/submit": _PEOPLE,
    "POST /api/v1/merge_customers": _PEOPLE,
    "POST /api/v1/segments/{segment}/add_customers": _PEOPLE,
    "POST /api/v1/segments/{segment}/remove_customers": _PEOPLE,
    "POST /api/v2/batch": _PEOPLE,
    "POST /api/v2/entity": _PEOPLE,
    "POST /api/v1/metrics": _SDK,
    "POST /api/v1/push/events": _SDK,
    "POST /push/events": _SDK,
    "POST /unsubscribe/{delivery_id}": _SDK,
    "POST /v1/b": _SDK,
    "POST /v1/batch": _SDK,
    **{
        f"POST /v1/{name}": _SDK
        for kind in ("identify", "track", "page", "screen", "group", "alias")
        for name in (kind, kind[0])
    },
    "POST /v1/send/push": _SENT,
    **{
        f"POST /v1/send/{channel}": _OTHER
        for channel in ("email", "sms", "whatsapp", "in_app", "inbox_message")
    },
    **{f"POST /api/v1/audiences/{verb}": _ASKED for verb in ("count", "explain", "preview", "sample")},
    "POST /api/v1/broadcasts/preview": _ASKED,
    **{
        f"POST /api/v1/broadcasts/{{id}}/{verb}": "it counts again what is to be expected; what is sent stays"
        for verb in ("estimate", "preflight")
    },
    "POST /v1/customers": _ASKED,
    "POST /v1/customers/attributes": _ASKED,
}

_SAID = {"name": "n", "content": {"title": "t", "message": "m"}, "audience": {"filter": "platform = ios"}}
_LANGUAGE = {
    "name": "n",
    "title": "t",
    "message": "m",
    "translations": {"de": {"title": "t", "message": "m"}},
}
_ENDPOINT = "https://hook.example/secret-path"
# Bodies other than the samples: of what is there to be changed, and what is done rather than tried.
BODIES: dict[str, Any] = {
    "POST /api/v1/audiences": {"name": "n", "filter": "platform = ios"},
    "PUT /api/v1/audiences/{id}": {"name": "n", "filter": "platform = android"},
    "POST /api/v1/broadcasts": _SAID,
    "PUT /api/v1/broadcasts/{id}": _SAID,
    "POST /api/v1/exports": {"kind": "devices"},
    "POST /api/v1/templates": {"kind": "broadcast", "name": "n", "title": "t", "message": "m"},
    "PUT /api/v1/templates/{id}": {"kind": "broadcast", "name": "n", "title": "other", "message": "m"},
    "POST /api/v1/undo": {
        "since": (datetime.now(UTC) - timedelta(hours=1)).isoformat(),
        "until": datetime.now(UTC).isoformat(),
        "why": "nobody's fault",
        "dry_run": False,
    },
    "POST /v1/campaigns/{id}/triggers": {"data": {"a": 1}},
    "POST /v1/exports/customers": {"filters": {"and": []}},
    "POST /v1/snippets": {"name": "other", "value": "x"},
    "PUT /v1/snippets": {"name": "other", "value": "x"},
    "POST /v1/reporting_webhooks": {"name": "n", "endpoint": _ENDPOINT, "events": ["push_sent"]},
    "PUT /v1/reporting_webhooks/{id}": {"endpoint": _ENDPOINT, "disabled": True},
}


def test_every_route_that_changes_something_is_audited_or_has_a_reason_not_to_be(routes) -> None:
    table = {
        f"{method} {route.path}"
        for route in routes
        for method in getattr(route.endpoint, "handlers", {})
        if method in {"POST", "PUT", "PATCH", "DELETE"}
    }
    assert table == {route for route in ACTIONS if not route.startswith("GET ")} | set(UNAUDITED)
    assert not set(ACTIONS) & set(UNAUDITED)


@pytest_asyncio.fixture
async def theirs(sender) -> Theirs:
    """Something of each kind, in a workspace that may send."""
    await sender.database.rows(
        "insert into routes (workspace_id, credential_id) select workspace_id, credential_id from credentials "
        "where workspace_id = $1 on conflict do nothing",
        sender.workspace_id,
    )
    return await one_of_each(sender)


@pytest.mark.parametrize("route", ACTIONS)
async def test_what_changes_something_leaves_one_line_with_who_did_it(route, sender, theirs) -> None:
    method, path = route.split()
    path = await prepared(route, path, sender, theirs)
    before = await lines(sender)
    body = deepcopy(BODIES.get(route, SAMPLES.get(route, [None])[0]))
    data = None if body is None else json.dumps(body).encode()
    status, answer, _ = await sender.raw(method, path, data, authorization=sender.bearer)
    assert status < 300, answer
    [line] = (await lines(sender))[len(before) :]
    assert (line["action"], line["outcome"]) == (ACTIONS[route], "done")
    assert line["actor"] == ActorKind.KEY
    assert line["user_id"] is None
    assert sender.keys.app_api_key.startswith(line["user_name"])
    assert 0 < len(line["user_name"]) < len(sender.keys.app_api_key)
    assert line["address"] == "127.0.0.1"
    assert line["workspace"]
    assert_no_secret(line, sender, answer)


# Those that look for something before they ask to change it, and find nothing.
_LOOK_FIRST = ("drafts", "actions", "transactional")
REFUSED = [
    route
    for route in ACTIONS
    if re.search(r"{(id|route|job)}", route) and not any(one in route for one in _LOOK_FIRST)
]


@pytest.mark.parametrize("route", REFUSED)
async def test_what_is_refused_leaves_a_line_too(route, sender, theirs) -> None:
    method, path = route.split()
    path = re.sub(r"{[^}]+}", "999999999", path.replace("{kind}", "export"))
    before = len(await lines(sender))
    body = BODIES.get(route, SAMPLES.get(route, [None])[0])
    data = None if body is None else json.dumps(body).encode()
    status, _, _ = await sender.raw(method, path, data, authorization=sender.bearer)
    assert status == 404
    [line] = (await lines(sender))[before:]
    assert (line["action"], line["outcome"], line["actor"]) == (ACTIONS[route], "refused", ActorKind.KEY)


async def test_data_leaves_no_line(sender, theirs) -> None:
    before = len(await lines(sender))
    assert (await sender.track("PUT", "/api/v1/customers/ann", {"plan": "pro"}))[0] == 200
    assert (await sender.track("POST", "/api/v1/customers/ann/suppress", {}))[0] == 200
    push = {"identifiers": {"id": MARK}, "title": "t", "message": "m"}
    assert (await sender.app("POST", "/v1/send/push", push))[0] == 200
    assert len(await lines(sender)) == before


# What is asked in a body and is answered with devices.
_ASKING = {
    "/api/v1/audiences/sample": {"filter": "platform = android"},
    "/api/v1/audiences/preview": {"filter": "platform = android and not platform = ios", "unit": "person"},
    "/api/v1/audiences/count": {"filter": "platform = android"},
    "/api/v1/broadcasts/preview": {**_SAID, "audience": {"filter": "platform = android"}},
}


async def test_whole_tokens_are_not_read_without_a_line(routes, sender, theirs) -> None:
    """The caller who sends the token knows it already; what Customer.io's own clients read by the App API is data."""
    read = 0
    asked = [(path, None) for method, path, _ in calls(routes, theirs) if method == "GET"]
    for path, body in [*asked, *_ASKING.items()]:
        if "/download" in path:
            continue  # it is tried above
        before = len(await lines(sender))
        method, data = ("GET", None) if body is None else ("POST", json.dumps(body).encode())
        _, answer, _ = await sender.raw(method, path, data, authorization=sender.bearer)
        is_data = path.startswith(("/v1/", "/exports/"))
        shown = TOKEN.encode() in answer and TOKEN not in path and not is_data
        found = (await lines(sender))[before:]
        assert [line["action"] for line in found] == ["tokens.read"] * shown, path
        read += shown
    assert read >= 3


async def test_a_change_says_what_was_and_what_is(sender, theirs) -> None:
    await sender.app("PATCH", "/api/v1/options", {"ramp_s": 30, "max_pushes_per_s": 100})
    await sender.app("PUT", f"/v1/reporting_webhooks/{theirs['webhook']}", {"endpoint": _ENDPOINT})
    options, webhook = (await lines(sender))[-2:]
    assert options["detail"] == "max_pushes_per_s: none → 100; ramp_s: 60 → 30"
    # The path of an endpoint may be what keeps others out.
    assert webhook["detail"] == f"endpoint: https://{MARK}.example → https://hook.example"


async def test_the_kinds_of_actors_are_told_and_asked_for(sender, theirs) -> None:
    told = (await sender.app("GET", "/api/v1/audit?limit=1000"))[1]["audit"]
    assert {line["actor"]["kind"] for line in told} == {"key"}
    assert all(sender.keys.app_api_key.startswith(line["actor"]["name"]) for line in told)
    assert (await sender.app("GET", "/api/v1/audit?actor=job"))[1]["audit"] == []
    status, answer = await sender.app("GET", "/api/v1/audit?actor=nobody")
    assert (status, "actor" in str(answer)) == (400, True)


async def prepared(route: str, path: str, door, theirs: Theirs) -> str:
    """The path with what there is in it, made ready for what is done to it."""
    kinds = {
        "/api/v1/audiences": "audience",
        "/api/v1/broadcasts": "broadcast",
        "/api/v1/drafts": "draft",
        "/api/v1/imports": "import_",
        "/api/v1/templates": "template",
        "/v1/broadcasts": "template",
        "/v1/campaigns": "template",
        "/api/v1/exports": "export",
        "/v1/exports": "export",
        "/v1/reporting_webhooks": "webhook",
        "/v1/segments": "segment",
        "/v1/transactional": "transactional",
    }
    of = next((theirs[kind] for start, kind in kinds.items() if path.startswith(start)), "")
    if "{language}" in path or "{content}" in path:
        kind = "transactional" if "transactional" in path else "broadcast"
        made = await door.app("PUT", f"/api/v1/templates/{of}", {"kind": kind, **_LANGUAGE})
        assert made[0] == 200, made
    if route.endswith(("{id}/pause", "{id}/resume")):
        await door.app("POST", f"/api/v1/broadcasts/{of}/start")
    if route.endswith("{id}/resume"):
        await door.app("POST", f"/api/v1/broadcasts/{of}/pause")
    if route.endswith("/api/v1/imports/{id}/apply"):
        await door.database.rows(
            "with done as (update imports set state = 'done', fetch_from = null where workspace_id = $1 returning *) "
            "insert into import_parts (workspace_id, import_id, part, content) "
            "select workspace_id, import_id, 0, 'token' from done",
            door.workspace_id,
        )
    if route.endswith("sending/resume"):
        await door.app("POST", "/api/v1/sending/pause")
    if route.endswith("/api/v1/exports/{id}/cancel"):
        await door.database.rows(
            "update exports set state = 'running' where workspace_id = $1", door.workspace_id
        )
    if route.endswith("/download"):
        await door.database.rows(
            "update exports set state = 'done' where workspace_id = $1", door.workspace_id
        )
    number = 0
    if "{content}" in path:
        [template] = [
            one
            for one in await Templates(door.database, {}).all(door.workspace_id)
            if str(one.template_id) == of
        ]
        number = content_id(template, "")
    parts = {
        "id": of,
        "identifier": f"cio_{theirs['person']}",
        "route": theirs["route"],
        "kind": "export",
        "job": theirs["export"],
        "action": of,
        "language": "de",
        "content": str(number),
        "segment": of,
        "snippet": theirs["snippet"],
    }
    return re.sub(r"{([^}]+)}", lambda match: quote(parts[match[1]], safe=""), path)


async def lines(door) -> list[dict[str, Any]]:
    rows = await door.database.rows(
        "select * from audit_log where workspace_id = $1 order by audit_id", door.workspace_id
    )
    return [dict(row) for row in rows]


def assert_no_secret(line: dict[str, Any], door, answer: bytes) -> None:
    said = " ".join(map(str, line.values()))
    keys = door.keys
    shown = json.loads(answer) if answer.startswith(b"{") else {}
    secrets = [keys.api_key, keys.app_api_key, keys.write_key, TOKEN, "secret-path"]
    secrets += [value for name, value in shown.items() if name in {"signing_key", "url"}]
    assert not [secret for secret in secrets if secret in said]
