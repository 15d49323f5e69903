"""Broadcasts that several people change at the same time, on a database that has few connections."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest_asyncio

from pushkeeper.core.broadcasts.schedule import Schedule
from pushkeeper.core.model import Content
from pushkeeper.services.broadcasts.creation import BroadcastRequest
from pushkeeper.store.db.database import Database
from support.actors import BY
from tests.dashboard.test_broadcast_pages import can_send

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushkeeper.services.broadcasts.service import Broadcasts
    from support.dashboard import Place

TOMORROW = Schedule(at=datetime.now(UTC) + timedelta(days=1))
ASKED = BroadcastRequest(content=Content(title="Hello"), audience="everybody", schedule=TOMORROW)


@pytest_asyncio.fixture
async def narrow(place: Place) -> AsyncIterator[Broadcasts]:
    """Broadcasts over one connection: a caller that wants a second one meanwhile waits for ever."""
    database = await Database.open(place.site.database.url, connections=1)
    try:
        yield replace(place.site.store, database=database).services.broadcasts
    finally:
        await database.close()


async def test_a_broadcast_is_paused_and_cancelled_on_the_connection_that_holds_it(
    place: Place, narrow: Broadcasts
) -> None:
    await can_send(place)
    workspace = place.workspace.workspace_id
    async with asyncio.timeout(20):
        made = await narrow.create(BY, workspace, ASKED)
        await narrow.start(BY, workspace, made.broadcast_id)
        paused = await narrow.pause(BY, workspace, made.broadcast_id)
        assert paused.shown_state == "paused"
        cancelled = await narrow.cancel(BY, workspace, made.broadcast_id)
        assert cancelled.shown_state == "cancelled"
