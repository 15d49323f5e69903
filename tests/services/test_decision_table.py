"""Every row of the decision table, from the API by the worker to the push service and back.

A device gets a first push that is accepted, so that "no change" can be told from a change and the route has proved
itself; then comes what the row is about. What cannot be scripted for a token (the token endpoint's answers, what
needs several devices, and most of the transport's) has a test of its own below.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from pushkeeper.core.delivery.decision_table import TABLE, Effect
from pushkeeper.simulator.script import Step
from pushkeeper.simulator.world import Installation, Origin
from support.engine import eventually

if TYPE_CHECKING:
    from support.engine import Tenant

QUOTA = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"subject": "device:abc"}]}
TOO_FAST_FOR_DEVICE = {
    "error": {
        "code": 429,
        "status": "RESOURCE_EXHAUSTED",
        "message": "Device rate exceeded",
        "details": [QUOTA],
    }
}
NOW_MS, HOUR_MS = int(time.time() * 1000), 3_600_000


@dataclass(frozen=True, kw_only=True)
class Ends:
    """The push is over: how, and what the service had said."""

    ending: str
    status: int | None
    reason: str = ""
    requests: int = 1


@dataclass(frozen=True, kw_only=True)
class Waits:
    """The push is due again within these seconds."""

    from_s: float
    to_s: float
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class Paused:
    """The push waits, uncharged, in the lane of a route that has paused."""

    reason: str
    probed: bool = True
    requests: int = 1


@dataclass(frozen=True, kw_only=True)
class Case:
    code: str
    steps: tuple[Step, ...]
    outcome: Ends | Waits | Paused
    platform: str = "android"
    provider: str = "fcm"
    alert: bool = False


def fcm(code: str, *steps: Step, outcome: Ends | Waits | Paused, **more: Any) -> Case:
    return Case(code=code, steps=steps, outcome=outcome, **more)


def apns(code: str, *steps: Step, outcome: Ends | Waits | Paused, **more: Any) -> Case:
    return Case(code=code, steps=steps, outcome=outcome, platform="ios", provider="apns", **more)


def webpush(code: str, *steps: Step, outcome: Ends | Waits | Paused, **more: Any) -> Case:
    return Case(code=code, steps=steps, outcome=outcome, platform="web", provider="webpush", **more)


def reason(status: int, word: str = "", **more: Any) -> Step:
    return Step(status=status, reason=word, **more)


CASES = [
    fcm("fcm_accepted", outcome=Ends(ending="accepted", status=200)),
    fcm(
        "fcm_response_without_name",
        Step(status=200, body="not what FCM says"),
        outcome=Waits(from_s=0, to_s=3),
        alert=True,
    ),
    fcm(
        "fcm_unregistered",
        reason(404, "UNREGISTERED"),
        outcome=Ends(ending="bounced", status=404, reason="UNREGISTERED"),
    ),
    fcm("fcm_project_not_found", reason(404), outcome=Paused(reason="credentials 404 NOT_FOUND"), alert=True),
    fcm(
        "fcm_invalid_argument_token",
        Step(form="token_field"),
        outcome=Ends(ending="bounced", status=400, reason="INVALID_ARGUMENT"),
    ),
    fcm(
        "fcm_apns_unregistered",
        Step(form="apple_gone"),
        outcome=Ends(ending="bounced", status=400, reason="Unregistered"),
        platform="ios",
    ),
    fcm(
        "fcm_apns_error",
        Step(status=400, reason="INVALID_ARGUMENT", apns_reason="TopicDisallowed"),
        outcome=Paused(reason="credentials 400 TopicDisallowed", probed=False),
        platform="ios",
        alert=True,
    ),
    fcm(
        "fcm_invalid_argument_message",
        Step(form="payload_field"),
        outcome=Ends(ending="failed", status=400, reason="INVALID_ARGUMENT"),
    ),
    fcm(
        "fcm_invalid_argument",
        Step(form="bare"),
        outcome=Ends(ending="failed", status=400, reason="INVALID_ARGUMENT"),
    ),
    fcm(
        "fcm_unauthenticated",
        *[reason(401)] * 2,
        outcome=Paused(reason="credentials 401 UNAUTHENTICATED", requests=2),
        alert=True,
    ),
    fcm(
        "fcm_third_party_auth_error",
        reason(401, "THIRD_PARTY_AUTH_ERROR"),
        outcome=Paused(reason="credentials 401 THIRD_PARTY_AUTH_ERROR", probed=False),
        platform="ios",
        alert=True,
    ),
    fcm(
        "fcm_sender_id_mismatch",
        reason(403, "SENDER_ID_MISMATCH"),
        outcome=Ends(ending="bounced", status=403, reason="SENDER_ID_MISMATCH"),
    ),
    fcm(
        "fcm_permission_denied",
        reason(403),
        outcome=Paused(reason="credentials 403 PERMISSION_DENIED"),
        alert=True,
    ),
    fcm("fcm_payload_too_large", Step(status=413, body=""), outcome=Ends(ending="failed", status=413)),
    fcm(
        "fcm_quota_exceeded_device",
        Step(status=429, body=TOO_FAST_FOR_DEVICE),
        outcome=Waits(from_s=55, to_s=121),
    ),
    fcm(
        "fcm_quota_exceeded_project",
        reason(429, "QUOTA_EXCEEDED", headers={"retry-after": "300"}),
        outcome=Waits(from_s=295, to_s=302),
    ),
    fcm("fcm_internal", reason(500, "INTERNAL"), outcome=Waits(from_s=8, to_s=21)),
    fcm(
        "fcm_bad_gateway",
        Step(status=502, body="<html>Bad Gateway</html>"),
        outcome=Waits(from_s=28, to_s=31),
    ),
    fcm(
        "fcm_unavailable",
        reason(503, "UNAVAILABLE", headers={"retry-after": "90"}),
        outcome=Waits(from_s=88, to_s=92),
    ),
    fcm(
        "fcm_unrecognized_response",
        Step(status=418, body={"error": {"code": 418, "status": "UNKNOWN", "message": "short and stout"}}),
        outcome=Ends(ending="failed", status=418, reason="UNKNOWN"),
        alert=True,
    ),
    apns("apns_accepted", outcome=Ends(ending="accepted", status=200)),
    apns(
        "apns_unregistered",
        reason(410, "Unregistered", timestamp=NOW_MS + HOUR_MS),
        outcome=Ends(ending="bounced", status=410, reason="Unregistered"),
    ),
    apns(
        "apns_unregistered_stale",
        reason(410, "Unregistered", timestamp=NOW_MS - HOUR_MS),
        outcome=Ends(ending="failed", status=410, reason="Unregistered"),
    ),
    apns(
        "apns_unregistered_unclear",
        reason(410, "ExpiredToken"),
        outcome=Ends(ending="bounced", status=410, reason="ExpiredToken"),
    ),
    apns(
        "apns_bad_device_token",
        reason(400, "BadDeviceToken"),
        outcome=Ends(ending="bounced", status=400, reason="BadDeviceToken"),
    ),
    apns(
        "apns_device_token_not_for_topic",
        reason(400, "DeviceTokenNotForTopic"),
        outcome=Ends(ending="bounced", status=400, reason="DeviceTokenNotForTopic"),
    ),
    apns(
        "apns_topic_refused",
        reason(400, "TopicDisallowed"),
        outcome=Paused(reason="credentials 400 TopicDisallowed"),
        alert=True,
    ),
    apns(
        "apns_invalid_message",
        reason(400, "BadCollapseId"),
        outcome=Ends(ending="failed", status=400, reason="BadCollapseId"),
    ),
    apns(
        "apns_invalid_request",
        reason(400, "MissingDeviceToken"),
        outcome=Ends(ending="failed", status=400, reason="MissingDeviceToken"),
        alert=True,
    ),
    apns(
        "apns_payload_too_large",
        reason(413, "PayloadTooLarge"),
        outcome=Ends(ending="failed", status=413, reason="PayloadTooLarge"),
    ),
    apns(
        "apns_idle_timeout",
        reason(400, "IdleTimeout"),
        outcome=Ends(ending="accepted", status=200, requests=2),
    ),
    apns(
        "apns_invalid_credentials",
        reason(403, "InvalidProviderToken"),
        outcome=Paused(reason="credentials 403 InvalidProviderToken"),
        alert=True,
    ),
    apns(
        "apns_unrelated_key_id_in_token",
        reason(403, "UnrelatedKeyIdInToken"),
        outcome=Ends(ending="accepted", status=200, requests=2),
        alert=True,
    ),
    apns(
        "apns_forbidden",
        reason(403, "Forbidden"),
        outcome=Paused(reason="credentials 403 Forbidden"),
        alert=True,
    ),
    apns("apns_too_many_requests", reason(429, "TooManyRequests"), outcome=Waits(from_s=55, to_s=121)),
    apns(
        "apns_too_many_provider_token_updates",
        reason(429, "TooManyProviderTokenUpdates"),
        outcome=Waits(from_s=55, to_s=121),
    ),
    apns(
        "apns_internal_server_error", reason(500, "InternalServerError"), outcome=Waits(from_s=715, to_s=1081)
    ),
    apns("apns_service_unavailable", reason(503, "ServiceUnavailable"), outcome=Waits(from_s=715, to_s=1081)),
    apns("apns_shutdown", reason(503, "Shutdown"), outcome=Ends(ending="accepted", status=200, requests=2)),
    apns(
        "apns_unrecognized_response",
        reason(410, "NewWord", timestamp=NOW_MS + HOUR_MS),
        outcome=Ends(ending="bounced", status=410, reason="NewWord"),
        alert=True,
    ),
    webpush("webpush_accepted", outcome=Ends(ending="accepted", status=201)),
    webpush(
        "webpush_unregistered",
        reason(410, "push subscription has unsubscribed or expired."),
        outcome=Ends(ending="bounced", status=410),
    ),
    webpush(
        "webpush_bad_keys",
        Step(status=400, body="invalid p256dh key"),
        outcome=Ends(ending="bounced", status=400),
    ),
    webpush("webpush_invalid_message", reason(400), outcome=Ends(ending="failed", status=400)),
    webpush(
        "webpush_key_mismatch",
        Step(status=403, body={"reason": "VapidPkHashMismatch"}),
        outcome=Ends(ending="failed", status=403, reason="VapidPkHashMismatch"),
    ),
    webpush("webpush_payload_too_large", reason(413), outcome=Ends(ending="failed", status=413)),
    webpush(
        "webpush_too_many_requests",
        Step(status=406, headers={"retry-after": "300"}),
        outcome=Waits(from_s=295, to_s=302),
    ),
    webpush("webpush_unavailable", reason(500), outcome=Waits(from_s=8, to_s=21)),
    webpush(
        "webpush_unrecognized_response",
        Step(status=307, headers={"location": "https://127.0.0.1/"}),
        outcome=Ends(ending="failed", status=307),
        alert=True,
    ),
    fcm("stream_refused", *[Step(reset=7)] * 2, outcome=Ends(ending="accepted", status=200, requests=3)),
    apns("no_response", Step(close=True), outcome=Ends(ending="accepted", status=200, requests=2)),
]
OTHERS = {
    "dry_run_accepted",
    "apns_expired_provider_token",
    "fcm_oauth_refused",
    "fcm_oauth_unavailable",
    "connection_failed",
    "server_certificate_untrusted",
    "client_certificate_refused",
    "stream_not_finished",
    "no_stream_available",
    "webpush_endpoint_not_allowed",
    "webpush_invalid_credentials",
}
EFFECTS = {row.code: row.device for row in TABLE}


def test_every_row_is_proven_once() -> None:
    assert sorted([case.code for case in CASES] + sorted(OTHERS)) == sorted(EFFECTS)


async def proven(tenant: Tenant, platform: str, provider: str) -> str:
    """A new device that has been sent to, on a route that has therefore proved itself."""
    token: str
    [token] = tenant.mint(platform, provider=provider)
    await tenant.register("ann", token, platform)
    await tenant.push("ann", platform=platform)
    await tenant.settled(1)
    assert await tenant.status(token) == "sent"
    return token


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
async def test_row(bare: Tenant, case: Case) -> None:
    await {"fcm": bare.add_fcm, "apns": bare.add_apns, "webpush": bare.add_webpush}[case.provider]()
    token = await proven(bare, case.platform, case.provider)
    history_before = await bare.history(token)
    bare.simulator.world.script(token, case.steps)
    delivery = await bare.push("ann", title="what the row is about", platform=case.platform)

    await expect(bare, case, token, delivery)

    struck = EFFECTS[case.code] is Effect.STRIKE or case.code == "apns_unrecognized_response"
    assert await bare.status(token) == ("bounced" if struck else "sent")
    new_lines = [line for line in await bare.history(token) if line not in history_before]
    if struck:
        [line] = new_lines
        assert (line["event"], line["from_status"], line["to_status"]) == ("refused", "sent", "bounced")
    else:
        assert [line["event"] for line in new_lines] == (
            ["refused_as_stale"] if case.code == "apns_unregistered_stale" else []
        )
    alerts = [alert for route in (await bare.routes()).values() for alert in route["alerts"]]
    assert any(alert["reason"] == case.code for alert in alerts) == case.alert, alerts
    assert_same_identity(bare, token)


async def expect(tenant: Tenant, case: Case, token: str, delivery: str) -> None:
    match case.outcome:
        case Ends(ending=ending, status=status, reason=said, requests=requests):
            [_, push] = await tenant.settled(2)
            assert (push["ending"], push["provider_status"], push["provider_reason"]) == (
                ending,
                status,
                said,
            )
            assert push["reason"] == (case.code if requests == 1 else f"{case.provider}_accepted")
            assert len(tenant.asked(token)) == 1 + requests
            metric = {"accepted": "sent", "bounced": "bounced", "failed": "failed"}[ending]
            assert metric in (await tenant.message(delivery))["metrics"]
        case Waits(from_s=from_s, to_s=to_s, attempt=attempt):
            [batch] = await tenant.waiting()
            assert from_s <= batch["due_in_s"] <= to_s
            assert batch["attempt"] == attempt
            assert len(await tenant.pushes()) == 1
            assert not any(route["paused_at"] for route in (await tenant.routes()).values())
        case Paused(reason=why, probed=probed, requests=requests):
            await tenant.paused()
            [batch] = await tenant.waiting()
            assert batch["attempt"] == requests - 1
            paused = [route for route in (await tenant.routes()).values() if route["waiting"]]
            assert [(route["pause_reason"], route["probe_at"] is not None) for route in paused] == [
                (why, probed)
            ]
            assert len(tenant.asked(token)) == 1 + requests, "a paused route is not asked again"
            assert (await tenant.message(delivery))["failure_message"] == f"on hold: {why}"


def assert_same_identity(tenant: Tenant, token: str) -> None:
    """All attempts of the last push carried one name."""
    asked = [dict(entry.headers).get(b"apns-id") or entry.body for entry in tenant.asked(token)[1:]]
    names = {name for name in asked if isinstance(name, bytes)}
    assert len(names) <= 1 or tenant.asked(token)[0].provider == "fcm"


PAGE = "<!DOCTYPE html><title>Error (Not Found)!!1</title>"
STRAY: list[tuple[str, int, str | dict[str, bool]]] = [
    *(("fcm", status, PAGE) for status in (401, 403, 404, 302)),
    *(("apns", status, PAGE) for status in (400, 404, 302)),
    *(("apns", status, "") for status in (403, 405, 410)),
    ("fcm", 405, ""),
    ("apns", 401, {"ok": False}),
]


@pytest.mark.parametrize(("provider", "status", "page"), STRAY)
async def test_a_stray_page_makes_its_own_push_wait_alone(
    bare: Tenant, provider: str, status: int, page: str | dict[str, bool]
) -> None:
    await (bare.add_fcm() if provider == "fcm" else bare.add_apns())
    platform = "android" if provider == "fcm" else "ios"
    token = await proven(bare, platform, provider)
    bare.simulator.world.script(token, [Step(status=status, body=page)])
    delivery = await bare.push("ann")
    await expect(bare, fcm("any", outcome=Waits(from_s=55, to_s=61, attempt=0)), token, delivery)
    [other] = bare.mint(platform)
    await bare.register("bob", other, platform)
    await bare.push("bob")

    async def has_left() -> bool:
        return bool(await bare.status(other) == "sent")

    await eventually(has_left)
    await bare.make_due()
    await bare.settled(3)
    assert await bare.status(token) == "sent"


async def test_a_success_that_is_not_fcms_twice_leaves_the_push_unknown(tenant: Tenant) -> None:
    token = await proven(tenant, "android", "fcm")
    tenant.simulator.world.script(token, [Step(status=200, body="<html>")] * 2)
    await tenant.push("ann")
    await tenant.waiting()
    await tenant.make_due()
    [_, push] = await tenant.settled(2)
    assert (push["ending"], push["reason"]) == ("unknown", "fcm_response_without_name")
    assert await tenant.status(token) == "sent"


async def test_dry_run_accepted_a_probe_is_a_dry_run_that_resumes_its_route_and_touches_no_device(
    tenant: Tenant,
) -> None:
    token = await proven(tenant, "android", "fcm")
    tenant.simulator.world.script(token, [reason(403)])
    await tenant.push("ann")
    await tenant.waiting()
    nobodys = "nobodys:" + "0" * 140
    tenant.simulator.world.installations[nobodys] = Installation(nobodys, Origin(platform="android"))
    await tenant.let_probe()
    pushes = await tenant.settled(2)
    assert [(push["ending"], push["reason"]) for push in pushes] == [("accepted", "fcm_accepted")] * 2
    assert not any(route["paused_at"] for route in (await tenant.routes()).values())
    assert tenant.asked(nobodys)[-1].status == 200
    assert b'"validate_only":true' in tenant.asked(nobodys)[0].body.replace(b" ", b"").lower()


async def test_a_probe_that_is_told_no_such_token_resumes_its_route_too(tenant: Tenant) -> None:
    token = await proven(tenant, "ios", "apns")
    tenant.simulator.world.script(token, [reason(403, "Forbidden")])
    await tenant.push("ann")
    await tenant.waiting()
    await tenant.let_probe()
    assert [push["ending"] for push in await tenant.settled(2)] == ["accepted"] * 2
    assert [entry.reason for entry in tenant.asked("0" * 64)][-1] == "BadDeviceToken"


async def test_fcm_quota_exceeded_project_three_devices_that_are_throttled_slow_the_project_down(
    tenant: Tenant,
) -> None:
    tokens = tenant.mint("android", 4)
    for token in tokens:
        await tenant.register(token[:8], token, "android")
        tenant.simulator.world.script(token, [reason(429, "QUOTA_EXCEEDED", headers={"retry-after": "120"})])
    for token in tokens[:3]:
        await tenant.push(token[:8])
    await tenant.waiting(3)
    routes = await tenant.routes()
    assert {name for name, route in routes.items() if route["state"] == "slowed"} == {
        name for name in routes if name.startswith("fcm:")
    }
    await tenant.push(tokens[3][:8])
    await tenant.waiting(4)
    assert tenant.asked(tokens[3]) == [], "the project rests"
    assert await tenant.status(tokens[0]) == ""


async def test_fcm_invalid_argument_message_a_message_that_three_devices_call_malformed_stops_for_the_rest(
    tenant: Tenant,
) -> None:
    tokens = tenant.mint("android", 4)
    for token in tokens:
        await tenant.register("ann", token, "android")
        tenant.simulator.world.script(token, [Step(form="payload_field")])
    later = tenant.mint("android", 1)
    await tenant.push("ann")
    pushes = await tenant.settled(4)
    assert {push["ending"] for push in pushes} == {"failed"}
    message_id = pushes[0]["message_id"]
    row = await tenant.database.row("select * from messages where message_id = $1", message_id)
    assert row is not None
    assert row["stop_reason"] == "malformed: fcm 400 INVALID_ARGUMENT"
    [line] = await tenant.audited("message.stop")
    assert (line["actor"], line["user_name"], line["detail"]) == ("job", "guard", row["stop_reason"])
    await tenant.register("bob", later[0], "android")
    device = await tenant.database.row(
        "select device_id, person_id from devices where workspace_id = $1 and token = $2",
        tenant.workspace_id,
        later[0],
    )
    assert device is not None
    await tenant.database.rows(
        "insert into batches (workspace_id, message_id, device_ids, person_ids) values ($1, $2, array[$3::bytea], array[$4::bigint])",
        tenant.workspace_id,
        message_id,
        device["device_id"],
        device["person_id"],
    )
    await tenant.make_due()
    rest = [push for push in await tenant.settled(5) if push["device_id"] == device["device_id"]]
    assert [(push["ending"], push["reason"], push["attempts"]) for push in rest] == [
        ("failed", "malformed", 0)
    ]
    assert tenant.asked(later[0]) == []


async def test_fcm_oauth_refused_a_service_account_that_google_refuses_pauses_its_routes(
    bare: Tenant,
) -> None:
    account = (await asyncio.to_thread(open, bare.simulator.service_account_file, "rb")).read()
    stranger = account.replace(b"pushkeeper@", b"stranger@")
    assert stranger != account
    await bare.add_fcm(account=stranger)
    [token] = bare.mint("android")
    await bare.register("ann", token, "android")
    await bare.push("ann")
    await bare.paused()
    [batch] = await bare.waiting()
    assert batch["attempt"] == 0
    assert all(route["paused_at"] for route in (await bare.routes()).values())
    assert (await bare.status(token), bare.asked(token)) == ("", [])


async def test_fcm_oauth_unavailable_a_token_endpoint_that_is_down_defers_the_push(
    bare: Tenant, closed_port: int
) -> None:
    account = (await asyncio.to_thread(open, bare.simulator.service_account_file, "rb")).read()
    there = str(bare.simulator.token_endpoint.port).encode()
    await bare.add_fcm(account=account.replace(there, str(closed_port).encode()))
    [token] = bare.mint("android")
    await bare.register("ann", token, "android")
    await bare.push("ann")
    [batch] = await bare.waiting()
    assert 0 < batch["due_in_s"] <= 61
    assert (await bare.status(token), bare.asked(token)) == ("", [])


async def test_apns_unregistered_stale_a_second_refusal_older_than_the_registration_is_a_strike(
    tenant: Tenant,
) -> None:
    token = await proven(tenant, "ios", "apns")
    tenant.simulator.world.script(token, [reason(410, "Unregistered", timestamp=NOW_MS - HOUR_MS)] * 2)
    for count in (2, 3):
        await tenant.push("ann")
        await tenant.settled(count)
    assert await tenant.status(token) == "bounced"


async def test_apns_expired_provider_token_an_expired_provider_token_is_renewed_once_and_a_young_one_pauses_the_route(
    tenant: Tenant,
) -> None:
    token = await proven(tenant, "ios", "apns")
    tenant.simulator.world.script(token, [reason(403, "ExpiredProviderToken")] * 2)
    await tenant.push("ann")
    await tenant.paused()
    [batch] = await tenant.waiting()
    # How old the first token is depends on the hour: tokens are issued on a grid of 50 minutes.
    refused = [entry for entry in tenant.asked(token) if entry.status == 403]
    assert len(refused) == len({dict(entry.headers)[b"authorization"] for entry in refused})
    assert batch["attempt"] == len(refused) - 1
    route = (await tenant.routes())["apns:production:com.example.app"]
    assert route["pause_reason"] == "credentials 403 ExpiredProviderToken"
    [line] = await tenant.audited("route.pause")
    assert (line["actor"], line["user_name"], line["outcome"]) == ("job", "credentials", "done")
    assert (line["target"], line["detail"]) == (route["route"], route["pause_reason"])
    assert [alert["alert"] for alert in route["alerts"]] == [
        "Apple calls a young token expired: is this machine's clock right?"
    ]
    assert await tenant.status(token) == "sent"


async def test_apns_unrecognized_response_a_new_403_pauses_the_route_at_the_fifth_device(
    tenant: Tenant,
) -> None:
    tokens = tenant.mint("ios", 5)
    for token in tokens:
        await tenant.register(token[:8], token, "ios")
        tenant.simulator.world.script(token, [reason(403, "NewWord")])
    for token in tokens[:4]:
        await tenant.push(token[:8])
    waiting = await tenant.waiting(4)
    assert all(batch["attempt"] == 0 and 55 <= batch["due_in_s"] <= 62 for batch in waiting)
    assert not any(route["paused_at"] for route in (await tenant.routes()).values())
    await tenant.push(tokens[4][:8])
    await tenant.paused()
    await tenant.waiting(5)
    assert [route["pause_reason"] for route in (await tenant.routes()).values() if route["paused_at"]] == [
        "credentials 403 NewWord"
    ]


async def test_webpush_invalid_credentials_a_refused_key_pauses_one_push_service_at_the_fifth_device(
    bare: Tenant,
) -> None:
    await bare.add_webpush()
    tokens = bare.mint("web", 5)
    for token in tokens:
        await bare.register(token[-8:], token, "web")
        bare.simulator.world.script(token, [Step(status=403, body={"reason": "BadJwtToken"})])
    for token in tokens[:4]:
        await bare.push(token[-8:], platform="web")
    waiting = await bare.waiting(4)
    assert all(batch["attempt"] == 0 and 55 <= batch["due_in_s"] <= 62 for batch in waiting)
    await bare.push(tokens[4][-8:], platform="web")
    await bare.paused()
    await bare.waiting(5)
    routes = await bare.routes()
    paused = {name: route for name, route in routes.items() if route["paused_at"]}
    assert list(paused) == ["webpush:web:google"]
    assert paused["webpush:web:google"]["pause_reason"] == "credentials 403 BadJwtToken"
    assert paused["webpush:web:google"]["probe_at"] is None
    [firefox] = bare.simulator.world.subscribe(1, "mozilla")
    await bare.register("fox", firefox.endpoint, "web")
    await bare.push("fox", platform="web")

    async def arrived() -> bool:
        return bool(await bare.status(firefox.endpoint) == "sent")

    await eventually(arrived)
    assert {await bare.status(token) for token in tokens} == {""}


async def test_webpush_too_many_requests_three_browsers_that_are_throttled_slow_their_push_service_down(
    bare: Tenant,
) -> None:
    await bare.add_webpush()
    tokens = bare.mint("web", 3)
    for token in tokens:
        await bare.register(token[-8:], token, "web")
        bare.simulator.world.script(token, [Step(status=429, headers={"retry-after": "120"})])
        await bare.push(token[-8:], platform="web")
    await bare.waiting(3)
    routes = await bare.routes()
    assert [name for name, route in routes.items() if route["state"] == "slowed"] == ["webpush:web:google"]


async def test_webpush_endpoint_not_allowed_an_endpoint_at_an_unknown_host_is_not_called(
    bare: Tenant,
) -> None:
    await bare.add_webpush(endpoint_url=None)
    [browser] = bare.simulator.world.subscribe(1, origin="https://evil.example")
    await bare.register("eve", browser.endpoint, "web")
    await bare.push("eve", platform="web")
    [push] = await bare.settled(1)
    assert (push["ending"], push["reason"]) == ("failed", "webpush_endpoint_not_allowed")
    assert (await bare.status(browser.endpoint), bare.asked(browser.endpoint)) == ("", [])


async def test_connection_failed_an_endpoint_that_refuses_connections_defers_the_push(
    bare: Tenant, closed_port: int
) -> None:
    await bare.add_apns(endpoint_url=f"https://localhost:{closed_port}")
    [token] = bare.mint("ios")
    await bare.register("ann", token, "ios")
    await bare.push("ann")
    [batch] = await bare.waiting()
    assert 0 < batch["due_in_s"] <= 61
    assert (batch["attempt"], await bare.status(token)) == (1, "")


async def test_server_certificate_untrusted_a_server_that_is_not_trusted_pauses_the_route(
    bare: Tenant,
) -> None:
    stranger = trustme.CA().cert_pem.bytes().decode()
    await bare.add_apns(ca_pem=stranger)
    [token] = bare.mint("ios")
    await bare.register("ann", token, "ios")
    await bare.push("ann")
    await bare.paused()
    [batch] = await bare.waiting()
    [route] = (await bare.routes()).values()
    assert (route["pause_kind"], batch["attempt"], await bare.status(token)) == ("untrusted", 0, "")
    assert [alert["reason"] for alert in route["alerts"]] == ["server_certificate_untrusted"]


async def test_client_certificate_refused_a_client_certificate_that_is_refused_pauses_the_route(
    bare: Tenant,
) -> None:
    # Not the simulator's: asyncio's servers close without the TLS alert, which is what this is about.
    ours, theirs = trustme.CA(), trustme.CA()

    def refuse(listener: socket.socket) -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        theirs.issue_cert("localhost").configure_cert(tls)
        theirs.configure_trust(tls)
        tls.set_alpn_protocols(["h2"])
        tls.verify_mode = ssl.CERT_REQUIRED
        taken, _ = listener.accept()
        with taken, pytest.raises(ssl.SSLError):
            tls.wrap_socket(taken, server_side=True)

    stranger = ours.issue_cert("com.example.app", common_name="com.example.app")
    pem = stranger.private_key_pem.bytes() + b"".join(blob.bytes() for blob in stranger.cert_chain_pems)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusing = asyncio.create_task(asyncio.to_thread(refuse, listener))
        await bare.add_apns(
            certificate=pem,
            endpoint_url=f"https://localhost:{listener.getsockname()[1]}",
            ca_pem=theirs.cert_pem.bytes().decode(),
        )
        [token] = bare.mint("ios")
        await bare.register("ann", token, "ios")
        await bare.push("ann")
        await bare.paused()
        await bare.waiting()
        await refusing
    [route] = (await bare.routes()).values()
    assert (route["pause_kind"], await bare.status(token)) == ("credentials", "")
    assert [alert["reason"] for alert in route["alerts"]] == ["client_certificate_refused"]


async def test_stream_not_finished_a_goaway_that_covers_the_stream_waits_for_its_answer(
    tenant: Tenant,
) -> None:
    token = await proven(tenant, "ios", "apns")
    tenant.simulator.world.script(token, [Step(delay_ms=1_500)])
    await tenant.push("ann")
    listener = tenant.simulator.apns

    async def under_way() -> Any:
        return [connection for connection in listener.connections if connection.open_streams]

    for connection in await eventually(under_way):
        connection.go_away(debug=b'{"reason":"Shutdown"}')
    pushes = await tenant.settled(2)
    assert [(push["ending"], push["reason"], push["attempts"]) for push in pushes] == [
        ("accepted", "apns_accepted", 1)
    ] * 2
    assert len(tenant.asked(token)) == 2


async def test_no_stream_available_pushes_that_find_no_stream_wait_and_none_is_lost(tenant: Tenant) -> None:
    await proven(tenant, "ios", "apns")
    for connection in tenant.simulator.apns.connections:
        connection.limit_streams(1)
    tokens = tenant.mint("ios", 6)
    for token in tokens:
        await tenant.register(token[:8], token, "ios")
        tenant.simulator.world.script(token, [Step(delay_ms=50)])
    for token in tokens:
        await tenant.push(token[:8])
    assert {push["ending"] for push in await tenant.settled(7)} == {"accepted"}
    assert [len(tenant.asked(token)) for token in tokens] == [1] * 6
