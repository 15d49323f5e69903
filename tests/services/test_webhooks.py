"""Reporting webhooks: what happens is posted, signed and in its order, and again when it was not taken."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest

from pushkeeper.simulator.script import Step
from pushkeeper.store.db.database import WORK_CHANNEL
from support.engine import eventually

if TYPE_CHECKING:
    from support.endpoint import Endpoint
    from support.engine import Tenant

EVENTS = [
    *(
        "push_attempted",
        "push_sent",
        "push_bounced",
        "push_dropped",
        "push_failed",
        "push_delivered",
        "push_opened",
    ),
    *("customer_subscribed", "customer_unsubscribed"),
    *(f"device_{what}" for what in ("registered", "moved", "bounced", "suppressed", "revived", "deleted")),
]


async def webhook(tenant: Tenant, endpoint: str, **more: Any) -> dict[str, Any]:
    body = {"name": "ours", "endpoint": endpoint, "events": EVENTS, **more}
    made: dict[str, Any] = await tenant.call("POST", "/v1/reporting_webhooks", body)
    return made


async def quiet(tenant: Tenant) -> bool:
    [found] = (await tenant.call("GET", "/v1/reporting_webhooks"))["reporting_webhooks"]
    return bool(found["waiting"] == 0)


async def test_outcomes_of_a_push_are_posted_with_its_recipients_and_a_signature(
    tenant: Tenant, endpoint: Endpoint
) -> None:
    made = await webhook(tenant, endpoint.url, with_content=True)
    [good], [gone] = tenant.mint("android"), tenant.mint("ios")
    await tenant.register("ann", good, "android")
    await tenant.register("ann", gone, "ios")
    tenant.simulator.world.uninstall([gone])
    delivery_id = await tenant.push("ann")
    await tenant.settled(2)
    await tenant.call(
        "POST", "/api/v1/metrics", {"delivery_id": delivery_id, "metric": "opened", "recipient": good}
    )
    await eventually(lambda: quiet(tenant))
    # One of each for what was settled together: the two phones may have answered in two slices.
    assert set(endpoint.of("push")) == {"sent", "bounced", "opened"}
    told = {one["metric"]: one for one in endpoint.told if one["object_type"] == "push"}
    assert told["sent"]["data"]["recipients"] == [{"device_id": good, "device_platform": "android"}]
    [refused] = told["bounced"]["data"]["recipients"]
    assert (refused["device_id"], "Unregistered" in refused["failure_message"]) == (gone, True)
    assert told["sent"]["data"]["delivery_id"] == delivery_id
    assert told["sent"]["data"]["identifiers"]["id"] == "ann"
    assert json.loads(told["sent"]["data"]["content"])["title"] == "Hello"
    assert set(told["sent"]) == {"event_id", "object_type", "metric", "timestamp", "data"}
    assert "drafted" not in told
    for headers, body in endpoint.calls:
        signed = f"v0:{headers['x-cio-timestamp']}:".encode() + body
        expected = hmac.new(made["signing_key"].encode(), signed, hashlib.sha256).hexdigest()
        assert headers["x-cio-signature"] == expected
    assert len({one["event_id"] for one in endpoint.told}) == len(endpoint.told)


async def test_an_attempt_is_reported_each_time_it_failed_and_is_retried(
    tenant: Tenant, endpoint: Endpoint
) -> None:
    await webhook(tenant, endpoint.url)
    [token] = tenant.mint("ios")
    await tenant.register("ann", token, "ios")
    trouble = Step(status=503, reason="ServiceUnavailable")
    tenant.simulator.world.script(token, [trouble, trouble])
    delivery_id = await tenant.push("ann")
    for number in (1, 2):
        await eventually(lambda number=number: attempted(tenant, number))
        await tenant.database.rows(
            "update batches set due_at = now() where workspace_id = $1", tenant.workspace_id
        )
        await tenant.database.rows(f"notify {WORK_CHANNEL}")
    await tenant.settled(1)
    await eventually(lambda: quiet(tenant))
    assert endpoint.of("push") == ["attempted", "attempted", "sent"]
    for one in endpoint.told:
        if one["metric"] == "attempted":
            assert one["data"]["failure_message"] == "503 ServiceUnavailable"
            assert one["data"]["delivery_id"] == delivery_id
            assert token not in json.dumps(one)


async def attempted(tenant: Tenant, number: int) -> bool:
    [waiting] = await tenant.queued() or [{"attempt": 0}]
    return bool(waiting["attempt"] == number and not waiting["claimed"])


async def test_events_of_a_device_and_a_person_are_posted_in_order(
    tenant: Tenant, endpoint: Endpoint
) -> None:
    await webhook(tenant, endpoint.url)
    [token] = tenant.mint("ios")
    await tenant.register("ann", token, "ios")
    tenant.simulator.world.uninstall([token])
    for number in (1, 2):
        await tenant.push("ann")
        await tenant.settled(number)
    await tenant.register("ann", token, "ios")
    await tenant.register("ben", token, "ios")
    await tenant.call("PUT", "/api/v1/customers/ben", {"unsubscribed": True}, track=True)
    await tenant.call("PUT", "/api/v1/customers/ben", {"unsubscribed": False}, track=True)
    await tenant.call("DELETE", f"/api/v1/customers/ben/devices/{token}", track=True)
    await eventually(lambda: quiet(tenant))
    assert endpoint.of("device") == ["registered", "bounced", "suppressed", "revived", "moved", "deleted"]
    assert endpoint.of("customer") == ["unsubscribed", "subscribed"]
    bounced = next(
        one for one in endpoint.told if one["metric"] == "bounced" and one["object_type"] == "device"
    )
    assert (bounced["data"]["provider_reason"], bounced["data"]["to_status"]) == ("Unregistered", "bounced")


async def test_what_is_not_taken_waits_with_all_that_comes_after_it(
    tenant: Tenant, endpoint: Endpoint
) -> None:
    await webhook(tenant, endpoint.url)
    endpoint.answers.append(503)
    for token in tenant.mint("ios", 3):
        await tenant.register("ann", token, "ios")
    await eventually(lambda: failing(tenant))
    [found] = (await tenant.call("GET", "/v1/reporting_webhooks"))["reporting_webhooks"]
    assert (found["failure"], found["disabled"], endpoint.calls) == ("answered 503", False, [])
    assert endpoint.tried == 1
    await tenant.database.rows(
        "update webhooks set due_at = now() where workspace_id = $1", tenant.workspace_id
    )
    await eventually(lambda: quiet(tenant))
    assert endpoint.of("device") == ["registered"] * 3
    [found] = (await tenant.call("GET", "/v1/reporting_webhooks"))["reporting_webhooks"]
    assert (found["failing_since"], found["failure"]) == (None, None)


async def failing(tenant: Tenant) -> bool:
    [found] = (await tenant.call("GET", "/v1/reporting_webhooks"))["reporting_webhooks"]
    return bool(found["failing_since"] is not None)


async def test_an_endpoint_that_failed_for_a_week_is_disabled_and_can_be_enabled_again(
    tenant: Tenant, endpoint: Endpoint
) -> None:
    made = await webhook(tenant, endpoint.url)
    endpoint.answers.extend([410, 410])
    [token] = tenant.mint("ios")
    await tenant.register("ann", token, "ios")
    await eventually(lambda: failing(tenant))
    wait_s = await tenant.database.value(
        "select extract(epoch from due_at - now())::int from webhooks where workspace_id = $1",
        tenant.workspace_id,
    )
    assert wait_s == pytest.approx(3600, abs=30)
    await tenant.database.rows(
        "update webhooks set due_at = now(), failing_since = now() - interval '8 days' where workspace_id = $1",
        tenant.workspace_id,
    )

    async def disabled() -> bool:
        found: bool = (await tenant.call("GET", f"/v1/reporting_webhooks/{made['id']}"))["disabled"]
        return found

    await eventually(disabled)
    changed = await tenant.call("PUT", f"/v1/reporting_webhooks/{made['id']}", {"disabled": False})
    assert (changed["disabled"], changed["events"]) == (False, made["events"])
    await eventually(lambda: quiet(tenant))
    assert endpoint.of("device") == ["registered"], "it waited"


async def calls(tenant: Tenant, made: dict[str, Any], query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = await tenant.call("GET", f"/api/v1/webhooks/{made['id']}/calls{query}")
    return found


async def test_each_call_is_logged_with_what_the_endpoint_said_and_which_attempt_it_was(
    tenant: Tenant, endpoint: Endpoint
) -> None:
    made = await webhook(tenant, f"{endpoint.url}?key=hush", events=["device_registered", "push_sent"])
    endpoint.answers.append(503)
    [token, other] = tenant.mint("ios", 2)
    await tenant.register("ann", token, "ios")
    await eventually(lambda: failing(tenant))
    await tenant.register("ann", other, "ios")
    await tenant.database.rows(
        "update webhooks set due_at = now() where workspace_id = $1", tenant.workspace_id
    )
    await eventually(lambda: quiet(tenant))
    delivery_id = await tenant.push("ann")
    await tenant.settled(2)
    await eventually(lambda: quiet(tenant))
    *sent, second, first, failed = (await calls(tenant, made))["calls"]
    assert (failed["status"], failed["failure"], failed["attempt"]) == (503, "answered 503", 1)
    assert (first["status"], first["failure"], first["attempt"]) == (200, None, 2)
    assert (second["status"], second["attempt"], second["event"]) == (200, 1, "device_registered")
    assert failed["event_id"] == first["event_id"] == endpoint.told[0]["event_id"]
    assert {one["event"] for one in sent} == {"push_sent"}
    assert {one["delivery_id"] for one in sent} == {delivery_id}
    person = (await tenant.call("GET", f"/api/v1/devices/{token}"))["person"]
    assert {one["person"] for one in (failed, first, second, *sent)} == {person}
    assert all(one["took_ms"] < 4_000 for one in (failed, first, second))
    kept = [dict(row) for row in await tenant.database.rows("select * from webhook_calls")]
    for secret in (token, other, "hush", made["signing_key"]):
        assert secret not in str(kept)


async def test_the_log_of_calls_is_paged_through_and_each_workspaces_own(
    tenant: Tenant, bare: Tenant, endpoint: Endpoint
) -> None:
    made = await webhook(tenant, endpoint.url)
    for token in tenant.mint("ios", 12):
        await tenant.register("ann", token, "ios")
    await eventually(lambda: quiet(tenant))
    page = await calls(tenant, made, "?limit=5")
    found = [one["call"] for one in page["calls"]]
    while page["next"]:
        page = await calls(tenant, made, f"?limit=5&start={page['next']}")
        assert 1 <= len(page["calls"]) <= 5
        found += [one["call"] for one in page["calls"]]
    assert found == list(range(12, 0, -1))
    path = f"/api/v1/webhooks/{made['id']}/calls"
    assert (await bare.call("GET", path, expect=404))["error"]["code"] == "not_found"
    assert (await tenant.call("GET", f"{path}?limit=0", expect=400))["error"]["field"] == "limit"
    assert (await tenant.call("GET", f"{path}?start=!", expect=400))["error"]["field"] == "start"


async def test_an_endpoint_that_is_not_there_is_logged_with_a_word_instead_of_a_status(
    tenant: Tenant, endpoint: Endpoint
) -> None:
    made = await webhook(tenant, endpoint.url.replace("http:", "https:"))
    [token] = tenant.mint("ios")
    await tenant.register("ann", token, "ios")
    await eventually(lambda: failing(tenant))
    [call] = (await calls(tenant, made))["calls"]
    assert (call["status"], call["attempt"]) == (None, 1)
    assert call["failure"] == (await tenant.call("GET", f"/v1/reporting_webhooks/{made['id']}"))["failure"]
    assert call["failure"]


async def test_another_workspaces_webhook_hears_nothing_and_what_is_not_asked_for_is_not_told(
    tenant: Tenant, bare: Tenant, endpoint: Endpoint
) -> None:
    await webhook(bare, endpoint.url)
    await webhook(tenant, endpoint.url, events=["device_registered"])
    [token] = tenant.mint("android")
    await tenant.register("ann", token, "android")
    tenant.simulator.world.script(token, [Step(status=200)])
    await tenant.push("ann")
    await tenant.settled(1)
    await eventually(lambda: quiet(tenant))
    assert [(one["object_type"], one["metric"]) for one in endpoint.told] == [("device", "registered")]
