"""Workspaces, and what each chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from pushkeeper.services import typed
from pushkeeper.services.audit import audited
from pushkeeper.store.admin import workspaces
from pushkeeper.store.admin.workspaces import (
    Choice,
    NamedWorkspace,
    NewKeys,
    Options,
    Workspace,
    WorkspaceRecord,
)
from pushkeeper.store.db import cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.store.db.database import Database

__all__ = ["Choice", "NamedWorkspace", "NewKeys", "Options", "Workspace", "WorkspaceRecord", "Workspaces"]


class Workspaces:
    """The workspaces of the installation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @audited("workspace.create", "name")
    async def create(self, entry: AuditEntry, name: str) -> tuple[Workspace, NewKeys]:
        """Make a workspace and its keys.

        Raises:
            Conflict: the name is taken.
        """
        made, keys = await workspaces.create(self._database, name)
        entry.changed("site_id", None, keys.site_id)
        return made, keys

    async def all(self) -> list[WorkspaceRecord]:
        """Every workspace and how much it holds, oldest first."""
        return await workspaces.list_all(self._database)

    async def names(self) -> list[NamedWorkspace]:
        """The workspaces by their names, a thousand at most."""
        return await workspaces.names(self._database)

    async def by_name(self, name: str) -> Workspace:
        """The workspace with this name.

        Raises:
            NotFound: it does not exist.
        """
        return await workspaces.by_name(self._database, name)

    async def cell(self) -> int:
        """Which of several databases behind one address this is."""
        return await cells.of(self._database)

    async def become_cell(self, cell: int) -> None:
        """Make an empty database a cell of several behind one address.

        Raises:
            BadRequest: there can be no such cell.
            Conflict: it is another cell already, or has rows that are numbered as of cell 0.
        """
        await cells.choose(self._database, cell)

    async def options(self, workspace: WorkspaceId) -> Options:
        """What a workspace chose."""
        return await workspaces.options(self._database, workspace)

    @audited("options.change")
    async def choose(
        self, entry: AuditEntry, workspace: WorkspaceId, changes: Mapping[str, Choice]
    ) -> Options:
        """Change some of a workspace's options, by name, and return them all; its workers are notified.

        Raises:
            BadRequest: the option does not exist, or the value is invalid.
            Conflict: tokens are to have one owner, and some are shared.
        """
        before = await self.options(workspace)
        typed.read({**structs.asdict(before), **changes}, Options)
        chosen = await workspaces.choose(self._database, workspace, changes, entry.done_with)
        entry.changed_fields(before, chosen, *Options.__struct_fields__)
        return chosen
