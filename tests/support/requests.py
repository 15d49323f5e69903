"""Bodies that every route which takes one is sent, with each field that is documented, and what may stand in its place."""

from __future__ import annotations

import re
from base64 import b64encode
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from support.inside import routes_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pushkeeper.store.admin.workspaces import NewKeys

    Place = tuple[str | int, ...]

NOW = 1_800_000_000
_PERSON = {"id": "42"}
_EVENT = {
    "name": "bought",
    "type": "event",
    "id": "01",
    "timestamp": NOW,
    "data": {"price": 3, "what": ["x"]},
}
_DEVICE = {
    "id": "token",
    "token": "token",
    "platform": "ios",
    "last_used": NOW,
    "attributes": {"app_id": "com.example", "apns_environment": "sandbox", "device_os": "17.1"},
}
_CONTENT = {
    "title": "Hello {{customer.name}}",
    "message": "you",
    "link": "app://x",
    "image_url": "https://example.com/x.png",
    "sound": "default",
    "custom_data": {"a": "b"},
    "custom_payload": {"ios": {"aps": {"badge": 1}}, "android": {"message": {}}},
}
_VARIANT = {**_CONTENT, "subject": "Hello", "body": "you"}
_SNIPPET = {"name": "address", "value": "1 Main St, {{ customer.city }}"}
_OUR_CONTENT = {
    **{name: value for name, value in _CONTENT.items() if name != "custom_payload"},
    "priority": "high",
    "collapse_id": "x",
    "ttl_s": 60,
    "ios": {"title": "iOS"},
    "android": {"title": "Android"},
}
_FILTER = {
    "and": [
        {"attribute": {"field": "plan", "operator": "in", "value": ["pro"]}},
        {
            "or": [
                {"segment": {"id": 7}},
                {"not": {"attribute": {"field": "age", "operator": "lt", "value": 3}}},
            ]
        },
        {"device": {"match": "any", "attribute": {"field": "platform", "operator": "eq", "value": "ios"}}},
        {
            "event": {
                "name": "bought",
                "operator": "gte",
                "count": 2,
                "since": "2026-01-01T00:00:00Z",
                "within_last_s": 60,
            }
        },
    ]
}
_ASKED_AUDIENCE = {"filter": _FILTER, "unit": "person"}
_AUDIENCE = {**_ASKED_AUDIENCE, "name": "people", "description": "some"}
_CDP = {
    "type": "track",
    "messageId": "01",
    "timestamp": "2026-01-01T00:00:00Z",
    "originalTimestamp": "2026-01-01T00:00:00Z",
    "sentAt": "2026-01-01T00:00:00Z",
    "userId": "42",
    "anonymousId": "a",
    "previousId": "b",
    "event": "bought",
    "name": "home",
    "traits": {"email": "a@example.com", "plan": "pro"},
    "properties": {
        "url": "/",
        "price": 3,
        "deliveryId": "x",
        "metric": "opened",
        "recipient": "t",
        "href": "/",
    },
    "context": {"device": {"token": "token", "type": "android"}},
}
_REGISTER = {**_CDP, "event": "Device Created or Updated", "properties": {"device": {"type": "ios"}, "a": 1}}
_BATCH = {
    "sentAt": "2026-01-01T00:00:00Z",
    "context": {"device": {"token": "token", "type": "android"}},
    "integrations": {"all": True},
    "batch": [
        _CDP,
        _REGISTER,
        {**_CDP, "type": "identify"},
        {**_CDP, "type": "screen"},
        {**_CDP, "event": "Report Delivery Event"},
    ],
}
_IDENTIFY = {
    "type": "person",
    "action": "identify",
    "identifiers": {"id": "42"},
    "attributes": {"plan": "pro", "email": "a@example.com", "unsubscribed": True, "_update": False},
    "timestamp": NOW,
    "cio_relationships": [{"identifiers": {"object_type_id": "1", "object_id": "x"}}],
}
_OPERATIONS = [
    _IDENTIFY,
    {**_EVENT, "type": "person", "action": "event", "identifiers": {"email": "a@b.c"}},
    {"type": "person", "action": "add_device", "identifiers": _PERSON, "device": _DEVICE},
    {"type": "person", "action": "delete_device", "identifiers": _PERSON, "device": _DEVICE},
    {"type": "person", "action": "merge", "primary": _PERSON, "secondary": {"email": "a@b.c"}},
    {"type": "person", "action": "add_relationships", "identifiers": _PERSON, "cio_relationships": [{}]},
    {"type": "object", "action": "identify", "identifiers": {"object_type_id": "1", "object_id": "x"}},
    {
        "type": "delivery",
        "identifiers": {"id": "x"},
        "name": "opened",
        "timestamp": NOW,
        "attributes": {"device_token": "t", "href": "/"},
    },
]
_REPORT = {"delivery_id": "x", "metric": "opened", "recipient": "t", "timestamp": NOW, "href": "/"}
_PUSH_EVENT = {"delivery_id": "x", "event": "opened", "device_id": "t", "timestamp": NOW}
_BROADCAST: dict[str, Any] = {
    "name": "sale",
    "template": None,
    "content": _OUR_CONTENT,
    "data": {"a": 1},
    "event": "sale",
    "when_undefined": "fail",
    "schedule": {"local_time": "2026-12-24T18:00", "time_zone": "Europe/Berlin", "at": None},
    "window": {"opens": "09:00", "closes": "21:00", "time_zone": "UTC"},
    "throttle": {"per_second": 10},
    "expires_after_s": 3600,
    "send_to_unsubscribed": False,
    "skip_without_permission": True,
    "one_per_phone": True,
    "dry_run": True,
    "ignore_missing": True,
    "idempotency_key": "once",
    "start": False,
}
_BROADCASTS: list[dict[str, Any]] = [
    {**_BROADCAST, "audience": {"filter": _FILTER, "unit": "device"}},
    {**_BROADCAST, "audience": {"id": 7}},
    {**_BROADCAST, "ids": ["42", 43]},
    {**_BROADCAST, "emails": ["a@example.com"]},
    {**_BROADCAST, "per_user_data": [{"id": "42", "data": {"a": 1}}]},
    {**_BROADCAST, "devices": ["token"]},
]
_TRIGGER = {"data": {"a": 1}}
_TEMPLATE = {
    "kind": "broadcast",
    "name": "news",
    "trigger_name": "news",
    "description": "weekly",
    **_CONTENT,
    "translations": {"de": _CONTENT},
    "when_undefined": "fail",
    "send_to_unsubscribed": False,
    "audience": _FILTER,
}
_WEBHOOK = {
    "name": "ours",
    "endpoint": "https://example.com/hook",
    "events": ["push_sent"],
    "disabled": False,
    "full_resolution": True,
    "with_content": True,
}
_PUSH = {
    "identifiers": {"id": "42"},
    **_CONTENT,
    "to": "all",
    "send_at": NOW,
    "custom_device": _DEVICE,
    "send_to_unsubscribed": True,
    "transactional_message_id": None,
    "auto_create": False,
    "message_data": {"a": 1},
    "language": "de",
    "platform": "ios",
    "queue_draft": False,
    "disable_message_retention": False,
}
_UNDO = {
    "since": "2026-01-01T00:00:00Z",
    "until": NOW,
    "route": "x",
    "credential": "x",
    "reason": "x",
    "only": "all",
    "why": "x",
    "dry_run": True,
}
_OPTIONS = {
    "suppress_after": 3,
    "min_strike_gap_s": 60,
    "suppress_on_definitive": True,
    "delete_unregistered": False,
    "max_pushes_per_s": 100,
    "ramp_s": 10,
    "token_ownership": "move",
    "allow_placeholder_ids": True,
}
_WITHOUT: list[Any] = [{}]

