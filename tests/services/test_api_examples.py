"""The examples of the API reference are the responses of the service, of every call that it answers.

`make examples` writes them; otherwise the test compares the file with the service's present responses.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushkeeper.api.openapi.operations import OPERATIONS
from pushkeeper.core.exports.columns import Exportable
from pushkeeper.services.exports.service import NewExport
from pushkeeper.store.imports import NewImport
from support.actors import BY
from support.api_examples import Recorder, differences, written
from support.engine import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.endpoint import Endpoint
    from support.engine import Tenant

FILE = Path(__file__).parents[2] / "docs" / "reference" / "examples.json"
FORMER = {"POST /api/v1/broadcasts/{id}/preflight"}  # the former name of …/estimate


async def people_and_devices(told: Recorder, tenant: Tenant) -> tuple[str, str]:
    """Ann has an Android phone that works, and an iPhone whose app is uninstalled."""
    [good], [gone] = tenant.mint("android"), tenant.mint("ios")
    told.replace(good, "ANDROID_TOKEN")
    told.replace(gone, "IOS_TOKEN")
    ann: dict[str, Any] = {"email": "ann@example.com", "first_name": "Ann", "plan": "pro"}
    customer = "/api/v1/customers/{identifier}"
    await told.call("track", "PUT", customer, ann, identifier="ann")
    android = {"id": good, "platform": "android", "attributes": {"app_version": "4.2.0"}}
    await told.call("track", "PUT", f"{customer}/devices", {"device": android}, identifier="ann")
    iphone = {"id": gone, "platform": "ios", "attributes": {"app_version": "4.1.0"}}
    await told.call("track", "PUT", f"{customer}/devices", {"device": iphone}, identifier="ann")
    tenant.simulator.world.uninstall([gone])
    event = {"name": "bought", "data": {"price": 12.5}}
    await told.call("track", "POST", f"{customer}/events", event, identifier="ann")
    await told.call("track", "POST", "/api/v1/events", {**event, "anonymous_id": "a1b2"})
    await told.call("track", "GET", "/api/v1/accounts/region")
    form = {"data": {"email": "ben@example.com", "plan": "free"}}
    await told.call("track", "POST", "/api/v1/forms/{form}/submit", form, form="newsletter")
    await told.call("track", "PUT", customer, {"plan": "free"}, identifier="cat")
    both = {"primary": {"id": "ann"}, "secondary": {"id": "cat"}}
    await told.call("track", "POST", "/api/v1/merge_customers", both)
    for verb in ("suppress", "unsuppress"):
        await told.call("track", "POST", f"{customer}/{verb}", identifier="dan")
    one = {
        "type": "person",
        "action": "identify",
        "identifiers": {"id": "eve"},
        "attributes": {"plan": "pro"},
    }
    await told.call("track", "POST", "/api/v2/entity", one)
    phone = {"token": tenant.mint("android")[0], "platform": "android"}
    told.replace(phone["token"], "TOKEN")
    device = {"type": "person", "action": "add_device", "identifiers": {"id": "eve"}, "device": phone}
    await told.call("track", "POST", "/api/v2/batch", {"batch": [one, device]})
    delete = "/api/v1/customers/{identifier}/devices/{device_id}"
    await told.call("track", "DELETE", delete, identifier="eve", device_id=phone["token"])
    await told.call("track", "DELETE", customer, identifier="dan")
    return good, gone


async def sdk_calls(told: Recorder, tenant: Tenant) -> None:
    """What Customer.io's SDKs send."""
    identify = {"userId": "fay", "traits": {"email": "fay@example.com", "plan": "pro"}}
    event = {"userId": "fay", "event": "bought", "properties": {"price": 12.5}}
    await told.call("cdp", "POST", "/v1/identify", identify)
    await told.call("cdp", "POST", "/v1/track", event)
    await told.call("cdp", "POST", "/v1/page", {"userId": "fay", "name": "home", "properties": {"url": "/"}})
    await told.call("cdp", "POST", "/v1/screen", {"userId": "fay", "name": "home"})
    await told.call("cdp", "POST", "/v1/group", {"userId": "fay", "groupId": "acme"})
    await told.call("cdp", "POST", "/v1/alias", {"userId": "fay", "previousId": "a1b2"})
    batch = {"batch": [{"type": "identify", **identify}, {"type": "track", **event}]}
    await told.call("cdp", "POST", "/v1/batch", batch)
    await told.call("none", "POST", "/v1/b", {**batch, "writeKey": tenant.write_key})
    await told.call("none", "GET", "/v1/projects/{key}/settings", key=tenant.write_key)


