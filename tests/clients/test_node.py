"""Customer.io's clients for Node, unmodified: only the host and the CA are ours."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.service import eventually, good


def person(workspace, identifier="42"):
    return workspace.app("GET", f"/v1/customers/{identifier}/attributes")["customer"]


def test_people_and_devices_live_their_lives(track, workspace):
    answers = good(
        track(
            ["identify", "42", {"email": "ann@example.com", "plan": "pro"}],
            ["addDevice", "42", "a:token/1", "ios", {"last_used": 1772013598, "app_version": "3.1"}],
            ["addDevice", "42", "another", "android"],
            ["deleteDevice", "42", "another"],
            ["track", "42", {"name": "bought", "data": {"price": 3}}],
            ["trackAnonymous", "a1", {"name": "looked"}],
            ["trackPageView", "42", "https://example.com"],
        )
    )
    assert answers == [{}] * 7
    found = person(workspace)
    assert found["attributes"]["plan"] == "pro"
    [device] = found["devices"]
    assert (device["id"], device["last_used"]) == ("a:token/1", 1772013598)
    assert device["attributes"]["app_version"] == "3.1"


def test_people_are_merged_suppressed_and_destroyed(track, workspace):
    good(
        track(
            ["identify", "first", {"plan": "pro"}],
            ["identify", "second", {"city": "Bern"}],
            ["mergeCustomers", "id", "first", "id", "second"],
            ["identify", "third", {"a": 1}],
            ["suppress", "third"],
            ["identify", "third", {"a": 2}],
            ["identify", "fourth", {"a": 1}],
            ["destroy", "fourth"],
        )
    )
    assert person(workspace, "first")["attributes"]["city"] == "Bern"
    for gone in ("second", "third", "fourth"):
        assert workspace.app.request("GET", f"/v1/customers/{gone}/attributes")[0] == 404
    good(track(["unsuppress", "third"], ["identify", "third", {"a": 3}]))
    assert person(workspace, "third")["attributes"]["a"] == "3"


def test_what_is_refused_is_said(track):
    [answer] = track(["identify", "42", {"a": "b" * 1001}])
    assert answer["error"]["status"] == 400
    assert "value for attribute 'a' cannot be longer than 1000 bytes" in answer["error"]["message"]


def test_a_push_is_sent_read_and_reported(track, app, workspace):
    [token] = workspace.mint("android")
    good(track(["addDevice", "42", token, "android"]))
    request = {
        "$new": [
            "SendPushRequest",
            {"identifiers": {"id": "42"}, "transactional_message_id": 1, "title": "Hello", "message": "text"},
        ]
    }
    [sent] = good(app(["sendPush", request]))
    eventually(lambda: workspace.status(token) == "sent")
    good(track(["trackPush", {"delivery_id": sent["delivery_id"], "event": "opened", "device_id": token}]))
    assert "opened" in workspace.message(sent["delivery_id"])["metrics"]
    by_email, attributes = app(["getCustomersByEmail", "nobody@example.com"], ["getAttributes", "42"])
    assert by_email["answer"] == {"results": []}
    assert attributes["answer"]["customer"]["devices"][0]["attributes"]["_last_status"] == "sent"


def test_a_delivery_unsubscribes_its_person_and_subscribes_them_again(track, app, workspace):
    [token] = workspace.mint("android")
    good(track(["addDevice", "42", token, "android"]))
    request = {"identifiers": {"id": "42"}, "transactional_message_id": 1, "title": "Hello", "message": "x"}
    [sent] = good(app(["sendPush", {"$new": ["SendPushRequest", request]}]))
    for unsubscribe in (True, False):
        good(track(["unsubscribe", sent["delivery_id"], unsubscribe]))
        assert person(workspace)["unsubscribed"] is unsubscribe


@pytest.mark.parametrize(
    ("method", "request_type"),
    [
        ("sendEmail", "SendEmailRequest"),
        ("sendSMS", "SendSMSRequest"),
        ("sendWhatsApp", "SendWhatsAppRequest"),
        ("sendInApp", "SendInAppRequest"),
        ("sendInboxMessage", "SendInboxMessageRequest"),
    ],
)
def test_a_message_of_another_channel_is_an_error_that_says_why(app, method, request_type):
    message = {"transactional_message_id": 1, "identifiers": {"id": "42"}, "to": "ann@example.com"}
    [answer] = app([method, {"$new": [request_type, message]}])
    assert answer["error"]["status"] == 400
    assert "Pushkeeper sends push notifications only" in answer["error"]["message"]


def test_an_empty_filter_triggers_a_broadcast_to_its_own_audience_and_a_missing_language_is_an_error(
    app, workspace
):
    numbers = {}
    for kind in ("broadcast", "transactional"):
        template = {"kind": kind, "name": kind, "title": "Hello"}
        status, answer = workspace.app.request("POST", "/api/v1/templates", template)
        assert status == 201, answer
        numbers[kind] = answer["template"]["id"]
    [triggered] = good(app(["triggerBroadcast", numbers["broadcast"], {}, {}]))
    assert isinstance(triggered["id"], int)
    change = ["updateTransactionalMessageLanguage", numbers["transactional"], "fr", {"subject": "Salut"}]
    [answer] = app(change)
    assert answer["error"]["status"] == 404


def test_a_webhook_is_changed_by_the_part(app):
    events = ["customer_subscription_preferences_changed", "email_sent", "push_attempted"]
    [made] = good(
        app(["createReportingWebhook", {"name": "x", "endpoint": "https://example.com/", "events": events}])
    )
    [changed] = good(app(["updateReportingWebhook", made["id"], {"disabled": True}]))
    assert (changed["disabled"], changed["name"], changed["events"]) == (True, "x", events)


def test_templates_broadcasts_and_exports(track, app, workspace):
    [token] = workspace.mint("android")
    good(track(["identify", "42", {"email": "a@example.com"}], ["addDevice", "42", token, "android"]))
    numbers = {}
    for kind in ("transactional", "broadcast"):
        template = {"kind": kind, "name": kind, "trigger_name": kind, "title": "Hello {{ customer.id }}"}
        status, answer = workspace.app.request("POST", "/api/v1/templates", template)
        assert status == 201, answer
        numbers[kind] = answer["template"]["id"]
    listed, contents, broadcasts, made, _ = good(
        app(
            ["listTransactionalMessages"],
            ["getTransactionalMessageContents", numbers["transactional"]],
            ["listBroadcasts"],
            ["createCustomersExport", {"or": [{"segment": {"id": 0}}]}],
            ["createDeliveriesExport", 1, {"metric": "sent"}],
        )
    )
    assert [message["id"] for message in listed["messages"]] == [numbers["transactional"]]
    assert [content["subject"] for content in contents["contents"]] == ["Hello {{ customer.id }}"]
    assert [broadcast["id"] for broadcast in broadcasts["broadcasts"]] == [numbers["broadcast"]]
    request = {"identifiers": {"id": "42"}, "transactional_message_id": "transactional"}
    sent, triggered = good(
        app(
            ["sendPush", {"$new": ["SendPushRequest", request]}],
            ["triggerBroadcast", numbers["broadcast"], {"name": "x"}, {"emails": ["a@example.com"]}],
        )
    )
    assert isinstance(triggered["id"], int)
    eventually(lambda: "sent" in workspace.message(sent["delivery_id"])["metrics"])
    eventually(lambda: len(workspace.app("GET", "/v1/messages?metric=sent")["messages"]) == 2)
    number = made["export"]["id"]
    eventually(lambda: workspace.app("GET", f"/v1/exports/{number}")["export"]["status"] == "done")
    shown, listed = good(app(["downloadExport", number], ["listExports"]))
    assert "/exports/" in shown["url"]
    assert len(listed["exports"]) == 2


@pytest.mark.parametrize("strict", [False, True])
def test_the_pipelines_client_sends_people_and_events(call, service, workspace, strict):
    options = {"url": f"{service['url']}/v1", "strictMode": strict}
    make = ["PipelinesClient", workspace.keys["write_key"], options]
    context = {"device": {"token": "t1", "type": "android"}}
    good(
        call(
            "customerio-node",
            make,
            ["identify", {"userId": "42", "traits": {"plan": "pro"}}],
            ["track", {"userId": "42", "event": "Device Created or Updated", "context": context}],
            ["track", {"userId": "42", "event": "bought", "properties": {"price": 3}}],
            ["page", {"userId": "42", "name": "home"}],
            ["screen", {"userId": "42", "name": "start"}],
            ["group", {"userId": "42", "groupId": "g"}],
            ["alias", {"userId": "42", "previousId": "a1"}],
        )
    )
    found = person(workspace)
    assert found["attributes"]["plan"] == "pro"
    assert [device["id"] for device in found["devices"]] == ["t1"]


def test_a_wrong_key_is_an_error_in_strict_mode_alone(call, service):
    for strict, status in ((True, 401), (False, None)):
        make = ["PipelinesClient", "nobodys", {"url": f"{service['url']}/v1", "strictMode": strict}]
        [answer] = call("customerio-node", make, ["identify", {"userId": "42"}])
        assert answer.get("error", {}).get("status") == status


def test_the_analytics_library_sends_its_batches(call, service, workspace):
    settings = {"writeKey": workspace.keys["write_key"], "host": service["url"]}
    context = {"device": {"token": "t1", "type": "ios"}}
    good(
        call(
            "@customerio/cdp-analytics-node",
            ["Analytics", settings],
            ["identify", {"userId": "42", "traits": {"plan": "pro"}}],
            [
                "track",
                {
                    "userId": "42",
                    "event": "Device Created or Updated",
                    "properties": {"push_enabled": True},
                    "context": context,
                },
            ],
            ["track", {"anonymousId": "a1", "event": "looked"}],
            ["closeAndFlush"],
        )
    )
    found = person(workspace)
    assert found["attributes"]["plan"] == "pro"
    [device] = found["devices"]
    assert (device["id"], device["attributes"]["push_enabled"]) == ("t1", "true")


class People(BaseHTTPRequestHandler):
    """The file of an import, at an address that a signature opens."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(
            b"id,email,plan\nold,old@example.com,pro\nnew,new@example.com,\n,nobody@example.com,pro\n"
        )

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def people_url():
    with ThreadingHTTPServer(("127.0.0.1", 0), People) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/people.csv?signature=secret"
        server.shutdown()
        thread.join()


