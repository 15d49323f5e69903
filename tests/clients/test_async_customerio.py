"""`async-customerio`, which is not Customer.io's own but much used, unmodified: only the host and the CA are ours."""

import time
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from async_customerio import AsyncAPIClient, AsyncCustomerIO, AsyncCustomerIOError, SendPushRequest

from support.service import eventually


@pytest.fixture(autouse=True)
def trusts_our_ca(monkeypatch, service):
    monkeypatch.setenv("SSL_CERT_FILE", service["ca_file"])


@pytest_asyncio.fixture
async def track(service, workspace):
    at = urlsplit(service["url"])
    keys = workspace.keys
    client = AsyncCustomerIO(keys["site_id"], keys["api_key"], host=at.hostname, port=at.port)
    yield client
    await client.close()


@pytest_asyncio.fixture
async def app(service, workspace):
    client = AsyncAPIClient(workspace.keys["app_api_key"], url=service["url"])
    yield client
    await client.close()


def person(workspace, identifier="42"):
    return workspace.app("GET", f"/v1/customers/{identifier}/attributes")["customer"]


async def test_version_one_people_devices_and_events(track, workspace):
    await track.identify("42", email="ann@example.com", plan="pro")
    await track.add_device("42", "a-token", "ios", last_used=int(time.time()))
    await track.track("42", "bought", price=3)
    await track.track_anonymous("a1", "looked")
    await track.pageview("42", "https://example.com")
    await track.backfill("42", "bought", int(time.time()) - 60, price=2)
    await track.submit_form("newsletter", email="form@example.com")
    assert (await track.get_region())["region"] == "us"
    found = person(workspace)
    assert found["attributes"]["plan"] == "pro"
    assert [device["id"] for device in found["devices"]] == ["a-token"]
    await track.delete_device("42", "a-token")
    assert person(workspace)["devices"] == []


async def test_version_one_merges_suppresses_and_deletes(track, workspace):
    await track.identify("first", plan="pro")
    await track.identify("second", city="Bern")
    await track.merge_customers("id", "first", "id", "second")
    assert person(workspace, "first")["attributes"]["city"] == "Bern"
    await track.suppress("first")
    await track.identify("first", plan="free")
    assert workspace.app.request("GET", "/v1/customers/first/attributes")[0] == 404
    await track.unsuppress("first")
    await track.identify("first", plan="free")
    await track.delete("first")
    assert workspace.app.request("GET", "/v1/customers/first/attributes")[0] == 404


async def test_version_two_and_its_batches(track, workspace):
    who = {"id": "42"}
    await track.v2.identify_person(who, plan="pro")
    await track.v2.add_person_device(who, "a-token", "android", attributes={"app_version": "3.1"})
    await track.v2.track_person_event(who, "bought", price=3)
    await track.v2.person_pageview(who, "home")
    await track.v2.identify_object({"object_type_id": "1", "object_id": "acme"}, name="Acme")
    relation = [{"identifiers": {"object_type_id": "1", "object_id": "acme"}}]
    await track.v2.add_person_relationships(who, relation)
    answer = await track.v2.send_batch(
        [
            {
                "type": "person",
                "action": "identify",
                "identifiers": {"id": "43"},
                "attributes": {"plan": "free"},
            },
            {"type": "person", "action": "event", "identifiers": {"id": "43"}},
        ]
    )
    assert [error["batch_index"] for error in answer["errors"]] == [1]
    assert person(workspace, "43")["attributes"]["plan"] == "free"
    [device] = person(workspace)["devices"]
    assert device["attributes"]["app_version"] == "3.1"
    await track.v2.delete_person_device(who, "a-token")
    await track.v2.merge_persons(who, {"id": "43"})
    await track.v2.delete_person(who)
    assert workspace.app.request("GET", "/v1/customers/42/attributes")[0] == 404


async def test_a_push_is_sent_and_reported(track, app, workspace):
    [token] = workspace.mint("android")
    await track.add_device("42", token, "android")
    sent = await app.send_push(
        SendPushRequest(
            transactional_message_id=1, identifiers={"id": "42"}, title="Hello", message="text", to="all"
        )
    )
    eventually(lambda: workspace.status(token) == "sent")
    await track.report_push_metric(sent["delivery_id"], token, "opened")
    await track.report_metric(sent["delivery_id"], "delivered", recipient=token)
    metrics = workspace.message(sent["delivery_id"])["metrics"]
    assert {"sent", "delivered", "opened"} <= set(metrics)
    [message] = (await app.customers.get_messages("42"))["messages"]
    assert (message["id"], message["metrics"]["sent"]) == (sent["delivery_id"], metrics["sent"])
    activities = (await app.customers.get_activities("42", limit=100))["activities"]
    assert {"sent_push", "opened_push", "delivered_push", "device_change"} <= {a["type"] for a in activities}
    await track.unsubscribe(sent["delivery_id"])
    assert person(workspace)["unsubscribed"] is True


async def test_segments_are_made_filled_read_and_deleted(track, app):
    made = (await app.segments.create("friends", description="of ours"))["segment"]
    assert (made["name"], made["type"], made["state"]) == ("friends", "manual", "finished")
    await track.add_to_segment(made["id"], ["1", "2", "3"])
    await track.remove_from_segment(made["id"], ["2"])
    assert (await app.segments.get_customer_count(made["id"]))["count"] == 2
    page = await app.segments.get_membership(made["id"], limit=1)
    assert page["ids"] == ["1"]
    rest = await app.segments.get_membership(made["id"], limit=1, start=page["next"])
    assert (rest["ids"], rest["next"]) == (["3"], "")
    assert [segment["id"] for segment in (await app.segments.list())["segments"]] == [made["id"]]
    assert (await app.segments.get(made["id"]))["segment"] == made
    assert (await app.segments.get_used_by(made["id"]))["used_by"]["campaigns"] == []
    assert [s["name"] for s in (await app.customers.get_segments("1"))["segments"]] == ["friends"]
    await app.segments.delete(made["id"])
    with pytest.raises(AsyncCustomerIOError):
        await app.segments.get(made["id"])


async def test_people_are_searched_and_read_by_several(track, app):
    for person, plan in (("1", "pro"), ("2", "free"), ("3", "pro")):
        await track.identify(person, plan=plan)
    pro = {"attribute": {"field": "plan", "operator": "eq", "value": "pro"}}
    assert (await app.customers.search({"and": [pro]}, limit=10))["ids"] == ["1", "3"]
    found = (await app.customers.get_by_ids(["2", "nobody"]))["customers"]
    assert [one["customer"]["attributes"]["plan"] for one in found] == ["free"]


async def test_what_is_refused_is_said(track):
    with pytest.raises(AsyncCustomerIOError, match="cannot be longer than 1000 bytes"):
        await track.identify("42", a="b" * 1001)
