"""What our own API takes and answers, as schemas of OpenAPI."""

from __future__ import annotations

from pushkeeper.api.openapi.filters import FILTERS
from pushkeeper.api.openapi.schema import Schema, list_of, record, ref, whole
from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.messages.personalize import WhenUndefined
from pushkeeper.core.model import Platform
from pushkeeper.core.times import TOO_LATE
from pushkeeper.services.messages.templates import TemplateKind

TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
# Any members: without `additionalProperties` some generators take it for an empty object.
OBJECT: Schema = {"type": "object", "additionalProperties": True}
COUNT: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
VERSION: Schema = whole(1, 2**31 - 1)
ESTIMATE: Schema = {
    "type": ["object", "null"],
    "properties": {
        "state": {"enum": ["pending", "done", "failed"]},
        "requested_at": TEXT,
        "reason": {**MAYBE_TEXT, "description": "why it failed, or the last attempt did"},
        "figures": {"type": ["object", "null"], "additionalProperties": True},
    },
    "description": "what to expect of the broadcast; null where no estimate was requested",
}
TIME: Schema = {"type": ["integer", "string"], "description": "unix seconds, or 2026-12-24T18:00:00Z"}
UNIX: Schema = {"type": "integer", "minimum": 0, "maximum": int(TOO_LATE.timestamp()) - 1}


def _maybe_list(items: Schema) -> Schema:
    return {"type": ["array", "null"], "items": items, "minItems": 1, "maxItems": 10_000}