def test_people_are_imported_from_a_file(track, app, workspace, people_url):
    good(track(["identify", "old", {"plan": "free"}]))
    asked = {
        "data_file_url": people_url,
        "type": "people",
        "identifier": "id",
        "people_to_process": "only_new",
    }
    [made] = good(app(["createImport", {**asked, "description": "from the shop"}]))
    number = made["import"]["id"]
    assert (made["import"]["name"], made["import"]["state"]) == ("people.csv", "preprocessing")
    eventually(lambda: workspace.app("GET", f"/v1/imports/{number}")["import"]["state"] == "imported")
    [shown] = good(app(["getImport", number]))
    found = shown["import"]
    assert (found["rows_to_import"], found["rows_imported"], found["error"]) == (3, 1, "")
    assert (found["people_to_process"], found["identifier"]) == ("only_new", "id")
    assert (
        person(workspace, "new")["attributes"]["email"],
        person(workspace, "old")["attributes"]["plan"],
    ) == (
        "new@example.com",
        "free",
    )
    [everybody] = good(app(["createImport", {**asked, "people_to_process": "all", "name": "all"}]))
    number = everybody["import"]["id"]
    eventually(lambda: workspace.app("GET", f"/v1/imports/{number}")["import"]["state"] == "imported")
    assert person(workspace, "old")["attributes"]["plan"] == "pro"
    [refused] = app(["createImport", {**asked, "type": "object"}])
    assert refused["error"]["status"] == 400
