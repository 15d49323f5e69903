"""Webhooks: whom they call, how that goes, and what waits to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.destination import url_fault
from pushkeeper.core.identity import cio_id
from pushkeeper.core.pagination import Page
from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui.csv_download import CSV_ROWS, ROWS, Column, csv_of, csv_of_pages
from pushkeeper.dashboard.ui.page import Done, change, look
from pushkeeper.dashboard.ui.render import page
from pushkeeper.dashboard.ui.response import led_to
from pushkeeper.errors import BadRequest
from pushkeeper.services.webhooks import OTHER_CHANNELS_EVENTS, POSTED_EVENTS, Change, Wanted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pushkeeper.core.actor import Actor
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.dashboard.context import Context
    from pushkeeper.dashboard.ui.page import Door
    from pushkeeper.dashboard.ui.page_request import Visit
    from pushkeeper.dashboard.ui.response import Answer
    from pushkeeper.services.webhooks import Logged, Waiting, Webhook

_MAX_NAME_CHARACTERS = 200
_MAX_ENDPOINT_CHARACTERS = 2_000


def state_of(webhook: Webhook) -> str:
    """In a word: paused, given up, failing or well."""
    if webhook.disabled:
        return "given up" if webhook.failing_since else "paused"
    return "failing" if webhook.failing_since else "well"


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
_WAITING: Sequence[Column[Waiting]] = (
    Column("event_id", lambda one: str(one.event_id)),
    Column("event", lambda one: f"{one.object_type}_{one.metric}"),
    Column("happened_at", lambda one: one.happened_at),
    Column("person_id", lambda one: one.id),
    Column("person_email", lambda one: one.email),
)
_CALLS: Sequence[Column[Logged]] = (
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


def doors(context: Context) -> Sequence[Door]:
    """The doors of webhooks."""
    room = _Webhooks(context)
    one = "/w/{workspace}/webhooks/{webhook}"
    return [
        look("/w/{workspace}/webhooks", room.show_all),
        look("/w/{workspace}/webhooks.csv", room.csv),
        look("/w/{workspace}/webhooks/add", room.form, Role.ADMIN),
        change("/w/{workspace}/webhooks/add", "webhook.add", room.add, room.form, Role.ADMIN),
        look(one, room.show),
        look(f"{one}/waiting.csv", room.waiting_csv),
        look(f"{one}/calls.csv", room.calls_csv),
        change(f"{one}/change", "webhook.change", room.change, room.show, Role.ADMIN),
        change(f"{one}/pause", "webhook.pause", room.pause, room.show, Role.OPERATOR),
        change(f"{one}/enable", "webhook.enable", room.enable, room.show, Role.OPERATOR),
        change(f"{one}/ping", "webhook.ping", room.ping, room.show, Role.OPERATOR),
        change(f"{one}/delete", "webhook.delete", room.delete, room.show, Role.ADMIN),
    ]


class _Webhooks:
    def __init__(self, context: Context) -> None:
        self._webhooks = context.services.webhooks
        self._audit = context.services.audit
        self._caller = context.caller
        self._names = context.cookies

    async def show_all(self, visit: Visit) -> Answer:
        found = await self._webhooks.all(visit.workspace_id)
        return page(visit, "webhooks.html", webhooks=found, state_of=state_of)

    async def csv(self, visit: Visit) -> Answer:
        return csv_of("webhooks", _COLUMNS, await self._webhooks.all(visit.workspace_id))

    async def form(self, visit: Visit) -> Answer:
        return page(visit, "webhook_add.html", groups=_groups(), webhook=None)

    async def add(self, visit: Visit) -> Done:
        """The key that calls are signed with is on this page and on no other."""
        made, key = await self._webhooks.make(visit.actor, visit.workspace_id, _wanted(visit))
        answer = page(visit, "webhook_key.html", webhook=made, key=key)
        return Done(answer=answer)

    async def show(self, visit: Visit) -> Answer:
        """One webhook, with the last calls of its endpoint and what waits for it."""
        webhook = await self._webhooks.one(visit.workspace_id, visit.number("webhook", "webhook"))
        after = visit.asked_number("start") or 0
        waiting = await self._webhooks.waiting(
            visit.workspace_id, webhook.webhook_id, most=ROWS + 1, after=after
        )
        shown = waiting[:ROWS]
        before = visit.asked_number("before")
        calls = await self._webhooks.calls(
            visit.workspace_id, webhook.webhook_id, before=before, most=_SHOWN_CALLS + 1
        )
        here = visit.to("webhooks", webhook.webhook_id)
        return page(
            visit,
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

    async def waiting_csv(self, visit: Visit) -> Answer:
        webhook = await self._webhooks.one(visit.workspace_id, visit.number("webhook", "webhook"))

        async def read(after: int) -> Page[Waiting, int]:
            found = await self._webhooks.waiting(
                visit.workspace_id, webhook.webhook_id, most=CSV_ROWS, after=after
            )
            following = found[-1].outbox_id if len(found) == CSV_ROWS else None
            return Page(found, following, whole=True)

        return await csv_of_pages("waiting", _WAITING, read, 0)

    async def calls_csv(self, visit: Visit) -> Answer:
        calls = await self._webhooks.calls(visit.workspace_id, visit.number("webhook", "webhook"))
        return csv_of("calls", _CALLS, calls)

    async def change(self, visit: Visit) -> Done:
        former = await self._webhooks.one(visit.workspace_id, visit.number("webhook", "webhook"))
        wanted = _wanted(visit)
        # The form shows only events that are posted; other subscriptions are kept.
        others = OTHER_CHANNELS_EVENTS.intersection(former.events)
        change = Change(
            name=wanted.name,
            endpoint=wanted.endpoint,
            events=tuple(sorted({*wanted.events, *others})),
            full_resolution=wanted.full_resolution,
            with_content=wanted.with_content,
        )
        changed = await self._webhooks.change(visit.actor, visit.workspace_id, former.webhook_id, change)
        return self._done(visit, changed, "It is changed.")

    async def pause(self, visit: Visit) -> Done:
        return await self._set(visit, self._webhooks.pause, "It is paused. What happens waits for it.")

    async def enable(self, visit: Visit) -> Done:
        return await self._set(
            visit, self._webhooks.enable, "It is enabled, and goes on where it stopped, at once."
        )

    async def _set(
        self, visit: Visit, do: Callable[[Actor, WorkspaceId, int], Awaitable[Webhook]], notice: str
    ) -> Done:
        number = visit.number("webhook", "webhook")
        changed = await do(visit.actor, visit.workspace_id, number)
        return self._done(visit, changed, notice)

    async def ping(self, visit: Visit) -> Done:
        webhook = await self._webhooks.one(visit.workspace_id, visit.number("webhook", "webhook"))
        async with self._audit.change(
            visit.actor, "webhook.ping", visit.workspace_id, f"{webhook.webhook_id} {webhook.name}"
        ) as entry:
            taken, said = await self._caller.ping(visit.workspace_id, webhook.webhook_id)
            entry.detail = said
        notice = (
            f"The endpoint took the ping: {said}."
            if taken
            else f"The endpoint did not take the ping: {said}."
        )
        return self._done(visit, webhook, notice, bad=not taken)

    async def delete(self, visit: Visit) -> Done:
        webhook = await self._webhooks.one(visit.workspace_id, visit.number("webhook", "webhook"))
        await self._webhooks.delete(visit.actor, visit.workspace_id, webhook.webhook_id)
        notice = self._names.note(f"{webhook.name} is deleted, and what waited for it.")
        return Done(answer=led_to(visit.to("webhooks"), notice))

    def _done(self, visit: Visit, webhook: Webhook, notice: str, *, bad: bool = False) -> Done:
        answer = led_to(visit.to("webhooks", webhook.webhook_id), self._names.note(notice, bad=bad))
        return Done(answer=answer)


def _groups() -> list[tuple[str, list[str]]]:
    """The events, by what they are about."""
    groups = {"push": "Pushes", "device": "Devices", "customer": "People"}
    return [
        (name, sorted(event for event in POSTED_EVENTS if event.startswith(f"{kind}_")))
        for kind, name in groups.items()
    ]


def _wanted(visit: Visit) -> Wanted:
    """What the form says.

    Raises:
        BadRequest: something of it is none.
    """
    form = visit.form
    name, endpoint, events = form.text("name"), form.text("endpoint"), form.every("events")
    if not name or len(name) > _MAX_NAME_CHARACTERS:
        raise BadRequest("name", f"expected 1 to {_MAX_NAME_CHARACTERS} characters")
    if len(endpoint) > _MAX_ENDPOINT_CHARACTERS:
        raise BadRequest("endpoint", f"expected at most {_MAX_ENDPOINT_CHARACTERS} characters")
    if fault := url_fault(endpoint):
        raise BadRequest("endpoint", fault)
    if not events or not POSTED_EVENTS.issuperset(events):
        raise BadRequest("events", "tick at least one")
    return Wanted(
        name=name,
        endpoint=endpoint,
        events=tuple(sorted(set(events))),
        full_resolution=form.ticked("full_resolution"),
        with_content=form.ticked("with_content"),
    )
