"""Our own API for broadcasts: made, looked at beforehand, started, paused, resumed, cancelled, and what came of them."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.api.native.broadcast_request import change_of, request_of, version_of
from pushkeeper.api.native.devices import device_json, render
from pushkeeper.errors import BadRequest
from pushkeeper.services import validation
from pushkeeper.services.broadcasts.service import EstimateState
from pushkeeper.services.schemas.broadcasts import BroadcastsQuery
from pushkeeper.web import response
from pushkeeper.web.endpoint import Surface

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.services.broadcasts.service import Broadcast, Standing
    from pushkeeper.services.messages.preview import Said
    from pushkeeper.web.endpoint import Call
    from pushkeeper.web.response import Answer

MAX_BODY_BYTES = 10_000_000  # ten thousand tokens of installations


def routes(context: Context) -> Sequence[Route]:
    """The routes of broadcasts."""
    broadcasts = _Broadcasts(context)
    surface = Surface(
        name="native", authenticate=context.keys.app, render=render, max_body_bytes=MAX_BODY_BYTES
    )
    return [
        surface.route("/api/v1/broadcasts", GET=broadcasts.all, POST=broadcasts.make),
        surface.route("/api/v1/broadcasts/preview", POST=broadcasts.preview),
        surface.route("/api/v1/broadcasts/{id}", GET=broadcasts.one, PUT=broadcasts.change),
        surface.route("/api/v1/broadcasts/{id}/minutes", GET=broadcasts.minutes),
        surface.route("/api/v1/broadcasts/{id}/estimate", POST=broadcasts.estimate),
        surface.route("/api/v1/broadcasts/{id}/preflight", POST=broadcasts.preflight),
        surface.route("/api/v1/broadcasts/{id}/start", POST=broadcasts.start),
        surface.route("/api/v1/broadcasts/{id}/pause", POST=broadcasts.pause),
        surface.route("/api/v1/broadcasts/{id}/resume", POST=broadcasts.resume),
        surface.route("/api/v1/broadcasts/{id}/cancel", POST=broadcasts.cancel),
    ]


class _Broadcasts:
    def __init__(self, context: Context) -> None:
        self._room = context.services.broadcasts
        self._audit = context.services.audit

    async def make(self, call: Call) -> Answer:
        key = call.header(b"idempotency-key").decode("latin-1")
        request, start = request_of(await call.json(), key)
        made = await self._room.create(call.actor, call.workspace.workspace_id, request, start=start)
        return response.of_json({"broadcast": broadcast_json(made)}, 201)

    async def change(self, call: Call) -> Answer:
        request, start, version = change_of(await call.json())
        workspace, number = call.workspace.workspace_id, _number(call)
        changed = await self._room.change(call.actor, workspace, number, request, version=version)
        if start:
            changed = await self._room.start(call.actor, workspace, number, version=changed.version)
        return response.of_json({"broadcast": broadcast_json(changed)})

    async def preview(self, call: Call) -> Answer:
        request, _ = request_of(await call.json())
        said = await self._room.preview(call.workspace.workspace_id, request)
        shown_to = sum(one.to is not None for one in said)
        await self._audit.tokens_read(call.actor, call.workspace.workspace_id, shown_to)
        return response.of_json({"preview": [_said_json(one) for one in said]})

    async def all(self, call: Call) -> Answer:
        query = call.queried(BroadcastsQuery)
        limit = query.limit
        _, before = validation.page(None, query.start, usual=limit, most=limit)
        found = await self._room.all(call.workspace.workspace_id, before=before or None, limit=limit + 1)
        page = found[:limit]
        following = validation.next_page(page[-1].broadcast_id) if len(found) > limit else None
        return response.of_json({"broadcasts": [broadcast_json(one) for one in page], "next": following})

    async def one(self, call: Call) -> Answer:
        standing = await self._room.standing(call.workspace.workspace_id, _number(call))
        return response.of_json({"broadcast": standing_json(standing)})

    async def minutes(self, call: Call) -> Answer:
        found = await self._room.minutes(call.workspace.workspace_id, _number(call))
        return response.of_json({"minutes": found})

    async def estimate(self, call: Call) -> Answer:
        found = await self._room.estimate(call.workspace.workspace_id, _number(call))
        return response.of_json({"estimate": estimate_json(found)}, 202)

    async def preflight(self, call: Call) -> Answer:
        """What `estimate` does, by its former name and answer."""
        found = await self._room.estimate(call.workspace.workspace_id, _number(call))
        return response.of_json({"preflight": found.preflight, "estimate": estimate_json(found)})

    async def start(self, call: Call) -> Answer:
        body = await call.json()
        if unknown := sorted(body.keys() - {"version"}):
            raise BadRequest(unknown[0][:40], "there is no such field", "unknown_field")
        return await self._changed(call, partial(self._room.start, version=version_of(body)))

    async def pause(self, call: Call) -> Answer:
        return await self._changed(call, self._room.pause)

    async def resume(self, call: Call) -> Answer:
        return await self._changed(call, self._room.resume)

    async def cancel(self, call: Call) -> Answer:
        return await self._changed(call, self._room.cancel)

    async def _changed(self, call: Call, change: Callable[..., Awaitable[Broadcast]]) -> Answer:
        changed = await change(call.actor, call.workspace.workspace_id, _number(call))
        return response.of_json({"broadcast": broadcast_json(changed)})


def broadcast_json(broadcast: Broadcast) -> dict[str, Any]:
    """A broadcast: what it says, to whom, when, and how it stands."""
    wording = broadcast.wording
    return {
        "id": broadcast.broadcast_id,
        "version": broadcast.version,
        "message_id": None if broadcast.message_id is None else str(broadcast.message_id),
        "name": broadcast.name,
        "state": broadcast.shown_state,
        "failure": broadcast.failure or broadcast.stop_reason,
        "retry": None
        if broadcast.last_error is None
        else {
            "reason": broadcast.last_error,
            "attempts": broadcast.attempts,
            "next_attempt_at": broadcast.next_attempt_at,
        },
        "template": broadcast.template_id,
        "content": msgspec.to_builtins(broadcast.content),
        "data": wording.data if wording else {},
        "audience": None
        if broadcast.audience is None
        else {"filter": broadcast.audience, "unit": broadcast.unit},
        "named": _named(broadcast),
        "schedule": msgspec.to_builtins(broadcast.schedule),
        "per_second": broadcast.per_s,
        "send_to_unsubscribed": broadcast.send_to_unsubscribed,
        "skip_without_permission": broadcast.skip_without_permission,
        "one_per_phone": broadcast.one_per_phone,
        "dry_run": broadcast.dry_run,
        "idempotency_key": broadcast.once,
        "created_at": broadcast.created_at,
        "due_at": broadcast.pass_at,
        "started_at": broadcast.started_at,
        "planned_at": broadcast.planned_at,
        "paused_at": broadcast.paused_at,
        "cancelled_at": broadcast.cancelled_at,
        "expires_at": None if broadcast.started_at is None else broadcast.expires_at,
        "left_out": None if broadcast.preflight is None else broadcast.preflight["no_content"],
        "preflight": broadcast.preflight,
        "estimate": estimate_json(broadcast),
    }


def estimate_json(broadcast: Broadcast) -> dict[str, Any] | None:
    """The estimate of a broadcast: pending, done with its figures, or failed with the reason."""
    estimate = broadcast.estimate
    if estimate is None:
        return None
    done = estimate.state is EstimateState.DONE
    return {
        "state": estimate.state,
        "requested_at": estimate.asked_at,
        "reason": estimate.reason,
        "figures": broadcast.preflight if done else None,
    }


def standing_json(standing: Standing) -> dict[str, Any]:
    """A broadcast with how far it has come, what came of it, and whether that is what was foreseen."""
    endings = Counter[str]()
    for tally in standing.tallies:
        endings[tally.ending] += tally.pushes
    return {
        **broadcast_json(standing.broadcast),
        "progress": msgspec.to_builtins(standing.progress),
        "endings": dict(endings),
        "results": standing.tallies,
        "waiting": standing.waiting,
        "compared": standing.compared,
    }


def _said_json(said: Said) -> dict[str, Any]:
    return {
        "platform": said.platform,
        "to": None if said.to is None else device_json(said.to.device),
        "content": None if said.content is None else msgspec.to_builtins(said.content),
        "problem": said.problem or None,
    }


def _named(broadcast: Broadcast) -> dict[str, Any] | None:
    if broadcast.device_ids is not None:
        return {"devices": len(broadcast.device_ids)}
    return {"people": True} if broadcast.listed else None


def _number(call: Call) -> int:
    return validation.number_of_path(call.segment("id"), "broadcast")
