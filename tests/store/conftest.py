"""What the tests of the store and of its rooms start from."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from pushkeeper.registry import Registry
from pushkeeper.store import workspaces

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.database import Database


@pytest_asyncio.fixture
async def tenant(database: Database) -> WorkspaceId:
    """A workspace in which there is nothing yet."""
    made, _ = await workspaces.create(database, secrets.token_hex(8))
    return made.workspace_id


@pytest.fixture
def registry(database: Database) -> Registry:
    return Registry(database)
