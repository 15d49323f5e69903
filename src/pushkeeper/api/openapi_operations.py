"""What our own API takes and answers, as OpenAPI describes it: schemas, and the operations of each path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pushkeeper.core.filter import Unit
from pushkeeper.core.model import Platform
from pushkeeper.core.status import LastStatus
from pushkeeper.core.wording import WhenUndefined
from pushkeeper.store.templates import TemplateKind

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_OBJECT: Schema = {"type": "object"}
_COUNT: Schema = {"type": "integer"}
_FLAG: Schema = {"type": "boolean"}
_UNIX: Schema = {"type": "integer", "minimum": 0, "maximum": 253_402_300_799}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _record(required: dict[str, Schema], **more: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **more}}


def _whole(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


_CONTENT: dict[str, Schema] = {
    "title": _MAYBE_TEXT,
    "message": _MAYBE_TEXT,
    "link": _MAYBE_TEXT,
    "image_url": _MAYBE_TEXT,
    "sound": {"enum": ["default", "none", None]},
    "custom_data": _OBJECT,
    "custom_payload": {"type": "object", "properties": {"ios": _OBJECT, "android": _OBJECT}},
}
_TEMPLATE_PARTS: dict[str, Schema] = {
    "kind": {"enum": [kind.value for kind in TemplateKind]},
    "name": {"type": "string", "minLength": 1, "maxLength": 255},
}
_TEMPLATE_MORE: dict[str, Schema] = {
    "trigger_name": _MAYBE_TEXT,
    "description": _MAYBE_TEXT,
    **_CONTENT,
    "translations": {"type": "object", "additionalProperties": {"type": "object", "properties": _CONTENT}},
    "when_undefined": {"enum": [when.value for when in WhenUndefined]},
    "send_to_unsubscribed": {"type": ["boolean", "null"]},
    "audience": {"type": ["object", "null"]},
}
_OPTIONS: dict[str, Schema] = {
    "suppress_after": _whole(1, 100),
    "min_strike_gap_s": _whole(0, 31_536_000),
    "suppress_on_definitive": _FLAG,
    "delete_unregistered": _FLAG,
    "max_pushes_per_s": {"type": ["integer", "null"], "minimum": 1, "maximum": 1_000_000},
    "ramp_s": _whole(0, 3_600),
    "token_ownership": {"enum": ["move", "share"]},
}
_FILTER: Schema = {
    "type": ["object", "string"],
    "description": "as a tree, or as text: platform = ios",
}
_UNIT: Schema = {"enum": [unit.value for unit in Unit]}
_AUDIENCE_NAME: dict[str, Schema] = {"name": {"type": "string", "minLength": 1, "maxLength": 255}}
SCHEMAS: dict[str, Schema] = {
    "Error": _record({"error": _record({"code": _TEXT, "message": _TEXT}, field=_TEXT)}),
    "Device": _record(
        {
            "token": _TEXT,
            "id_kind": {"enum": ["token", "fid"]},
            "platform": {"enum": [platform.value for platform in Platform]},
            "person": _TEXT,
            "app": _TEXT,
            "environment": _TEXT,
            "last_status": {"enum": [status.value for status in LastStatus]},
            "strikes": {"type": "integer"},
            "generation": {"type": "integer"},
            "attributes": _OBJECT,
            "created_at": _TEXT,
            "registered_at": _TEXT,
            "last_used": _TEXT,
        }
    ),
    "Template": _record(
        {**_TEMPLATE_PARTS, "id": {"type": "integer"}, "created_at": _TEXT, "updated_at": _TEXT},
        **_TEMPLATE_MORE,
    ),
    "NewTemplate": _record(_TEMPLATE_PARTS, **_TEMPLATE_MORE),
    "Audience": _record(
        {
            "id": _COUNT,
            **_AUDIENCE_NAME,
            "description": _TEXT,
            "type": {"enum": ["filter", "list"]},
            "filter": {"type": ["object", "string", "null"]},
            "unit": _UNIT,
            "created_at": _TEXT,
            "updated_at": _TEXT,
        }
    ),
    "NewAudience": _record({**_AUDIENCE_NAME, "filter": _FILTER}, description=_MAYBE_TEXT, unit=_UNIT),
    "Options": _record(_OPTIONS),
    "OptionsChange": {"type": "object", "properties": _OPTIONS, "additionalProperties": False},
}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path: what it does, takes and answers.

    Attributes:
        query: parameters by name.
        refused: statuses that it may answer beside those that all may.
    """

    summary: str
    answer: Schema | None
    status: int = 200
    query: dict[str, Schema] = field(default_factory=dict)
    body: Schema | None = None
    refused: tuple[int, ...] = ()


