"""Triggers: broadcasts as Customer.io's clients send them, of a template, at once; accepted when they are committed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pushkeeper.core.broadcasts.schedule import Pass
from pushkeeper.core.model import Content
from pushkeeper.errors import BadRequest, NotFound, TooManyRequests
from pushkeeper.services.audiences import read_whole
from pushkeeper.services.broadcasts.recipients import message_of, require_routes, resolve
from pushkeeper.services.messages.templates import LetterCheck, Telling, letter_of
from pushkeeper.store.broadcasts import broadcasts
from pushkeeper.store.broadcasts.broadcasts import BroadcastState
from pushkeeper.store.messages import messages, snippets, templates
from pushkeeper.store.messages.templates import TemplateKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.broadcasts.recipients import Recipient
    from pushkeeper.services.messages.templates import Checks, Letter
    from pushkeeper.store.broadcasts.broadcasts import Triggered
    from pushkeeper.store.db.database import Connection, Database

MOST_UNDER_PLAN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A broadcast as Customer.io's clients ask for it: to whom, where that is not what its template says, and with which data.

    Attributes:
        data: `trigger` in Liquid.
        audience: a filter.
        recipients: people by name; None where it is said otherwise.
        file_url: where a file names them.
        ignore_missing: whoever is not known is left out; else the whole broadcast is refused.
    """

    data: dict[str, Any] = field(default_factory=dict)
    audience: Any = None
    recipients: Sequence[Recipient] | None = None
    file_url: str | None = None
    ignore_missing: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """A broadcast that is committed, and its message."""

    broadcast_id: int
    message_id: UUID


class Triggers:
    """The broadcasts of all workspaces that Customer.io's clients send."""

    def __init__(self, database: Database, checks: Checks) -> None:
        """Take a database and, for each platform, what its providers have to say against a content."""
        self._database = database
        self._check = LetterCheck(database, checks)

    async def send_to_all(
        self, workspace: WorkspaceId, content: Content, *, send_to_unsubscribed: bool = False
    ) -> Sent:
        """Commit a push to every device of a workspace.

        Raises:
            BadRequest: the content says nothing, is not Liquid, or a provider would refuse it.
            Forbidden: the workspace has no credentials to send with.
        """
        letter = await letter_of(
            snippets.finder(self._database, workspace),
            None,
            content,
            Telling(send_to_unsubscribed=send_to_unsubscribed),
        )
        return await self._send(workspace, letter, Trigger(), None)

    async def trigger(self, workspace: WorkspaceId, template_id: int, trigger: Trigger) -> Sent:
        """Commit a broadcast of what a template says.

        Raises:
            BadRequest: the audience is no filter, or names a segment that there is not, or somebody named is nobody here.
            Forbidden: the workspace has no credentials to send with.
            NotFound: there is no template of a broadcast of this number.
            TooManyRequests: so many of this template's broadcasts are not planned yet.
        """
        found = await templates.of_workspace(self._database, workspace, TemplateKind.BROADCAST, template_id)
        if not found:
            raise NotFound("broadcast: not found")
        if await broadcasts.under_plan(self._database, workspace, template_id) >= MOST_UNDER_PLAN:
            raise TooManyRequests(f"broadcast: {MOST_UNDER_PLAN} of it are still being planned")
        own = trigger.recipients is None and trigger.file_url is None and trigger.audience is None
        audience = found[0].audience if own else trigger.audience
        letter = await letter_of(
            snippets.finder(self._database, workspace), found[0], Content(), Telling(data=trigger.data)
        )
        return await self._send(workspace, letter, trigger, audience)

    async def one(self, workspace: WorkspaceId, template_id: int, broadcast_id: int) -> Triggered:
        """How a broadcast of a template stands.

        Raises:
            NotFound: it does not exist.
        """
        found = await broadcasts.read(self._database, workspace, template_id, broadcast_id)
        if found is None:
            raise NotFound("trigger: not found")
        return found

    async def all(
        self, workspace: WorkspaceId, template_id: int, *, before: int | None, limit: int
    ) -> list[Triggered]:
        """The broadcasts of a template that were started, before a number, the newest first."""
        return await broadcasts.of_template(
            self._database, workspace, template_id, before=before, limit=limit
        )

    async def messages(
        self, workspace: WorkspaceId, template_id: int, since: datetime, until: datetime
    ) -> list[UUID]:
        """The messages of a template's broadcasts that were started and made in this time."""
        return await broadcasts.messages_of(self._database, workspace, template_id, since, until)

    async def _send(self, workspace: WorkspaceId, letter: Letter, trigger: Trigger, audience: object) -> Sent:
        await self._check.require(workspace, letter)
        if audience is not None:
            await self._check_recipients(workspace, audience)
        await require_routes(self._database, workspace)
        message = message_of(workspace, letter)
        new = broadcasts.New(
            workspace_id=workspace,
            message_id=message.message_id,
            state=BroadcastState.PLANNING if trigger.file_url is None else BroadcastState.FETCHING,
            template_id=letter.template_id,
            audience=audience,
            listed=trigger.recipients is not None,
            file_url=trigger.file_url,
            ignore_missing=trigger.ignore_missing,
            passes=(Pass(datetime.now(UTC)),),
        )

        async def work(connection: Connection) -> int | None:
            await messages.insert_broadcast(connection, message)
            if trigger.recipients is not None:
                named = await resolve(
                    connection, workspace, trigger.recipients, ignore_missing=trigger.ignore_missing
                )
                await broadcasts.list_people(connection, workspace, message.message_id, named)
            return await broadcasts.insert(connection, new)

        made = await self._database.of(workspace).in_transaction(work)
        assert made is not None  # noqa: S101 - it has no key that another could have
        return Sent(made, message.message_id)

    async def _check_recipients(self, workspace: WorkspaceId, audience: object) -> None:
        try:
            await read_whole(self._database.of(workspace).rows, workspace, audience)
        except BadRequest as error:
            raise error.renamed("filter", "recipients") from None