async def segments(told: Recorder) -> None:
    """A manual segment with Ann in it."""
    made = await told.call(
        "app", "POST", "/v1/segments", {"segment": {"name": "VIP", "description": "Our best customers"}}
    )
    number = made["segment"]["id"]
    segment = "/v1/segments/{segment}"
    ids = {"ids": ["ann"]}
    await told.call("track", "POST", "/api/v1/segments/{segment}/add_customers", ids, segment=number)
    await told.call("app", "GET", "/v1/segments")
    for below in ("", "/customer_count", "/membership", "/used_by"):
        await told.call("app", "GET", f"{segment}{below}", segment=number)
    await told.call("app", "GET", "/v1/customers/{id}/segments", id="ann")
    await told.call("track", "POST", "/api/v1/segments/{segment}/remove_customers", ids, segment=number)
    await told.call("app", "DELETE", segment, segment=number)


async def templates(told: Recorder) -> tuple[int, int]:
    """A transactional template, and one for broadcasts."""
    order = {
        "kind": "transactional",
        "name": "Order sent",
        "trigger_name": "order-sent",
        "title": "Your order is on its way",
        "message": "Order {{ trigger.number }} arrives on {{ trigger.day }}",
        "translations": {"de": {"title": "Unterwegs", "message": "Bestellung {{ trigger.number }}"}},
    }
    made = (await told.call("app", "POST", "/api/v1/templates", order))["template"]["id"]
    news = {
        "kind": "broadcast",
        "name": "News",
        "title": "News for {{ customer.first_name | default: 'you' }}",
        "message": "{{ trigger.offer }}",
        "translations": {"de": {"title": "Neues", "message": "{{ trigger.offer }}"}},
    }
    many = (await told.call("app", "POST", "/api/v1/templates", news))["template"]["id"]
    await told.call("app", "GET", "/api/v1/templates")
    await told.call("app", "GET", "/api/v1/templates/{id}", id=made)
    await told.call("app", "PUT", "/api/v1/templates/{id}", order, id=made)
    unused = (await told.call("app", "POST", "/api/v1/templates", {**news, "name": "Unused"}))["template"][
        "id"
    ]
    await told.call("app", "DELETE", "/api/v1/templates/{id}", id=unused)
    text = {"title": "Your order is on its way", "body": "Order {{ trigger.number }}"}
    transactional = "/v1/transactional/{id}"
    await told.call("app", "GET", "/v1/transactional")
    await told.call("app", "GET", transactional, id=made)
    content = (await told.call("app", "GET", f"{transactional}/contents", id=made))["contents"][0]["id"]
    await told.call("app", "PUT", f"{transactional}/content/{{content}}", text, id=made, content=content)
    for method, body in (("GET", None), ("PUT", text)):
        await told.call("app", method, f"{transactional}/language/{{language}}", body, id=made, language="de")
    broadcast = "/v1/broadcasts/{id}"
    action = f"{broadcast}/actions/{{action}}"
    for route in ("/v1/broadcasts", broadcast, f"{broadcast}/actions", action):
        await told.call("app", "GET", route, id=many, action=many)
    text = {"title": "News", "body": "{{ trigger.offer }}"}
    await told.call("app", "PUT", action, text, id=many, action=many)
    for method, body in (("PUT", text), ("GET", None)):
        await told.call(
            "app", method, f"{action}/language/{{language}}", body, id=many, action=many, language="de"
        )
    await told.call(
        "app", "PUT", "/v1/snippets", {"name": "greeting", "value": "Hello {{ customer.first_name }}"}
    )
    await told.call("app", "POST", "/v1/snippets", {"name": "footer", "value": "See you"})
    await told.call("app", "GET", "/v1/snippets")
    await told.call("app", "DELETE", "/v1/snippets/{snippet}", snippet="footer")
    return made, many


