"""The shapes of Customer.io's App API, as its OpenAPI documents them."""

from __future__ import annotations

from typing import Any

NULL = type(None)
_SERIES = (
    "attempted bounced clicked converted created delivered drafted dropped failed opened sent undeliverable"
)

_PUSH = {"id": int, "type": {"push"}}
BROADCAST = {
    "id": int,
    "deduplicate_id": str,
    "name": str,
    "type": {"triggered_broadcast"},
    "created": int,
    "updated": int,
    "active": bool,
    "state": {"running", "draft"},
    "actions": [_PUSH],
    "msg_template_ids": [_PUSH],
    "first_started": int,
    "tags": [str],
}
ACTION = {
    "id": int,
    "broadcast_id": int,
    "deduplicate_id": str,
    "name": str,
    "layout": str,
    "created": int,
    "updated": int,
    "body": str,
    "type": {"push"},
    "sending_state": {"automatic", "draft", "off"},
    "language": str,
    "recipient": str,
    "subject": str,
}
TRIGGER = {"id": int, "broadcast_id": int, "created_at": int, "processed_at": (int, NULL)}
METRIC = {"metric": {"series": {metric: [int] for metric in _SERIES.split()}}}
LINK = {"link": {"id": int, "href": str}, "metric": {"series": {"clicked": [int]}}}
IDENTIFIERS = {"id": (str, NULL), "email": (str, NULL), "cio_id": str}
MESSAGE = {
    "id": str,
    "deduplicate_id": str,
    "customer_id": (str, NULL),
    "customer_identifiers": IDENTIFIERS,
    "recipient": str,
    "subject": str,
    "metrics": {},
    "created": int,
    "failure_message": (str, NULL),
    "campaign_id": (int, NULL),
    "action_id": (int, NULL),
    "parent_action_id": (int, NULL),
    "newsletter_id": (int, NULL),
    "content_id": (int, NULL),
    "broadcast_id": (int, NULL),
    "trigger_event_id": (str, NULL),
    "type": {"push"},
    "forgotten": bool,
}
ACTIVITY = {
    "customer_id": (str, NULL),
    "customer_identifiers": IDENTIFIERS,
    "data": {},
    "delivery_id": (str, NULL),
    "id": str,
    "timestamp": int,
    "type": str,
}
ARCHIVED = {"id": str, "body": str, "recipient": str, "subject": str, "url": str, "forgotten": bool}
_CHOICE = {"id": int, "name": str, "description": str, "subscribed_by_default": bool}
TOPIC = {**_CHOICE, "identifier": str}
CHANNEL = {**_CHOICE, "type": {"push"}}
WORKSPACE = {
    "id": int,
    "name": str,
    "messages_sent": int,
    "billable_messages_sent": int,
    "people": int,
    "object_types": int,
    "objects": int,
}
SNIPPET = {"name": str, "value": str, "updated_at": int}


def fits(value: Any, shape: Any, place: str = "") -> None:
    """Assert that a value has the fields of a shape, each of its type: a type, several, a set of words, a list or an object."""
    match shape:
        case dict():
            assert isinstance(value, dict), (place, value)
            assert shape.keys() <= value.keys(), (place, shape.keys() - value.keys())
            for name, inner in shape.items():
                fits(value[name], inner, f"{place}.{name}")
        case list():
            assert isinstance(value, list), (place, value)
            for one in value:
                fits(one, shape[0], f"{place}[]")
        case set():
            assert value in shape, (place, value)
        case _:
            kinds = shape if isinstance(shape, tuple) else (shape,)
            assert type(value) in kinds, (place, value)
