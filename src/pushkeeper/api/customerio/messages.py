"""Messages: what was sent, to which person, and the outcome."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pushkeeper.api.customerio.app_api import person_of, render
from pushkeeper.api.style import ApiStyle
from pushkeeper.core.identity import Identifier, IdentifierKind, cio_id
from pushkeeper.core.model import Content, Platform
from pushkeeper.errors import BadRequest, NotFound
from pushkeeper.services import validation
from pushkeeper.services.messages.templates import TemplateKind
from pushkeeper.services.reports import deliveries
from pushkeeper.services.reports.deliveries import DeliveriesFilter, Metric
from pushkeeper.services.reports.deliveries import DeliveriesPage as Page
from pushkeeper.web import response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.core.delivery.delivery_id import DeliveryId
    from pushkeeper.core.model import PersonId, WorkspaceId
    from pushkeeper.services.people import Person
    from pushkeeper.services.reports.deliveries import DeliveryRecord, Reported
    from pushkeeper.web.response import Response

_WINDOW = timedelta(days=183)  # six months
_WINDOW_OF_BROADCAST = timedelta(days=366)
_LAST_ID = (1 << 128) - 1
_USUAL, _MOST = 50, 1_000
# Customer.io's deliveries of these kinds belong to features that Pushkeeper does not have.
_NEVER_OURS = ("newsletter_id", "content_id")
# The ids of a template: as a template, a transactional message, or a broadcast and its action.
_TEMPLATES = ("campaign_id", "action_id", "transactional_id", "template_id")
_LAST_NUMBER = 2**63 - 1


def routes(context: Context) -> Sequence[Route]:
    """The routes of messages."""
    messages = _Messages(context)
    surface = ApiStyle(name="app_api", authenticate=context.keys.app, render=render)
    return [
        surface.route("/v1/messages", GET=messages.all),
        surface.route("/v1/messages/{id}", GET=messages.one),
        surface.route("/v1/messages/{id}/archived_message", GET=messages.archived),
        surface.route("/v1/customers/{id}/messages", GET=messages.of_person),
        surface.route("/v1/transactional/{id}/messages", GET=messages.of_template),
        surface.route("/v1/broadcasts/{id}/messages", GET=messages.of_broadcast),
    ]


class _Messages:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def one(self, call: Call) -> Response:
        workspace, delivery_id = call.workspace_id, self._delivery(call)
        known = await self._people(workspace, [delivery_id.person_id])
        person = known.get(delivery_id.person_id)
        return response.about(delivery_id, {"message": await self._message(workspace, delivery_id, person)})

    async def archived(self, call: Call) -> Response:
        """The text that was sent, if it is stored."""
        workspace, delivery_id = call.workspace_id, self._delivery(call)
        facts = await self._context.services.deliveries.delivery(workspace, delivery_id)
        known = await self._people(workspace, [delivery_id.person_id])
        person = known.get(delivery_id.person_id)
        return response.about(delivery_id, {"archived_message": archived_json(delivery_id, facts, person)})

    async def of_person(self, call: Call) -> Response:
        """Deliveries to a person, newest first."""
        workspace, person = call.workspace_id, await person_of(self._context, call)
        limit, before = validation.page(call.query("limit"), call.query("start"), usual=_USUAL, most=_MOST)
        since, until = _window(call)
        wanted = Page(
            before=UUID(int=before if 0 < before < _LAST_ID else _LAST_ID),
            since=since,
            until=until,
            limit=limit + 1,
        )
        found = await self._context.services.deliveries.deliveries_of(workspace, person.person_id, wanted)
        page = found[:limit]
        shown = [await self._message(workspace, delivery_id, person) for delivery_id in page]
        following = validation.next_page(page[-1].message_id.int) if len(found) > limit else ""
        return response.of_json({"messages": shown, "next": following})

    async def all(self, call: Call) -> Response:
        """Deliveries of the workspace, newest message first."""
        named = next((name for name in _TEMPLATES if call.query(name)), None)
        if any(map(call.query, _NEVER_OURS)):
            return response.of_json({"messages": [], "next": ""})
        number = None
        if named is not None:
            number = validation.number(call.query(named) or "", named, most=_LAST_NUMBER)
        sent = await self._of_trigger(call, number)
        return await self._list(call, _window(call), template_id=number, messages=sent)

    async def _of_trigger(self, call: Call, template_id: int | None) -> list[UUID] | None:
        """The message of the requested trigger; empty if the broadcast has no such trigger.

        Raises:
            BadRequest: the broadcast is not given.
        """
        text = call.query("trigger_id")
        if not text:
            return None
        if template_id is None:
            raise BadRequest("campaign_id", "required with trigger_id")
        number = validation.number(text, "trigger_id", most=_LAST_NUMBER)
        try:
            found = await self._context.services.triggered.one(call.workspace_id, template_id, number)
        except NotFound:
            return []
        return [] if found.message_id is None else [found.message_id]

    async def of_template(self, call: Call) -> Response:
        """Deliveries of a transactional template."""
        number = call.number("template")
        await self._context.services.templates.one(call.workspace_id, number, TemplateKind.TRANSACTIONAL)
        return await self._list(call, _window(call), template_id=number)

    async def of_broadcast(self, call: Call) -> Response:
        """The messages of an API-triggered broadcast, from all its triggers."""
        workspace, number = (
            call.workspace_id,
            call.number("broadcast"),
        )
        await self._context.services.templates.one(workspace, number, TemplateKind.BROADCAST)
        window = _window(call, _WINDOW_OF_BROADCAST)
        sent = await self._context.services.triggered.messages(workspace, number, *window)
        return await self._list(call, window, messages=sent)

    def _delivery(self, call: Call) -> DeliveryId:
        ids = self._context.services.listings.delivery_ids
        found = ids.read_of(call.workspace_id, call.segment("id"))
        if found is None:
            raise NotFound("Message not found")
        return found

    async def _list(
        self,
        call: Call,
        window: tuple[datetime, datetime],
        *,
        template_id: int | None = None,
        messages: Sequence[UUID] | None = None,
    ) -> Response:
        workspace = call.workspace_id
        limit = validation.number(call.query("limit") or str(_USUAL), "limit", most=_MOST)
        since, until = window
        metric, asked = next(
            ((given, name) for name in ("metric", "state") if (given := call.query(name))), (None, "")
        )
        message, device = _start(call.query("start"))
        if (call.query("type") or "push").lower() != "push":
            return response.of_json({"messages": [], "next": ""})
        wanted = DeliveriesFilter(
            after_message=message,
            after_device=device,
            since=since,
            until=until,
            metric=None if metric is None else validation.one_of(metric, asked, tuple(Metric)),
            template_id=template_id,
            messages=messages,
            drafts=(call.query("drafts") or "").lower() == "true",
            limit=limit + 1,
        )
        found = await self._context.services.deliveries.deliveries(workspace, wanted)
        page = found[:limit]
        people = await self._people(workspace, [one.delivery_id.person_id for one in page])
        shown = [
            await self._message(workspace, one.delivery_id, people.get(one.delivery_id.person_id))
            for one in page
        ]
        last = page[-1] if len(found) > limit else None
        following = "" if last is None else f"{last.delivery_id.message_id.hex}.{last.device_id.hex()}"
        return response.of_json({"messages": shown, "next": following})

    async def _people(self, workspace: WorkspaceId, who: Sequence[PersonId]) -> Mapping[PersonId, Person]:
        named = [Identifier(IdentifierKind.CIO_ID, cio_id(person)) for person in sorted(set(who))]
        return {
            person.person_id: person
            for person in await self._context.services.people.people(workspace, named)
        }

    async def _message(
        self, workspace: WorkspaceId, delivery_id: DeliveryId, person: Person | None
    ) -> dict[str, Any]:
        facts = await self._context.services.deliveries.delivery(workspace, delivery_id)
        reported = await self._context.services.deliveries.reported(delivery_id)
        return message_json(delivery_id, facts, person, reported)


def message_json(
    delivery_id: DeliveryId,
    delivery: DeliveryRecord,
    person: Person | None,
    reported: Sequence[Reported],
) -> dict[str, Any]:
    """A delivery as `GET /v1/messages/{id}` shows it; the person is None once deleted."""
    created = int(delivery.created_at.timestamp())
    of_broadcast = delivery.template_id if delivery.kind == "broadcast" else None
    return {
        "id": str(delivery_id),
        "deduplicate_id": f"{delivery_id}:{created}",
        "type": "push",
        "customer_id": person.id if person else None,
        "customer_identifiers": {
            "id": person.id if person else None,
            "email": person.email if person else None,
            "cio_id": cio_id(delivery_id.person_id),
        },
        "recipient": _recipient(delivery),
        "subject": delivery.content.title or "",
        "metrics": {
            metric: int(at.timestamp()) for metric, at in deliveries.metrics(delivery, reported).items()
        },
        "actions": sorted({action for one in reported for action in one.actions}),
        "created": created,
        "failure_message": deliveries.failure_message(delivery),
        "msg_template_id": delivery.template_id,
        "action_id": of_broadcast,
        "parent_action_id": None,
        "newsletter_id": None,
        "content_id": None,
        "campaign_id": of_broadcast,
        "broadcast_id": of_broadcast,
        "trigger_event_id": None if delivery.broadcast_id is None else str(delivery.broadcast_id),
        "forgotten": person is None,
    }


def archived_json(delivery_id: DeliveryId, delivery: DeliveryRecord, person: Person | None) -> dict[str, Any]:
    """The text of a delivery as it was sent; `forgotten`, and empty, if it is not stored or the person was deleted."""
    forgotten = person is None or not delivery.is_text_retained
    platform = next((push.platform for push in delivery.pushes if push.platform is not None), None)
    content = delivery.content if platform is None else delivery.content.on(Platform(platform))
    if forgotten:
        content = Content()
    return {
        "id": str(delivery_id),
        "subject": content.title or "",
        "body": content.message or "",
        "recipient": "" if forgotten else _recipient(delivery),
        "url": content.link or "",
        "forgotten": forgotten,
    }


def _recipient(delivery: DeliveryRecord) -> str:
    return ", ".join(push.token for push in delivery.pushes if push.token is not None)


def _window(call: Call, longest: timedelta = _WINDOW) -> tuple[datetime, datetime]:
    """The requested time range: limited in length, and up to now by default."""
    until = validation.optional_time(call.query("end_ts"), "end_ts") or datetime.now(UTC)
    since = validation.optional_time(call.query("start_ts"), "start_ts")
    earliest = until - longest
    return max(since or earliest, earliest), until + timedelta(seconds=1)


def _start(text: str | None) -> tuple[UUID, bytes]:
    """The delivery to continue after: a `next` of ours, given back as `start`."""
    if not text:
        return UUID(int=_LAST_ID), b""
    message, _, device = text.partition(".")
    try:
        return UUID(hex=message), bytes.fromhex(device)
    except ValueError:
        raise BadRequest("start", "expected the `next` of an answer") from None
