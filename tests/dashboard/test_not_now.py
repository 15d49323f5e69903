"""A database that cannot answer now is a page that says so, on every door of the dashboard, and never our fault."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui.page import View
from support.dashboard import served
from support.databases import own_database
from support.doors import NOTHING, all_page_routes
from support.engine import eventually
from support.inside import Inside, app_of
from support.outages import OUTAGES, locked_for_good, silent

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from pushkeeper.store.db.database import Database

    Outage = Callable[[Database, Database], AbstractAsyncContextManager[None]]


@pytest.mark.parametrize("outage", [*OUTAGES, silent, locked_for_good], ids=lambda outage: outage.__name__)
async def test_every_door_says_so_with_a_time_to_come_back(
    database: Database, tmp_path: Path, outage: Outage
) -> None:
    async with own_database(database) as own, served(own, tmp_path) as site:
        place = await site.workspace()
        browser = Inside.of(site, app_of(site), Role.ADMIN)
        refused = 0
        async with outage(own, database):
            doors = all_page_routes(site)
            paths = [
                re.sub(r"{([^}]+)}", lambda found: NOTHING.get(found[1]) or place.name, door.path)
                for door in doors
            ]
            answers = await asyncio.gather(
                *(
                    browser.get(path) if isinstance(door, View) else browser.post(path)
                    for door, path in zip(doors, paths, strict=True)
                )
            )
            for door, seen in zip(doors, answers, strict=True):
                assert seen.status < 500 or seen.status == 503, (door.path, seen.text)
                if seen.status == 503:
                    refused += 1
                    assert 1 <= int(seen.headers["retry-after"]) <= 10
                    assert "The database " in seen.text, door.path
        assert refused > 100

        async def is_back() -> bool:
            return (await browser.get("/")).status in {200, 303}

        await eventually(is_back)
