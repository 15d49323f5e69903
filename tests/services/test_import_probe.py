"""A sample of a file's devices, about which FCM is asked by dry runs that reach no phone."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pushkeeper.core.imports.row import ImportOptions
from pushkeeper.core.imports.sources import READERS
from pushkeeper.core.model import WorkspaceId
from pushkeeper.services.imports.batch import Batches
from pushkeeper.services.imports.counts import ProbeCounts
from pushkeeper.services.imports.probing import sample
from pushkeeper.simulator.world import Origin
from pushkeeper.store.imports import NewImport
from support.actors import BY
from support.engine import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from support.engine import Tenant


async def probed(tenant: Tenant, rows: Sequence[tuple[str, str]], probe: int) -> Any:
    """What an import of tokens and platforms says of its sample."""
    text = "token,platform,person,environment\n" + "".join(
        f"{one},{kind},ann,production\n" for one, kind in rows
    )

    async def content() -> AsyncIterator[bytes]:
        yield text.encode()

    services, workspace = tenant.engine.store.services, tenant.workspace_id
    new = NewImport(source="generic", name="devices.csv", options={"probe": probe})
    made = await services.imports.make(BY, workspace, new, content())

    async def ended() -> bool:
        return bool((await services.imports.one(workspace, made.import_id)).state != "pending")

    await eventually(ended)
    done = await services.imports.one(workspace, made.import_id)
    assert (done.state, done.failure) == ("done", None)
    return done.counts["probe"]


def said(**counts: int) -> dict[str, int]:
    return {**dict.fromkeys(ProbeCounts.__struct_fields__, 0), **counts}


async def test_fcm_says_what_is_a_token_and_whose_and_no_phone_gets_anything(tenant: Tenant) -> None:
    world = tenant.simulator.world
    ours = tenant.mint("android", 3)
    others = world.mint(2, Origin(platform="android", project="another"))
    phones = tenant.mint("ios", 1)
    rows = [*((one, "android") for one in (*ours, *others, "no:token")), (phones[0], "ios")]
    assert await probed(tenant, rows, 100) == said(accepted=3, other_sender=2, refused=1)
    assert [tenant.asked(one)[0].body is not None for one in ours] == [True] * 3
    assert all(world.installations[one].accepted == 0 for one in ours)
    assert tenant.asked(phones[0]) == []


async def test_no_more_are_asked_about_than_is_wanted(tenant: Tenant) -> None:
    tokens = tenant.mint("android", 8)
    assert await probed(tenant, [(one, "android") for one in tokens], 3) == said(accepted=3)
    assert sum(bool(tenant.asked(one)) for one in tokens) == 3
    assert await probed(tenant, [(one, "android") for one in tokens], 0) is None


async def test_without_credentials_nobody_is_asked(bare: Tenant) -> None:
    [token] = bare.mint("android", 1)
    assert await probed(bare, [(token, "android")], 5) == said(no_credentials=1)
    assert bare.asked(token) == []


async def test_while_fcm_is_out_of_order_nothing_is_known(tenant: Tenant) -> None:
    [token] = tenant.mint("android", 1)
    tenant.simulator.world.troubles["fcm"] = "outage"
    try:
        assert await probed(tenant, [(token, "android")], 5) == said(unanswered=1)
    finally:
        del tenant.simulator.world.troubles["fcm"]


def test_each_device_is_as_likely_in_a_sample_as_any_other() -> None:
    rows = "".join(f"t{number}:x,android,ann\n" for number in range(50))
    times = dict.fromkeys((f"t{number}:x" for number in range(50)), 0)
    for seed in range(400):
        file = io.BytesIO(f"token,platform,person\n{rows}".encode())
        batches = Batches(
            file, READERS["generic"], ImportOptions(), workspace=WorkspaceId(1), at=datetime.now(UTC)
        )
        found = sample(batches, 10, seed)
        assert len({one.token for one in found}) == 10
        for one in found:
            times[one.token] += 1
    # Each 80 times of 400, give or take six standard deviations.
    assert all(32 <= count <= 128 for count in times.values())