SAMPLES: dict[str, list[Any]] = {
    "PATCH /api/v1/options": [_OPTIONS],
    **{f"POST /api/v1/audiences/{verb}": [_ASKED_AUDIENCE] for verb in ("explain", "preview", "sample")},
    "POST /api/v1/audiences/count": [{**_ASKED_AUDIENCE, "within_ms": 100}],
    "POST /api/v1/audiences": [_AUDIENCE],
    "PUT /api/v1/audiences/{id}": [_AUDIENCE],
    "POST /api/v1/broadcasts": _BROADCASTS,
    "POST /api/v1/broadcasts/preview": _BROADCASTS,
    "POST /api/v1/broadcasts/{id}/start": [{"version": 1}],
    "PUT /api/v1/broadcasts/{id}": [{**one, "version": 1} for one in _BROADCASTS],
    **{
        f"POST /api/v1/broadcasts/{{id}}/{verb}": _WITHOUT
        for verb in ("cancel", "estimate", "pause", "preflight", "resume")
    },
    "PUT /api/v1/customers/{identifier}": [_IDENTIFY["attributes"]],
    "PUT /api/v1/customers/{identifier}/devices": [{"device": _DEVICE}],
    "POST /api/v1/customers/{identifier}/events": [_EVENT],
    "POST /api/v1/customers/{identifier}/erase": _WITHOUT,
    "POST /api/v1/customers/{identifier}/suppress": _WITHOUT,
    "POST /api/v1/customers/{identifier}/unsuppress": _WITHOUT,
    "POST /api/v1/drafts/{id}/send": _WITHOUT,
    "POST /api/v1/events": [{**_EVENT, "anonymous_id": "a"}],
    "POST /api/v1/exports": [
        {
            "kind": "devices",
            "format": "jsonl",
            "filter": _FILTER,
            "columns": ["token", "attribute.plan"],
            "tokens": "masked",
        },
        {"kind": "history", "since": "2026-01-01T00:00:00Z", "until": NOW},
        {"kind": "members", "audience": 7},
    ],
    "POST /api/v1/exports/{id}/cancel": _WITHOUT,
    "POST /api/v1/forms/{form}/submit": [{"data": {"id": "42", "email": "a@example.com", "plan": "pro"}}],
    **{f"POST /api/v1/jobs/{{kind}}/{{job}}/{verb}": _WITHOUT for verb in ("cancel", "retry")},
    "POST /api/v1/imports": [
        {
            "source": "generic",
            "url": "https://example.com/people.csv",
            "name": "people",
            "description": "some",
            "apply": False,
            "move": True,
            "environment": "production",
            "app": "com.example",
            "status": "keep",
            "mapping": 'token = "push_token"',
            "person_from": "text",
        },
        {
            "source": "customerio",
            "customerio": {"app_api_key": "a key", "region": "eu", "api_url": "https://api.example.com"},
        },
    ],
    **{f"POST /api/v1/imports/{{id}}/{verb}": _WITHOUT for verb in ("apply", "cancel")},
    "POST /api/v1/merge_customers": [{"primary": {"id": "1"}, "secondary": {"email": "a@example.com"}}],
    "POST /api/v1/metrics": [_REPORT],
    "POST /api/v1/push/events": [_PUSH_EVENT],
    "POST /push/events": [_PUSH_EVENT],
    "POST /unsubscribe/{delivery_id}": [{"unsubscribe": True}],
    **{f"POST /api/v1/routes/{{route}}/{verb}": _WITHOUT for verb in ("apply", "discard", "resume")},
    "POST /api/v1/routes/{route}/pause": [{"reason": "x"}],
    "POST /api/v1/sending/pause": [{"reason": "x"}],
    "POST /api/v1/sending/resume": _WITHOUT,
    "POST /api/v1/segments/{segment}/add_customers": [{"ids": ["1", 2]}],
    "POST /api/v1/segments/{segment}/remove_customers": [{"ids": ["1", 2]}],
    "POST /api/v1/templates": [_TEMPLATE, {**_TEMPLATE, "kind": "transactional", "audience": None}],
    "PUT /api/v1/templates/{id}": [_TEMPLATE],
    "POST /api/v1/undo": [_UNDO],
    "POST /api/v2/batch": [{"batch": _OPERATIONS}],
    "POST /api/v2/entity": _OPERATIONS,
    "POST /v1/b": [_BATCH],
    "POST /v1/batch": [_BATCH],
    **{
        f"POST /v1/{name}": [_CDP, _REGISTER] if name in {"t", "track"} else [_CDP]
        for kind in ("identify", "track", "page", "screen", "group", "alias")
        for name in (kind, kind[0])
    },
    "POST /v1/campaigns/{id}/triggers": [
        {**_TRIGGER, "recipients": _FILTER},
        {**_TRIGGER, "ids": ["1"], "id_ignore_missing": True},
        {**_TRIGGER, "emails": ["a@example.com"], "email_ignore_missing": True},
        {**_TRIGGER, "per_user_data": [{"id": "1", "data": {"a": 1}}], "id_ignore_missing": True},
        {**_TRIGGER, "data_file_url": "https://example.com/people.ndjson"},
    ],
    "POST /v1/customers": [{"filter": _FILTER}],
    "POST /v1/customers/attributes": [{"ids": ["1", "2"]}],
    "POST /v1/exports/customers": [{"filters": _FILTER}],
    "POST /v1/imports": [
        {
            "import": {
                "data_file_url": "https://example.com/people.csv",
                "type": "people",
                "identifier": "id",
                "name": "people",
                "description": "some",
                "data_to_process": "only_new",
                "people_to_process": "only_new",
            }
        }
    ],
    "POST /v1/exports/deliveries": [
        {"newsletter_id": 1, "start": NOW, "end": NOW + 60, "metric": "opened", "drafts": False}
    ],
    "PUT /v1/broadcasts/{id}/actions/{action}": [_VARIANT],
    "PUT /v1/broadcasts/{id}/actions/{action}/language/{language}": [_VARIANT],
    "POST /v1/reporting_webhooks": [_WEBHOOK],
    "PUT /v1/reporting_webhooks/{id}": [_WEBHOOK],
    "POST /v1/snippets": [_SNIPPET],
    "PUT /v1/snippets": [_SNIPPET],
    "POST /v1/segments": [{"segment": {"name": "vip", "description": "them"}}],
    **{
        f"POST /v1/send/{channel}": [_PUSH]
        for channel in ("email", "sms", "whatsapp", "in_app", "inbox_message")
    },
    "POST /v1/send/push": [_PUSH, {**_PUSH, "transactional_message_id": "news", "title": None}],
    "PUT /v1/transactional/{id}/content/{content}": [_VARIANT],
    "PUT /v1/transactional/{id}/language/{language}": [_VARIANT],
}
_KEYLESS = ("/api/v1/metrics", "/api/v1/push/events", "/push/events", "/unsubscribe/")
_CDP_KINDS = ("b", "batch", "identify", "track", "page", "screen", "group", "alias", *"itpsga")


