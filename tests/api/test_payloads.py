"""A custom payload that a push service would refuse, or that would not reach it as written, is refused at every door."""

from __future__ import annotations

import pytest

SHOWN = {"aps": {"alert": "x"}}


def headers(**given: object) -> dict[str, object]:
    named = {name.replace("_", "-"): value for name, value in given.items()}
    return {"ios": {"message": {"apns": {"headers": named, "payload": SHOWN}}}}


def android(**given: object) -> dict[str, object]:
    return {"android": {"message": given}}


IOS_HEADERS = "custom_payload.ios.message.apns.headers"
REFUSED = [
    (headers(apns_push_type="voip"), f"{IOS_HEADERS}.apns-push-type"),
    (headers(**{"APNS-PUSH-TYPE": "liveactivity"}), f"{IOS_HEADERS}.APNS-PUSH-TYPE"),
    (headers(apns_priority=7), f"{IOS_HEADERS}.apns-priority"),
    (headers(apns_topic="com.example.voip"), f"{IOS_HEADERS}.apns-topic"),
    (headers(apns_collapse_id="é" * 33), f"{IOS_HEADERS}.apns-collapse-id"),
    (
        {"ios": {"message": {"apns": {"payload": {"sound": "x"}}}}},
        "custom_payload.ios.message.apns.payload.aps",
    ),
    (android(notification={"clickAction": "X"}), "custom_payload.android.message.notification.clickAction"),
    (android(android={"ttl": "3600"}), "custom_payload.android.message.android.ttl"),
    (
        android(android={"notification": {"color": "red"}}),
        "custom_payload.android.message.android.notification.color",
    ),
    (android(data={"from": "x"}), "custom_payload.android.message.data.from"),
]
TAKEN = [
    headers(**{"Apns-Priority": 5, "apns-expiration": 0, "apns-collapse-id": "game-42"}),
    headers(apns_collapse_id="{{ trigger.game }}"),
    android(android={"priority": "high", "ttl": "3600s", "notification": {"color": "#00ff00"}}),
]
TEMPLATE = {"kind": "transactional", "name": "Goal"}


async def refusals(door, payload):
    """What each door says of a payload: status and text."""
    asked = [
        ("POST", "/v1/send/push", {"identifiers": {"id": "ann"}, "custom_payload": payload}),
        (
            "POST",
            "/api/v1/broadcasts",
            {"name": "b", "content": {"custom_payload": payload}, "audience": {"filter": "everybody"}},
        ),
        ("POST", "/api/v1/templates", {**TEMPLATE, "custom_payload": payload}),
        (
            "POST",
            "/api/v1/templates",
            {**TEMPLATE, "title": "x", "translations": {"de": {"custom_payload": payload}}},
        ),
    ]
    kept = (await door.app("POST", "/api/v1/templates", {**TEMPLATE, "title": "x"}))[1]["template"]["id"]
    asked.append(("PUT", f"/api/v1/templates/{kept}", {**TEMPLATE, "custom_payload": payload}))
    return [(path, await door.app(method, path, body)) for method, path, body in asked]


@pytest.mark.parametrize(("payload", "field"), REFUSED, ids=[field for _, field in REFUSED])
async def test_what_would_not_reach_the_push_service_as_written_is_refused_by_name(door, payload, field):
    for path, (status, answer) in await refusals(door, payload):
        assert status == 400, path
        told = answer.get("error", answer.get("meta", {}))
        assert field in str(told), (path, answer)
        if "error" in answer:
            assert answer["error"]["field"].endswith(field), (path, answer)


@pytest.mark.parametrize("payload", TAKEN, ids=str)
async def test_what_reaches_it_as_written_is_taken(sender, payload):
    assert {path: status for path, (status, _) in await refusals(sender, payload) if status >= 400} == {}
