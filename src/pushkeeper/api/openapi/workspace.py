"""Operations on a workspace: its options, keys and credentials, audit log, and calls of webhooks."""

from __future__ import annotations

from pushkeeper.api.openapi.operation import Operation, Operations
from pushkeeper.services.schemas.base import PageQuery
from pushkeeper.services.schemas.workspace import (
    AuditPageView,
    AuditQuery,
    ChosenOptionsView,
    CredentialListView,
    KeyListView,
    OptionsChange,
    WebhookCallPageView,
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
        answer=CredentialListView,
    ),
    ("GET", "/api/v1/keys"): Operation(
        id="listKeys",
        summary="List API keys",
        description="The API keys of the workspace, without their secrets.",
        answer=KeyListView,
    ),
    ("GET", "/api/v1/audit"): Operation(
        id="listAuditLog",
        summary="List the audit log",
        description="What users, keys, commands and jobs changed in this workspace, newest first, one page at a time. "
        "Calls that send data, such as registrations and pushes, are not in the log.",
        query=AuditQuery,
        answer=AuditPageView,
    ),
    ("GET", "/api/v1/webhooks/{id}/calls"): Operation(
        id="listWebhookCalls",
        summary="List the calls of a webhook",
        description="The last calls of a webhook's endpoint and its answers, newest first, one page at a time.",
        query=PageQuery,
        answer=WebhookCallPageView,
        refused=(404,),
    ),
}
