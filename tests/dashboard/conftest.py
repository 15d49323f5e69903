"""The dashboard on a database of its own, and a browser for each role."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from pushkeeper.core.roles import Role
from support.dashboard import served
from support.databases import own_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pushkeeper.store.db.database import Database
    from support.dashboard import Browser, Place, Site


@pytest_asyncio.fixture(scope="session")
async def site(database: Database, folder: Path) -> AsyncIterator[Site]:
    async with own_database(database) as own, served(own, folder) as site:
        yield site


@pytest_asyncio.fixture
async def place(site: Site) -> Place:
    """A workspace in which there is nothing yet."""
    return await site.workspace()


@pytest.fixture
def nobody(site: Site) -> Browser:
    return site.browser()


@pytest.fixture
def viewer(site: Site) -> Browser:
    return site.browser(Role.VIEWER)


@pytest.fixture
def operator(site: Site) -> Browser:
    return site.browser(Role.OPERATOR)


@pytest.fixture
def admin(site: Site) -> Browser:
    return site.browser(Role.ADMIN)