async def sends(told: Recorder, tenant: Tenant, template: int, good: str) -> str:
    """A push to Ann's two phones, one of which bounces, and what her app reports."""
    push = {
        "transactional_message_id": "order-sent",
        "identifiers": {"id": "ann"},
        "message_data": {"number": 7, "day": "Monday"},
    }
    delivery: str = (await told.call("app", "POST", "/v1/send/push", push))["delivery_id"]
    told.replace(delivery, "DELIVERY_ID")
    await tenant.settled(2)
    report = {"delivery_id": delivery, "metric": "opened", "recipient": good, "timestamp": 1_780_000_000}
    await told.call("none", "POST", "/api/v1/metrics", report)
    event = {"delivery_id": delivery, "event": "opened", "device_id": good, "timestamp": 1_780_000_000}
    for path in ("/api/v1/push/events", "/push/events"):
        await told.call("none", "POST", path, event)
    await told.call(
        "none", "POST", "/unsubscribe/{delivery_id}", {"unsubscribe": False}, delivery_id=delivery
    )
    for path in ("/v1/messages/{id}", "/v1/messages/{id}/archived_message"):
        await told.call("app", "GET", path, id=delivery)
    for path in ("/v1/messages", "/v1/activities", "/v1/subscription_topics", "/v1/subscription_channels"):
        await told.call("app", "GET", path)
    for what in ("messages", "activities", "attributes", "relationships", "subscription_preferences"):
        await told.call("app", "GET", f"/v1/customers/{{id}}/{what}", id="ann")
    await told.call("app", "GET", "/v1/customers", query={"email": "ann@example.com"})
    pro = {"attribute": {"field": "plan", "operator": "eq", "value": "pro"}}
    await told.call("app", "POST", "/v1/customers", {"filter": pro})
    await told.call("app", "POST", "/v1/customers/attributes", {"ids": ["ann"]})
    for what in ("messages", "metrics", "metrics/links"):
        await told.call("app", "GET", f"/v1/transactional/{{id}}/{what}", id=template)
    for verb in ("send", ""):
        draft = await told.call("app", "POST", "/v1/send/push", {**push, "queue_draft": True})
        told.replace(draft["delivery_id"], "DRAFT_ID")
        path = "/api/v1/drafts/{id}/send" if verb else "/api/v1/drafts/{id}"
        await told.call("app", "POST" if verb else "DELETE", path, id=draft["delivery_id"])
    await tenant.settled(4)
    return delivery


async def devices(told: Recorder, tenant: Tenant, gone: str, delivery: str) -> None:
    """How the devices are, and why."""
    await told.call("app", "GET", "/api/v1/devices", query={"last_status": "suppressed"})
    for below in ("", "/history", "/pushes"):
        await told.call("app", "GET", f"/api/v1/devices/{{token}}{below}", token=gone)
    await told.call("app", "GET", "/api/v1/stats/devices")
    await told.call("app", "GET", "/api/v1/stats/pushes", query={"days": 7})
    await told.call("app", "GET", "/api/v1/explain", query={"person": "ann", "message": delivery})
    message = tenant.database.delivery_ids.read(delivery)
    assert message is not None
    await told.call("app", "GET", "/api/v1/messages/{message}/pushes", message=message.message_id)
    undo = {
        "since": "2026-05-28T20:00:00Z",
        "until": "2026-05-28T21:00:00Z",
        "reason": "apns_unregistered",
        "why": "Wrong topic",
    }
    await told.call("app", "POST", "/api/v1/undo", undo)
    await told.call("app", "GET", "/api/v1/undo")
    await told.call("app", "GET", "/api/v1/options")
    await told.call("app", "PATCH", "/api/v1/options", {"max_pushes_per_s": 5000})
    for what in ("credentials", "keys", "audit", "routes"):
        await told.call("app", "GET", f"/api/v1/{what}")
    [route] = [name for name in await tenant.routes() if name.startswith("fcm")][:1]
    for verb, body in (
        ("pause", {"reason": "Maintenance"}),
        ("resume", None),
        ("apply", None),
        ("discard", None),
    ):
        await told.call("app", "POST", f"/api/v1/routes/{{route}}/{verb}", body, route=route)
    await told.call("app", "POST", "/api/v1/sending/pause", {"reason": "Wrong link"})
    await told.call("app", "GET", "/api/v1/sending")
    await told.call("app", "POST", "/api/v1/sending/resume")


