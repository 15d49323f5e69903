"""Customer.io's official Python client, unmodified: only the host and the CA are ours."""

import time
from urllib.parse import urlsplit

import pytest
from customerio import APIClient, CustomerIO, CustomerIOException, SendPushRequest

from support.service import eventually


@pytest.fixture(autouse=True)
def no_bundle_of_this_machine(monkeypatch):
    """`requests` lets these win over the session's own CA."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)


@pytest.fixture
def track(service, workspace):
    at = urlsplit(service["url"])
    client = CustomerIO(workspace.keys["site_id"], workspace.keys["api_key"], host=at.hostname, port=at.port)
    client.http.verify = service["ca_file"]
    return client


@pytest.fixture
def app(service, workspace):
    client = APIClient(workspace.keys["app_api_key"], url=service["url"])
    client.http.verify = service["ca_file"]
    return client


def person(workspace, identifier, id_type="id"):
    return workspace.app("GET", f"/v1/customers/{identifier}/attributes?id_type={id_type}")["customer"]


def test_identify_creates_and_updates(track, workspace):
    track.identify(id="42", email="Ann@Example.com", first_name="Ann", plan="pro")
    track.identify(id="42", plan=None, visits=3)
    found = person(workspace, "42")
    assert found["identifiers"]["email"] == "Ann@Example.com"
    assert found["attributes"]["first_name"] == "Ann"
    assert found["attributes"]["visits"] == "3"
    assert "plan" not in found["attributes"]
    assert person(workspace, "ann@example.com", "email")["id"] == "42"
    assert person(workspace, found["identifiers"]["cio_id"], "cio_id")["id"] == "42"


def test_devices_are_added_refreshed_and_deleted(track, workspace):
    track.add_device(customer_id="42", device_id="token:1", platform="iOS", last_used=1_772_013_598)
    track.add_device(
        customer_id="42", device_id="token/2", platform="android", attributes={"app_version": "3.1"}
    )
    devices = {device["id"]: device for device in person(workspace, "42")["devices"]}
    assert set(devices) == {"token:1", "token/2"}
    assert devices["token:1"]["platform"] == "ios"
    assert devices["token:1"]["last_used"] == 1_772_013_598
    assert devices["token/2"]["attributes"] == {"app_version": "3.1", "_last_status": ""}
    track.delete_device(customer_id="42", device_id="token/2")
    assert [device["id"] for device in person(workspace, "42")["devices"]] == ["token:1"]


def test_a_deleted_person_is_gone_with_their_devices(track, workspace):
    track.identify(id="42")
    track.add_device(customer_id="42", device_id="token", platform="ios")
    track.delete(customer_id="42")
    status, _ = workspace.app.request("GET", "/v1/customers/42/attributes")
    assert status == 404
    assert workspace.app.request("GET", "/api/v1/devices/token")[0] == 404
    assert [line["event"] for line in workspace.history("token")] == ["deleted", "registered"]


def test_the_seed_story_through_the_client(track, app, workspace):
    [token] = workspace.mint("android")
    track.add_device(customer_id="42", device_id=token, platform="android")

    def push():
        before = sum(workspace.pushes().values())
        request = SendPushRequest(
            transactional_message_id="welcome", identifiers={"id": "42"}, title="Hello", message="World"
        )
        assert set(app.send_push(request)) == {"delivery_id", "queued_at"}
        eventually(lambda: sum(workspace.pushes().values()) > before)
        [device] = person(workspace, "42")["devices"]
        return device["attributes"]["_last_status"]

    assert push() == "sent"
    workspace.control("POST", "/uninstall", {"tokens": [token]})
    assert push() == "bounced"
    assert push() == "suppressed"
    asked = len(workspace.journal(token))
    assert push() == "suppressed"
    assert len(workspace.journal(token)) == asked
    workspace.control("POST", "/install", {"tokens": [token]})
    track.add_device(customer_id="42", device_id=token, platform="android")
    assert [d["attributes"]["_last_status"] for d in person(workspace, "42")["devices"]] == [""]
    assert push() == "sent"


def test_a_push_with_all_that_the_client_can_say(track, app, workspace):
    [token] = workspace.mint("ios")
    track.identify(id="42")
    later = int(time.time()) + 2
    answer = app.send_push(
        SendPushRequest(
            transactional_message_id=3,
            to="last_used",
            identifiers={"id": "42"},
            title="Sale",
            message="Today",
            disable_message_retention=False,
            send_to_unsubscribed=True,
            queue_draft=False,
            message_data={"order": 1},
            send_at=later,
            language="en",
            image_url="https://example.com/a.png",
            link="app://sale",
            custom_data={"order": "1"},
            device={"token": token, "platform": "ios", "attributes": {"app_version": "3.1"}},
            sound="none",
        )
    )
    assert answer["send_at"] == later
    [asked] = eventually(lambda: workspace.journal(token))
    assert asked["body"]["aps"]["alert"] == {"title": "Sale", "body": "Today"}
    assert "sound" not in asked["body"]["aps"]
    assert asked["body"]["order"] == "1"


def test_a_custom_payload_replaces_the_content_and_keeps_the_delivery_keys(track, app, workspace):
    [token] = workspace.mint("ios")
    track.add_device(customer_id="42", device_id=token, platform="ios")
    delivery = app.send_push(
        SendPushRequest(
            identifiers={"id": "42"},
            custom_payload={"ios": {"aps": {"alert": "Own", "badge": 3}, "mine": True}},
        )
    )["delivery_id"]
    [asked] = eventually(lambda: workspace.journal(token))
    assert asked["body"]["aps"] == {"alert": "Own", "badge": 3}
    assert asked["body"]["mine"] is True
    assert (asked["body"]["CIO-Delivery-ID"], asked["body"]["CIO-Delivery-Token"]) == (delivery, token)


def test_errors_reach_the_caller_in_words(track, app, service, workspace):
    with pytest.raises(CustomerIOException, match=r"device\.platform: expected ios or android"):
        track.add_device(customer_id="42", device_id="token", platform="toaster")
    with pytest.raises(CustomerIOException, match="image_url"):
        app.send_push(SendPushRequest(identifiers={"id": "42"}, title="t", image_url="ftp://x"))
    with pytest.raises(CustomerIOException, match="transactional_message_id"):
        app.send_push(SendPushRequest(transactional_message_id="nothing", identifiers={"id": "42"}))
    at = urlsplit(service["url"])
    stranger = CustomerIO(workspace.keys["site_id"], "wrong", host=at.hostname, port=at.port)
    stranger.http.verify = service["ca_file"]
    with pytest.raises(CustomerIOException, match="401"):
        stranger.identify(id="42")


def test_a_client_that_does_not_know_our_ca_is_not_talked_into_it(service, workspace):
    at = urlsplit(service["url"])
    client = CustomerIO(
        workspace.keys["site_id"], workspace.keys["api_key"], host=at.hostname, port=at.port, retries=0
    )
    with pytest.raises(CustomerIOException, match="certificate verify failed"):
        client.identify(id="42")
