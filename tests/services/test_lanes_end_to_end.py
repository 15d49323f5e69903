"""Lanes at work: waves, pauses, turns and faults, from the API to the push services and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from pushkeeper.core.model import Content
from pushkeeper.simulator.script import Step
from pushkeeper.store.admin import workspaces
from support.engine import eventually

if TYPE_CHECKING:
    from support.engine import Tenant

IOS = "apns:production:com.example.app"
REFUSED = Step(status=400, reason="BadDeviceToken")


async def decide(tenant: Tenant, what: str) -> Any:
    return await tenant.call("POST", f"/api/v1/routes/{quote(IOS, safe='')}/{what}")


async def fleet(tenant: Tenant, count: int) -> list[str]:
    """So many iPhones of as many people."""
    tokens: list[str] = tenant.mint("ios", count)
    for token in tokens:
        await tenant.register(token[:12], token, "ios")
    return tokens


async def broadcast(tenant: Tenant) -> None:
    await tenant.send_to_all(Content(title="to all"))


async def statuses(tenant: Tenant) -> dict[str, int]:
    counts: dict[str, int] = (await tenant.call("GET", "/api/v1/stats/devices"))["totals"]
    return {status: devices for status, devices in counts.items() if devices}


async def a_wave(tenant: Tenant) -> list[str]:
    """A fleet that was sent to, all of which is then refused as by a wrong environment."""
    tokens = await fleet(tenant, 40)
    await broadcast(tenant)
    await tenant.settled(40)
    for token in tokens:
        tenant.simulator.world.script(token, [REFUSED])
    await broadcast(tenant)
    return tokens


async def held(tenant: Tenant) -> dict[str, Any]:
    """The route once the guard has paused it and nothing is under way any more."""

    async def ask() -> dict[str, Any] | None:
        paused = (await tenant.routes())[IOS]["paused_at"]
        if not paused or any(batch["claimed"] for batch in await tenant.queued()):
            return None
        route: dict[str, Any] = (await tenant.routes())[IOS]
        assert route["held"] + route["waiting"] == 40
        return route

    found: dict[str, Any] = await eventually(ask)
    return found


async def test_a_wave_of_refusals_bounces_nobody_until_an_operator_says_so(tenant: Tenant) -> None:
    await a_wave(tenant)
    route = await held(tenant)
    assert (route["state"], route["pause_kind"], route["held"] >= 20) == ("paused", "guard", True)
    assert await statuses(tenant) == {"sent": 40}
    assert any(alert["reason"] == "guard" for alert in route["alerts"])
    assert await decide(tenant, "apply") == {"route": IOS, "applied": route["held"]}
    pushes = await tenant.settled(80)
    assert [push["ending"] for push in pushes].count("bounced") == 40
    assert await statuses(tenant) == {"bounced": 40}


async def test_a_wave_that_was_our_own_fault_is_sent_again_and_changes_nobody(tenant: Tenant) -> None:
    tokens = await a_wave(tenant)
    route = await held(tenant)
    for token in tokens:
        tenant.simulator.world.next_step(token)
    assert await decide(tenant, "discard") == {"route": IOS, "discarded": route["held"]}
    assert {push["ending"] for push in await tenant.settled(80)} == {"accepted"}
    assert await statuses(tenant) == {"sent": 40}
    names = {dict(entry.headers)[b"apns-id"] for entry in tenant.asked(tokens[0])}
    assert len(names) == 2, "each message has one name at every attempt"


async def test_new_credentials_answer_the_guard_too(tenant: Tenant) -> None:
    tokens = await a_wave(tenant)
    await held(tenant)
    for token in tokens:
        tenant.simulator.world.next_step(token)
    await tenant.add_apns()
    assert {push["ending"] for push in await tenant.settled(80)} == {"accepted"}


async def test_a_first_refusal_on_a_new_route_waits_for_the_route_to_prove_itself(tenant: Tenant) -> None:
    bad, good = await fleet(tenant, 2)
    tenant.simulator.world.script(bad, [REFUSED])
    delivery = await tenant.push(bad[:12])

    async def is_held() -> bool:
        return bool((await tenant.routes())[IOS]["held"])

    await eventually(is_held)
    assert (await tenant.message(delivery))["failure_message"] == "on hold: unproven 400 BadDeviceToken"
    assert await tenant.status(bad) == ""
    await tenant.push(good[:12])
    assert sorted(push["ending"] for push in await tenant.settled(2)) == ["accepted", "bounced"]
    assert await tenant.status(bad) == "bounced"


async def test_firebases_apple_leg_pauses_alone(bare: Tenant) -> None:
    await bare.add_fcm()
    [iphone], [android] = bare.mint("ios", provider="fcm"), bare.mint("android")
    await bare.register("ann", iphone, "ios")
    await bare.register("bob", android, "android")
    bare.simulator.world.script(iphone, [Step(status=401, reason="THIRD_PARTY_AUTH_ERROR")])
    await bare.push("ann")
    await bare.waiting()
    await bare.push("bob")

    async def bob_is_sent() -> bool:
        return bool(await bare.status(android) == "sent")

    await eventually(bob_is_sent)
    assert [name for name, route in (await bare.routes()).items() if route["paused_at"]] == [
        "fcm:simulated-project:apple"
    ]


async def test_a_pause_is_obeyed_and_lifted_while_a_broadcast_is_under_way(tenant: Tenant) -> None:
    tokens = await fleet(tenant, 30)
    await decide(tenant, "pause")
    await broadcast(tenant)
    assert (await tenant.routes())[IOS]["waiting"] == 30
    assert [tenant.asked(token) for token in tokens] == [[]] * 30
    await decide(tenant, "resume")
    assert {push["ending"] for push in await tenant.settled(30)} == {"accepted"}


async def test_what_a_workspace_allows_in_a_second_is_kept(tenant: Tenant) -> None:
    tokens = await fleet(tenant, 30)
    await workspaces.choose(tenant.database, tenant.workspace_id, {"max_pushes_per_s": 10, "ramp_s": 0})
    await broadcast(tenant)
    await tenant.settled(30)
    at = sorted(tenant.asked(token)[0].at_s for token in tokens)
    for first, later in zip(at, at[22:], strict=False):
        assert later - first > 1.0, (
            "22 in a second would be twice what is allowed, and a second's worth besides"
        )


@pytest.mark.parametrize(
    ("option", "needed"), [({"suppress_after": 3}, 3), ({"suppress_on_definitive": True}, 1), ({}, 2)]
)
async def test_as_many_refusals_suppress_as_the_workspace_chose(
    tenant: Tenant, option: dict[str, Any], needed: int
) -> None:
    await tenant.call("PATCH", "/api/v1/options", option)
    [token] = await fleet(tenant, 1)
    tenant.simulator.world.uninstall([token])
    found = []
    for count in range(1, needed + 1):
        await tenant.push(token[:12])
        await tenant.settled(count)
        found.append(await tenant.status(token))
    assert found == ["bounced"] * (needed - 1) + ["suppressed"]


async def test_an_unregistered_device_is_deleted_where_the_workspace_chose_so(tenant: Tenant) -> None:
    await tenant.call("PATCH", "/api/v1/options", {"delete_unregistered": True})
    [token] = await fleet(tenant, 1)
    tenant.simulator.world.uninstall([token])
    await tenant.push(token[:12])
    await tenant.settled(1)
    lines = await tenant.history(token)
    assert [(line["event"], line["provider_reason"]) for line in lines] == [
        ("deleted", "Unregistered"),
        ("registered", None),
    ]
    assert await statuses(tenant) == {}


async def test_a_push_that_cannot_be_sent_fails_alone_and_the_worker_goes_on(tenant: Tenant) -> None:
    first, second = await fleet(tenant, 2)
    await decide(tenant, "pause")
    await tenant.push(first[:12])
    await tenant.waiting()
    await tenant.database.rows(
        "update messages set content = '{\"title\": 7}' where workspace_id = $1", tenant.workspace_id
    )
    await decide(tenant, "resume")
    [unreadable] = await tenant.settled(1)
    assert (unreadable["ending"], unreadable["reason"]) == ("failed", "unreadable")
    await tenant.push(second[:12])
    assert (await tenant.settled(2))[1]["ending"] == "accepted"
    assert (await tenant.status(first), await tenant.status(second)) == ("", "sent")