async def audiences(told: Recorder) -> None:
    """A filter, asked about in every way, and saved."""
    asked = {"filter": "platform = ios and person.plan = pro"}
    await told.call("app", "POST", "/api/v1/audiences/count", {**asked, "within_ms": 300})
    for verb in ("sample", "preview", "explain"):
        await told.call("app", "POST", f"/api/v1/audiences/{verb}", asked)
    saved = {**asked, "name": "Pros on iOS"}
    number = (await told.call("app", "POST", "/api/v1/audiences", saved))["audience"]["id"]
    await told.call("app", "GET", "/api/v1/audiences")
    await told.call("app", "GET", "/api/v1/audiences/{id}", id=number)
    await told.call("app", "PUT", "/api/v1/audiences/{id}", {**saved, "unit": "person"}, id=number)
    await told.call("app", "GET", "/api/v1/audiences/{id}/members", id=number)
    await told.call("app", "DELETE", "/api/v1/audiences/{id}", id=number)


async def broadcasts(told: Recorder, tenant: Tenant, template: int) -> None:
    """A broadcast from its draft to its end, one that is stopped, and one that a call triggers."""
    draft = {
        "name": "News for pros",
        "content": {"title": "Hello {{ person.first_name }}", "message": "There is news."},
        "audience": {"filter": "platform = android and person.plan = pro"},
    }
    one = "/api/v1/broadcasts/{id}"
    made = (await told.call("app", "POST", "/api/v1/broadcasts", draft))["broadcast"]["id"]
    await told.call("app", "POST", "/api/v1/broadcasts/preview", draft)
    await told.call("app", "PUT", one, {**draft, "throttle": {"per_minute": 6000}}, id=made)
    await told.call("app", "POST", f"{one}/estimate", id=made)
    await told.call("app", "GET", f"{one}/unrenderable", id=made)
    await told.call("app", "POST", f"{one}/start", {"version": 2}, id=made)

    async def is_sent() -> bool:
        found = await tenant.call("GET", f"/api/v1/broadcasts/{made}")
        return bool(found["broadcast"]["state"] == "sent")

    await eventually(is_sent)
    await told.call("app", "GET", one, id=made)
    await told.call("app", "GET", f"{one}/minutes", id=made)
    await told.call("app", "GET", "/api/v1/broadcasts")
    later = {**draft, "name": "Later", "schedule": {"at": int(time.time()) + 86_400}}
    stopped = (await tenant.call("POST", "/api/v1/broadcasts", later, expect=201))["broadcast"]["id"]
    await tenant.call("POST", f"/api/v1/broadcasts/{stopped}/start")
    for verb in ("pause", "resume", "cancel"):
        await told.call("app", "POST", f"{one}/{verb}", id=stopped)
    trigger = {"data": {"offer": "Tea"}, "ids": ["ann"]}
    triggered = (await told.call("app", "POST", "/v1/campaigns/{id}/triggers", trigger, id=template))["id"]
    for below in ("", "/errors"):
        path = f"/v1/campaigns/{{id}}/triggers/{{trigger}}{below}"
        await told.call("app", "GET", path, id=template, trigger=triggered)
    for below in (
        "messages",
        "metrics",
        "metrics/links",
        "triggers",
        "actions/{action}/metrics",
        "actions/{action}/metrics/links",
    ):
        await told.call("app", "GET", f"/v1/broadcasts/{{id}}/{below}", id=template, action=template)


