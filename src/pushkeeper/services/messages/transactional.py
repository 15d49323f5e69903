"""Sending: a message is accepted when it and its batch are committed; a worker does the rest."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pushkeeper.core.model import PersonId, Platform, Token, device_id
from pushkeeper.errors import BadRequest, Conflict, Forbidden, NotFound
from pushkeeper.services.audit import audited
from pushkeeper.services.messages.templates import (
    ContentCheck,
    MessageContent,
    SendOptions,
    has_content,
    to_all_phones,
)
from pushkeeper.store.admin import credentials
from pushkeeper.store.db.group_commit import Combiner
from pushkeeper.store.db.turns import Keys
from pushkeeper.store.devices import browser_keys, devices, registration
from pushkeeper.store.messages import messages, templates
from pushkeeper.store.messages.templates import Draft, TemplateKind
from pushkeeper.store.people import placeholders, resolution

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Sequence

    from pushkeeper.core.delivery.delivery_id import DeliveryId
    from pushkeeper.core.model import Content, WorkspaceId
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.services.messages.templates import Checks
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.devices.devices import Registration
    from pushkeeper.store.messages.templates import Template
    from pushkeeper.store.people.people import PersonReference

To: TypeAlias = Literal["all", "last_used"] | Token

MAX_DAYS_AHEAD = 90
_NAME_CHARACTERS = 255
_NO_DRAFT = "No pending draft found with this ID"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionalPush:
    """One message to one person, as requested.

    Attributes:
        content: overrides the template's content.
        send_at: None is now.
        send_to_unsubscribed: None is the template's option, and True without a template.
        template: its number, or trigger name.
        auto_create: an unknown trigger name creates a template.
        data: `trigger` in Liquid.
        language: of the template's translations; None: the person's own.
        platforms: the platforms to send to; None: all.
        drafted: it waits until somebody sends it.
        retained: its content is kept after sending.
    """

    naming: PersonReference
    content: Content
    to: To = "all"
    send_at: datetime | None = None
    custom_device: Registration | None = None
    send_to_unsubscribed: bool | None = None
    template: int | str | None = None
    auto_create: bool = False
    data: dict[str, Any] = field(default_factory=dict)
    language: str | None = None
    platforms: tuple[Platform, ...] | None = None
    drafted: bool = False
    retained: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A message that is committed and will be sent; `send_at` is None when it is due already."""

    delivery_id: DeliveryId
    queued_at: datetime
    send_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Accepted:
    push: TransactionalPush
    letter: MessageContent
    at: datetime
    send_at: datetime


class TransactionalPushes:
    """Accepts messages into the queue."""

    def __init__(self, database: Database, checks: Checks, vault: Vault | None = None) -> None:
        """Take a database and, for each platform, what its providers have to say against a content.

        `vault` seals the keys of browsers, which are refused without one.
        """
        self._database = database
        self._vault = vault
        self._check = ContentCheck(database, checks)
        self._accept = Combiner(self._commit, _keys, name="sending")

    async def accept(self, push: TransactionalPush) -> Queued:
        """Commit a push to one person and return its delivery id.

        Raises:
            BadRequest: there is no such template; the content says nothing, is not Liquid or a provider would refuse it;
                `to` is not a device of the person; a cio_id names nobody; `send_at` is more than 90 days ahead.
            Forbidden: the workspace has no credentials to send with.
        """
        options = SendOptions(
            data=push.data, language=push.language, send_to_unsubscribed=push.send_to_unsubscribed
        )
        letter = await self._check.letter(
            push.naming.workspace_id,
            await self._template(push),
            push.content,
            options,
            partial(self._addressed, push),
        )
        now = datetime.now(UTC)
        if push.send_at is not None and push.send_at > now + timedelta(days=MAX_DAYS_AHEAD):
            raise BadRequest("send_at", f"cannot be more than {MAX_DAYS_AHEAD} days ahead")
        send_at = max(push.send_at or now, now)
        answer = await self._accept(_Accepted(self._sealed(push), letter, now, send_at))
        if isinstance(answer, Forbidden):
            raise answer
        if push.auto_create and letter.template_id is None:
            await self._make_template(push)
        return Queued(delivery_id=answer, queued_at=now, send_at=send_at if send_at > now else None)

    @audited("push.send")
    async def send(self, entry: AuditEntry, workspace: WorkspaceId, push: TransactionalPush) -> Queued:
        """Accept a push from somebody at the dashboard or the command line, as `accept` does of a client's."""
        assert push.naming.workspace_id == workspace  # noqa: S101 - the line is written in the push's workspace
        queued = await self.accept(push)
        entry.target = str(queued.delivery_id)
        return queued

    @audited("draft.send", "delivery_id")
    async def send_draft(self, entry: AuditEntry, workspace: WorkspaceId, delivery_id: DeliveryId) -> None:
        """Send a draft.

        Raises:
            NotFound: it is not a draft.
        """
        if not await messages.release_draft(
            self._database, workspace, delivery_id.message_id, messages.LIVES
        ):
            raise NotFound(_NO_DRAFT)
        entry.changed("state", "draft", "queued")

    @audited("draft.drop", "delivery_id")
    async def drop_draft(self, entry: AuditEntry, workspace: WorkspaceId, delivery_id: DeliveryId) -> None:
        """Discard a draft.

        Raises:
            NotFound: it is not a draft.
        """
        if not await messages.drop_draft(self._database, workspace, delivery_id.message_id):
            raise NotFound(_NO_DRAFT)
        entry.changed("state", "draft", "dropped")

    async def drain(self) -> None:
        """Wait until all that was accepted is committed."""
        await self._accept.drain()

    def _sealed(self, push: TransactionalPush) -> TransactionalPush:
        device = push.custom_device
        if device is None:
            return push
        return replace(push, custom_device=browser_keys.seal(self._vault, push.naming.workspace_id, device))

    async def _addressed(self, push: TransactionalPush) -> Collection[Platform]:
        """The platforms of the devices that a push is for."""
        if isinstance(push.to, Token):
            device = await devices.read(self._database, push.naming.workspace_id, push.to)
            if device is not None:
                return (device.platform,)
        return push.platforms or await to_all_phones()

    async def _template(self, push: TransactionalPush) -> Template | None:
        """The template that a push names; None where it names none, or none that there is and says enough without it."""
        workspace, named, kind = push.naming.workspace_id, push.template, TemplateKind.TRANSACTIONAL
        found: Template | None = None
        if isinstance(named, int):
            found = next(iter(await templates.of_workspace(self._database, workspace, kind, named)), None)
        elif named is not None:
            found = await templates.triggered(self._database, workspace, kind, named)
        if named is not None and found is None and not has_content(push.content):
            raise BadRequest(
                "transactional_message_id",
                "no template with this number or name, and the request has no title, message or custom_payload",
            )
        return found

    async def _make_template(self, push: TransactionalPush) -> None:
        """Create a template for a trigger name that has none, to be edited later."""
        if isinstance(push.template, str):
            name = push.template
            draft = Draft(kind=TemplateKind.TRANSACTIONAL, name=name[:_NAME_CHARACTERS], trigger_name=name)
            with suppress(Conflict):
                await templates.insert(self._database, push.naming.workspace_id, draft)

    async def _commit(self, calls: Sequence[_Accepted]) -> Sequence[DeliveryId | Forbidden]:
        async def work(connection: Connection) -> list[DeliveryId | Forbidden]:
            return await _write(connection, calls, self._database)

        return await self._database.in_transaction(work)


