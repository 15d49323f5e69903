"""Two installations in one database, each in a schema of its own: both send, and neither sends what is the other's."""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pushkeeper import config, wiring
from pushkeeper.services.doctor import Doctor, State
from pushkeeper.simulator import Simulator
from pushkeeper.store.db.retention import Keep
from support.engine import engine
from support.schemas import side_by_side
from support.stage import Stage

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database

KEEP = Keep(pushes_days=90, history_days=400, events_days=90, exports_days=30, outbox_days=30)
NAMES = {"ann-ios", "ann-android", "ben-ios", "eve-android"}


async def test_two_installations_in_one_database_send_each_its_own(database: Database) -> None:
    async with AsyncExitStack() as stack:
        stages = []
        for each in await stack.enter_async_context(side_by_side(database)):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pk-")))
            simulator = await stack.enter_async_context(Simulator(folder / "sim"))
            running = await stack.enter_async_context(engine(each, simulator, folder))
            tenant = await running.tenant()
            await tenant.add_fcm()
            await tenant.add_apns()
            stages.append(Stage(tenant))
        one, two = stages
        # The simulators mint the same tokens: devices have the same keys in both.
        for stage in stages:
            await stage.fill()
        assert (one.tenant.workspace_id, one.token) == (two.tenant.workspace_id, two.token)
        broadcast = await one.send()
        assert (await one.over(broadcast))["endings"] == {"accepted": 4}
        assert (one.reached(), two.reached()) == (NAMES, set())
        await two.tenant.push("ann")
        assert {row["ending"] for row in await two.tenant.settled(2)} == {"accepted"}
        assert two.reached() == {"ann-ios", "ann-android"}
        assert len(await one.tenant.pushes()) == 4
        for stage in stages:
            assert await wrong(stage) == []


async def wrong(stage: Stage) -> list[str]:
    store = stage.tenant.engine.store
    with tempfile.TemporaryDirectory(prefix="pk-") as folder:
        doctor = Doctor(
            store.database,
            store.vault,
            settings=config.Settings(data_dir=Path(folder)),
            keep=KEEP,
            open_prober=lambda credential: wiring.open_sender(credential, lambda _: None),
        )
        found = await doctor.examine(probes=False)
    return [f"{one.check}: {one.said}" for one in found if one.state is State.WRONG]
