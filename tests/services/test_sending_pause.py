"""Pausing all sending of a workspace: nothing leaves until it is resumed, and nothing is lost by it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pushkeeper.store.delivery import queue
from pushkeeper.store.reports import metrics
from support.engine import eventually
from support.examples import examples
from support.stage import PHONES

if TYPE_CHECKING:
    from support.engine import Engine, Tenant
    from support.stage import Stage

LONG = "x" * 501


async def pause(tenant: Tenant, *, expect: int = 200, **body: Any) -> Any:
    return await tenant.call("POST", "/api/v1/sending/pause", body, expect=expect)


async def resume(tenant: Tenant, *, expect: int = 200) -> Any:
    return await tenant.call("POST", "/api/v1/sending/resume", expect=expect)


async def phone(tenant: Tenant, person: str = "ann") -> str:
    token: str = tenant.mint("ios")[0]
    await tenant.register(person, token, "ios")
    return token


async def a_neighbour_is_sent_to(running: Engine) -> None:
    """The worker has looked at the queue since, and sends what others have."""
    neighbour = await running.tenant()
    await neighbour.add_apns()
    await phone(neighbour)
    await neighbour.push("ann")
    [push] = await neighbour.settled(1)
    assert push["ending"] == "accepted"


async def test_a_paused_workspace_accepts_pushes_and_sends_them_once_it_is_resumed(
    running: Engine, tenant: Tenant
) -> None:
    token = await phone(tenant)
    state = (await pause(tenant, reason="wrong link"))["sending"]
    assert (state["paused"], state["reason"], state["paused_by"]["kind"]) == (True, "wrong link", "key")
    delivery = await tenant.push("ann")
    await a_neighbour_is_sent_to(running)
    assert (tenant.asked(token), await tenant.pushes()) == ([], [])
    assert (await tenant.call("GET", "/api/v1/sending"))["sending"]["queued"] == 1
    assert (await resume(tenant))["sending"] == {
        "paused": False,
        "paused_at": None,
        "paused_by": None,
        "reason": None,
        "queued": 1,
    }
    [push] = await tenant.settled(1)
    assert (push["ending"], len(tenant.asked(token))) == ("accepted", 1)
    assert "sent" in (await tenant.message(delivery))["metrics"]


async def test_what_is_wrong_with_a_pause_is_said_and_changes_nothing(tenant: Tenant) -> None:
    assert (await resume(tenant, expect=409))["error"]["code"] == "conflict"
    refused = (await pause(tenant, reason=LONG, expect=400))["error"]
    assert (refused["code"], refused["path"]) == ("too_large", ["reason"])
    assert not (await tenant.call("GET", "/api/v1/sending"))["sending"]["paused"]
    await pause(tenant, reason="first")
    await pause(tenant, reason="second", expect=409)
    assert (await tenant.call("GET", "/api/v1/sending"))["sending"]["reason"] == "first"
    lines = await tenant.audited("sending.pause")
    assert [(line["outcome"], line["detail"]) for line in lines if line["outcome"] == "done"] == [
        ("done", "first")
    ]


async def test_a_broadcast_in_flight_stops_and_goes_on_without_losing_or_repeating_a_device(
    running: Engine, tenant: Tenant, stage: Stage
) -> None:
    tokens = tenant.mint("android", 60)
    await asyncio.gather(*(tenant.register(token[:12], token, "android") for token in tokens))
    number = await stage.send(throttle={"per_second": 20})

    def asked() -> int:
        return sum(len(tenant.asked(token)) for token in tokens)

    async def begun() -> bool:
        return asked() > 0

    await eventually(begun)
    await pause(tenant)

    async def halted() -> Any:
        waiting = await tenant.queued()
        return waiting and not any(batch["claimed"] for batch in waiting)

    await eventually(halted)
    stopped_at = asked()
    assert (await stage.read(number))["progress"]["unknown"] == "sending_paused"
    await a_neighbour_is_sent_to(running)
    assert asked() == stopped_at < len(tokens)
    await resume(tenant)
    over = await stage.over(number)
    assert over["endings"] == {"accepted": len(tokens) + len(PHONES)}
    assert [len(tenant.asked(token)) for token in tokens] == [1] * len(tokens)


async def test_a_push_that_expires_while_sending_is_paused_is_recorded_as_expired(
    running: Engine, tenant: Tenant
) -> None:
    token = await phone(tenant)
    await pause(tenant)
    await tenant.push("ann")
    await tenant.database.rows(
        "update messages set expires_at = now() where workspace_id = $1", tenant.workspace_id
    )
    await queue.take_expired_out_of_lanes(running.store.database)
    await tenant.database.rows("notify pushkeeper_work")
    [push] = await tenant.settled(1)
    assert (push["ending"], push["reason"], tenant.asked(token)) == ("expired", "expired", [])


async def test_a_broadcast_that_is_cancelled_while_sending_is_paused_ends_at_once(
    tenant: Tenant, stage: Stage
) -> None:
    await pause(tenant)
    number = await stage.send()
    await tenant.planned()
    await stage.do(number, "cancel")
    assert (await stage.over(number))["endings"] == {"skipped": len(PHONES)}


async def test_explain_says_that_sending_is_paused_and_what_would_help(tenant: Tenant) -> None:
    await phone(tenant)
    await pause(tenant, reason="wrong link")
    found = await tenant.call("GET", "/api/v1/explain?person=ann")
    assert (found["got"], found["change"]) == (False, "resume sending")
    assert "wrong link" in found["said"]


async def test_the_queue_of_a_paused_workspace_is_not_late_but_held(tenant: Tenant) -> None:
    await phone(tenant)
    await pause(tenant)
    await tenant.push("ann")
    name = await tenant.database.value(
        "select name from workspaces where workspace_id = $1", tenant.workspace_id
    )
    [depth] = [one for one in await metrics.queue(tenant.database) if one.workspace == name]
    assert (depth.state, depth.devices, depth.oldest_due_s) == ("held", 1, None)


DOES = st.lists(st.sampled_from(["pause", "resume", "push"]), min_size=1, max_size=8)


@settings(max_examples=examples(12), deadline=None)
@given(does=DOES)
async def test_whatever_is_paused_and_resumed_no_push_leaves_in_a_pause_and_each_leaves_once(
    running: Engine, does: list[str]
) -> None:
    tenant = await running.tenant()
    await tenant.add_apns()
    token = await phone(tenant)
    paused, pushed, at_pause = False, 0, 0
    for what in does:
        if what == "push":
            await tenant.push("ann", title=str(pushed))
            pushed += 1
        elif (what == "pause") is not paused:
            await (pause if what == "pause" else resume)(tenant)
            paused, at_pause = not paused, len(tenant.asked(token))
        if pushed and not paused:
            await tenant.settled(pushed)
        assert len(tenant.asked(token)) == (at_pause if paused else pushed)
    if paused:
        assert len(await tenant.pushes()) == at_pause
        await resume(tenant)
    endings = [push["ending"] for push in await tenant.settled(pushed)] if pushed else []
    assert (endings, len(tenant.asked(token))) == (["accepted"] * pushed, pushed)
