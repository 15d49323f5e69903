"""What the tests of the store and of its rooms start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushkeeper.services.people import People

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.admin.workspaces import NewKeys, Workspace
    from pushkeeper.store.db.database import Database


@pytest.fixture
def tenant(workspace: tuple[Workspace, NewKeys]) -> WorkspaceId:
    """The id of a workspace in which there is nothing yet."""
    made, _ = workspace
    return made.workspace_id


@pytest.fixture
def registry(database: Database) -> People:
    return People(database)
