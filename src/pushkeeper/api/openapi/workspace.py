"""Operations on a workspace: its options, keys and credentials, audit log, and calls of webhooks."""

from __future__ import annotations

from pushkeeper.api.openapi.operation import Operation, Operations
from pushkeeper.api.openapi.schema import Schema, list_of, record
from pushkeeper.api.openapi.schemas import COUNT, MAYBE_TEXT, OBJECT, TEXT
from pushkeeper.services.schemas.base import PageQuery
from pushkeeper.services.schemas.workspace import AuditQuery, ChosenOptionsView, OptionsChange

_LINE: Schema = record(
    {
        "audit_id": COUNT,
        "at": TEXT,
        "actor": record(
            {
                "kind": {"enum": ["user", "key", "command_line", "job"]},
                "name": {
                    "type": ["string", "null"],
                    "description": "The site id or public beginning of a key, the operating system's user at the "
                    "command line, or the kind of job; null for users.",
                },
            }
        ),
        "user_id": {
            "type": ["integer", "null"],
            "description": "The dashboard's number of the user; null for other actors.",
        },
        "action": TEXT,
        "target": TEXT,
        "outcome": {"enum": ["begun", "done", "refused", "failed"]},
        "detail": TEXT,
    }
)
_CALL: Schema = record(
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

WORKSPACE: Operations = {
    ("GET", "/api/v1/options"): Operation(
        id="getOptions",
        summary="Get the options",
        description="The options of the workspace.",
        answer=ChosenOptionsView,
    ),
    ("PATCH", "/api/v1/options"): Operation(
        id="changeOptions",
        summary="Change options",
        description="Changes the options that are given, and leaves the others.",
        body=OptionsChange,
        body_is_optional=True,
        answer=ChosenOptionsView,
        refused=(409,),
    ),
    ("GET", "/api/v1/credentials"): Operation(
        id="listCredentials",
        summary="List credentials",
        description="The credentials of the push services, without their secrets.",
        answer=record({"credentials": list_of(OBJECT)}),
    ),
    ("GET", "/api/v1/keys"): Operation(
        id="listKeys",
        summary="List API keys",
        description="The API keys of the workspace, without their secrets.",
        answer=record({"keys": list_of(OBJECT)}),
    ),
    ("GET", "/api/v1/audit"): Operation(
        id="listAuditLog",
        summary="List the audit log",
        description="What users, keys, commands and jobs changed in this workspace, newest first, one page at a time. "
        "Calls that send data, such as registrations and pushes, are not in the log.",
        query=AuditQuery,
        answer=record({"audit": list_of(_LINE), "next": MAYBE_TEXT}),
    ),
    ("GET", "/api/v1/webhooks/{id}/calls"): Operation(
        id="listWebhookCalls",
        summary="List the calls of a webhook",
        description="The last calls of a webhook's endpoint and its answers, newest first, one page at a time.",
        query=PageQuery,
        answer=record({"calls": list_of(_CALL), "next": MAYBE_TEXT}),
        refused=(404,),
    ),
}
