"""Our own API, for operators: keys, credentials, the audit log, and calls of webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.api.native.style import native
from pushkeeper.services import validation
from pushkeeper.services.audit import AuditFilter
from pushkeeper.services.schemas.base import PageQuery
from pushkeeper.services.schemas.workspace import (
    AuditLineView,
    AuditPageView,
    AuditQuery,
    CredentialListView,
    CredentialView,
    KeyListView,
    KeyView,
    WebhookCallPageView,
    WebhookCallView,
)
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.web.response import Response

_PAGE = 50


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    handlers = _Workspace(context)
    surface = native(context)
    return [
        surface.route("/api/v1/credentials", GET=handlers.credentials),
        surface.route("/api/v1/keys", GET=handlers.keys),
        surface.route("/api/v1/audit", GET=handlers.audit),
        surface.route("/api/v1/webhooks/{id}/calls", GET=handlers.calls),
    ]


class _Workspace:
    def __init__(self, context: Context) -> None:
        self._credentials = context.services.credentials
        self._keys = context.services.api_keys
        self._audit = context.services.audit
        self._webhooks = context.services.webhooks

    async def credentials(self, call: Call) -> Response:
        """Credentials without their secrets."""
        found = await self._credentials.of_workspace(call.workspace_id)
        return response.of_json(
            CredentialListView(credentials=[CredentialView.from_attributes(one) for one in found])
        )

    async def keys(self, call: Call) -> Response:
        found = await self._keys.of_workspace(call.workspace_id)
        return response.of_json(KeyListView(keys=[KeyView.from_attributes(one) for one in found]))

    async def audit(self, call: Call) -> Response:
        query = call.queried(AuditQuery)
        limit, before = _page_of(query)
        wanted = AuditFilter(
            before=before or None,
            workspace_id=call.workspace_id,
            actor=query.actor,
            limit=limit + 1,
        )
        found = await self._audit.lines(wanted)
        following = validation.next_page(found[limit - 1].audit_id) if len(found) > limit else None
        lines = [AuditLineView.of(one) for one in found[:limit]]
        return response.of_json(AuditPageView(audit=lines, next=following))

    async def calls(self, call: Call) -> Response:
        """The last calls of a webhook's endpoint, and what it said."""
        limit, before = _page(call)
        found = await self._webhooks.calls(
            call.workspace_id,
            call.number("webhook"),
            before=before or None,
            most=limit + 1,
        )
        following = validation.next_page(found[limit - 1].call) if len(found) > limit else None
        calls = [WebhookCallView.of(one) for one in found[:limit]]
        return response.of_json(WebhookCallPageView(calls=calls, next=following))


def _page(call: Call) -> tuple[int, int]:
    """How many are wanted, and before which number; 0 from the newest on."""
    return _page_of(call.queried(PageQuery))


def _page_of(query: PageQuery) -> tuple[int, int]:
    limit = query.limit or _PAGE
    return validation.page(None, query.start, usual=limit, most=limit)
