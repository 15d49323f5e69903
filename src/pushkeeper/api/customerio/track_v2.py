"""Customer.io's Track API, version 2: one operation, or a batch of operations that succeed or fail separately."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pushkeeper.api.customerio import delivery_reports, parse
from pushkeeper.api.customerio.dropped_parts import DroppedParts, problem
from pushkeeper.api.customerio.track_v1 import DONE, refused_key
from pushkeeper.api.style import ApiStyle
from pushkeeper.core import times
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.errors import (
    BadRequest,
    PushkeeperError,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)
from pushkeeper.services import validation
from pushkeeper.services.people import Call as Told
from pushkeeper.services.people import PersonReference, PersonUpdate
from pushkeeper.services.reports.deliveries import AppReport
from pushkeeper.web import response
from pushkeeper.web.body import by_size, size_of_batch, size_of_part

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.web.body import Check
    from pushkeeper.web.response import Response

MAX_ITEM_BYTES = 32 * 1024
MAX_BATCH_BYTES = 500 * 1024
MAX_ITEMS = 10_000  # one that says anything has some 50 bytes
_PARTLY_DONE = 207
_AT_ONCE = 200  # that are begun without a look at what others want
_KINDS = (IdentifierKind.ID, IdentifierKind.EMAIL, IdentifierKind.CIO_ID)
_EVENTS = {"event": "event", "page": "page", "screen": "screen"}
_OBJECT_ACTIONS = frozenset(
    {"identify", "identify_anonymous", "delete", "event", "add_relationships", "delete_relationships"}
)


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    track = _TrackV2(context)
    surface = ApiStyle(name="track_v2", authenticate=context.keys.track, render=render)
    return [
        surface.route("/api/v2/entity", POST=track.entity),
        surface.route("/api/v2/batch", POST=track.batch),
    ]


def render(error: PushkeeperError, status: int) -> Any:  # noqa: ANN401 - JSON
    """`errors` with reason, field and message, as this API answers what is wrong with a request."""
    del status
    if isinstance(error, Unauthorized):
        return {"meta": {"error": refused_key(error)}}
    if isinstance(error, TooManyRequests | Unreachable):
        return {"meta": {"error": error.message}}
    return {"errors": [problem(error)]}


@dataclass(frozen=True, slots=True)
class _Note:
    """A note about an object, or about relationships to one: stored unchanged."""

    said: dict[str, Any]


class _TrackV2:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def entity(self, call: Call) -> Response:
        if len(call.raw_body) > MAX_ITEM_BYTES:
            raise TooLarge("entity", f"cannot be longer than {MAX_ITEM_BYTES} bytes")
        item = await call.json()
        [found] = await self._done(call, [self._read(call, item)])
        if found is not None:
            raise found
        return DONE

    async def batch(self, call: Call) -> Response:
        if len(call.raw_body) > MAX_BATCH_BYTES:
            raise TooLarge("batch", f"cannot be longer than {MAX_BATCH_BYTES} bytes")
        body, checks = await call.parts()
        items = body.get("batch")
        if not isinstance(items, list):
            raise BadRequest("batch", "expected a list of operations", "wrong_type")
        if len(items) > MAX_ITEMS:
            raise TooLarge("batch", f"cannot have more than {MAX_ITEMS:,} operations")
        self._context.keys.count_items("track", call.workspace_id, len(items))
        read = await by_size(
            size_of_batch(len(call.raw_body), len(items)),
            lambda: [self._read_item(call, item, checks) for item in items],
            of=call.workspace_id,
        )
        refused = [
            (place, error) for place, error in enumerate(await self._done(call, read)) if error is not None
        ]
        if not refused:
            return DONE
        drops = DroppedParts("track_v2", call.request_id, call.workspace_id)
        for place, error in refused:
            drops.add("item", error, place)
        drops.record()
        return response.of_json({"errors": [problem(error, place) for place, error in refused]}, _PARTLY_DONE)

    def _read_item(
        self, call: Call, item: object, checks: Sequence[Check]
    ) -> list[Told | AppReport | _Note] | BadRequest:
        try:
            given = validation.as_object(item, "batch")
            if size_of_part(given, checks) > MAX_ITEM_BYTES:
                raise TooLarge("batch", f"an operation cannot be longer than {MAX_ITEM_BYTES} bytes")
            return self._read(call, given)
        except BadRequest as error:
            return error

    def _read(self, call: Call, item: dict[str, Any]) -> list[Told | AppReport | _Note]:
        kind = validation.one_of(item.get("type"), "type", ("person", "object", "delivery"))
        if kind == "delivery":
            return _delivery(call, item)
        if kind == "object":
            action = item.get("action")
            if not isinstance(action, str) or action not in _OBJECT_ACTIONS:
                raise BadRequest("action", "expected one that objects have")
            validation.as_object(item.get("identifiers"), "identifiers")
            return [_Note(item)]
        return self._person(call, item)

    def _person(self, call: Call, item: dict[str, Any]) -> list[Told | AppReport | _Note]:
        action = validation.one_of(item.get("action"), "action", tuple(_PERSON_ACTIONS))
        return _PERSON_ACTIONS[action](self._context, call, item)

    async def _done(
        self, call: Call, read: Sequence[list[Told | AppReport | _Note] | BadRequest]
    ) -> list[PushkeeperError | None]:
        """Do all that could be read, in order; what refused each, None where nothing did."""
        errors: list[PushkeeperError | None] = [
            found if isinstance(found, BadRequest) else None for found in read
        ]
        calls: list[tuple[int, Told]] = []
        aside: list[Awaitable[object]] = []
        for place, found in enumerate(read):
            for one in found if isinstance(found, list) else ():
                if isinstance(one, AppReport):
                    aside.append(self._context.services.deliveries.report(one))
                elif isinstance(one, _Note):
                    aside.append(self._context.services.people.note(call.workspace_id, one.said))
                else:
                    calls.append((place, one))
        for start in range(0, len(aside), _AT_ONCE):
            await asyncio.gather(*aside[start : start + _AT_ONCE])
        answers = await self._context.services.people.do_all([told for _, told in calls])
        if answers and all(isinstance(done, Unreachable) for done in answers):
            raise answers[0]  # type: ignore[misc]  # as has just been seen
        for (place, _), done in zip(calls, answers, strict=True):
            if isinstance(done, PushkeeperError):
                errors[place] = done
            elif isinstance(done, BaseException):
                raise done
        return errors


_Ops = list[Told | AppReport | _Note]


def _delivery(call: Call, item: dict[str, Any]) -> _Ops:
    identifiers = validation.as_object(item.get("identifiers"), "identifiers")
    delivery = validation.text(identifiers.get("id"), "identifiers.id", max_bytes=validation.MAX_VALUE_BYTES)
    attributes = validation.optional_object(item.get("attributes"), "attributes")
    name = validation.text(item.get("name"), "name", max_bytes=validation.MAX_EVENT_NAME_BYTES).strip()
    found = delivery_reports.report(
        delivery,
        name,
        attributes.get("device_token"),
        at=times.from_seconds(item.get("timestamp")),
        href=attributes.get("href"),
        action=attributes.get("action"),
    )
    if found is None:
        return []
    return [replace(found, workspace_id=call.workspace_id, by_server=True)]


def _named(item: dict[str, Any], field: str = "identifiers") -> Identifier:
    return validation.one_identifier(item.get(field), field, _KINDS)


def _identify(context: Context, call: Call, item: dict[str, Any]) -> _Ops:
    del context
    workspace, path = call.workspace_id, _named(item)
    attributes = validation.optional_object(item.get("attributes"), "attributes")
    change = parse.change({**attributes, "_timestamp": item.get("timestamp")})
    update = validation.optional_flag(attributes.get("_update"), "attributes._update", default=False)
    apply = PersonUpdate(
        workspace_id=workspace,
        naming=PersonReference(
            workspace_id=workspace,
            path=path,
            others=parse.other_identifiers(attributes),
            create=not update,
            field=f"identifiers.{path.kind}",
            within="attributes.",
        ),
        change=change,
        anonymous_id=parse.anonymous_id(attributes.get("anonymous_id"), "attributes.anonymous_id"),
    )
    notes = [_Note(item)] if item.get("cio_relationships") else []
    return [apply, *notes]


def _event(context: Context, call: Call, item: dict[str, Any]) -> _Ops:
    del context
    workspace, once = call.workspace_id, parse.once("track", item.get("id"))
    body = {**item, "type": _EVENTS[item["action"].lower()]}
    event = parse.event(body, data_field="attributes")
    named = validation.identifiers_in(item.get("identifiers"), "identifiers")
    if list(named) == ["anonymous_id"]:
        anonymous_id = parse.anonymous_id(named["anonymous_id"], "identifiers.anonymous_id")
        return [PersonUpdate(workspace_id=workspace, anonymous_id=anonymous_id, event=event, once=once)]
    path = _named(item)
    naming = PersonReference(workspace_id=workspace, path=path, field=f"identifiers.{path.kind}")
    return [PersonUpdate(workspace_id=workspace, naming=naming, event=event, once=once)]


def _add_device(context: Context, call: Call, item: dict[str, Any]) -> _Ops:
    del context
    workspace, path = call.workspace_id, _named(item)
    device = parse.registration(item.get("device"), "device", id_field="token", request_id=call.request_id)
    naming = PersonReference(workspace_id=workspace, path=path, field=f"identifiers.{path.kind}")
    return [PersonUpdate(workspace_id=workspace, naming=naming, registration=device)]


def _delete_device(context: Context, call: Call, item: dict[str, Any]) -> _Ops:
    device = validation.as_object(item.get("device"), "device")
    token = validation.known_token(device.get("token"), "device.token")
    workspace, path = call.workspace_id, _named(item)
    return [context.services.people.forgetting_device(workspace, path, token, request_id=call.request_id)]


def _delete(context: Context, call: Call, item: dict[str, Any]) -> _Ops:
    workspace = call.workspace_id
    return [context.services.people.forgetting_person(workspace, _named(item), request_id=call.request_id)]


def _suppress(context: Context, call: Call, item: dict[str, Any]) -> _Ops:
    workspace = call.workspace_id
    return [context.services.people.suppressing(workspace, _named(item), request_id=call.request_id)]


def _unsuppress(context: Context, call: Call, item: dict[str, Any]) -> _Ops:
    return [context.services.people.unsuppressing(call.workspace_id, _named(item))]


def _merge(context: Context, call: Call, item: dict[str, Any]) -> _Ops:
    workspace = call.workspace_id
    primary, secondary = _named(item, "primary"), _named(item, "secondary")
    return [context.services.people.merging(workspace, primary, secondary, request_id=call.request_id)]


def _relate(context: Context, call: Call, item: dict[str, Any]) -> _Ops:
    del context, call
    _named(item)
    if not isinstance(item.get("cio_relationships"), list):
        raise BadRequest("cio_relationships", "expected a list", "wrong_type")
    return [_Note(item)]


_PERSON_ACTIONS: dict[str, Callable[[Context, Call, dict[str, Any]], _Ops]] = {
    "identify": _identify,
    "delete": _delete,
    "event": _event,
    "screen": _event,
    "page": _event,
    "add_device": _add_device,
    "delete_device": _delete_device,
    "merge": _merge,
    "suppress": _suppress,
    "unsuppress": _unsuppress,
    "add_relationships": _relate,
    "delete_relationships": _relate,
}