_START: Schema = {"type": "string", "description": "the `next` of the page before"}
_LIMIT = {"limit": _whole(1, 1_000)}
_AUDIENCE: Schema = _record({"filter": _FILTER}, unit=_UNIT)
_WHOSE: dict[str, Schema] = {
    "person": {
        "type": "string",
        "pattern": "^[0-9a-f]{12,16}$",
        "description": "the cio_id of whose device it is, where several share a token",
    }
}
_SEARCH: dict[str, Schema] = {
    "last_status": {"enum": ["", "unused", *(status.value for status in LastStatus if status)]},
    "platform": {"enum": [platform.value for platform in Platform]},
    "app": _TEXT,
    "used_since": _UNIX,
    "used_before": _UNIX,
    "attribute": {"type": "string", "pattern": "^[^=]+=.*$", "description": "name=value"},
    "start": _START,
    **_LIMIT,
}
_ROUTE = "/api/v1/routes/{route}"

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/api/v1/devices"): Operation(
        summary="Devices by what they are, a page at a time",
        query=_SEARCH,
        answer=_record({"devices": _list(_ref("Device")), "next": _MAYBE_TEXT}),
    ),
    ("GET", "/api/v1/devices/{token}"): Operation(
        summary="One device, by its token or installation id",
        query=_WHOSE,
        answer=_ref("Device"),
        refused=(404,),
    ),
    ("GET", "/api/v1/devices/{token}/history"): Operation(
        summary="What happened to a device, the newest first; it outlives the device",
        query={**_LIMIT, **_WHOSE},
        answer=_record({"history": _list(_OBJECT)}),
        refused=(404,),
    ),
    ("GET", "/api/v1/devices/{token}/pushes"): Operation(
        summary="What came of the pushes to a device, the newest first",
        query={**_LIMIT, **_WHOSE},
        answer=_record({"pushes": _list(_OBJECT)}),
        refused=(404,),
    ),
    ("POST", "/api/v1/audiences/count"): Operation(
        summary="How many people and devices a filter is true of; with within_ms, estimated if that takes longer",
        body={
            **_AUDIENCE,
            "properties": {
                **_AUDIENCE["properties"],
                "within_ms": {**_whole(1, 30_000), "type": ["integer", "null"]},
            },
        },
        answer=_record(
            {"people": _COUNT, "devices": _COUNT},
            estimated=_FLAG,
            people_margin=_COUNT,
            devices_margin=_COUNT,
        ),
        refused=(504,),
    ),
    ("POST", "/api/v1/audiences/sample"): Operation(
        summary="Some of the devices that a filter is true of, the same whenever it is asked",
        query=_LIMIT,
        body=_AUDIENCE,
        answer=_record({"devices": _list(_ref("Device"))}),
        refused=(504,),
    ),
    ("POST", "/api/v1/audiences/preview"): Operation(
        summary="Which devices would be taken in or left out wrongly if the filter were read of people",
        body=_AUDIENCE,
        answer=_record(
            {
                "people": _COUNT,
                "devices": _COUNT,
                "wrongly_included": _COUNT,
                "wrongly_excluded": _COUNT,
                "examples": _list(_OBJECT),
            }
        ),
        refused=(504,),
    ),
    ("GET", "/api/v1/audiences"): Operation(
        summary="Saved audiences, and lists of people kept by hand, the oldest first",
        answer=_record({"audiences": _list(_ref("Audience"))}),
    ),
    ("POST", "/api/v1/audiences"): Operation(
        summary="Save an audience under a name: whoever its filter is true of is in it, whenever that is asked",
        body=_ref("NewAudience"),
        status=201,
        answer=_record({"audience": _ref("Audience")}),
    ),
    ("GET", "/api/v1/audiences/{id}"): Operation(
        summary="One audience", answer=_record({"audience": _ref("Audience")}), refused=(404,)
    ),
    ("PUT", "/api/v1/audiences/{id}"): Operation(
        summary="Let a saved audience be another; what was sent to it stays sent",
        body=_ref("NewAudience"),
        answer=_record({"audience": _ref("Audience")}),
        refused=(404,),
    ),
    ("DELETE", "/api/v1/audiences/{id}"): Operation(
        summary="Forget an audience that no other audience or template names",
        status=204,
        answer=None,
        refused=(404, 409),
    ),
    ("GET", "/api/v1/audiences/{id}/members"): Operation(
        summary="The devices of an audience of devices, else its people, a page at a time",
        query={"start": _START, **_LIMIT},
        answer=_record({"next": _MAYBE_TEXT}, devices=_list(_ref("Device")), people=_list(_OBJECT)),
        refused=(404, 504),
    ),
    ("GET", "/api/v1/stats/devices"): Operation(
        summary="Devices by platform and last status",
        answer=_record({"counts": _list(_OBJECT), "totals": _OBJECT, "devices": _COUNT}),
    ),
    ("GET", "/api/v1/stats/pushes"): Operation(
        summary="What the push services answered in the last days",
        query={"days": _whole(1, 366)},
        answer=_record({"days": _COUNT, "counts": _list(_OBJECT)}),
    ),
    ("GET", "/api/v1/routes"): Operation(
        summary="Routes: how each stands, and what waits or is held on it",
        answer=_record({"routes": _list(_OBJECT)}),
    ),
    ("POST", f"{_ROUTE}/pause"): Operation(
        summary="Send nothing on a route until it is resumed",
        body={"type": "object", "properties": {"reason": _TEXT}},
        answer=_record({"route": _TEXT, "paused": _FLAG}),
        refused=(404, 409),
    ),
    ("POST", f"{_ROUTE}/resume"): Operation(
        summary="Send on a route again",
        answer=_record({"route": _TEXT, "released": _COUNT}),
        refused=(404, 409),
    ),
    ("POST", f"{_ROUTE}/apply"): Operation(
        summary="Believe the refusals that are held: their devices bounce",
        answer=_record({"route": _TEXT, "applied": _COUNT}),
        refused=(404, 409),
    ),
    ("POST", f"{_ROUTE}/discard"): Operation(
        summary="Do not believe the refusals that are held: they are sent again",
        answer=_record({"route": _TEXT, "discarded": _COUNT}),
        refused=(404, 409),
    ),
    ("GET", "/api/v1/options"): Operation(
        summary="What the workspace chose", answer=_record({"options": _ref("Options")})
    ),
    ("PATCH", "/api/v1/options"): Operation(
        summary="Choose anew what is named; the rest stays",
        body=_ref("OptionsChange"),
        answer=_record({"options": _ref("Options")}),
        refused=(409,),
    ),
    ("GET", "/api/v1/templates"): Operation(
        summary="Templates, the oldest first",
        query={"kind": _TEMPLATE_PARTS["kind"]},
        answer=_record({"templates": _list(_ref("Template"))}),
    ),
    ("POST", "/api/v1/templates"): Operation(
        summary="Write a template; its texts are Liquid",
        body=_ref("NewTemplate"),
        status=201,
        answer=_record({"template": _ref("Template")}),
        refused=(409,),
    ),
    ("GET", "/api/v1/templates/{id}"): Operation(
        summary="One template", answer=_record({"template": _ref("Template")}), refused=(404,)
    ),
    ("PUT", "/api/v1/templates/{id}"): Operation(
        summary="Write a template anew; what is queued from it stays as it is",
        body=_ref("NewTemplate"),
        answer=_record({"template": _ref("Template")}),
        refused=(404, 409),
    ),
    ("DELETE", "/api/v1/templates/{id}"): Operation(
        summary="Forget a template; what was sent from it stays", status=204, answer=None, refused=(404,)
    ),
    ("DELETE", "/api/v1/drafts/{id}"): Operation(
        summary="Do not send what was drafted", status=204, answer=None, refused=(404,)
    ),
    ("POST", "/api/v1/drafts/{id}/send"): Operation(
        summary="Send what was drafted", answer=_record({"delivery_id": _TEXT}), refused=(404,)
    ),
}
