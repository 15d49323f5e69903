"""Our own API for all sending of a workspace: its state, pausing and resuming it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.api.native.style import native
from pushkeeper.services.schemas.sending import OneSendingView, PauseSendingRequest, SendingView
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.services.sending import SendingState
    from pushkeeper.web.response import Response


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    handlers = _Sending(context)
    surface = native(context)
    return [
        surface.route("/api/v1/sending", GET=handlers.state),
        surface.route("/api/v1/sending/pause", POST=handlers.pause),
        surface.route("/api/v1/sending/resume", POST=handlers.resume),
    ]


class _Sending:
    def __init__(self, context: Context) -> None:
        self._sending = context.services.sending

    async def state(self, call: Call) -> Response:
        return _answer(await self._sending.state(call.workspace_id))

    async def pause(self, call: Call) -> Response:
        reason = (await call.read(PauseSendingRequest)).reason
        return _answer(await self._sending.pause(call.actor, call.workspace_id, reason))

    async def resume(self, call: Call) -> Response:
        return _answer(await self._sending.resume(call.actor, call.workspace_id))


def _answer(state: SendingState) -> Response:
    return response.of_json(OneSendingView(sending=SendingView.of(state)))
