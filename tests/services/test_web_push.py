"""Browsers as devices, from their registration to the push that they read: keys, platforms, rotation and reports."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from pushkeeper import wiring
from pushkeeper.core.devices.browser_keys import decoded
from pushkeeper.core.model import Content
from support.actors import BY
from support.engine import eventually
from support.serving import exchange

if TYPE_CHECKING:
    from pushkeeper.simulator.browser import Browser
    from support.engine import Tenant

DEVICE_KEYS = "select * from devices where workspace_id = $1 and token = $2"


async def browser_of(tenant: Tenant, person: str, family: Any = "google", **subscribed: Any) -> Browser:
    """A person's browser, registered as Customer.io's clients do."""
    browser: Browser
    [browser] = tenant.simulator.world.subscribe(1, family, **subscribed)
    await tenant.register(person, browser.endpoint, "web")
    return browser


def read(tenant: Tenant, browser: Browser) -> list[Any]:
    """What the browser has read."""
    return [json.loads(entry.body) for entry in tenant.asked(browser.endpoint) if entry.status == 201]


async def vapid(tenant: Tenant, **options: Any) -> dict[str, Any]:
    """Add or replace the workspace's VAPID key as operators do; its facts."""
    new = wiring.vapid_credential(
        subject="mailto:ops@example.com",
        endpoint_url=tenant.simulator.webpush_url,
        ca_pem=await asyncio.to_thread(tenant._ca),
    )
    credentials = tenant.engine.store.services.credentials
    made, _ = await credentials.put(BY, tenant.workspace_id, new, **options)
    [facts] = [
        one.facts for one in await credentials.of_workspace(tenant.workspace_id) if one.credential_id == made
    ]
    return {
        **facts,
        "credential_id": made,
        "left": await credentials.on_former_keys(tenant.workspace_id, made),
    }


async def test_a_browser_reads_the_push_of_the_person_that_it_belongs_to(bare: Tenant) -> None:
    await bare.add_webpush()
    browser = await browser_of(bare, "ann", "mozilla")
    delivery = await bare.push("ann", platform="web", link="https://example.com/x", custom_data={"order": 7})
    await bare.settled(1)
    [said] = read(bare, browser)
    assert said == {
        "title": "Hello",
        "body": "text",
        "link": "https://example.com/x",
        "data": {"order": 7},
        "CIO-Delivery-ID": delivery,
        "CIO-Delivery-Token": browser.endpoint,
    }
    assert await bare.status(browser.endpoint) == "sent"


async def test_the_keys_of_a_subscription_are_sealed_and_shown_to_nobody(bare: Tenant) -> None:
    await bare.add_webpush()
    browser = await browser_of(bare, "ann")
    row = await bare.database.row(DEVICE_KEYS, bare.workspace_id, browser.endpoint)
    assert row is not None
    stored = repr(dict(row))
    raw = [decoded(key) or b"" for key in browser.keys.values()]
    assert row["browser_keys"]
    assert not any(key in row["browser_keys"] for key in raw)
    assert row["attributes"] == {}
    token = quote(browser.endpoint, safe="")
    shown = [
        await bare.call("GET", f"/api/v1/devices/{token}"),
        await bare.call("GET", f"/api/v1/devices/{token}/history"),
        await bare.call("GET", "/api/v1/devices"),
        await bare.call("GET", "/v1/customers/ann/attributes"),
        await bare.call("GET", "/api/v1/credentials"),
    ]
    for key in browser.keys.values():
        assert key not in json.dumps(shown)
        assert key not in stored
    await bare.push("ann", platform="web", title="{{ device.webpush_auth }}{{ customer.webpush_auth }}!")
    await bare.settled(1)
    assert not any(browser.keys["auth"] in json.dumps(said) for said in read(bare, browser))


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"webpush_auth": None}, "device.attributes.webpush_auth"),
        ({"webpush_auth": "short"}, "device.attributes.webpush_auth"),
        ({"webpush_p256dh": None}, "device.attributes.webpush_p256dh"),
        ({"webpush_p256dh": "BCVx" * 20}, "device.attributes.webpush_p256dh"),
        ({"webpush_p256dh": 5}, "device.attributes.webpush_p256dh"),
        ({"webpush_vapid_key": "BCVx"}, "device.attributes.webpush_vapid_key"),
    ],
)
async def test_bad_keys_are_refused_by_name_and_change_nothing(
    bare: Tenant, changed: dict[str, Any], field: str
) -> None:
    [browser] = bare.simulator.world.subscribe(1)
    keys = {f"webpush_{name}": key for name, key in browser.keys.items()}
    device = {"id": browser.endpoint, "platform": "web", "attributes": {**keys, **changed}}
    answer = await bare.call(
        "PUT", "/api/v1/customers/ann/devices", {"device": device}, track=True, expect=400
    )
    assert field in json.dumps(answer)
    assert not any(key in json.dumps(answer) for key in browser.keys.values())
    assert await bare.database.row(DEVICE_KEYS, bare.workspace_id, browser.endpoint) is None


