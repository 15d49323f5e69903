"""Register a device, push to it, know whether it got there: through the door, to the simulator, and back."""

import time
from urllib.parse import quote

import pytest

from support import crowd
from support.service import eventually


@pytest.fixture
def make_due(service):
    """Makes scheduled pushes due now: however long the steps before take, they are not due sooner."""

    def now():
        url = service["database_url"]
        crowd.query(url, "update batches set due_at = now() where claim_id is null")
        crowd.query(url, "notify pushkeeper_work")

    return now


def in_an_hour():
    return int(time.time()) + 3_600


@pytest.fixture(params=["ios", "android"])
def platform(request):
    return request.param


def test_the_life_of_a_device(workspace, platform):
    [token] = workspace.mint(platform)
    workspace.register("ann", token, platform)
    assert workspace.status(token) == ""

    message = workspace.push_and_wait("ann")
    assert workspace.status(token) == "sent"
    assert set(message["metrics"]) == {"created", "attempted", "sent"}

    workspace.control("POST", "/uninstall", {"tokens": [token]})
    message = workspace.push_and_wait("ann")
    assert workspace.status(token) == "bounced"
    assert "bounced" in message["metrics"]

    workspace.push_and_wait("ann")
    assert workspace.status(token) == "suppressed"

    asked = len(workspace.journal(token))
    message = workspace.push_and_wait("ann")
    assert len(workspace.journal(token)) == asked == 3
    assert set(message["metrics"]) == {"created", "dropped"}

    workspace.control("POST", "/install", {"tokens": [token]})
    workspace.register("ann", token, platform)
    assert workspace.status(token) == ""

    workspace.push_and_wait("ann")
    assert workspace.status(token) == "sent"

    told = [(line["event"], line["from_status"], line["to_status"]) for line in workspace.history(token)]
    assert told == [
        ("accepted", "", "sent"),
        ("refreshed", "suppressed", ""),
        ("refused", "bounced", "suppressed"),
        ("refused", "sent", "bounced"),
        ("accepted", "", "sent"),
        ("registered", None, ""),
    ]


def test_a_push_carries_what_the_sdks_look_for(workspace, platform):
    [token] = workspace.mint(platform)
    workspace.register("ann", token, platform)
    delivery_id = workspace.push_and_wait(
        "ann", title="Sale", link="app://sale", image_url="https://example.com/a.png", custom_data={"k": "v"}
    )["id"]
    [asked] = workspace.journal(token)
    body = asked["body"]
    if platform == "ios":
        assert body["aps"]["alert"] == {"title": "Sale", "body": "text"}
        assert body["aps"]["mutable-content"] == 1
        assert body["CIO"] == {"push": {"link": "app://sale", "image": "https://example.com/a.png"}}
        delivered = body
        assert asked["headers"]["apns-collapse-id"] == asked["headers"]["apns-id"]
    else:
        delivered = body["message"]["data"]
        assert (delivered["title"], delivered["body"]) == ("Sale", "text")
        assert (delivered["link"], delivered["image"]) == ("app://sale", "https://example.com/a.png")
    assert delivered["CIO-Delivery-ID"] == delivery_id
    assert delivered["CIO-Delivery-Token"] == token
    assert delivered["k"] == "v"


def test_a_phone_that_changed_hands_gets_nothing_meant_for_its_former_owner(workspace, make_due):
    [token] = workspace.mint("android")
    workspace.register("old", token, "android")
    waiting = workspace.push("old", title="for the old owner", send_at=in_an_hour())
    workspace.register("new", token, "android")
    workspace.push_and_wait("new", title="for the new owner")
    make_due()
    eventually(lambda: "undeliverable" in workspace.message(waiting)["metrics"])
    titles = [request["body"]["message"]["notification"]["title"] for request in workspace.journal(token)]
    assert titles == ["for the new owner"]
    assert [line["event"] for line in workspace.history(token)] == ["accepted", "moved", "registered"]


def test_a_push_to_a_named_token_that_has_moved_is_dropped_and_says_so(workspace, make_due):
    [token] = workspace.mint("android")
    workspace.register("old", token, "android")
    waiting = workspace.push("old", to=token, send_at=in_an_hour())
    workspace.register("new", token, "android")
    make_due()
    eventually(lambda: "dropped" in workspace.message(waiting)["metrics"])
    assert "moved" in workspace.message(waiting)["failure_message"]
    assert workspace.journal(token) == []


def test_an_answer_to_a_push_under_way_does_not_touch_the_next_owner(workspace):
    """The push has left for the former owner's registration when the phone changes hands; it is then refused."""
    [token] = workspace.mint("android")
    workspace.register("old", token, "android")
    workspace.push_and_wait("old")
    workspace.control(
        "POST",
        "/script",
        {"token": token, "answers": [{"status": 404, "reason": "UNREGISTERED", "delay_ms": 4_000}]},
    )
    delivery = workspace.push("old", title="under way")
    eventually(lambda: len(workspace.journal(token)) == 2)
    workspace.register("new", token, "android")
    eventually(lambda: "bounced" in workspace.message(delivery)["metrics"])
    assert workspace.status(token) == "sent"
    assert [line["event"] for line in workspace.history(token)] == ["moved", "accepted", "registered"]
    people = workspace.app("GET", "/v1/customers/new/attributes")["customer"]["devices"]
    assert [device["attributes"]["_last_status"] for device in people] == ["sent"]


def test_logging_out_drops_what_is_queued(workspace, make_due):
    [token] = workspace.mint("ios")
    workspace.register("ann", token, "ios")
    waiting = workspace.push("ann", to=token, send_at=in_an_hour())
    workspace.track("DELETE", f"/api/v1/customers/ann/devices/{quote(token, safe='')}")
    make_due()
    eventually(lambda: "dropped" in workspace.message(waiting)["metrics"])
    assert workspace.journal(token) == []
    assert workspace.history(token)[0]["event"] == "deleted"
