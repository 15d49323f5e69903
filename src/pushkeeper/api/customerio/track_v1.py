"""Customer.io's Track API, version 1: people, their devices, and what they did."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pushkeeper.api.customerio import parse
from pushkeeper.api.style import ApiStyle
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.errors import BadRequest, NotFound, PushkeeperError, Unauthorized, WrongCell
from pushkeeper.services import validation
from pushkeeper.services.people import PersonReference, PersonUpdate
from pushkeeper.web import response
from pushkeeper.web.response import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.core.model import WorkspaceId

_MOST_AT_ONCE = 1000
_ID_TYPES = (IdentifierKind.ID, IdentifierKind.EMAIL, IdentifierKind.CIO_ID)


def routes(context: Context) -> Sequence[Route]:
    """The routes of this API."""
    track = _Track(context)
    surface = ApiStyle(name="track_v1", authenticate=context.keys.track, render=render)
    merges = ApiStyle(name="track_v1", authenticate=context.keys.track, render=render_merge)
    person, segment = "/api/v1/customers/{identifier}", "/api/v1/segments/{segment}"
    return [
        surface.route(f"{person}/devices", PUT=track.register),
        surface.route(person, PUT=track.identify, DELETE=track.forget_person),
        surface.route(f"{person}/events", POST=track.event),
        surface.route("/api/v1/events", POST=track.anonymous_event),
        surface.route("/api/v1/accounts/region", GET=track.region),
        surface.route(f"{person}/devices/{{device_id}}", DELETE=track.forget_device),
        surface.route(f"{person}/suppress", POST=track.suppress),
        surface.route(f"{person}/unsuppress", POST=track.unsuppress),
        merges.route("/api/v1/merge_customers", POST=track.merge),
        surface.route(f"{segment}/add_customers", POST=track.add_to_segment),
        surface.route(f"{segment}/remove_customers", POST=track.remove_from_segment),
        surface.route("/api/v1/forms/{form}/submit", POST=track.submit_form),
    ]


def render(error: PushkeeperError, status: int) -> Any:  # noqa: ANN401 - JSON
    """`meta.errors` for what is wrong with a request, `meta.error` for the rest: what the clients parse."""
    del status
    if isinstance(error, BadRequest):
        return {"meta": {"errors": [error.message]}}
    return {"meta": {"error": refused_key(error) if isinstance(error, Unauthorized) else error.message}}


def refused_key(error: Unauthorized) -> str:
    """Customer.io's words for a key that is not good; ours where it is one of another cell."""
    return error.message if isinstance(error, WrongCell) else "Unauthorized request"


def render_merge(error: PushkeeperError, status: int) -> Any:  # noqa: ANN401 - JSON
    """`meta.error`, as a merge answers whatever is wrong."""
    return {"meta": {"error": error.message}} if isinstance(error, BadRequest) else render(error, status)


# Every success is 200 and these three bytes, as recorded; the Go client takes anything else for an error.
DONE = Response(b"{}\n")


