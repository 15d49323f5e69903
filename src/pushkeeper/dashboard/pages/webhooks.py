"""Webhooks: their endpoints, their status, and their queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.destination import url_fault
from pushkeeper.core.identity import cio_id
from pushkeeper.core.pagination import Page
from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui.csv_download import CSV_ROWS, ROWS, Column, csv_of, csv_of_pages
from pushkeeper.dashboard.ui.page import ActionResult, action, view
from pushkeeper.dashboard.ui.render import page
from pushkeeper.errors import BadRequest
from pushkeeper.services.webhooks import (
    OTHER_CHANNELS_EVENTS,
    POSTED_EVENTS,
    WebhookChange,
    WebhookDefinition,
)
from pushkeeper.web.response import see_other

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pushkeeper.core.actor import Actor
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import PageRoute
    from pushkeeper.dashboard.ui.page_request import PageRequest
    from pushkeeper.services.webhooks import LoggedCall, PendingCall, Webhook
    from pushkeeper.web.response import Response

_MAX_NAME_CHARACTERS = 200
_MAX_ENDPOINT_CHARACTERS = 2_000


def state_of(webhook: Webhook) -> str:
    """paused, disabled (after too many failures), failing or healthy."""
    if webhook.disabled:
        return "disabled" if webhook.failing_since else "paused"
    return "failing" if webhook.failing_since else "healthy"


_COLUMNS: Sequence[Column[Webhook]] = (
    Column("webhook", lambda one: one.webhook_id),
    Column("name", lambda one: one.name),
    Column("endpoint", lambda one: one.endpoint),
    Column("state", state_of),
    Column("events", lambda one: " ".join(one.events)),
    Column("waiting", lambda one: one.waiting),
    Column("failing_since", lambda one: one.failing_since),
    Column("failure", lambda one: one.failure),
)
_WAITING: Sequence[Column[PendingCall]] = (
    Column("event_id", lambda one: str(one.event_id)),
    Column("event", lambda one: f"{one.object_type}_{one.metric}"),
    Column("happened_at", lambda one: one.happened_at),
    Column("person_id", lambda one: one.id),
    Column("person_email", lambda one: one.email),
)
_CALLS: Sequence[Column[LoggedCall]] = (
    Column("call", lambda one: one.call),
    Column("at", lambda one: one.at),
    Column("event_id", lambda one: str(one.event_id)),
    Column("event", lambda one: one.event),
    Column("delivery_id", lambda one: str(one.delivery_id or "")),
    Column("person", lambda one: None if one.person_id is None else cio_id(one.person_id)),
    Column("attempt", lambda one: one.attempt),
    Column("status", lambda one: one.status),
    Column("failure", lambda one: one.failure),
    Column("took_ms", lambda one: one.took_ms),
)
_SHOWN_CALLS = 20


def page_routes(context: Context) -> Sequence[PageRoute]:
    """The routes of webhooks."""
    room = _Webhooks(context)
    one = "/w/{workspace}/webhooks/{webhook}"
    return [
        view("/w/{workspace}/webhooks", room.show_all),
        view("/w/{workspace}/webhooks.csv", room.csv),
        view("/w/{workspace}/webhooks/add", room.form, Role.ADMIN),
        action("/w/{workspace}/webhooks/add", "webhook.add", room.add, room.form, Role.ADMIN),
        view(one, room.show),
        view(f"{one}/waiting.csv", room.waiting_csv),
        view(f"{one}/calls.csv", room.calls_csv),
        action(f"{one}/change", "webhook.change", room.change, room.show, Role.ADMIN),
        action(f"{one}/pause", "webhook.pause", room.pause, room.show, Role.OPERATOR),
        action(f"{one}/enable", "webhook.enable", room.enable, room.show, Role.OPERATOR),
        action(f"{one}/ping", "webhook.ping", room.ping, room.show, Role.OPERATOR),
        action(f"{one}/delete", "webhook.delete", room.delete, room.show, Role.ADMIN),
    ]


class _Webhooks:
    def __init__(self, context: Context) -> None:
        self._webhooks = context.services.webhooks
        self._audit = context.services.audit
        self._caller = context.caller
        self._names = context.cookies

    async def show_all(self, request: PageRequest) -> Response:
        found = await self._webhooks.all(request.workspace_id)
        return page(request, "webhooks.html", webhooks=found, state_of=state_of)

    async def csv(self, request: PageRequest) -> Response:
        return csv_of("webhooks", _COLUMNS, await self._webhooks.all(request.workspace_id))

    async def form(self, request: PageRequest) -> Response:
        return page(request, "webhook_add.html", groups=_groups(), webhook=None)

    async def add(self, request: PageRequest) -> ActionResult:
        """The key that calls are signed with is on this page and on no other."""
        made, key = await self._webhooks.make(request.actor, request.workspace_id, _wanted(request))
        answer = page(request, "webhook_key.html", webhook=made, key=key)
        return ActionResult(answer=answer)

    async def show(self, request: PageRequest) -> Response:
        """One webhook, with the latest calls and its queue."""
        webhook = await self._webhooks.one(request.workspace_id, request.number("webhook", "webhook"))
        after = request.asked_number("start") or 0
        waiting = await self._webhooks.waiting(
            request.workspace_id, webhook.webhook_id, most=ROWS + 1, after=after
        )
        shown = waiting[:ROWS]
        before = request.asked_number("before")
        calls = await self._webhooks.calls(
            request.workspace_id, webhook.webhook_id, before=before, most=_SHOWN_CALLS + 1
        )
        here = request.to("webhooks", webhook.webhook_id)
        return page(
            request,
            "webhook.html",
            webhook=webhook,
            state=state_of(webhook),
            waiting=shown,
            calls=calls[:_SHOWN_CALLS],
            older=f"{here}?before={calls[_SHOWN_CALLS - 1].call}#calls"
            if len(calls) > _SHOWN_CALLS
            else None,
            groups=_groups(),
            next=f"{here}?start={shown[-1].outbox_id}" if len(waiting) > ROWS else None,
        )

    async def waiting_csv(self, request: PageRequest) -> Response:
        webhook = await self._webhooks.one(request.workspace_id, request.number("webhook", "webhook"))

        async def read(after: int) -> Page[PendingCall, int]:
            found = await self._webhooks.waiting(
                request.workspace_id, webhook.webhook_id, most=CSV_ROWS, after=after
            )
            following = found[-1].outbox_id if len(found) == CSV_ROWS else None
            return Page(found, following, whole=True)

        return await csv_of_pages("waiting", _WAITING, read, 0)

    async def calls_csv(self, request: PageRequest) -> Response:
        calls = await self._webhooks.calls(request.workspace_id, request.number("webhook", "webhook"))
        return csv_of("calls", _CALLS, calls)

    async def change(self, request: PageRequest) -> ActionResult:
        former = await self._webhooks.one(request.workspace_id, request.number("webhook", "webhook"))
        wanted = _wanted(request)
        # The form shows only events that are posted; other subscriptions are kept.
        others = OTHER_CHANNELS_EVENTS.intersection(former.events)
        change = WebhookChange(
            name=wanted.name,
            endpoint=wanted.endpoint,
            events=tuple(sorted({*wanted.events, *others})),
            full_resolution=wanted.full_resolution,
            with_content=wanted.with_content,
        )
        changed = await self._webhooks.change(request.actor, request.workspace_id, former.webhook_id, change)
        return self._done(request, changed, "Webhook updated.")

    async def pause(self, request: PageRequest) -> ActionResult:
        return await self._set(request, self._webhooks.pause, "Webhook paused. Events are queued.")

    async def enable(self, request: PageRequest) -> ActionResult:
        return await self._set(
            request, self._webhooks.enable, "Webhook enabled. Queued events are being delivered."
        )

    async def _set(
        self, request: PageRequest, do: Callable[[Actor, WorkspaceId, int], Awaitable[Webhook]], notice: str
    ) -> ActionResult:
        number = request.number("webhook", "webhook")
        changed = await do(request.actor, request.workspace_id, number)
        return self._done(request, changed, notice)

    async def ping(self, request: PageRequest) -> ActionResult:
        webhook = await self._webhooks.one(request.workspace_id, request.number("webhook", "webhook"))
        async with self._audit.change(
            request.actor, "webhook.ping", request.workspace_id, f"{webhook.webhook_id} {webhook.name}"
        ) as entry:
            taken, said = await self._caller.ping(request.workspace_id, webhook.webhook_id)
            entry.detail = said
        notice = f"Test event delivered: {said}." if taken else f"Test event failed: {said}."
        return self._done(request, webhook, notice, bad=not taken)

    async def delete(self, request: PageRequest) -> ActionResult:
        webhook = await self._webhooks.one(request.workspace_id, request.number("webhook", "webhook"))
        await self._webhooks.delete(request.actor, request.workspace_id, webhook.webhook_id)
        notice = self._names.note(f"{webhook.name} deleted, including its queued events.")
        return ActionResult(answer=see_other(request.to("webhooks"), notice))

    def _done(
        self, request: PageRequest, webhook: Webhook, notice: str, *, bad: bool = False
    ) -> ActionResult:
        answer = see_other(request.to("webhooks", webhook.webhook_id), self._names.note(notice, bad=bad))
        return ActionResult(answer=answer)


def _groups() -> list[tuple[str, list[str]]]:
    """The events, by what they are about."""
    groups = {"push": "Pushes", "device": "Devices", "customer": "People"}
    return [
        (name, sorted(event for event in POSTED_EVENTS if event.startswith(f"{kind}_")))
        for kind, name in groups.items()
    ]


def _wanted(request: PageRequest) -> WebhookDefinition:
    """What the form says.

    Raises:
        BadRequest: something of it is none.
    """
    form = request.form
    name, endpoint, events = form.text("name"), form.text("endpoint"), form.every("events")
    if not name or len(name) > _MAX_NAME_CHARACTERS:
        raise BadRequest("name", f"expected 1 to {_MAX_NAME_CHARACTERS} characters")
    if len(endpoint) > _MAX_ENDPOINT_CHARACTERS:
        raise BadRequest("endpoint", f"expected at most {_MAX_ENDPOINT_CHARACTERS} characters")
    if fault := url_fault(endpoint):
        raise BadRequest("endpoint", fault)
    if not events or not POSTED_EVENTS.issuperset(events):
        raise BadRequest("events", "choose at least one event")
    return WebhookDefinition(
        name=name,
        endpoint=endpoint,
        events=tuple(sorted(set(events))),
        full_resolution=form.ticked("full_resolution"),
        with_content=form.ticked("with_content"),
    )
