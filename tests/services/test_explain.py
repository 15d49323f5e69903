"""Why somebody did or didn't get a message, asked of what really happened."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest

if TYPE_CHECKING:
    from support.engine import Tenant
    from support.stage import Stage


async def why(tenant: Tenant, **asked: Any) -> Any:
    return await tenant.call("GET", f"/api/v1/explain?{urlencode(asked)}")


def step(trace: Any, name: str) -> Any:
    """The last step of this name."""
    return [one for one in trace["steps"] if one["step"] == name][-1]


async def trace_of(stage: Stage, phone: str, **asked: Any) -> Any:
    answer = await why(stage.tenant, device=stage.token[phone], **asked)
    [trace] = answer["devices"]
    assert stage.token[phone] not in str(answer), "a whole token is shown"
    return {**trace, "change": answer["change"]}


async def test_would_a_push_reach_them_now(stage: Stage) -> None:
    answer = await why(stage.tenant, person="ann")
    assert (answer["got"], answer["said"], answer["change"]) == (
        True,
        "2 of 2 devices: a push would be delivered",
        None,
    )
    assert {trace["platform"] for trace in answer["devices"]} == {"ios", "android"}
    assert step(answer["devices"][0], "route")["so"] is True


async def test_an_accepted_push_with_what_the_app_told(stage: Stage) -> None:
    delivery = await stage.tenant.push("eve")
    await stage.tenant.settled(1)
    report = {"delivery_id": delivery, "metric": "opened", "recipient": stage.token["eve-android"]}
    await stage.tenant.call("POST", "/api/v1/metrics", report, track=True)
    answer = await why(stage.tenant, message=delivery)
    assert (answer["got"], answer["said"]) == (True, "accepted by the push service: fcm 200")
    [trace] = answer["devices"]
    assert step(trace, "attempts")["facts"]["attempts"] == 1
    assert step(trace, "attempts")["facts"]["id"].startswith("projects/")
    assert step(trace, "reports")["said"] == "App reported: opened"
    [made] = [line for line in step(trace, "status")["facts"]["made_by"] if line["event"] == "accepted"]
    assert (made["from"], made["to"], made["answer"]) == ("", "sent", "fcm 200")


async def test_a_suppressed_device_and_the_pushes_that_made_it(stage: Stage) -> None:
    stage.tenant.simulator.world.uninstall([stage.token["ben-ios"]])
    for _ in range(3):
        await stage.over(await stage.send(devices=[stage.token["ben-ios"]]))
    trace = await trace_of(stage, "ben-ios")
    assert (trace["got"], trace["said"]) == (False, "suppressed (Unregistered)")
    assert trace["change"].startswith("log in on the device again with the same token")
    status = step(trace, "status")
    assert status["so"] is False
    made = [(line["to"], line["answer"]) for line in status["facts"]["made_by"]]
    assert made == [("suppressed", "apns 410 Unregistered"), ("bounced", "apns 410 Unregistered"), ("", None)]
    assert all(line["message"] for line in status["facts"]["made_by"][:2])


async def test_the_failing_clause_of_the_audience(stage: Stage) -> None:
    number = await stage.send(
        audience={"filter": "platform = android and person.plan = pro and app_version < 4.2"}
    )
    await stage.over(number)
    trace = await trace_of(stage, "ann-ios", message=number)
    assert trace["said"] == "not in the audience: platform = ios".replace("ios", "android")
    assert step(trace, "audience")["facts"] == {"clause": "platform = android"}
    assert "make the device match platform = android" in trace["change"]
    trace = await trace_of(stage, "ann-android", message=number)
    assert step(trace, "audience")["facts"]["clause"] == "app_version < 4.2"


async def test_who_says_no_and_what_would_have_to_be_otherwise(stage: Stage) -> None:
    await stage.tenant.call("PUT", "/api/v1/customers/ben", {"unsubscribed": True}, track=True)
    number = await stage.send(skip_without_permission=True)
    await stage.over(number)
    trace = await trace_of(stage, "ben-ios", message=number)
    assert (trace["got"], trace["said"]) == (False, "skipped: unsubscribed")
    assert len(trace["changes"]) == 2, trace["changes"]
    assert "subscribe the person" in trace["change"]
    assert "enable notifications for the app on the device" in trace["change"]
    now = await trace_of(stage, "ben-ios")
    assert now["got"] is True
    assert "ignored for this message" in step(now, "preference")["said"]


async def test_a_phone_that_changed_hands(stage: Stage) -> None:
    number = (await stage.make(ids=["ben"], throttle={"per_minute": 1}))["id"]
    await stage.tenant.register("eve", stage.token["ben-ios"], "ios")
    await stage.do(number, "start")
    await stage.over(number)
    answer = await why(stage.tenant, person="ben", message=number)
    assert answer["got"] is False
    gone = await why(stage.tenant, person="ben", device=stage.token["ben-ios"])
    [trace] = gone["devices"]
    assert trace["said"] == "now registered to another person"
    owners = [one for one in trace["steps"] if one["step"] == "owner"]
    assert [one["said"].split()[0] for one in owners] == ["registered", "moved", "Now"]
    assert "log in as this person on the device" in gone["change"]


async def test_a_paused_route_and_a_paused_broadcast(stage: Stage) -> None:
    fcm = await stage.on_fcm("pause")
    number = await stage.send(devices=[stage.token["eve-android"]])
    await stage.tenant.waiting_for(1)
    trace = await trace_of(stage, "eve-android", message=number)
    assert (trace["got"], trace["said"]) == (False, f"{fcm} is paused: paused by an operator")
    assert trace["change"] == f"fix the cause, then resume {fcm}"
    await stage.do(number, "pause")
    trace = await trace_of(stage, "eve-android", message=number)
    assert trace["said"] == "the broadcast is on hold"
    assert "start or resume the broadcast" in trace["change"]
    await stage.do(number, "cancel")
    await stage.on_fcm("resume")
    await stage.over(number)
    trace = await trace_of(stage, "eve-android", message=number)
    assert (trace["said"], trace["change"]) == ("skipped: cancelled", "send the message again")


async def test_what_is_due_later_is_open(stage: Stage) -> None:
    at = int(datetime.now(UTC).timestamp()) + 3_600
    delivery = await stage.tenant.push("eve", send_at=at)
    answer = await why(stage.tenant, message=delivery)
    assert (answer["got"], answer["said"], answer["change"]) == (None, "queued", None)
    assert datetime.fromisoformat(step(answer["devices"][0], "plan")["at"]).timestamp() == at


async def test_a_draft_has_not_come_to_anybody(stage: Stage) -> None:
    number = (await stage.make())["id"]
    answer = await why(stage.tenant, person="ann", message=number)
    assert (answer["got"], answer["change"]) == (False, "start the broadcast, or wait for its scheduled time")
    assert [one["said"] for one in answer["steps"]][-1] == f"broadcast {number} is draft"


async def test_a_template_that_asks_for_what_is_not_there(stage: Stage) -> None:
    number = await stage.send(content={"title": "{{ person.first_name }}"}, ids=["eve"])
    await stage.over(number)
    trace = await trace_of(stage, "eve-android", message=number)
    assert "set the missing value" in trace["change"]
    assert "first_name" in trace["change"]


async def test_nobody_and_nothing(stage: Stage, bare: Tenant) -> None:
    answer = await why(stage.tenant, person="nobody")
    assert (answer["got"], answer["said"], answer["devices"]) == (False, "no person with this identifier", [])
    await stage.tenant.call("PUT", "/api/v1/customers/sam", {"plan": "pro"}, track=True)
    answer = await why(stage.tenant, person="sam")
    assert (answer["said"], answer["change"]) == (
        "the person has no device",
        "log in on a device so that it is registered",
    )
    [trace] = (await why(stage.tenant, device="x" * 64))["devices"]
    assert (trace["got"], step(trace, "known")["said"]) == (False, "no device with this token")
    answer = await why(bare, device=stage.token["ann-ios"])
    assert answer["devices"][0]["got"] is False


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({}, 400, "person is required"),
        ({"person": ""}, 400, "person is required"),
        ({"device": " "}, 400, "device is required"),
        ({"person": "ann", "message": "nonsense"}, 400, "Invalid message: expected a delivery ID"),
        ({"person": "ann", "message": "99999999"}, 404, "not found in this workspace"),
        (
            {"person": "ann", "message": "018f0000-0000-7000-8000-000000000000"},
            404,
            "not found in this workspace",
        ),
    ],
)
async def test_what_cannot_be_asked(stage: Stage, asked: dict[str, str], status: int, said: str) -> None:
    answer = await stage.tenant.call("GET", f"/api/v1/explain?{urlencode(asked)}", expect=status)
    assert said in answer["error"]["message"]


async def test_a_message_of_another_workspace_is_not_explained(stage: Stage, bare: Tenant) -> None:
    delivery = await stage.tenant.push("eve")
    await stage.tenant.settled(1)
    await bare.call("GET", f"/api/v1/explain?message={quote(delivery)}", expect=404)
