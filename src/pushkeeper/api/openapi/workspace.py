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
        description="Changes the given options.",
        body=OptionsChange,
        body_is_optional=True,
        answer=ChosenOptionsView,
        refused=(409,),
    ),
    ("GET", "/api/v1/credentials"): Operation(
        id="listCredentials",
        summary="List credentials",
        description="FCM and APNs credentials, without secrets.",
        answer=CredentialListView,
    ),
    ("GET", "/api/v1/keys"): Operation(
        id="listKeys",
        summary="List API keys",
        description="The API keys of the workspace, redacted.",
        answer=KeyListView,
    ),
    ("GET", "/api/v1/audit"): Operation(
        id="listAuditLog",
        summary="List the audit log",
        description="Changes by users, API keys, commands and jobs in this workspace, newest first, one page at a time. "
        "Data calls, such as registrations and pushes, are not logged.",
        query=AuditQuery,
        answer=AuditPageView,
    ),
    ("GET", "/api/v1/webhooks/{id}/calls"): Operation(
        id="listWebhookCalls",
        summary="List webhook deliveries",
        description="The last deliveries of a webhook with the endpoint's responses, newest first, one page at a time.",
        query=PageQuery,
        answer=WebhookCallPageView,
        refused=(404,),
    ),
}
