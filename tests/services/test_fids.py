"""A device by its installation id, from its registration to FCM and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pushkeeper.simulator.world import Origin

if TYPE_CHECKING:
    from support.engine import Tenant


async def test_a_push_goes_to_the_fid_and_its_answer_to_the_device(tenant: Tenant) -> None:
    world = tenant.simulator.world
    [fid] = world.mint(1, Origin(platform="android", kind="fid"))
    [token] = world.mint(1, Origin(platform="android"))
    await tenant.register("ann", fid, "android")
    await tenant.register("ben", token, "android")
    for person in ("ann", "ben"):
        await tenant.push(person)
    await tenant.settled(2)
    assert [await tenant.status(one) for one in (fid, token)] == ["sent", "sent"]
    assert json.loads(tenant.asked(fid)[0].body)["message"]["fid"] == fid
    assert json.loads(tenant.asked(token)[0].body)["message"]["token"] == token
    world.uninstall([fid])
    await tenant.push("ann")
    await tenant.settled(3)
    assert await tenant.status(fid) == "bounced"