_CONTENT: dict[str, Schema] = {
    "title": MAYBE_TEXT,
    "message": MAYBE_TEXT,
    "link": MAYBE_TEXT,
    "image_url": MAYBE_TEXT,
    "sound": {"enum": ["default", "none", None]},
    "custom_data": OBJECT,
    "custom_payload": {"type": "object", "properties": {"ios": OBJECT, "android": OBJECT}},
}
_DELIVERED: dict[str, Schema] = {
    "priority": {"enum": ["high", "normal", None]},
    "collapse_id": MAYBE_TEXT,
    "ttl_s": {**whole(0, 2_419_200), "type": ["integer", "null"]},
}
_OF_ONE_PLATFORM: Schema = {
    "type": ["object", "null"],
    "properties": {name: one for name, one in _CONTENT.items() if name != "custom_payload"} | _DELIVERED,
    "additionalProperties": False,
}
_NATIVE_CONTENT: dict[str, Schema] = {
    **_CONTENT,
    **_DELIVERED,
    "ios": _OF_ONE_PLATFORM,
    "android": _OF_ONE_PLATFORM,
}
_RATE: Schema = {"type": "number", "minimum": 1 / 60, "maximum": 1_000_000}
TEMPLATE_PARTS: dict[str, Schema] = {
    "kind": {"enum": [kind.value for kind in TemplateKind]},
    "name": {"type": "string", "minLength": 1, "maxLength": 255},
}
_TEMPLATE_MORE: dict[str, Schema] = {
    "trigger_name": MAYBE_TEXT,
    "description": MAYBE_TEXT,
    **_CONTENT,
    "translations": {
        "type": "object",
        "description": "Contents by language.",
        "additionalProperties": {"$ref": "#/components/schemas/Content"},
    },
    "when_undefined": {"enum": [when.value for when in WhenUndefined]},
    "send_to_unsubscribed": {"type": ["boolean", "null"]},
    "audience": {"anyOf": [ref("FilterNode"), {"type": "null"}]},
}
_OPTIONS: dict[str, Schema] = {
    "suppress_after": whole(1, 100),
    "min_strike_gap_s": whole(0, 31_536_000),
    "suppress_on_definitive": FLAG,
    "delete_unregistered": FLAG,
    "max_pushes_per_s": {"type": ["integer", "null"], "minimum": 1, "maximum": 1_000_000},
    "ramp_s": whole(0, 3_600),
    "token_ownership": {"enum": ["move", "share"]},
    "allow_placeholder_ids": FLAG,
}
UNIT: Schema = {"enum": [unit.value for unit in Unit]}
_AUDIENCE_NAME: dict[str, Schema] = {"name": {"type": "string", "minLength": 1, "maxLength": 255}}
SCHEMAS: dict[str, Schema] = {
    **FILTERS,
    "UnixTime": UNIX,
    "Content": {"type": "object", "properties": _CONTENT},
    "ApiError": record(
        {
            "error": record(
                {"code": TEXT, "message": TEXT}, field=TEXT, path=list_of({"type": ["string", "integer"]})
            )
        }
    ),
    "Device": record(
        {
            "token": TEXT,
            "id_kind": {"enum": ["token", "fid"]},
            "platform": {"enum": [platform.value for platform in Platform]},
            "person": TEXT,
            "app": TEXT,
            "environment": TEXT,
            "last_status": {"enum": [status.value for status in LastStatus]},
            "strikes": {"type": "integer"},
            "generation": {"type": "integer"},
            "attributes": OBJECT,
            "dropped_attributes": {
                **OBJECT,
                "description": "attributes of the last registration that could not be stored, each with the reason",
            },
            "created_at": TEXT,
            "registered_at": TEXT,
            "last_used": TEXT,
        },
        route=MAYBE_TEXT,
        no_route_reason=MAYBE_TEXT,
    ),
    "Template": record(
        {**TEMPLATE_PARTS, "id": {"type": "integer"}, "created_at": TEXT, "updated_at": TEXT},
        **_TEMPLATE_MORE,
    ),
    "Audience": record(
        {
            "id": COUNT,
            **_AUDIENCE_NAME,
            "description": TEXT,
            "type": {"enum": ["filter", "list"]},
            "filter": {"anyOf": [ref("Filter"), {"type": "null"}]},
            "unit": UNIT,
            "created_at": TEXT,
            "updated_at": TEXT,
            "used_by": list_of(
                record(
                    {"kind": {"enum": ["audience", "template", "broadcast"]}, "number": COUNT, "name": TEXT}
                )
            ),
        }
    ),
    "NewBroadcast": {
        "type": "object",
        "description": "Exactly one of audience, ids, emails, per_user_data and devices says to whom it goes",
        "properties": {
            "name": MAYBE_TEXT,
            "template": {"type": ["integer", "null"], "minimum": 1},
            "content": {"type": ["object", "null"], "properties": _NATIVE_CONTENT},
            "data": {"type": ["object", "null"], "additionalProperties": True},
            "event": MAYBE_TEXT,
            "when_undefined": {"enum": [*(when.value for when in WhenUndefined), None]},
            "audience": {
                "type": ["object", "null"],
                "properties": {
                    "filter": ref("Filter"),
                    "unit": UNIT,
                    "id": {"type": "integer", "minimum": 1},
                },
            },
            "ids": _maybe_list(TEXT),
            "emails": _maybe_list(TEXT),
            "per_user_data": _maybe_list(OBJECT),
            "devices": _maybe_list(TEXT),
            "ignore_missing": FLAG,
            "schedule": {
                "type": ["object", "null"],
                "properties": {
                    "at": {"type": ["integer", "string", "null"]},
                    "local_time": MAYBE_TEXT,
                    "time_zone": MAYBE_TEXT,
                },
                "additionalProperties": False,
            },
            "window": {
                "type": ["object", "null"],
                "properties": {"opens": TEXT, "closes": TEXT, "time_zone": MAYBE_TEXT},
                "required": ["opens", "closes"],
                "additionalProperties": False,
            },
            "throttle": {
                "type": ["object", "null"],
                "properties": {"per_second": _RATE, "per_minute": _RATE},
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": False,
            },
            "expires_after_s": {**whole(60, 2_419_200), "type": ["integer", "null"]},
            "send_to_unsubscribed": {"type": ["boolean", "null"]},
            "skip_without_permission": FLAG,
            "one_per_phone": FLAG,
            "dry_run": FLAG,
            "idempotency_key": MAYBE_TEXT,
            "start": FLAG,
            "version": {
                **VERSION,
                "description": "Of a change: refused with 409 if the draft has another by now",
            },
        },
        "additionalProperties": False,
    },
    "Broadcast": record(
        {
            "id": COUNT,
            "version": {**VERSION, "description": "one more after each change of the draft"},
            "message_id": {
                **MAYBE_TEXT,
                "description": "of what is sent; null until it begins, then always the same",
            },
            "name": TEXT,
            "state": {
                "enum": [
                    "draft",
                    "scheduled",
                    "fetching",
                    "sending",
                    "paused",
                    "sent",
                    "stopped",
                    "cancelled",
                    "failed",
                ]
            },
            "retry": {
                "type": ["object", "null"],
                "properties": {"reason": TEXT, "attempts": COUNT, "next_attempt_at": TEXT},
                "description": "why the last attempt to plan it failed, and when the next one is",
            },
            "content": OBJECT,
            "created_at": TEXT,
            "preflight": {"type": ["object", "null"], "additionalProperties": True},
            "estimate": ESTIMATE,
        }
    ),
    "Erasure": record(
        {
            "id": COUNT,
            "status": {"enum": ["pending", "done"]},
            "asked_at": TEXT,
            "asked_by": {"enum": ["api", "dashboard", "command line"]},
            "request_id": TEXT,
            "done_at": MAYBE_TEXT,
            "counts": {"type": "object", "additionalProperties": COUNT},
            "identifiers": {**list_of(TEXT), "description": "keyed hashes of what the person was known by"},
            "failure": MAYBE_TEXT,
        }
    ),
    "Options": record(_OPTIONS),
}
