"""A broadcast through the most hostile services that are plausible: nobody bounces for a fault that is not their own."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_asyncio

from pushkeeper.core.model import Content
from pushkeeper.simulator import PROFILES, Simulator
from pushkeeper.simulator.profiles import changed
from support.engine import Engine, engine, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushkeeper.store.db.database import Database

DEVICES = 300
# More answers are lost than the profile loses, so that among these few some surely are.
HOSTILE = changed(
    changed(PROFILES["hostile"], "fcm_connection.lost_share", "0.1"), "apns_connection.lost_share", "0.1"
)


@pytest_asyncio.fixture(loop_scope="session")
async def hostile(database: Database) -> AsyncIterator[Engine]:
    await database.rows("delete from batches")
    with tempfile.TemporaryDirectory(prefix="pk-") as folder:
        async with (
            Simulator(Path(folder) / "sim", behaviour=HOSTILE) as simulator,
            engine(database, simulator, Path(folder)) as found,
        ):
            yield found


async def test_every_status_says_what_is_true_and_nobody_is_asked_for_ever(hostile: Engine) -> None:
    tenant = await hostile.tenant()
    await tenant.add_fcm()
    await tenant.add_apns()
    phones = {
        token: platform for platform in ("android", "ios") for token in tenant.mint(platform, DEVICES // 2)
    }
    for token, platform in phones.items():
        await tenant.register(token[-40:], token, platform)
    gone = list(phones)[::7]
    tenant.simulator.world.uninstall(gone)
    await tenant.send_to_all(Content(title="to all"))

    async def over() -> bool:
        # Waits for outages are some seconds each: here they are over at once.
        await tenant.make_due()
        return not await tenant.queued()

    await eventually(over)
    pushes = await tenant.pushes()
    assert len(pushes) == len({push["device_id"] for push in pushes}) == DEVICES
    found = {token: await tenant.status(token) for token in phones}
    assert found == {token: "bounced" if token in gone else "sent" for token in phones}
    answers: Counter[int | None] = Counter()
    for (_, status, _), count in tenant.simulator.world.journal.answers.items():
        answers[status] += count
    assert answers[503], "there were outages"
    assert tenant.simulator.world.journal.repeats, "and lost answers, which had to be asked for again"
