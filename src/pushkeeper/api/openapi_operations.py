"""The operations of our own API: each method of each path, and what it takes and answers."""

from __future__ import annotations

from pushkeeper.api.openapi_erasures import ERASURES
from pushkeeper.api.openapi_operation import LIMIT, START, Operation
from pushkeeper.api.openapi_reports import REPORTS
from pushkeeper.api.openapi_schemas import (
    COUNT,
    FILTER,
    FLAG,
    MAYBE_TEXT,
    OBJECT,
    TEMPLATE_PARTS,
    TEXT,
    TIME,
    UNIT,
    UNIX,
    Schema,
    list_of,
    record,
    ref,
    whole,
)
from pushkeeper.core.model import Platform
from pushkeeper.core.status import LastStatus

_AUDIENCE: Schema = record({"filter": FILTER}, unit=UNIT)
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
    "app": TEXT,
    "used_since": UNIX,
    "used_before": UNIX,
    "attribute": {"type": "string", "pattern": "^[^=]+=.*$", "description": "name=value"},
    "start": START,
    **LIMIT,
}
_ROUTE = "/api/v1/routes/{route}"

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/api/v1/devices"): Operation(
        summary="Devices by what they are, a page at a time",
        query=_SEARCH,
        answer=record({"devices": list_of(ref("Device")), "next": MAYBE_TEXT}),
    ),
    ("GET", "/api/v1/devices/{token}"): Operation(
        summary="One device, by its token or installation id",
        query=_WHOSE,
        answer=ref("Device"),
        refused=(404,),
    ),
    ("GET", "/api/v1/devices/{token}/history"): Operation(
        summary="What happened to a device, the newest first; it outlives the device",
        query={**LIMIT, **_WHOSE},
        answer=record({"history": list_of(OBJECT)}),
        refused=(404,),
    ),
    ("GET", "/api/v1/devices/{token}/pushes"): Operation(
        summary="What came of the pushes to a device, the newest first",
        query={**LIMIT, **_WHOSE},
        answer=record({"pushes": list_of(OBJECT)}),
        refused=(404,),
    ),
    ("POST", "/api/v1/audiences/count"): Operation(
        summary="How many people and devices a filter is true of; with within_ms, estimated if that takes longer",
        body={
            **_AUDIENCE,
            "properties": {
                **_AUDIENCE["properties"],
                "within_ms": {**whole(1, 30_000), "type": ["integer", "null"]},
            },
        },
        answer=record(
            {"people": COUNT, "devices": COUNT},
            estimated=FLAG,
            people_margin=COUNT,
            devices_margin=COUNT,
        ),
        refused=(504,),
    ),
    ("POST", "/api/v1/audiences/sample"): Operation(
        summary="Devices that a filter is true of, the same whenever it is asked, a page at a time",
        query={"start": START, **LIMIT},
        body=_AUDIENCE,
        answer=record({"devices": list_of(ref("Device")), "next": MAYBE_TEXT}),
        refused=(504,),
    ),
    ("POST", "/api/v1/audiences/preview"): Operation(
        summary="Which devices would be taken in or left out wrongly if the filter were read of people",
        body=_AUDIENCE,
        answer=record(
            {
                "people": COUNT,
                "devices": COUNT,
                "wrongly_included": COUNT,
                "wrongly_excluded": COUNT,
                "examples": list_of(OBJECT),
            }
        ),
        refused=(504,),
    ),
    ("POST", "/api/v1/audiences/explain"): Operation(
        summary="How an audience is counted, how long that takes, and which indexes would make it faster",
        body=_AUDIENCE,
        answer=record(
            {
                "people": COUNT,
                "devices": COUNT,
                "took_ms": {"type": "number"},
                "scans": list_of(OBJECT),
                "advice": list_of(OBJECT),
            }
        ),
        refused=(504,),
    ),
    ("GET", "/api/v1/audiences"): Operation(
        summary="Saved audiences, and lists of people kept by hand, the oldest first",
        answer=record({"audiences": list_of(ref("Audience"))}),
    ),
    ("POST", "/api/v1/audiences"): Operation(
        summary="Save an audience under a name: whoever its filter is true of is in it, whenever that is asked",
        body=ref("NewAudience"),
        status=201,
        answer=record({"audience": ref("Audience")}),
    ),
    ("GET", "/api/v1/audiences/{id}"): Operation(
        summary="One audience", answer=record({"audience": ref("Audience")}), refused=(404,)
    ),
    ("PUT", "/api/v1/audiences/{id}"): Operation(
        summary="Let a saved audience be another; what was sent to it stays sent",
        body=ref("NewAudience"),
        answer=record({"audience": ref("Audience")}),
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
        query={"start": START, **LIMIT},
        answer=record({"next": MAYBE_TEXT}, devices=list_of(ref("Device")), people=list_of(OBJECT)),
        refused=(404, 504),
    ),
    ("GET", "/api/v1/broadcasts"): Operation(
        summary="Broadcasts, the newest first, a page at a time",
        query={"start": START, "limit": whole(1, 100)},
        answer=record({"broadcasts": list_of(ref("Broadcast")), "next": MAYBE_TEXT}),
    ),
    ("POST", "/api/v1/broadcasts"): Operation(
        summary="Make a broadcast, with what is to be expected of it; it is a draft unless start is true",
        body=ref("NewBroadcast"),
        status=201,
        answer=record({"broadcast": ref("Broadcast")}),
        refused=(403, 404, 409),
    ),
    ("POST", "/api/v1/broadcasts/preview"): Operation(
        summary="What a broadcast would say on each platform to somebody of its audience; nothing is kept",
        body=ref("NewBroadcast"),
        answer=record(
            {
                "preview": list_of(
                    record(
                        {
                            "platform": TEXT,
                            "to": {"type": ["object", "null"]},
                            "content": {"type": ["object", "null"]},
                            "problem": MAYBE_TEXT,
                        }
                    )
                )
            }
        ),
        refused=(404,),
    ),
    ("GET", "/api/v1/broadcasts/{id}"): Operation(
        summary="One broadcast: how far it has come, when it will be over, and what came of it",
        answer=record({"broadcast": ref("Broadcast")}),
        refused=(404,),
    ),
    ("PUT", "/api/v1/broadcasts/{id}"): Operation(
        summary="Let a draft be so, with what is to be expected of it then; it is started if start is true",
        body=ref("NewBroadcast"),
        answer=record({"broadcast": ref("Broadcast")}),
        refused=(403, 404, 409),
    ),
    ("GET", "/api/v1/broadcasts/{id}/minutes"): Operation(
        summary="How many of its pushes came to what, minute by minute",
        answer=record({"minutes": list_of(OBJECT)}),
        refused=(404,),
    ),
    ("POST", "/api/v1/broadcasts/{id}/preflight"): Operation(
        summary="What is to be expected of it as things stand now; kept with it until it starts",
        answer=record({"preflight": {"type": ["object", "null"]}}),
        refused=(404,),
    ),
    ("POST", "/api/v1/broadcasts/{id}/start"): Operation(
        summary="Let a draft go out, at once or when its hour comes",
        answer=record({"broadcast": ref("Broadcast")}),
        refused=(404, 409),
    ),
    ("POST", "/api/v1/broadcasts/{id}/pause"): Operation(
        summary="Let nothing more of it leave",
        answer=record({"broadcast": ref("Broadcast")}),
        refused=(404, 409),
    ),
    ("POST", "/api/v1/broadcasts/{id}/resume"): Operation(
        summary="Let it go on",
        answer=record({"broadcast": ref("Broadcast")}),
        refused=(404, 409),
    ),
    ("POST", "/api/v1/broadcasts/{id}/cancel"): Operation(
        summary="End it; of each device that was planned there is a record that says so",
        answer=record({"broadcast": ref("Broadcast")}),
        refused=(404, 409),
    ),
    ("GET", "/api/v1/explain"): Operation(
        summary="Why somebody did or didn't get a message, or whether a push would reach them now",
        query={
            "person": {"type": "string", "description": "an id, an email, or cio_ and a cio_id"},
            "device": {"type": "string", "description": "a token or installation id"},
            "message": {
                "type": "string",
                "description": "a delivery's id, a message's UUID, or a broadcast's number",
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
    ("GET", "/api/v1/jobs"): Operation(
        summary="Jobs that are not done: what waits, runs, is put off after a failed attempt, or failed for good, and why",
        answer=record({"jobs": list_of(OBJECT)}),
    ),
    ("POST", "/api/v1/jobs/{kind}/{job}/retry"): Operation(
        summary="Let a job have its next attempt now, and all of its attempts again",
        answer=None,
        status=204,
        refused=(404,),
    ),
    ("POST", "/api/v1/jobs/{kind}/{job}/cancel"): Operation(
        summary="Let nobody work at a job any more", answer=None, status=204, refused=(404, 409)
    ),
    ("POST", "/api/v1/undo"): Operation(
        summary="Take back the strikes of a time, or say what that would change; a dry run unless dry_run is false",
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
        summary="What was taken back, the newest first", answer=record({"undone": list_of(OBJECT)})
    ),
    ("GET", "/api/v1/stats/devices"): Operation(
        summary="Devices by platform and last status",
        answer=record({"counts": list_of(OBJECT), "totals": OBJECT, "devices": COUNT}),
    ),
    ("GET", "/api/v1/stats/pushes"): Operation(
        summary="What the push services answered in the last days",
        query={"days": whole(1, 366)},
        answer=record({"days": COUNT, "counts": list_of(OBJECT)}),
    ),
    ("GET", "/api/v1/routes"): Operation(
        summary="Routes: how each stands, and what waits or is held on it",
        answer=record({"routes": list_of(OBJECT)}),
    ),
    ("POST", f"{_ROUTE}/pause"): Operation(
        summary="Send nothing on a route until it is resumed",
        body={"type": "object", "properties": {"reason": TEXT}},
        answer=record({"route": TEXT, "paused": FLAG}),
        refused=(404, 409),
    ),
    ("POST", f"{_ROUTE}/resume"): Operation(
        summary="Send on a route again",
        answer=record({"route": TEXT, "released": COUNT}),
        refused=(404, 409),
    ),
    ("POST", f"{_ROUTE}/apply"): Operation(
        summary="Believe the refusals that are held: their devices bounce",
        answer=record({"route": TEXT, "applied": COUNT}),
        refused=(404, 409),
    ),
    ("POST", f"{_ROUTE}/discard"): Operation(
        summary="Do not believe the refusals that are held: they are sent again",
        answer=record({"route": TEXT, "discarded": COUNT}),
        refused=(404, 409),
    ),
    ("GET", "/api/v1/options"): Operation(
        summary="What the workspace chose", answer=record({"options": ref("Options")})
    ),
    ("PATCH", "/api/v1/options"): Operation(
        summary="Choose anew what is named; the rest stays",
        body=ref("OptionsChange"),
        answer=record({"options": ref("Options")}),
        refused=(409,),
    ),
    ("GET", "/api/v1/templates"): Operation(
        summary="Templates, the oldest first",
        query={"kind": TEMPLATE_PARTS["kind"]},
        answer=record({"templates": list_of(ref("Template"))}),
    ),
    ("POST", "/api/v1/templates"): Operation(
        summary="Write a template; its texts are Liquid",
        body=ref("NewTemplate"),
        status=201,
        answer=record({"template": ref("Template")}),
        refused=(409,),
    ),
    ("GET", "/api/v1/templates/{id}"): Operation(
        summary="One template", answer=record({"template": ref("Template")}), refused=(404,)
    ),
    ("PUT", "/api/v1/templates/{id}"): Operation(
        summary="Write a template anew; what is queued from it stays as it is",
        body=ref("NewTemplate"),
        answer=record({"template": ref("Template")}),
        refused=(404, 409),
    ),
    ("DELETE", "/api/v1/templates/{id}"): Operation(
        summary="Forget a template; what was sent from it stays", status=204, answer=None, refused=(404,)
    ),
    ("DELETE", "/api/v1/drafts/{id}"): Operation(
        summary="Do not send what was drafted", status=204, answer=None, refused=(404,)
    ),
    ("POST", "/api/v1/drafts/{id}/send"): Operation(
        summary="Send what was drafted", answer=record({"delivery_id": TEXT}), refused=(404,)
    ),
    ("GET", "/api/v1/credentials"): Operation(
        summary="Credentials of the push services, without their secrets",
        answer=record({"credentials": list_of(OBJECT)}),
    ),
    ("GET", "/api/v1/keys"): Operation(
        summary="The workspace's own keys, by what of them may be shown",
        answer=record({"keys": list_of(OBJECT)}),
    ),
    ("GET", "/api/v1/audit"): Operation(
        summary="What users did in this workspace, the newest first, a page at a time",
        query={"start": START, **LIMIT},
        answer=record(
            {
                "audit": list_of(
                    record(
                        {
                            "audit_id": COUNT,
                            "at": TEXT,
                            # The dashboard's number of the user; null for the command line.
                            "user_id": {"type": ["integer", "null"]},
                            "action": TEXT,
                            "target": TEXT,
                            "outcome": {"enum": ["begun", "done", "refused", "failed"]},
                            "detail": TEXT,
                        }
                    )
                ),
                "next": MAYBE_TEXT,
            }
        ),
    ),
    ("GET", "/api/v1/webhooks/{id}/calls"): Operation(
        summary="The last calls of a webhook's endpoint and what it said, the newest first, a page at a time",
        query={"start": START, **LIMIT},
        answer=record(
            {
                "calls": list_of(
                    record(
                        {
                            "call": COUNT,
                            "at": TEXT,
                            "event_id": TEXT,
                            "event": TEXT,
                            "delivery_id": MAYBE_TEXT,
                            "person": MAYBE_TEXT,
                            "attempt": COUNT,
                            "status": {"type": ["integer", "null"]},
                            "failure": MAYBE_TEXT,
                            "took_ms": COUNT,
                        }
                    )
                ),
                "next": MAYBE_TEXT,
            }
        ),
        refused=(404,),
    ),
    ("GET", "/api/v1/messages/{message}/pushes"): Operation(
        summary="The pushes of a message to many, a page at a time",
        query={
            "ending": {"enum": ["accepted", "bounced", "failed", "expired", "unknown", "skipped"]},
            "start": START,
            **LIMIT,
        },
        answer=record({"pushes": list_of(OBJECT), "next": MAYBE_TEXT}),
        refused=(404,),
    ),
    **ERASURES,
    **REPORTS,
}
