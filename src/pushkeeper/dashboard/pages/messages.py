"""Messages: newest first; one to a person with its pushes and app reports, one to many with its deliveries."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import UUID

from pushkeeper.core.identity import Identifier, IdentifierKind, cio_id
from pushkeeper.core.model import DeviceId, Token
from pushkeeper.dashboard.ui import datetimes, labels
from pushkeeper.dashboard.ui.csv_download import CSV_ROWS, ROWS, Column, csv_of, csv_of_pages
from pushkeeper.dashboard.ui.page import view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.errors import BadRequest, NotFound
from pushkeeper.services.listings import FIRST_MESSAGE as FIRST
from pushkeeper.services.listings import MessagesFilter
from pushkeeper.services.reports import deliveries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.delivery.delivery_id import DeliveryId
    from pushkeeper.core.pagination import Page
    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.listings import ShownDelivery, ShownMessage
    from pushkeeper.services.reports.deliveries import PushRecord
    from pushkeeper.web.response import Response

METRICS = (
    *("sent", "bounced", "failed", "dropped", "undeliverable"),
    *("delivered", "opened", "clicked", "converted", "drafted"),
)
KINDS = ("transactional", "broadcast")
ENDINGS = ("accepted", "bounced", "failed", "expired", "unknown", "skipped")

_COLUMNS: Sequence[Column[ShownMessage]] = (
    Column("message", lambda one: str(one.delivery_id or one.message_id)),
    Column("kind", lambda one: one.kind),
    Column("created_at", lambda one: one.created_at),
    Column("title", lambda one: one.title),
    Column("person_id", lambda one: one.id),
    Column("person_email", lambda one: one.email),
    Column("person_cio_id", lambda one: one.person_id and cio_id(one.person_id)),
    Column("devices", lambda one: one.devices),
    Column("metrics", lambda one: " ".join(sorted(one.metrics))),
)
_PUSHES: Sequence[Column[PushRecord]] = (
    Column("device", lambda one: one.device_id.hex()),
    Column("platform", lambda one: one.platform),
    Column("ending", lambda one: one.ending),
    Column("reason", lambda one: one.reason),
    Column("because", lambda one: labels.because(one.reason)),
    Column("answer", lambda one: labels.answer_of(one.provider, one.provider_status, one.provider_reason)),
    Column("detail", lambda one: one.detail),
    Column("attempts", lambda one: one.attempts),
    Column("settled_at", lambda one: one.settled_at),
)
_DELIVERIES: Sequence[Column[ShownDelivery]] = (
    Column("delivery_id", lambda one: str(one.delivery_id)),
    Column("person_id", lambda one: one.id),
    Column("person_email", lambda one: one.email),
    Column("device", lambda one: one.device_id.hex()),
    Column("platform", lambda one: one.platform),
    Column("ending", lambda one: one.ending),
    Column("because", lambda one: labels.because(one.reason)),
    Column("answer", lambda one: labels.answer_of(one.provider, one.provider_status, one.provider_reason)),
    Column("settled_at", lambda one: one.settled_at),
)


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of messages."""
    messages = _Messages(context)
    return [
        view("/w/{workspace}/messages", messages.show_all),
        view("/w/{workspace}/messages.csv", messages.csv),
        view("/w/{workspace}/messages/to-many/{message}", messages.to_many),
        view("/w/{workspace}/messages/to-many/{message}/deliveries.csv", messages.to_many_csv),
        view("/w/{workspace}/messages/{delivery}", messages.show),
        view("/w/{workspace}/messages/{delivery}/pushes.csv", messages.pushes_csv),
    ]


