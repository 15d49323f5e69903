"""Triggers: broadcasts as Customer.io's clients send them, of a template, at once; accepted when they are committed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pushkeeper.core.filters.nodes import Unit
from pushkeeper.errors import BadRequest, NotFound, TooManyRequests
from pushkeeper.services.audit import audited
from pushkeeper.services.broadcasts import creation
from pushkeeper.services.broadcasts.creation import BroadcastRequest, Creation
from pushkeeper.store.broadcasts import broadcasts
from pushkeeper.store.messages import templates
from pushkeeper.store.messages.templates import TemplateKind

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from pushkeeper.core.model import Content, WorkspaceId
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.services.messages.templates import Checks
    from pushkeeper.store.broadcasts.broadcasts import Broadcast
    from pushkeeper.store.db.database import Database

MOST_UNDER_PLAN = 5


class Triggers:
    """The broadcasts of all workspaces that Customer.io's clients send."""

    def __init__(self, database: Database, checks: Checks) -> None:
        """`checks` maps each platform to its content validators."""
        self._database = database
        self._creation = Creation(database, checks)

    async def send_to_all(
        self, workspace: WorkspaceId, content: Content, *, send_to_unsubscribed: bool = False
    ) -> int:
        """Commit a push to every device of a workspace, and return the number of the broadcast.

        Raises:
            BadRequest: the content is empty, is not Liquid, or a provider would refuse it.
            Forbidden: the workspace has no credentials to send with.
        """
        request = BroadcastRequest(
            content=content, unit=Unit.PERSON, send_to_unsubscribed=send_to_unsubscribed
        )
        return await self._send(workspace, request)

    @audited("broadcast.trigger")
    async def trigger(self, entry: AuditEntry, workspace: WorkspaceId, request: BroadcastRequest) -> int:
        """Commit a broadcast of a template, and return its number; without recipients it goes to the template's audience.

        Raises:
            BadRequest: the audience is not a filter, or names a segment that does not exist, or somebody named does not exist.
            Forbidden: the workspace has no credentials to send with.
            NotFound: the broadcast template does not exist.
            TooManyRequests: too many of this template's broadcasts are not planned yet.
        """
        template_id = request.template_id
        assert template_id is not None  # noqa: S101 - it is in the path
        entry.target = str(template_id)
        found = await templates.of_workspace(self._database, workspace, TemplateKind.BROADCAST, template_id)
        if not found:
            raise NotFound("Broadcast not found")
        if await broadcasts.under_plan(self._database, workspace, template_id) >= MOST_UNDER_PLAN:
            raise TooManyRequests(f"{MOST_UNDER_PLAN} triggers of this broadcast are still being planned")
        if request.recipients is None and request.file_url is None and request.audience is None:
            request = replace(request, audience=found[0].audience)
        number = await self._send(workspace, request)
        entry.target, entry.detail = f"{template_id} {found[0].name}", f"broadcast {number}"
        return number

    async def one(self, workspace: WorkspaceId, template_id: int, broadcast_id: int) -> Broadcast:
        """A broadcast of a template.

        Raises:
            NotFound: it does not exist.
        """
        found = await broadcasts.one(self._database, workspace, broadcast_id)
        if found is None or found.template_id != template_id:
            raise NotFound("Trigger not found")
        return found

    async def all(
        self, workspace: WorkspaceId, template_id: int, *, before: int | None, limit: int
    ) -> list[Broadcast]:
        """The broadcasts of a template that were started, before a number, the newest first."""
        return await broadcasts.of_template(
            self._database, workspace, template_id, before=before, limit=limit
        )

    async def messages(
        self, workspace: WorkspaceId, template_id: int, since: datetime, until: datetime
    ) -> list[UUID]:
        """The messages of a template's broadcasts that were started and made in this time."""
        return await broadcasts.messages_of(self._database, workspace, template_id, since, until)

    async def _send(self, workspace: WorkspaceId, request: BroadcastRequest) -> int:
        try:
            checked = await self._creation.check(workspace, request)
        except BadRequest as error:
            raise _of_trigger(error) from None
        made = await self._database.of(workspace).in_transaction(
            lambda connection: creation.insert(connection, workspace, checked, start=True)
        )
        assert made is not None  # noqa: S101 - it has no key that another could have
        return made


def _of_trigger(error: BadRequest) -> BadRequest:
    """The same error with the field's name in Customer.io's API."""
    if error.path[:1] == ("content",):
        return error.at(error.path[1:])
    return error.renamed("filter", "recipients")
