"""Our own API for messages: the pushes of a message to many devices, and drafts, which are sent or discarded."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from pushkeeper.api.native.style import native
from pushkeeper.errors import NotFound
from pushkeeper.services import validation
from pushkeeper.services.schemas.messages import (
    MessagePushPageView,
    MessagePushView,
    PushesQuery,
    SentDraftView,
)
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.core.delivery.delivery_id import DeliveryId
    from pushkeeper.web.response import Response

_PAGE = 50


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    messages = _Messages(context)
    surface = native(context)
    return [
        surface.route("/api/v1/messages/{message}/pushes", GET=messages.pushes),
        surface.route("/api/v1/drafts/{id}", DELETE=messages.drop_draft),
        surface.route("/api/v1/drafts/{id}/send", POST=messages.send_draft),
    ]


class _Messages:
    def __init__(self, context: Context) -> None:
        self._listings = context.services.listings
        self._transactional = context.services.transactional

    async def pushes(self, call: Call) -> Response:
        """The pushes of a message to many, by their devices."""
        query = call.queried(PushesQuery)
        message_id = _message_id(call)
        workspace, limit = call.workspace_id, query.limit or _PAGE
        if await self._listings.message(workspace, message_id) is None:
            raise NotFound("message: not found in this workspace")
        page = await self._listings.pushes(
            workspace, message_id, query.ending, after=validation.key_of_page(query.start), limit=limit
        )
        following = None if page.following is None else page.following.hex()
        pushes = [MessagePushView.of(one) for one in page.rows]
        return response.of_json(MessagePushPageView(pushes=pushes, next=following))

    async def send_draft(self, call: Call) -> Response:
        delivery_id = self._delivery(call)
        await self._transactional.send_draft(call.actor, call.workspace_id, delivery_id)
        return response.about(delivery_id, SentDraftView(delivery_id=str(delivery_id)))

    async def drop_draft(self, call: Call) -> Response:
        delivery_id = self._delivery(call)
        await self._transactional.drop_draft(call.actor, call.workspace_id, delivery_id)
        return response.empty(delivery_id)

    def _delivery(self, call: Call) -> DeliveryId:
        found = self._listings.delivery_ids.read_of(call.workspace_id, call.segment("id"))
        if found is None:
            raise NotFound("Message not found")
        return found


def _message_id(call: Call) -> UUID:
    try:
        return UUID(call.segment("message"))
    except ValueError:
        raise NotFound("message: not found in this workspace") from None
