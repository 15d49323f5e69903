"""Drafts: a broadcast as it is asked for, read and checked before it is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from pushkeeper.core.broadcasts.schedule import AT_ONCE
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.filters.platforms import platforms
from pushkeeper.core.model import Content
from pushkeeper.errors import BadRequest, NotFound
from pushkeeper.services.audiences import read_whole
from pushkeeper.services.broadcasts.recipients import message_of, require_routes, resolve, resolve_devices
from pushkeeper.services.messages.templates import Letter, LetterCheck, Telling, letter_of, to_all_phones
from pushkeeper.store.broadcasts import broadcasts
from pushkeeper.store.broadcasts.broadcasts import BroadcastState
from pushkeeper.store.messages import messages, snippets, templates
from pushkeeper.store.messages.templates import TemplateKind

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pushkeeper.core.broadcasts.schedule import Schedule
    from pushkeeper.core.messages.personalize import WhenUndefined
    from pushkeeper.core.model import Platform, Token, WorkspaceId
    from pushkeeper.services.broadcasts.recipients import Recipient
    from pushkeeper.services.messages.templates import Checks
    from pushkeeper.store.db.database import Connection, Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A broadcast as our own API asks for it.

    Attributes:
        content: what it says in the place of what its template says.
        data: `trigger` in Liquid.
        event: the name of an event, whose latest is `event` in Liquid.
        when_undefined: None is what its template says, and to fail without one.
        audience: a filter, as a tree or a text, read of devices or of people as `unit` says; None where they are named.
        recipients: people, and `devices` tokens, each with its place in what was asked.
        per_s: the most pushes in a second.
        once: an idempotency key, and a hash of all that was asked.
    """

    name: str = ""
    template_id: int | None = None
    content: Content = Content()  # noqa: RUF009 - it cannot be changed
    data: dict[str, Any] = field(default_factory=dict)
    event: str | None = None
    when_undefined: WhenUndefined | None = None
    audience: Any = None
    unit: Unit = Unit.DEVICE
    recipients: Sequence[Recipient] | None = None
    devices: Sequence[tuple[Token, str]] | None = None
    ignore_missing: bool = False
    schedule: Schedule = AT_ONCE
    per_s: float | None = None
    send_to_unsubscribed: bool | None = None
    skip_without_permission: bool = False
    one_per_phone: bool = False
    dry_run: bool = False
    once: tuple[str, bytes] | None = None


class Drafts:
    """What is asked for, as it is kept."""

    def __init__(self, database: Database, checks: Checks) -> None:
        """Take a database and, for each platform, what its providers have to say against a content."""
        self._database = database
        self._check = LetterCheck(database, checks)

    async def message(self, workspace: WorkspaceId, asked: Asked) -> messages.NewBroadcast:
        """What is asked, as a message; whatever is wrong with it is said before anything is kept.

        Raises:
            BadRequest: the content says nothing, is not Liquid, or a provider would refuse it; the audience is no filter.
            Forbidden: the workspace has no credentials to send with.
            NotFound: there is no template of a broadcast of this number.
        """
        letter = await self.letter(workspace, asked)
        if asked.audience is not None:
            await read_whole(self._database.of(workspace).rows, workspace, asked.audience)
        await require_routes(self._database, workspace)
        return message_of(workspace, letter)

    async def letter(self, workspace: WorkspaceId, asked: Asked) -> Letter:
        """What it says: its template's words, with those in their place that are asked for.

        Raises:
            BadRequest: it says nothing, is not Liquid, or a provider would refuse it.
            NotFound: there is no template of a broadcast of this number.
        """
        template = None
        if asked.template_id is not None:
            kind = TemplateKind.BROADCAST
            found = await templates.of_workspace(self._database, workspace, kind, asked.template_id)
            if not found:
                raise NotFound("template: no broadcast template has this number")
            template = found[0]
        to_all = asked.send_to_unsubscribed
        telling = Telling(
            data=asked.data,
            event=asked.event,
            when_undefined=asked.when_undefined,
            send_to_unsubscribed=bool(to_all) if template is None else to_all,
        )
        try:
            letter = await letter_of(
                snippets.finder(self._database, workspace), template, asked.content, telling
            )
            await self._check.require(workspace, letter, partial(self._addressed, workspace, asked))
        except BadRequest as error:
            raise error.under("content") from None
        return letter

    async def _addressed(self, workspace: WorkspaceId, asked: Asked) -> Collection[Platform]:
        """The platforms that its audience can have."""
        if asked.audience is None:
            return await to_all_phones()
        try:
            node = await read_whole(self._database.of(workspace).rows, workspace, asked.audience)
        except BadRequest:
            return await to_all_phones()  # refused later, with its own error
        return platforms(node, asked.unit)


async def told_of(
    connection: Connection, workspace: WorkspaceId, message: messages.NewBroadcast, asked: Asked
) -> broadcasts.New:
    """The draft that is asked, with its message written and whom it names looked up.

    Raises:
        BadRequest: somebody named is nobody here.
    """
    await messages.insert_broadcast(connection, message)
    ignore = asked.ignore_missing
    if asked.recipients is not None:
        named = await resolve(connection, workspace, asked.recipients, ignore_missing=ignore)
        await broadcasts.list_people(connection, workspace, message.message_id, named)
    devices = None
    if asked.devices is not None:
        devices = await resolve_devices(connection, workspace, asked.devices, ignore_missing=ignore)
    return broadcasts.New(
        workspace_id=workspace,
        message_id=message.message_id,
        state=BroadcastState.DRAFT,
        template_id=asked.template_id,
        name=asked.name,
        audience=asked.audience,
        unit=asked.unit,
        listed=asked.recipients is not None,
        device_ids=devices,
        schedule=asked.schedule,
        per_s=asked.per_s,
        skip_without_permission=asked.skip_without_permission,
        one_per_phone=asked.one_per_phone,
        dry_run=asked.dry_run,
        once=asked.once,
    )
