"""By which push service an iPhone is sent to, where a workspace has credentials for both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkeeper.core.model import Content, Platform, Token, token_shape
from support.engine import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.store.db.database import Database
    from support.engine import Tenant


@pytest.mark.parametrize("lane_paused", [False, True])
async def test_an_iphone_goes_by_the_service_that_gave_its_token(bare: Tenant, *, lane_paused: bool) -> None:
    await bare.add_apns()
    await bare.add_fcm()
    [of_apns] = bare.mint("ios", provider="apns")
    [of_fcm] = bare.mint("ios", provider="fcm")
    await bare.register("ann", of_apns, "ios")
    await bare.register("bob", of_fcm, "ios")
    if lane_paused:
        # What goes by FCM must not wait in APNs' lane.
        [apns] = [name for name in await bare.routes() if name.startswith("apns")]
        await bare.call("POST", f"/api/v1/routes/{apns}/pause", {"reason": "a test"})
    await bare.send_to_all(Content(message="to everybody"))
    await bare.push("bob")
    if not lane_paused:
        await bare.push("ann")
        pushes = await bare.settled(4)
        assert {push["ending"] for push in pushes} == {"accepted"}
        assert [entry.provider for entry in bare.asked(of_apns)] == ["apns", "apns"]
        assert await bare.status(of_apns) == "sent"
    else:
        await bare.waiting()
    assert [entry.provider for entry in bare.asked(of_fcm)] == ["fcm", "fcm"]
    assert await bare.status(of_fcm) == "sent"


CREDENTIALS: dict[str, Sequence[str]] = {
    "APNs": ("apns",),
    "FCM": ("fcm",),
    "both": ("apns", "fcm"),
    "two apps": ("apns", "other app", "fcm"),
}


@pytest.mark.parametrize("named", CREDENTIALS.values(), ids=CREDENTIALS)
async def test_the_route_that_is_shown_is_the_one_that_is_taken(bare: Tenant, named: Sequence[str]) -> None:
    for one in named:
        if one == "fcm":
            await bare.add_fcm()
        else:
            await bare.add_apns(**({} if one == "apns" else {"topic": "com.example.other"}))
    number = bare.workspace_id
    tokens = {
        "ios": [
            *bare.mint("ios", provider="apns"),
            *bare.mint("ios", provider="fcm"),
            f"fid{number:019}",
            f"phone-{number}",
        ],
        "android": [*bare.mint("android"), f"{number:064}", f"other-phone-{number}"],
        "web": [f"https://push.example.com/{number}"],
    }
    shown: dict[str, str | None] = {}
    platforms: list[str] = []
    for platform, several in tokens.items():
        for token in several:
            await bare.register(f"person {len(shown)}", token, platform)
            device = await bare.call("GET", f"/api/v1/devices/{quote(token, safe='')}")
            assert bool(device["route"]) is not bool(device["no_route_reason"]), device
            shown[token] = device["route"]
            platforms.append(platform)
    listed = (await bare.call("GET", "/api/v1/devices"))["devices"]
    assert {device["token"]: device["route"] for device in listed} == shown
    everybody = {"name": "b", "content": {"message": "Hello"}, "audience": {"filter": "everybody"}}
    number = (await bare.call("POST", "/api/v1/broadcasts", everybody, expect=201))["broadcast"]["id"]

    async def estimated() -> Any:
        return (await bare.call("GET", f"/api/v1/broadcasts/{number}"))["broadcast"]["estimate"]["figures"]

    draft = await eventually(estimated)
    without = sum(route is None for route in shown.values())
    assert (draft["left_out"].get("no_route"), draft["reachable"]) == (without, len(shown) - without)
    for person, platform in enumerate(platforms):
        await bare.push(f"person {person}", platform=platform)

    async def taken() -> dict[str, str | None] | None:
        rows = await bare.database.rows(
            "select d.token, p.reason from pushes p join devices d using (workspace_id, device_id) "
            "where workspace_id = $1 and p.provider is null",
            bare.workspace_id,
        )
        skipped = {row["token"]: None for row in rows if row["reason"] == "no_route"}
        asked = {token: entries[0].provider for token in shown if (entries := bare.asked(token))}
        found = {**skipped, **asked}
        return found if found.keys() == shown.keys() else None

    assert await eventually(taken) == {
        token: None if route is None else route.partition(":")[0] for token, route in shown.items()
    }


ENDPOINTS = st.builds(
    "https://{}{}/{}".format,
    st.sampled_from(["", "a.", "wns2-par02p.", "web.", "updates.", "x", "A."]),
    st.sampled_from(
        ["fcm.googleapis.com", "push.services.mozilla.com", "push.apple.com", "notify.windows.com"]
    ),
    st.sampled_from(["", "x", "?y=https://fcm.googleapis.com/"]),
)
TOKENS = ENDPOINTS | st.text(st.sampled_from("0123456789abcdefABCDEFgz:_- é\n"), min_size=1, max_size=30)


@given(
    tokens=st.lists(TOKENS | st.text(st.sampled_from("09afAFzZ_-"), min_size=21, max_size=23), min_size=1),
    platform=st.sampled_from(Platform),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_sql_and_python_agree_on_the_shape_of_a_token(
    database: Database, tokens: list[str], platform: Platform
) -> None:
    found = await database.rows(
        "select token_shape($1, token) as shape from unnest($2::text[]) with ordinality t (token, n) order by n",
        platform,
        tokens,
    )
    assert [row["shape"] for row in found] == [token_shape(platform, Token(token)) for token in tokens]