@pytest.mark.parametrize(
    ("endpoint", "platform", "field"),
    [
        ("http://fcm.googleapis.com/x", "web", "device.id"),
        ("https://u:p@fcm.googleapis.com/x", "web", "device.id"),
        ("not-a-url", "web", "device.id"),
        ("https://fcm.googleapis.com/fcm/send/x", "android", "device.attributes.webpush_p256dh"),
    ],
)
async def test_keys_are_a_browsers_with_an_endpoint(
    bare: Tenant, endpoint: str, platform: str, field: str
) -> None:
    [browser] = bare.simulator.world.subscribe(1)
    keys = {f"webpush_{name}": key for name, key in browser.keys.items()}
    device = {"id": endpoint, "platform": platform, "attributes": keys}
    answer = await bare.call(
        "PUT", "/api/v1/customers/ann/devices", {"device": device}, track=True, expect=400
    )
    assert field in json.dumps(answer)


async def test_customer_ios_browser_sdk_registers_and_unregisters_by_its_own_calls(bare: Tenant) -> None:
    facts = await vapid(bare)
    settings = await bare.call("GET", f"/v1/projects/{bare.write_key}/settings")
    plugin = settings["integrations"]["Customer.io Web Push Plugin"]
    assert plugin == {
        "vapidPublicKey": facts["public_key"],
        "trackUrl": "http://push.example.com",
        "serviceWorkerUrl": "/cio-webpush-sw.js",
    }
    [browser] = bare.simulator.world.subscribe(1, vapid_key=decoded(plugin["vapidPublicKey"]))

    async def track(event: str, properties: dict[str, Any]) -> None:
        body = {
            "type": "track",
            "event": event,
            "userId": "ann",
            "properties": properties,
            "context": {"device": {"token": browser.endpoint, "type": "web"}},
            "writeKey": bare.write_key,
        }
        headers = {"content-type": "text/plain", "origin": "https://shop.example.com"}
        status, _, _ = await asyncio.to_thread(
            exchange, bare.engine.port, "POST", "/v1/t", json.dumps(body), headers
        )
        assert status == 200

    keys = {f"webpush_{name}": key for name, key in browser.keys.items()}
    await track("Device Created or Updated", {**keys, "user_agent": "Mozilla/5.0"})
    await bare.push("ann", platform="web")
    await bare.settled(1)
    assert len(read(bare, browser)) == 1
    shown = await bare.call("GET", f"/api/v1/devices/{quote(browser.endpoint, safe='')}")
    assert shown["attributes"] == {"user_agent": "Mozilla/5.0"}
    await track("Device Deleted", {})
    assert await bare.database.row(DEVICE_KEYS, bare.workspace_id, browser.endpoint) is None


async def test_a_workspace_without_a_key_enables_no_plugin(bare: Tenant) -> None:
    settings = await bare.call("GET", f"/v1/projects/{bare.write_key}/settings")
    assert list(settings["integrations"]) == ["Customer.io Data Pipelines"]


