"""A wrong clock, ours or theirs: routes pause and say so, no device bounces, and queued pushes are sent later."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from pushkeeper.simulator import Simulator
from support.engine import Engine, engine, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushkeeper.store.db.database import Database

HOURS = 3600


class Clock:
    """The services' clock, as far ahead of ours as is set."""

    ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@pytest_asyncio.fixture(loop_scope="session")
async def skewed(database: Database) -> AsyncIterator[tuple[Engine, Clock]]:
    await database.rows("delete from batches")
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="pk-") as folder:
        async with (
            Simulator(Path(folder) / "sim", clock=clock) as simulator,
            engine(database, simulator, Path(folder)) as found,
        ):
            yield found, clock


@pytest.mark.parametrize("hours", [2, -2])
async def test_a_skewed_clock_pauses_the_routes_and_bounces_nobody(
    skewed: tuple[Engine, Clock], hours: int
) -> None:
    running, clock = skewed
    tenant = await running.tenant()
    await tenant.add_fcm()
    await tenant.add_apns()
    clock.ahead_s = hours * HOURS
    phones = [(platform, tenant.mint(platform)[0]) for platform in ("android", "ios")]
    for platform, token in phones:
        await tenant.register(platform, token, platform)
        await tenant.push(platform)

    async def paused() -> dict[str, Any] | None:
        routes = {
            name: route for name, route in (await tenant.routes()).items() if not name.endswith(":apple")
        }
        return routes if all(route["paused_at"] for route in routes.values()) else None

    routes = await eventually(paused)
    assert routes
    assert [await tenant.status(token) for _, token in phones] == ["", ""]
    assert not await tenant.pushes(), "they wait"

    clock.ahead_s = 0.0
    # Google is asked again after a minute, or at once with new credentials; Apple by the next probe.
    await tenant.add_fcm()

    async def sent() -> bool:
        await tenant.let_probe()
        await tenant.make_due()
        return len(await tenant.pushes()) == len(phones) and not await tenant.queued()

    await eventually(sent)
    assert [await tenant.status(token) for _, token in phones] == ["sent", "sent"]