class _Track:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def region(self, call: Call) -> Response:
        return response.of_json(
            {"url": self._context.url, "region": "us", "environment_id": call.workspace_id}
        )

    # People and devices.

    async def identify(self, call: Call) -> Response:
        body = await call.json()
        naming = PersonReference(
            workspace_id=call.workspace_id,
            path=identifier(call),
            others=parse.other_identifiers(body),
            create=not validation.optional_flag(body.get("_update"), "_update", default=False),
        )
        await self._context.services.people.apply(
            PersonUpdate(
                workspace_id=naming.workspace_id,
                naming=naming,
                change=parse.change(body),
                anonymous_id=parse.anonymous_id(body.get("anonymous_id")),
            )
        )
        return DONE

    async def forget_person(self, call: Call) -> Response:
        await self._context.services.people.forget_person(
            call.workspace_id, identifier(call), request_id=call.request_id
        )
        return DONE

    async def register(self, call: Call) -> Response:
        body = await call.json()
        device = parse.registration(body.get("device"), "device", id_field="id", request_id=call.request_id)
        naming = PersonReference(workspace_id=call.workspace_id, path=identifier(call))
        await self._context.services.people.register(naming, device)
        return DONE

    async def forget_device(self, call: Call) -> Response:
        await self._context.services.people.forget_device(
            call.workspace_id,
            identifier(call),
            validation.known_token(call.segment("device_id"), "device_id"),
            request_id=call.request_id,
        )
        return DONE

    async def suppress(self, call: Call) -> Response:
        people, workspace = self._context.services.people, call.workspace_id
        await people.do(people.suppressing(workspace, identifier(call), request_id=call.request_id))
        return DONE

    async def unsuppress(self, call: Call) -> Response:
        people = self._context.services.people
        await people.do(people.unsuppressing(call.workspace_id, identifier(call)))
        return DONE

    async def merge(self, call: Call) -> Response:
        body = await call.json()
        primary = validation.one_identifier(body.get("primary"), "primary", _ID_TYPES)
        secondary = validation.one_identifier(body.get("secondary"), "secondary", _ID_TYPES)
        people, workspace = self._context.services.people, call.workspace_id
        await people.do(people.merging(workspace, primary, secondary, request_id=call.request_id))
        return DONE

    # Events.

    async def event(self, call: Call) -> Response:
        body = await call.json()
        workspace = call.workspace_id
        await self._context.services.people.apply(
            PersonUpdate(
                workspace_id=workspace,
                naming=PersonReference(workspace_id=workspace, path=identifier(call)),
                event=parse.event(body),
                once=parse.once("track", body.get("id")),
            )
        )
        return DONE

    async def anonymous_event(self, call: Call) -> Response:
        body = await call.json()
        await self._context.services.people.apply(
            PersonUpdate(
                workspace_id=call.workspace_id,
                anonymous_id=parse.anonymous_id(body.get("anonymous_id")),
                event=parse.event(body),
                once=parse.once("track", body.get("id")),
            )
        )
        return DONE

    async def submit_form(self, call: Call) -> Response:
        body = await call.json()
        data = validation.as_object(body.get("data"), "data")
        others = parse.other_identifiers(data)
        if not others:
            raise BadRequest("data", "a form needs an id or an email")
        workspace = call.workspace_id
        naming = PersonReference(
            workspace_id=workspace,
            path=others[0],
            others=others[1:],
            field=f"data.{others[0].kind}",
            within="data.",
        )
        await self._context.services.people.apply(
            PersonUpdate(
                workspace_id=workspace,
                naming=naming,
                change=parse.change(data),
                anonymous_id=parse.anonymous_id(data.get("anonymous_id")),
            )
        )
        return response.empty()

    # Segments.

    async def add_to_segment(self, call: Call) -> Response:
        return await _change_members(call, self._context.services.audiences.add)

    async def remove_from_segment(self, call: Call) -> Response:
        return await _change_members(call, self._context.services.audiences.remove)


def identifier(call: Call) -> Identifier:
    """The person in the path."""
    return validation.identifier_of_path(call.segment("identifier"))


def segment_of(call: Call) -> int:
    """The segment that the path names.

    Raises:
        NotFound: it is no number of one.
    """
    return call.number("segment", "segment")


async def _change_members(
    call: Call, change: Callable[[WorkspaceId, int, Sequence[Identifier]], Awaitable[None]]
) -> Response:
    """Change the members of the segment in the path.

    Raises:
        BadRequest: the list is malformed, or there is no such segment: Customer.io documents no 404 here.
    """
    who = await _members(call)
    try:
        await change(call.workspace_id, segment_of(call), who)
    except NotFound:
        raise BadRequest("segment", f"segment {call.segment('segment')[:40]} does not exist") from None
    return DONE


async def _members(call: Call) -> list[Identifier]:
    """The people listed in the body; entries that are not identifiers of the kind in the query are skipped, as in Customer.io."""
    body = await call.json()
    kind = parse.id_type(call.query("id_type"))
    ids = body.get("ids")
    if not isinstance(ids, list) or len(ids) > _MOST_AT_ONCE:
        raise BadRequest("ids", f"expected a list of at most {_MOST_AT_ONCE}", "wrong_type")
    who = {}
    for one in ids:
        with suppress(BadRequest):
            found = validation.one_identifier({kind.value: one}, "ids", (kind,))
            who[found.key] = found
    return list(who.values())
