"""Reporting webhooks' configuration in Customer.io's App API."""

import pytest

GOOD = {"name": "ours", "endpoint": "https://example.com/hook", "events": ["push_sent", "device_bounced"]}


async def test_a_webhook_is_made_read_changed_and_deleted(door, other_door):
    status, made = await door.app("POST", "/v1/reporting_webhooks", GOOD)
    assert status == 200
    assert len(made.pop("signing_key")) == 64
    assert {
        name: made[name] for name in ("type", "disabled", "full_resolution", "with_content", "waiting")
    } == {
        "type": "webhook",
        "disabled": False,
        "full_resolution": False,
        "with_content": False,
        "waiting": 0,
    }
    path = f"/v1/reporting_webhooks/{made['id']}"
    assert await door.app("GET", path) == (200, made), "its key is not shown again"
    assert await door.app("GET", "/v1/reporting_webhooks") == (200, {"reporting_webhooks": [made]})
    changed = {**GOOD, "disabled": True, "with_content": True, "events": ["push_opened"]}
    status, answer = await door.app("PUT", path, changed)
    assert (status, answer["disabled"], answer["events"]) == (200, True, ["push_opened"])
    for method, body in (("GET", None), ("PUT", GOOD), ("DELETE", None)):
        assert (await other_door.app(method, path, body))[0] == 404
    assert (await door.raw("DELETE", path, authorization=door.bearer))[:2] == (204, b"")
    assert (await door.app("DELETE", path))[0] == 404
    assert await door.app("GET", "/v1/reporting_webhooks") == (200, {"reporting_webhooks": []})


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "n" * 256}, "name"),
        ({"endpoint": None}, "endpoint"),
        ({"endpoint": "example.com"}, "endpoint"),
        ({"endpoint": "ftp://example.com"}, "endpoint"),
        ({"endpoint": "https://"}, "endpoint"),
        ({"endpoint": "https://user:secret@example.com"}, "endpoint"),
        ({"endpoint": "https://example.com:port/"}, "endpoint"),
        ({"endpoint": "https://example.com/a b"}, "endpoint"),
        ({"endpoint": "https://example.com/\r\nx: y"}, "endpoint"),
        ({"events": []}, "events"),
        ({"events": "push_sent"}, "events"),
        ({"events": ["push_sent", "push_eaten"]}, "events[1]"),
        ({"events": [3]}, "events[0]"),
        ({"disabled": "yes"}, "disabled"),
    ],
)
async def test_a_bad_webhook_is_refused_by_its_field(door, changed, field):
    status, answer = await door.app("POST", "/v1/reporting_webhooks", {**GOOD, **changed})
    assert status == 400
    assert answer["errors"][0]["detail"].startswith(f"{field}:")
    assert await door.app("GET", "/v1/reporting_webhooks") == (200, {"reporting_webhooks": []})


@pytest.mark.parametrize("number", ["0", "x", "9" * 30])
async def test_a_webhook_that_is_not_there_is_not_found(door, number):
    assert (await door.app("GET", f"/v1/reporting_webhooks/{number}"))[0] == 404


async def test_the_key_is_kept_sealed(door):
    _, made = await door.app("POST", "/v1/reporting_webhooks", GOOD)
    sealed = await door.database.value(
        "select sealed from webhooks where workspace_id = $1", door.workspace_id
    )
    assert made["signing_key"].encode() not in sealed
