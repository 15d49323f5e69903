"""Our own API, for operators: keys, credentials, what users did, calls of webhooks, and the pushes of a message to many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from pushkeeper.api.native.devices import render
from pushkeeper.core.actor import ActorKind
from pushkeeper.core.identity import cio_id
from pushkeeper.errors import NotFound
from pushkeeper.services import validation
from pushkeeper.services.audit import AuditFilter
from pushkeeper.services.schemas.base import PageQuery
from pushkeeper.services.schemas.workspace import AuditQuery, PushesQuery
from pushkeeper.web import response
from pushkeeper.web.endpoint import ApiStyle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.services.audit import AuditLine
    from pushkeeper.services.listings import ShownDelivery
    from pushkeeper.services.webhooks import LoggedCall
    from pushkeeper.web.endpoint import Call
    from pushkeeper.web.response import Answer

_PAGE = 50


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    native = _Workspace(context)
    surface = ApiStyle(name="native", authenticate=context.keys.app, render=render)
    return [
        surface.route("/api/v1/credentials", GET=native.credentials),
        surface.route("/api/v1/keys", GET=native.keys),
        surface.route("/api/v1/audit", GET=native.audit),
        surface.route("/api/v1/messages/{message}/pushes", GET=native.pushes),
        surface.route("/api/v1/webhooks/{id}/calls", GET=native.calls),
    ]


class _Workspace:
    def __init__(self, context: Context) -> None:
        self._listings = context.services.listings
        self._credentials = context.services.credentials
        self._keys = context.services.api_keys
        self._audit = context.services.audit
        self._webhooks = context.services.webhooks

    async def credentials(self, call: Call) -> Answer:
        """What may be shown of them; a secret never is."""
        found = await self._credentials.of_workspace(call.workspace.workspace_id)
        return response.of_json({"credentials": found})

    async def keys(self, call: Call) -> Answer:
        found = await self._keys.of_workspace(call.workspace.workspace_id)
        return response.of_json({"keys": found})

    async def audit(self, call: Call) -> Answer:
        query = call.queried(AuditQuery)
        limit, before = _page_of(query)
        wanted = AuditFilter(
            before=before or None,
            workspace_id=call.workspace.workspace_id,
            actor=query.actor,
            limit=limit + 1,
        )
        found = await self._audit.lines(wanted)
        following = validation.next_page(found[limit - 1].audit_id) if len(found) > limit else None
        return response.of_json({"audit": [audit_json(one) for one in found[:limit]], "next": following})

    async def pushes(self, call: Call) -> Answer:
        """The pushes of a message to many, by their devices."""
        query = call.queried(PushesQuery)
        message_id = _message_id(call)
        workspace, limit = call.workspace.workspace_id, query.limit or _PAGE
        if await self._listings.message(workspace, message_id) is None:
            raise NotFound("message: not found in this workspace")
        page = await self._listings.pushes(
            workspace,
            message_id,
            query.ending,
            after=validation.key_of_page(query.start),
            limit=limit,
        )
        following = None if page.following is None else page.following.hex()
        return response.of_json({"pushes": [_push_json(one) for one in page.rows], "next": following})

    async def calls(self, call: Call) -> Answer:
        """The last calls of a webhook's endpoint, and what it said."""
        limit, before = _page(call)
        found = await self._webhooks.calls(
            call.workspace.workspace_id,
            validation.number_of_path(call.segment("id"), "webhook"),
            before=before or None,
            most=limit + 1,
        )
        following = validation.next_page(found[limit - 1].call) if len(found) > limit else None
        return response.of_json({"calls": [call_json(one) for one in found[:limit]], "next": following})


def audit_json(line: AuditLine) -> dict[str, Any]:
    """One line, without the name (an e-mail address) and the network address of a user of the dashboard.

    App keys are in back-ends and with third parties, and workspaces share the dashboard's users. The number is enough to
    tell users apart; admins see in the dashboard whose it is.
    """
    return {
        "audit_id": line.audit_id,
        "at": line.at,
        "actor": {
            "kind": line.actor,
            "name": None if line.actor is ActorKind.USER else line.user_name,
        },
        "user_id": line.user_id,
        "action": line.action,
        "target": line.target,
        "outcome": line.outcome,
        "detail": line.detail,
    }


def call_json(one: LoggedCall) -> dict[str, Any]:
    """One call of an endpoint: what it told of, and what was said to that."""
    return {
        "call": one.call,
        "at": one.at,
        "event_id": one.event_id,
        "event": one.event,
        "delivery_id": None if one.delivery_id is None else str(one.delivery_id),
        "person": None if one.person_id is None else cio_id(one.person_id),
        "attempt": one.attempt,
        "status": one.status,
        "failure": one.failure,
        "took_ms": one.took_ms,
    }


def _push_json(one: ShownDelivery) -> dict[str, Any]:
    return {
        "delivery_id": str(one.delivery_id),
        "device": one.device_id.hex(),
        "platform": one.platform,
        "person": {"id": one.id, "email": one.email, "cio_id": cio_id(one.person_id)},
        "ending": one.ending,
        "reason": one.reason,
        "provider": one.provider,
        "provider_status": one.provider_status,
        "provider_reason": one.provider_reason,
        "settled_at": one.settled_at,
    }


def _message_id(call: Call) -> UUID:
    try:
        return UUID(call.segment("message"))
    except ValueError:
        raise NotFound("message: not found in this workspace") from None


def _page(call: Call) -> tuple[int, int]:
    """How many are wanted, and before which number; 0 from the newest on."""
    return _page_of(call.queried(PageQuery))


def _page_of(query: PageQuery) -> tuple[int, int]:
    limit = query.limit or _PAGE
    return validation.page(None, query.start, usual=limit, most=limit)
