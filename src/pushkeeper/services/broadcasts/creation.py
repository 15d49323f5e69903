"""Creation: a broadcast is requested, checked, and written; every broadcast is created here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pushkeeper.core.broadcasts.schedule import AT_ONCE, passes
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.filters.platforms import platforms
from pushkeeper.core.model import Content, Platform
from pushkeeper.errors import BadRequest, Forbidden, NotFound
from pushkeeper.services.audiences import read_whole
from pushkeeper.services.broadcasts.recipients import resolve, resolve_devices
from pushkeeper.services.messages.templates import ContentCheck, SendOptions
from pushkeeper.store.admin import credentials
from pushkeeper.store.broadcasts import broadcasts, recipients
from pushkeeper.store.broadcasts.broadcasts import BroadcastState, Definition
from pushkeeper.store.delivery import routes
from pushkeeper.store.messages import templates
from pushkeeper.store.messages.templates import TemplateKind

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pushkeeper.core.broadcasts.schedule import Schedule
    from pushkeeper.core.messages.personalize import WhenUndefined
    from pushkeeper.core.model import DeviceId, PersonId, Token, WorkspaceId
    from pushkeeper.services.broadcasts.recipients import Recipient
    from pushkeeper.services.messages.templates import Checks, MessageContent
    from pushkeeper.store.broadcasts.broadcasts import Broadcast
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastRequest:
    """A broadcast as an API, the dashboard or the command line asks for it.

    Attributes:
        content: overrides the template's content, field by field.
        data: `trigger` in Liquid.
        event: the name of an event, whose latest is `event` in Liquid.
        when_undefined: None is what its template says, and to fail without one.
        audience: a filter, as a tree or a text, that matches devices or people as `unit` says; None where they are named.
        recipients: people, and `devices` tokens, each with its place in the request.
        file_url: the address of a file that names people.
        per_s: the most pushes in a second.
        once: an idempotency key, and a hash of the request.
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
    file_url: str | None = None
    ignore_missing: bool = False
    schedule: Schedule = AT_ONCE
    per_s: float | None = None
    send_to_unsubscribed: bool | None = None
    skip_without_permission: bool = False
    one_per_phone: bool = False
    dry_run: bool = False
    once: tuple[str, bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRequest:
    """A checked request, with its content; the people and devices that it names are not looked up yet."""

    request: BroadcastRequest
    letter: MessageContent


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resolved:
    """A definition, and the people to list for it with each one's data."""

    definition: Definition
    people: Sequence[tuple[PersonId, dict[str, Any] | None]]


class Creation:
    """Checks what is requested, and writes it as a new broadcast or as another version of a draft."""

    def __init__(self, database: Database, checks: Checks) -> None:
        """`checks` maps each platform to its content validators."""
        self._database = database
        self._check = ContentCheck(database, checks)

    async def check(self, workspace: WorkspaceId, request: BroadcastRequest) -> CheckedRequest:
        """Check all that can be checked before anything is written.

        Raises:
            BadRequest: the content is empty, is not Liquid, or a provider would refuse it; the audience is not a filter.
            Forbidden: the workspace has no credentials to send with.
            NotFound: the broadcast template does not exist.
        """
        letter = await self.letter(workspace, request)
        if request.audience is not None:
            await read_whole(self._database.of(workspace).rows, workspace, request.audience)
        if not await routes.of_workspaces(self._database, [workspace]):
            raise Forbidden(credentials.NOT_SET_UP)
        return CheckedRequest(request=request, letter=letter)

    async def letter(self, workspace: WorkspaceId, request: BroadcastRequest) -> MessageContent:
        """The content: its template's texts, overridden by those of the request.

        Raises:
            BadRequest: it is empty, is not Liquid, or a provider would refuse it.
            NotFound: the broadcast template does not exist.
        """
        template = None
        if request.template_id is not None:
            kind = TemplateKind.BROADCAST
            found = await templates.of_workspace(self._database, workspace, kind, request.template_id)
            if not found:
                raise NotFound("Broadcast template not found")
            template = found[0]
        to_all = request.send_to_unsubscribed
        telling = SendOptions(
            data=request.data,
            event=request.event,
            when_undefined=request.when_undefined,
            send_to_unsubscribed=bool(to_all) if template is None else to_all,
        )
        try:
            return await self._check.letter(
                workspace, template, request.content, telling, partial(self._addressed, workspace, request)
            )
        except BadRequest as error:
            raise error.under("content") from None

    async def _addressed(self, workspace: WorkspaceId, request: BroadcastRequest) -> Collection[Platform]:
        """The platforms that its audience can have."""
        if request.audience is None:
            return tuple(Platform)
        try:
            node = await read_whole(self._database.of(workspace).rows, workspace, request.audience)
        except BadRequest:
            return tuple(Platform)  # refused later, with its own error
        return platforms(node, request.unit)


async def insert(
    connection: Connection, workspace: WorkspaceId, checked: CheckedRequest, *, start: bool
) -> int | None:
    """Write a new broadcast, a draft unless it is to `start`, and return its number; None if its key exists.

    Raises:
        BadRequest: a listed person does not exist.
    """
    resolved = await _resolve(connection, workspace, checked)
    definition = resolved.definition
    made = await broadcasts.insert(
        connection,
        workspace,
        definition,
        state=_first_state(definition) if start else BroadcastState.DRAFT,
        passes=passes(definition.schedule, datetime.now(UTC)) if start else (),
        once=checked.request.once,
    )
    if made is not None:
        await recipients.list_people(connection, workspace, made, resolved.people)
    return made


async def replace(connection: Connection, draft: Broadcast, checked: CheckedRequest) -> None:
    """Write another version of a draft that is locked.

    Raises:
        BadRequest: a listed person does not exist.
    """
    resolved = await _resolve(connection, draft.workspace_id, checked)
    await broadcasts.change(connection, draft, resolved.definition)
    await recipients.list_people(connection, draft.workspace_id, draft.broadcast_id, resolved.people)


def _first_state(definition: Definition) -> BroadcastState:
    return BroadcastState.SCHEDULED if definition.file_url is None else BroadcastState.FETCHING


async def _resolve(connection: Connection, workspace: WorkspaceId, checked: CheckedRequest) -> _Resolved:
    request, letter = checked.request, checked.letter
    ignore_missing = request.ignore_missing
    people: Sequence[tuple[PersonId, dict[str, Any] | None]] = ()
    if request.recipients is not None:
        people = await resolve(connection, workspace, request.recipients, ignore_missing=ignore_missing)
    devices: Sequence[DeviceId] | None = None
    if request.devices is not None:
        devices = await resolve_devices(connection, workspace, request.devices, ignore_missing=ignore_missing)
    definition = Definition(
        name=request.name,
        template_id=letter.template_id,
        content=letter.content,
        wording=letter.wording,
        send_to_unsubscribed=letter.send_to_unsubscribed,
        audience=request.audience,
        unit=request.unit,
        listed=request.recipients is not None,
        device_ids=devices,
        file_url=request.file_url,
        ignore_missing=ignore_missing,
        schedule=request.schedule,
        per_s=request.per_s,
        skip_without_permission=request.skip_without_permission,
        one_per_phone=request.one_per_phone,
        dry_run=request.dry_run,
    )
    return _Resolved(definition=definition, people=people)
