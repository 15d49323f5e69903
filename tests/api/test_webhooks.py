"""Reporting webhooks' configuration in Customer.io's App API."""

import re

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


# The list of their API (docs.customer.io/integrations/api/app/tag/reporting-webhooks/createWebhook, `events`).
THEIRS = re.findall(
    r"\w+",
    """
    customer_subscribed customer_unsubscribed customer_subscription_preferences_changed
    email_drafted email_attempted email_sent email_delivered email_opened email_clicked email_converted email_bounced
    email_dropped email_deferred email_spammed email_failed email_unsubscribed email_undeliverable
    in_app_drafted in_app_attempted in_app_sent in_app_opened in_app_clicked in_app_converted in_app_failed
    in_app_undeliverable
    push_drafted push_attempted push_sent push_delivered push_opened push_clicked push_converted push_bounced push_dropped
    push_failed push_undeliverable
    slack_drafted slack_attempted slack_sent slack_clicked slack_converted slack_failed
    sms_drafted sms_attempted sms_sent sms_delivered sms_clicked sms_converted sms_bounced sms_dropped sms_failed
    sms_undeliverable sms_replied
    whatsapp_drafted whatsapp_attempted whatsapp_sent whatsapp_delivered whatsapp_opened whatsapp_clicked
    whatsapp_converted whatsapp_bounced whatsapp_dropped whatsapp_failed whatsapp_undeliverable whatsapp_replied
    webhook_drafted webhook_attempted webhook_sent webhook_clicked webhook_converted webhook_failed webhook_undeliverable
    """,
)


async def test_a_webhook_takes_every_event_of_customer_ios_list_and_keeps_them(door):
    status, made = await door.app("POST", "/v1/reporting_webhooks", {**GOOD, "events": THEIRS})
    assert (status, made["events"]) == (200, sorted(THEIRS))
    path = f"/v1/reporting_webhooks/{made['id']}"
    assert (await door.app("GET", path))[1]["events"] == sorted(THEIRS)


async def test_the_former_name_of_an_event_is_taken_as_its_present_one(door):
    events = ["customer_cio_subscription_preferences_changed", "PUSH_SENT"]
    status, made = await door.app("POST", "/v1/reporting_webhooks", {**GOOD, "events": events})
    assert (status, made["events"]) == (200, ["customer_subscription_preferences_changed", "push_sent"])


CHANGES = {
    "name": "another",
    "endpoint": "https://example.com/another",
    "events": ["push_failed"],
    "disabled": True,
    "full_resolution": True,
    "with_content": True,
}


@pytest.mark.parametrize("names", [[], *([name] for name in CHANGES), ["name", "disabled"], list(CHANGES)])
async def test_a_change_leaves_what_it_does_not_name(door, names):
    _, made = await door.app("POST", "/v1/reporting_webhooks", GOOD)
    del made["signing_key"]
    given = {name: CHANGES[name] for name in names}
    absent = dict.fromkeys(CHANGES.keys() - given.keys())
    for body in (given, {**given, **absent}):
        status, changed = await door.app("PUT", f"/v1/reporting_webhooks/{made['id']}", body)
        assert (status, changed) == (200, {**made, **given})


async def test_a_change_that_is_refused_names_the_field_and_changes_nothing(door):
    _, made = await door.app("POST", "/v1/reporting_webhooks", GOOD)
    del made["signing_key"]
    path = f"/v1/reporting_webhooks/{made['id']}"
    bad = {"name": "", "endpoint": "ftp://x", "events": ["push_eaten"], "disabled": "no", "with_content": 1}
    for field, value in bad.items():
        status, answer = await door.app("PUT", path, {**CHANGES, field: value})
        assert status == 400
        assert answer["errors"][0]["detail"].startswith(field)
    assert await door.app("GET", path) == (200, made)


@pytest.mark.parametrize("number", ["0", "x", "9" * 30])
async def test_a_webhook_that_is_not_there_is_not_found(door, number):
    assert (await door.app("GET", f"/v1/reporting_webhooks/{number}"))[0] == 404


async def test_the_key_is_kept_sealed(door):
    _, made = await door.app("POST", "/v1/reporting_webhooks", GOOD)
    sealed = await door.database.value(
        "select sealed from webhooks where workspace_id = $1", door.workspace_id
    )
    assert made["signing_key"].encode() not in sealed
