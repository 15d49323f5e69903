"""By which push service an iPhone is sent to, where a workspace has credentials for both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushkeeper.core.model import Content

if TYPE_CHECKING:
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