class _NoKeys:
    site_id = api_key = app_api_key = write_key = ""


NO_KEYS: Any = _NoKeys()  # to ask what kind of key opens a route


def routes_with_bodies(app: Any) -> list[str]:
    """`METHOD path` of each route that takes a body, as `SAMPLES` has them."""
    return [f"{method} {path}" for method, path in routes_of(app) if method in {"POST", "PUT", "PATCH"}]


def places(value: Any, so_far: Place = ()) -> Iterator[tuple[Place, Any]]:
    """All positions in a body, with their values: the body, each field, each item, and so on."""
    yield so_far, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*so_far, key))


def with_value(body: Any, place: Place, value: Any) -> Any:
    """The same body with something else at this place."""
    if not place:
        return value
    changed = deepcopy(body)
    within = changed
    for key in place[:-1]:
        within = within[key]
    within[place[-1]] = value
    return changed


def filled(path: str) -> str:
    """A path with its parts filled in: numbers, ids, names are all this one."""
    return re.sub(r"{[^}]+}", "7", path)


def is_of_cdp(route: str) -> bool:
    """Whether a route is one of the Data Pipelines API."""
    _, path = route.split()
    return path.removeprefix("/v1/") in _CDP_KINDS


def key_of(route: str, keys: NewKeys) -> dict[str, str]:
    """The header with the key that opens a route, of which most ask for an App key."""
    _, path = route.split()
    if path.startswith(_KEYLESS):
        return {}
    if is_of_cdp(route):
        return {"authorization": _basic(keys.write_key, ""), "x-strict-mode": "1"}
    of_people = ("/api/v2/", "/api/v1/customers/", "/api/v1/merge", "/api/v1/segm")
    if path.startswith(
        (*of_people, "/api/v1/accounts", "/api/v1/events", "/api/v1/forms")
    ) and not path.endswith("/erase"):
        return {"authorization": _basic(keys.site_id, keys.api_key)}
    return {"authorization": f"Bearer {keys.app_api_key}"}


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