async def test_an_anonymous_browser_keeps_its_sealed_keys_until_it_is_somebodys(bare: Tenant) -> None:
    await bare.add_webpush()
    [browser] = bare.simulator.world.subscribe(1)
    keys = {f"webpush_{name}": key for name, key in browser.keys.items()}
    context = {"device": {"token": browser.endpoint, "type": "web"}}
    registered = {"type": "track", "event": "Device Created or Updated", "anonymousId": "anon-1"}
    identified = {"type": "identify", "userId": "ann", "anonymousId": "anon-1"}
    for item in ({**registered, "properties": keys, "context": context}, identified):
        body = {"batch": [item], "writeKey": bare.write_key}
        headers = {"content-type": "text/plain"}
        status, _, _ = await asyncio.to_thread(
            exchange, bare.engine.port, "POST", "/v1/b", json.dumps(body), headers
        )
        assert status == 200
        kept = await bare.database.rows(
            "select registration::text from anonymous_devices where workspace_id = $1", bare.workspace_id
        )
        assert not any(key in row["registration"] for row in kept for key in browser.keys.values())
    await bare.push("ann", platform="web")
    await bare.settled(1)
    assert len(read(bare, browser)) == 1


async def test_a_browser_without_keys_is_kept_and_skipped(bare: Tenant) -> None:
    await bare.add_webpush()
    await bare.register("ann", "https://fcm.googleapis.com/fcm/send/without", "web")
    await bare.push("ann", platform="web")
    [push] = await bare.settled(1)
    assert (push["ending"], push["reason"]) == ("skipped", "no_keys")


async def test_without_a_platform_a_push_is_for_phones_and_a_device_that_is_named_is_meant(
    tenant: Tenant,
) -> None:
    await tenant.add_webpush()
    [phone] = tenant.mint("android")
    await tenant.register("ann", phone, "android")
    browser = await browser_of(tenant, "ann")
    await tenant.push("ann")
    pushes = await tenant.settled(2)
    assert sorted(push["reason"] for push in pushes) == ["fcm_accepted", "other_platform"]
    await tenant.push("ann", platform="web")
    await tenant.settled(4)
    await tenant.push("ann", to=browser.endpoint)
    await tenant.settled(5)
    await tenant.push("ann", platform="web", to="last_used")
    await tenant.settled(6)
    assert (len(read(tenant, browser)), len(tenant.asked(phone))) == (3, 1)


async def test_a_broadcast_reaches_phones_and_browsers_of_every_family(tenant: Tenant) -> None:
    await tenant.add_webpush()
    [phone] = tenant.mint("android")
    await tenant.register("ann", phone, "android")
    families: tuple[Any, ...] = ("google", "mozilla", "apple", "microsoft")
    browsers = [await browser_of(tenant, "ann", family) for family in families]
    await tenant.send_to_all(Content(title="All", message="of you"))
    pushes = await tenant.settled(5)
    assert sorted({push["reason"] for push in pushes}) == ["fcm_accepted", "webpush_accepted"]
    assert [[said["title"] for said in read(tenant, browser)] for browser in browsers] == [["All"]] * 4
    routes = await tenant.routes()
    assert all(routes[f"webpush:web:{family}"]["state"] == "proved" for family in families)