class _Messages:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._listings = context.services.listings

    async def show_all(self, request: PageRequest) -> Response:
        wanted, asked = _wanted(request)
        after = _uuid(request.asked("start")) if request.asked("start") else FIRST
        shown = await self._listings.messages(request.workspace_id, wanted, after=after, limit=ROWS)
        following = {**asked, "start": shown.following.hex} if shown.following else None
        return page(
            request,
            "messages.html",
            asked=asked,
            metrics=METRICS,
            shown=shown,
            next=f"{request.to('messages')}?{urlencode(following)}" if following else None,
        )

    async def csv(self, request: PageRequest) -> Response:
        wanted, _ = _wanted(request)

        async def read(after: UUID) -> Page[ShownMessage, UUID]:
            return await self._listings.messages(request.workspace_id, wanted, after=after, limit=CSV_ROWS)

        return await csv_of_pages("messages", _COLUMNS, read, FIRST)

    async def show(self, request: PageRequest) -> Response:
        """One delivery, with the outcome at each device."""
        delivery_id = self._delivery_id(request)
        facts, reported, person = await asyncio.gather(
            self._context.services.deliveries.delivery(request.workspace_id, delivery_id),
            self._context.services.deliveries.reported(delivery_id),
            self._context.services.people.people(
                request.workspace_id, [Identifier(IdentifierKind.CIO_ID, cio_id(delivery_id.person_id))]
            ),
        )
        happened = deliveries.metrics(facts, reported)
        return page(
            request,
            "delivery_live.html" if request.fragment else "delivery.html",
            delivery_id=delivery_id,
            facts=facts,
            person=person[0] if person else None,
            happened=sorted(happened.items(), key=lambda one: one[1]),
            scheduled=facts.send_at > datetime.now(UTC),
            masked=_masked,
        )

    async def pushes_csv(self, request: PageRequest) -> Response:
        facts = await self._context.services.deliveries.delivery(
            request.workspace_id, self._delivery_id(request)
        )
        return csv_of("pushes", _PUSHES, facts.pushes)

    def _delivery_id(self, request: PageRequest) -> DeliveryId:
        found = self._listings.delivery_ids.read_of(request.workspace_id, request.segments["delivery"])
        if found is None:
            raise NotFound("Message not found")
        return found

    async def to_many(self, request: PageRequest) -> Response:
        """A message that went to many, with its deliveries one by one."""
        message_id = _uuid(request.segments["message"])
        message = await self._listings.message(request.workspace_id, message_id)
        if message is None:
            raise NotFound("Message not found")
        ending, after = _ending(request), _device_key(request)
        shown = await self._listings.pushes(request.workspace_id, message_id, ending, after=after, limit=ROWS)
        here = request.to("messages", "to-many", message_id)
        asked = {"ending": ending} if ending else {}
        following = {**asked, "start": shown.following.hex()} if shown.following else None
        return page(
            request,
            "to_many.html",
            message=message,
            ending=ending or "",
            endings=ENDINGS,
            shown=shown,
            next=f"{here}?{urlencode(following)}" if following else None,
        )

    async def to_many_csv(self, request: PageRequest) -> Response:
        message_id, ending = _uuid(request.segments["message"]), _ending(request)

        async def read(after: bytes) -> Page[ShownDelivery, bytes]:
            return await self._listings.pushes(
                request.workspace_id, message_id, ending, after=after, limit=CSV_ROWS
            )

        return await csv_of_pages("deliveries", _DELIVERIES, read, b"")


def _masked(push: PushRecord) -> str:
    """A device's token, masked; or its key, once it is gone."""
    return push.device_id.hex() if push.token is None else Token(push.token).masked


def _wanted(request: PageRequest) -> tuple[MessagesFilter, dict[str, str]]:
    """What the address asks for, and the same to be put into another address.

    Raises:
        BadRequest: something of it is none.
    """
    asked = {name: said for name in ("metric", "kind", "template", "until") if (said := request.asked(name))}
    if asked.get("metric", METRICS[0]) not in METRICS:
        raise BadRequest("metric", f"expected one of {', '.join(METRICS)}")
    if asked.get("kind", KINDS[0]) not in KINDS:
        raise BadRequest("kind", f"expected one of {', '.join(KINDS)}")
    until = None
    if "until" in asked:
        try:
            until = datetimes.typed(asked["until"], "UTC", "until")
        except BadRequest:
            raise BadRequest("until", "expected a date, such as 2026-01-31") from None
    wanted = MessagesFilter(
        metric=asked.get("metric"),
        kind=asked.get("kind"),
        template_id=request.asked_number("template"),
        until=until,
    )
    return wanted, asked


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("Message not found") from None


def _ending(request: PageRequest) -> str | None:
    asked = request.asked("ending")
    if asked and asked not in ENDINGS:
        raise BadRequest("ending", f"expected one of {', '.join(ENDINGS)}")
    return asked or None


def _device_key(request: PageRequest) -> bytes:
    try:
        return DeviceId(bytes.fromhex(request.asked("start")))
    except ValueError:
        raise BadRequest("start", "this page address is not valid") from None
