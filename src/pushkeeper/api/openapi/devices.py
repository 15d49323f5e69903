"""Operations on devices, and explanations of deliveries."""

from __future__ import annotations

from pushkeeper.api.openapi.operation import LIMIT, START, Operation, Operations
from pushkeeper.api.openapi.schema import Schema, list_of, record, ref
from pushkeeper.api.openapi.schemas import COUNT, FLAG, MAYBE_TEXT, OBJECT, TEXT, TIME, UNIX
from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.model import Platform

_WHOSE: dict[str, Schema] = {
    "person": {
        "type": "string",
        "pattern": "^[0-9a-f]{12,16}$",
        "description": "The cio_id of the device's owner, where several people share a token.",
    }
}
_SEARCH: dict[str, Schema] = {
    "last_status": {
        "enum": ["", "unused", *(status.value for status in LastStatus if status)],
        "description": "The last status; `unused` is the same as the empty one.",
    },
    "platform": {"enum": [platform.value for platform in Platform], "description": "The platform."},
    "app": {**TEXT, "description": "The bundle id or the FCM project that the device belongs to."},
    "used_since": {**UNIX, "description": "Last used at this time or later, in unix seconds."},
    "used_before": {**UNIX, "description": "Last used before this time, in unix seconds."},
    "attribute": {
        "type": "string",
        "pattern": "^[^=]+=.*$",
        "description": "An attribute and its value, as `name=value`.",
    },
    "start": START,
    **LIMIT,
}

DEVICES: Operations = {
    ("GET", "/api/v1/devices"): Operation(
        id="listDevices",
        summary="List devices",
        description="Devices that match all filters given, ordered by key, one page at a time.",
        query=_SEARCH,
        answer=record({"devices": list_of(ref("Device")), "next": MAYBE_TEXT}),
    ),
    ("GET", "/api/v1/devices/{token}"): Operation(
        id="getDevice",
        summary="Get a device",
        description="One device, by its token or installation id.",
        query=_WHOSE,
        answer=ref("Device"),
        refused=(404,),
    ),
    ("GET", "/api/v1/devices/{token}/history"): Operation(
        id="listDeviceHistory",
        summary="List what happened to a device",
        description="Registrations, moves and changes of status, newest first. They are kept after the device is deleted.",
        query={**LIMIT, **_WHOSE},
        answer=record({"history": list_of(OBJECT)}),
        refused=(404,),
    ),
    ("GET", "/api/v1/devices/{token}/pushes"): Operation(
        id="listDevicePushes",
        summary="List the pushes to a device",
        description="The pushes to a device and how each ended, newest first.",
        query={**LIMIT, **_WHOSE},
        answer=record({"pushes": list_of(OBJECT)}),
        refused=(404,),
    ),
    ("GET", "/api/v1/stats/devices"): Operation(
        id="countDevices",
        summary="Count devices",
        description="Devices by platform and last status.",
        answer=record({"counts": list_of(OBJECT), "totals": OBJECT, "devices": COUNT}),
    ),
}

EXPLANATIONS: Operations = {
    ("GET", "/api/v1/explain"): Operation(
        id="explain",
        summary="Explain a delivery",
        description="Why a person did or did not get a message, or whether a push would reach them now.",
        query={
            "person": {"type": "string", "description": "An id, an email, or `cio_` followed by a cio_id."},
            "device": {"type": "string", "description": "A token or installation id."},
            "message": {
                "type": "string",
                "description": "A delivery id, the UUID of a message, or the number of a broadcast.",
            },
        },
        answer=record(
            {
                "person": MAYBE_TEXT,
                "message": MAYBE_TEXT,
                "got": {"type": ["boolean", "null"]},
                "said": TEXT,
                "change": MAYBE_TEXT,
                "steps": list_of(OBJECT),
                "devices": list_of(OBJECT),
            }
        ),
        refused=(404,),
    ),
    ("POST", "/api/v1/undo"): Operation(
        id="undoBounces",
        summary="Undo bounces",
        description="Undoes the bounces of a period, or shows what that would change: it is a dry run unless `dry_run` is false.",
        body=record(
            {"since": TIME, "until": TIME},
            route=MAYBE_TEXT,
            credential=MAYBE_TEXT,
            reason=MAYBE_TEXT,
            only={"enum": ["all", "suppressed"]},
            why=MAYBE_TEXT,
            dry_run=FLAG,
        ),
        answer=record(
            {"dry_run": FLAG, "strikes": COUNT, "devices": COUNT, "changed": list_of(OBJECT)},
            examples=list_of(OBJECT),
        ),
        refused=(404, 504),
    ),
    ("GET", "/api/v1/undo"): Operation(
        id="listUndos",
        summary="List undone bounces",
        description="The bounces that were undone, newest first.",
        answer=record({"undone": list_of(OBJECT)}),
    ),
}