async def test_old_browsers_stay_on_their_key_until_they_subscribe_again(bare: Tenant) -> None:
    first = await vapid(bare)
    old = await browser_of(bare, "old", vapid_key=decoded(first["public_key"]))
    second = await vapid(bare)
    assert second["key_id"] != first["key_id"]
    assert (second["former_key_ids"], second["left"]) == ([first["key_id"]], 1)
    new = await browser_of(bare, "new", vapid_key=decoded(second["public_key"]))
    # A page that is opened again registers the same subscription, which still belongs to the former key.
    await bare.register("old", old.endpoint, "web")
    for person in ("old", "new"):
        await bare.push(person, platform="web")
    pushes = await bare.settled(2)
    assert [push["reason"] for push in pushes] == ["webpush_accepted"] * 2
    assert (len(read(bare, old)), len(read(bare, new))) == (1, 1)
    kept = await vapid(bare, keep_key=True)
    assert (kept["key_id"], kept["left"]) == (second["key_id"], 1)
    # It subscribes again: another endpoint, and the former goes.
    await browser_of(bare, "old", vapid_key=decoded(second["public_key"]))
    path = f"/api/v1/customers/old/devices/{quote(old.endpoint, safe='')}"
    await bare.call("DELETE", path, track=True)
    third = await vapid(bare)
    assert third["former_key_ids"] == [second["key_id"]], "nobody was left on the first"
    assert third["left"] == 2


async def test_a_browser_may_say_which_key_it_subscribed_with(bare: Tenant) -> None:
    first = await vapid(bare)
    second = await vapid(bare)
    [browser] = bare.simulator.world.subscribe(1, vapid_key=decoded(first["public_key"]))
    await bare.register("ann", browser.endpoint, "web", webpush_vapid_key=first["public_key"])
    await bare.push("ann", platform="web")
    [push] = await bare.settled(1)
    assert push["reason"] == "webpush_accepted"
    assert second["key_id"] != first["key_id"]


async def test_keys_are_bound_to_their_endpoint(bare: Tenant) -> None:
    await bare.add_webpush()
    one, other = await browser_of(bare, "ann"), await browser_of(bare, "bob")
    await bare.database.rows(
        "update devices d set browser_keys = o.browser_keys from devices o "
        "where d.workspace_id = $1 and o.workspace_id = $1 and d.token = $2 and o.token = $3",
        bare.workspace_id,
        one.endpoint,
        other.endpoint,
    )
    for person in ("ann", "bob"):
        await bare.push(person, platform="web")
    pushes = await bare.settled(2)
    assert sorted(push["reason"] for push in pushes) == ["unsendable", "webpush_accepted"]
    assert bare.asked(one.endpoint) == []


async def test_a_service_worker_reports_as_a_page_of_another_site_may(bare: Tenant) -> None:
    await bare.add_webpush()
    browser = await browser_of(bare, "ann")
    delivery = await bare.push("ann", platform="web")
    await bare.settled(1)
    for event, more in (("delivered", {}), ("opened", {}), ("clicked", {"action": "buy"})):
        body = {"delivery_id": delivery, "device_id": browser.endpoint, "event": event, **more}
        headers = {"content-type": "text/plain;charset=UTF-8", "origin": "https://shop.example.com"}
        status, _, answered = await asyncio.to_thread(
            exchange, bare.engine.port, "POST", "/push/events", json.dumps(body), headers
        )
        assert status == 200
        assert dict(answered)["access-control-allow-origin"] == "*"

    async def reported() -> bool:
        metrics = (await bare.message(delivery))["metrics"]
        return {"delivered", "opened", "clicked"} <= set(metrics)

    await eventually(reported)


async def test_a_payload_that_is_too_large_for_browsers_is_refused_where_there_is_a_key(
    tenant: Tenant,
) -> None:
    text = "x" * 3_700
    await tenant.push("ann", platform="web", message=text)
    await tenant.add_webpush()
    body = {"identifiers": {"id": "ann"}, "platform": "web", "message": text}
    answer = await tenant.call("POST", "/v1/send/push", body, expect=400)
    assert "3900" in answer["meta"]["error"]
    await tenant.push("ann", message=text)


async def test_why_a_browser_gets_no_push_is_explained(bare: Tenant) -> None:
    endpoint = "https://updates.push.services.mozilla.com/wpush/v2/unexplained"
    await bare.register("ann", endpoint, "web")
    said = json.dumps(await bare.call("GET", f"/api/v1/explain?device={quote(endpoint, safe='')}"))
    assert "with the keys of its subscription" in said
    assert "no VAPID key" in said