async def _write(
    connection: Connection, calls: Sequence[_Accepted], database: Database
) -> list[DeliveryId | Forbidden]:
    # A refusal is a value here: raised, it would fail the commit of all the workspaces that can send.
    ready = await credentials.set_up(connection, {call.push.naming.workspace_id for call in calls})
    allowed = [call for call in calls if call.push.naming.workspace_id in ready]
    written = iter(await _write_allowed(connection, allowed, database) if allowed else ())
    return [
        next(written) if call.push.naming.workspace_id in ready else Forbidden(credentials.NOT_SET_UP)
        for call in calls
    ]


async def _write_allowed(
    connection: Connection, calls: Sequence[_Accepted], database: Database
) -> list[DeliveryId]:
    for refusal in (
        await placeholders.refused(connection, dict(enumerate(c.push.naming for c in calls)))
    ).values():
        raise refusal
    found = await resolution.resolve(connection, [call.push.naming for call in calls], database.hashes)
    known: list[PersonId] = []
    for person, call in zip(found, calls, strict=True):
        if person is None:
            field = call.push.naming.field
            raise BadRequest(field, "no person found with this identifier")
        known.append(person)
    custom = [
        (call.push.naming.workspace_id, person, call.push.custom_device)
        for person, call in zip(known, calls, strict=True)
        if call.push.custom_device is not None
    ]
    await registration.register(connection, custom)
    asked = [_message(person, call) for person, call in zip(known, calls, strict=True)]
    new = await _to_their_devices(connection, asked)
    await messages.insert(connection, new)
    ids = database.delivery_ids
    return [ids.of(message.workspace_id, message.message_id, message.person_id) for message in new]


def _message(person: PersonId, call: _Accepted) -> messages.NewMessage:
    push, workspace = call.push, call.push.naming.workspace_id
    return messages.NewMessage(
        message_id=messages.new_id(),
        workspace_id=workspace,
        person_id=person,
        content=call.letter.content,
        pick=device_id(workspace, push.to) if isinstance(push.to, Token) else push.to,
        send_to_unsubscribed=call.letter.send_to_unsubscribed,
        template_id=call.letter.template_id,
        wording=call.letter.wording,
        platforms=push.platforms,
        drafted=push.drafted,
        retained=push.retained,
        send_at=call.send_at,
        expires_at=call.send_at + messages.LIVES,
    )


async def _to_their_devices(
    connection: Connection, new: Sequence[messages.NewMessage]
) -> Sequence[messages.NewMessage]:
    """The messages, each that is for a token to the person's own device of it."""
    asked = [
        (message.workspace_id, message.pick, message.person_id)
        for message in new
        if isinstance(message.pick, bytes)
    ]
    if not asked:
        return new
    held = await devices.held(connection, asked)
    if len(held) < len({(key, person) for _, key, person in asked}):
        raise BadRequest("to", 'must be "all", "last_used" or one of this person\'s tokens')
    return [
        replace(message, pick=held[message.pick, message.person_id])
        if isinstance(message.pick, bytes)
        else message
        for message in new
    ]


def _keys(call: _Accepted) -> Keys:
    workspace = call.push.naming.workspace_id
    alone: list[Hashable] = [(workspace, *identifier.key) for identifier in call.push.naming.identifiers]
    if call.push.custom_device is not None:
        alone.append(device_id(workspace, call.push.custom_device.token))
    if isinstance(call.push.to, Token):
        alone.append(device_id(workspace, call.push.to))
    return Keys(alone=tuple(alone), owner=workspace)