async def exports_and_webhooks(told: Recorder, tenant: Tenant, endpoint: Endpoint) -> None:
    """Files to fetch, and calls to a server."""
    people = (await told.call("app", "POST", "/v1/exports/customers", {"filters": {"and": []}}))["export"][
        "id"
    ]
    deliveries = {"transactional_message_id": 3, "start": 1_700_000_000, "end": 1_900_000_000}
    await told.call("app", "POST", "/v1/exports/deliveries", deliveries)

    async def is_written() -> bool:
        found = await tenant.call("GET", f"/v1/exports/{people}")
        return bool(found["export"]["status"] == "done")

    await eventually(is_written)
    for path in ("/v1/exports", "/v1/exports/{id}"):
        await told.call("app", "GET", path, id=people)
    await told.call("app", "GET", "/v1/exports/{id}/download", id=people)
    hook = {"name": "our warehouse", "endpoint": endpoint.url, "events": ["push_sent", "device_registered"]}
    told.replace(endpoint.url, "https://example.com/hook")
    number = (await told.call("app", "POST", "/v1/reporting_webhooks", hook))["id"]
    one = "/v1/reporting_webhooks/{id}"
    await tenant.register("ann", tenant.mint("android")[0], "android")
    await eventually(lambda: _called(endpoint))
    await told.call("app", "GET", "/v1/reporting_webhooks")
    await told.call("app", "GET", one, id=number)
    await told.call("app", "PUT", one, {"name": "warehouse"}, id=number)
    await eventually(lambda: _logged(tenant, number))
    await told.call("app", "GET", "/api/v1/webhooks/{id}/calls", id=number)
    await told.call("app", "DELETE", one, id=number)
    for path in ("/v1/workspaces", "/v1/info/ip_addresses"):
        await told.call("app", "GET", path)


async def imports(told: Recorder, tenant: Tenant, closed_port: int) -> None:
    """A file that is tried and applied, and others whose address does not answer."""
    found = tenant.engine.store.services.imports
    [token] = tenant.mint("android")

    async def content() -> AsyncIterator[bytes]:
        yield f"token,platform,person\n{token},android,gus\n,android,hal\n".encode()

    wanted = NewImport(source="generic", name="devices.csv", options={"probe": 1})
    tried = (await found.make(BY, tenant.workspace_id, wanted, content())).import_id

    async def is_done(number: int) -> bool:
        return bool((await found.one(tenant.workspace_id, number)).state == "done")

    one = "/api/v1/imports/{id}"
    await eventually(lambda: is_done(tried))
    await told.call("app", "GET", one, id=tried)
    applied = (await told.call("app", "POST", f"{one}/apply", id=tried))["import"]
    await eventually(lambda: is_done(applied))
    await told.call("app", "GET", f"{one}/verification", id=applied)
    await told.call("app", "GET", "/api/v1/imports")
    url = f"http://127.0.0.1:{closed_port}/devices.csv.gz"
    told.replace(f"127.0.0.1:{closed_port}", "example.com")
    asked = {"source": "onesignal", "environment": "production", "url": url}
    made = (await told.call("app", "POST", "/api/v1/imports", asked))["import"]
    await told.call("app", "POST", f"{one}/cancel", id=made)
    people = {"import": {"data_file_url": url, "type": "people", "identifier": "id"}}
    number = (await told.call("app", "POST", "/v1/imports", people))["import"]["id"]
    await told.call("app", "GET", "/v1/imports/{id}", id=number)
    await found.cancel(BY, tenant.workspace_id, number)


async def _called(endpoint: Endpoint) -> bool:
    return bool(endpoint.calls)


async def _logged(tenant: Tenant, webhook: int) -> bool:
    return bool((await tenant.call("GET", f"/api/v1/webhooks/{webhook}/calls"))["calls"])


async def reports_and_jobs(told: Recorder, tenant: Tenant, template: int, closed_port: int) -> None:
    """What is counted, what failed, and a person who is erased."""
    for name in (
        "reach",
        "cohorts",
        "pushes",
        "reasons",
        "bounces",
        "bounces-by-day",
        "revivals",
        "broadcasts",
        "token-ages",
        "token-calendar",
    ):
        await told.call("app", "GET", f"/api/v1/reports/{name}")
    file = {"data_file_url": f"http://127.0.0.1:{closed_port}/people"}
    failing = (await tenant.call("POST", f"/v1/campaigns/{template}/triggers", file))["id"]

    async def has_failed() -> bool:
        found = (await tenant.call("GET", "/api/v1/jobs"))["jobs"]
        return any(one["kind"] == "file" and one["state"] == "put_off" for one in found)

    await eventually(has_failed)
    told.replace(f"127.0.0.1:{closed_port}", "example.com")
    await told.call("app", "GET", "/api/v1/jobs")
    for verb in ("retry", "cancel"):
        await told.call("app", "POST", f"/api/v1/jobs/{{kind}}/{{job}}/{verb}", kind="file", job=failing)
    columns = ["platform", "last_status", "person_id", "attribute.app_version"]
    asked = {"kind": "devices", "format": "jsonl", "filter": "platform = ios", "columns": columns}
    await told.call("app", "POST", "/api/v1/exports", {**asked, "tokens": "masked"})
    listed = await told.call("app", "GET", "/api/v1/exports")
    await told.call("app", "GET", "/api/v1/exports/{id}", id=listed["exports"][0]["id"])
    exports = tenant.engine.store.services.exports
    running = await exports.stream(BY, tenant.workspace_id, NewExport(kind=Exportable.PEOPLE))
    await told.call("app", "POST", "/api/v1/exports/{id}/cancel", id=running.export.export_id)
    await running.parts.aclose()
    erased = await told.call("app", "POST", "/api/v1/customers/{identifier}/erase", identifier="fay")
    number = erased["erasure"]["id"]
    await told.call("app", "GET", "/api/v1/erasures/{id}", id=number)
    await told.call("app", "GET", "/api/v1/erasures")


async def test_the_examples_of_the_reference_are_what_the_service_answers(
    tenant: Tenant, endpoint: Endpoint, closed_port: int
) -> None:
    told = Recorder(tenant)
    good, gone = await people_and_devices(told, tenant)
    await sdk_calls(told, tenant)
    await segments(told)
    transactional, many = await templates(told)
    delivery = await sends(told, tenant, transactional, good)
    await devices(told, tenant, gone, delivery)
    await audiences(told)
    await broadcasts(told, tenant, many)
    await exports_and_webhooks(told, tenant, endpoint)
    await imports(told, tenant, closed_port)
    await reports_and_jobs(told, tenant, many, closed_port)
    assert told.refused == []
    found = told.normalized()
    if os.environ.get("PUSHKEEPER_EXAMPLES"):
        FILE.write_text(written(found), encoding="utf-8")
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    assert set(kept) == set(found), "run `make examples`"
    for key, example in found.items():
        assert kept[key]["status"] == example.status, key
        assert list(differences(kept[key]["response"], example.response)) == [], f"{key}: run `make examples`"


def test_every_call_of_the_native_api_has_an_example() -> None:
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    assert {f"{method} {path}" for method, path in OPERATIONS} - FORMER - set(kept) == set()


def test_no_example_has_a_secret_or_a_value_of_its_run() -> None:
    text = FILE.read_text(encoding="utf-8")
    for mark in ("127.0.0.1", "Bearer ", "Basic ", "/tmp/"):
        assert mark not in text
