"""Customer.io's Track API, version 1: events, suppression, merges, reports of pushes, segments, forms."""

import asyncio
import json
import time

import pytest

PERSON = "/api/v1/customers/42"
EVENTS = f"{PERSON}/events"
ANONYMOUS = "/api/v1/events"


async def events(door, **wanted):
    rows = await door.database.rows(
        "select e.*, i.key as person from events e left join identifiers i "
        "on i.person_id = e.person_id and i.kind = 'id' where e.workspace_id = $1 order by event_id",
        door.workspace_id,
    )
    return [dict(row) for row in rows if all(row[name] == value for name, value in wanted.items())]


async def device_of(door, token):
    row = await door.database.row(
        "select d.*, i.key as person from devices d left join identifiers i "
        "on i.person_id = d.person_id and i.kind = 'id' where d.workspace_id = $1 and d.token = $2",
        door.workspace_id,
        token,
    )
    return None if row is None else dict(row)


# Events.


async def test_an_event_is_kept_with_its_name_time_and_data_and_makes_the_person(door):
    at = int(time.time()) - 60
    body = {"name": "bought", "data": {"price": 3, "what": ["a"]}, "timestamp": at}
    assert await door.track("POST", EVENTS, body) == (200, {})
    [event] = await events(door)
    assert (event["person"], event["kind"], event["name"]) == ("42", "event", "bought")
    assert event["data"] == {"price": 3, "what": ["a"]}
    assert int(event["happened_at"].timestamp()) == at


@pytest.mark.parametrize("kind", ["page", "screen", "event"])
async def test_an_event_may_be_a_page_or_a_screen(door, kind):
    await door.track("POST", EVENTS, {"name": "https://example.com", "type": kind, "data": {}})
    assert [event["kind"] for event in await events(door)] == [kind]


async def test_an_event_with_an_id_counts_once(door):
    body: dict[str, object] = {"name": "bought", "id": "01E4C4CT6YDC7Y5M7FE1GWWPQJ"}
    calls = [door.track("POST", EVENTS, body) for _ in range(5)]
    assert await asyncio.gather(*calls) == [(200, {})] * 5
    assert await door.track("POST", EVENTS, {**body, "name": "again"}) == (200, {})
    assert [event["name"] for event in await events(door)] == ["bought"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": 3}, "name"),
        ({"name": "n" * 101}, "name"),
        ({"name": "n", "data": []}, "data"),
        ({"name": "n", "data": {"a": "b" * 100_000}}, "data"),
        ({"name": "n", "type": "purchase"}, "type"),
        ([], "body"),
    ],
)
@pytest.mark.parametrize("path", [EVENTS, ANONYMOUS])
async def test_a_bad_event_is_refused_by_the_name_of_its_field_and_leaves_nothing(door, path, body, named):
    status, answer = await door.track("POST", path, body)
    assert status == 400
    [message] = answer["meta"]["errors"]
    assert message.startswith(f"{named}:")
    assert not await events(door)
    assert (await door.counts())["people"] == 0


async def test_an_anonymous_event_is_the_persons_who_identifies_by_its_id(door):
    for name in ("first", "second"):
        body: dict[str, object] = {"name": name, "anonymous_id": "a1", "data": {}}
        assert await door.track("POST", ANONYMOUS, body) == (200, {})
    await door.track("POST", ANONYMOUS, {"name": "a stranger's", "anonymous_id": "a2"})
    await door.track("POST", ANONYMOUS, {"name": "nobody's"})
    assert [event["person"] for event in await events(door)] == [None] * 4
    await door.track("PUT", PERSON, {"anonymous_id": "a1"})
    assert [event["person"] for event in await events(door)] == ["42", "42", None, None]
    await door.track("POST", ANONYMOUS, {"name": "later", "anonymous_id": "a1"})
    assert [event["person"] for event in await events(door, name="later")] == [None], (
        "they may have logged out"
    )
    assert (await door.counts())["people"] == 1


async def test_anonymous_events_of_over_thirty_days_ago_stay_nobodys(door):
    await door.track("POST", ANONYMOUS, {"name": "old", "anonymous_id": "a1"})
    await door.database.owned.rows(
        "create table if not exists events_of_2025 partition of events for values "
        "from ('2025-01-01 00:00+00') to ('2026-01-01 00:00+00')"
    )
    await door.database.rows(
        "update events set received_at = '2025-06-01' where workspace_id = $1", door.workspace_id
    )
    await door.track("PUT", PERSON, {"anonymous_id": "a1"})
    assert [event["person"] for event in await events(door)] == [None]


# Suppression.


@pytest.mark.parametrize("method_body", [b"", b"{}", None])
async def test_a_suppressed_person_is_gone_and_does_not_come_back(door, method_body):
    await door.track("PUT", PERSON, {"email": "ann@example.com"})
    await door.track("PUT", f"{PERSON}/devices", {"device": {"id": "t", "platform": "ios"}})
    assert await door.track("POST", f"{PERSON}/suppress", method_body) == (200, {})
    assert (await door.counts())["people"] == 0
    for path, body in (
        (PERSON, {"a": 1}),
        ("/api/v1/customers/ann@example.com", {"a": 1}),
        (f"{PERSON}/devices", {"device": {"id": "t", "platform": "ios"}}),
    ):
        assert await door.track("PUT", path, body) == (200, {}), "accepted and ignored"
    assert await door.track("POST", EVENTS, {"name": "bought"}) == (200, {})
    assert (await door.counts())["people"] == (await door.counts())["devices"] == 0
    assert not await events(door)
    await door.track("PUT", "/api/v1/customers/other", {"email": "ann@example.com", "b": 2})
    assert (await door.person("other"))["identifiers"]["email"] is None


async def test_what_is_unsuppressed_may_be_had_again(door):
    await door.track("PUT", PERSON, {"email": "ann@example.com"})
    await door.track("POST", f"{PERSON}/suppress")
    await door.track("POST", "/api/v1/customers/43/suppress")
    assert await door.track("POST", f"{PERSON}/unsuppress") == (200, {})
    await door.track("PUT", PERSON, {"email": "ann@example.com", "b": 2})
    found = await door.person("42")
    assert (found["identifiers"]["email"], found["attributes"]["b"]) == ("ann@example.com", "2")
    await door.track("PUT", "/api/v1/customers/43", {"b": 2})
    assert (await door.counts())["people"] == 1, "nobody else's block is lifted"


async def test_somebody_unknown_can_be_suppressed_beforehand(door):
    await door.track("POST", f"{PERSON}/suppress")
    await door.track("PUT", PERSON, {"a": 1})
    assert (await door.counts())["people"] == 0


# Merges.


async def test_a_merge_gives_the_primary_what_they_lack_and_the_devices(door):
    await door.track("PUT", "/api/v1/customers/first", {"plan": "pro"})
    await door.track("PUT", "/api/v1/customers/second", {"plan": "free", "city": "Bern"})
    for owner in ("first", "second"):
        device = {"device": {"id": f"{owner}'s", "platform": "android"}}
        await door.track("PUT", f"/api/v1/customers/{owner}/devices", device)
    await door.track("POST", "/api/v1/customers/second/events", {"name": "bought"})
    body = {"primary": {"id": "first"}, "secondary": {"id": "second"}}
    assert await door.track("POST", "/api/v1/merge_customers", body) == (200, {})
    merged = await door.person("first")
    assert (merged["attributes"]["plan"], merged["attributes"]["city"]) == ("pro", "Bern")
    assert {device["id"] for device in merged["devices"]} == {"first's", "second's"}
    assert (await door.app("GET", "/v1/customers/second/attributes"))[0] == 404
    assert [event["person"] for event in await events(door)] == ["first"]
    status, answer = await door.app("GET", "/api/v1/devices/second's/history")
    assert status == 200
    assert [line["event"] for line in answer["history"]] == ["moved", "registered"]


async def test_a_merge_with_somebody_unknown_or_with_oneself_changes_nothing(door):
    await door.track("PUT", "/api/v1/customers/first", {"plan": "pro", "email": "f@example.com"})
    for primary, secondary in (
        ({"id": "first"}, {"id": "nobody"}),
        ({"id": "nobody"}, {"id": "first"}),
        ({"id": "first"}, {"email": "F@example.com"}),
    ):
        body = {"primary": primary, "secondary": secondary}
        assert await door.track("POST", "/api/v1/merge_customers", body) == (200, {})
    assert (await door.person("first"))["attributes"]["plan"] == "pro"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"primary": {"id": "a"}},
        {"primary": {"id": "a", "email": "b@example.com"}, "secondary": {"id": "c"}},
        {"primary": {"id": "a"}, "secondary": {"phone": "1"}},
        {"primary": {"id": ""}, "secondary": {"id": "c"}},
        {"primary": "a", "secondary": "b"},
    ],
)
async def test_a_bad_merge_is_told_by_a_single_error(door, body):
    status, answer = await door.track("POST", "/api/v1/merge_customers", body)
    assert status == 400
    assert answer["meta"]["error"].split(":")[0].split(".")[0] in {"primary", "secondary"}


# Reports of pushes.


async def a_delivery(sender):
    device = {"device": {"id": "t1", "platform": "android"}}
    await sender.track("PUT", f"{PERSON}/devices", device)
    body = {"identifiers": {"id": "42"}, "title": "Hello", "message": "text"}
    status, answer = await sender.app("POST", "/v1/send/push", body)
    assert status == 200
    return answer["delivery_id"]


async def metrics_of(sender, delivery_id):
    return (await sender.app("GET", f"/v1/messages/{delivery_id}"))[1]["message"]["metrics"]


@pytest.mark.parametrize(
    ("path", "metric", "token"),
    [
        ("/api/v1/metrics", "metric", "recipient"),
        ("/api/v1/push/events", "event", "device_id"),
        ("/push/events", "event", "device_id"),
    ],
)
async def test_an_app_reports_a_push_without_a_key_and_once(sender, path, metric, token):
    delivery_id = await a_delivery(sender)
    at = int(time.time()) - 10
    for _ in range(2):
        body = {"delivery_id": delivery_id, metric: "opened", token: "t1", "timestamp": at}
        status, answer, _ = await sender.raw(
            "POST", path, json.dumps(body).encode(), **{"content-type": "text/plain"}
        )
        assert (status, answer) == (200, b"{}\n")
    rows = await sender.database.rows(
        "select metric, octet_length(device_id) as key from reports where workspace_id = $1",
        sender.workspace_id,
    )
    assert [(row["metric"], row["key"]) for row in rows] == [("opened", 16)]
    assert (await metrics_of(sender, delivery_id))["opened"] == at


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"delivery_id": "nobody", "metric": "opened"}',
        b'{"delivery_id": 3, "metric": "opened"}',
        b'{"metric": "opened"}',
        b'{"delivery_id": "ZAIAAVTJVG0QcCok0-0ZKj6yiQ==", "metric": "opened", "timestamp": "x"}',
    ],
)
async def test_a_report_that_says_nothing_is_answered_200_all_the_same(door, body):
    for path in ("/api/v1/metrics", "/push/events"):
        status, answer, _ = await door.raw("POST", path, body)
        assert (status, answer) == (200, b"{}\n")


async def test_a_push_that_was_never_sent_or_a_metric_that_apps_cannot_know_is_not_counted(sender):
    delivery_id = await a_delivery(sender)
    other = delivery_id[:-8] + ("AAAAAAA=" if delivery_id[-8:] != "AAAAAAA=" else "AAAAAAE=")
    for body in (
        {"delivery_id": other, "metric": "opened"},
        {"delivery_id": delivery_id, "metric": "bounced"},
    ):
        await sender.track("POST", "/api/v1/metrics", body)
    count = "select count(*) from reports where workspace_id = $1"
    assert await sender.database.value(count, sender.workspace_id) == 0


async def test_a_delivery_unsubscribes_its_person_and_subscribes_them_again(sender):
    path = f"/unsubscribe/{await a_delivery(sender)}"
    assert (await sender.person("42"))["unsubscribed"] is False
    for given, unsubscribed in (
        ({}, True),
        ({"unsubscribe": False}, False),
        ({"unsubscribe": True}, True),
        ({"unsubscribe": "false"}, False),
        ({"unsubscribe": 1}, True),
    ):
        assert await sender.track("POST", path, given) == (200, {})
        assert (await sender.person("42"))["unsubscribed"] is unsubscribed, given
    nonsense: object
    for nonsense in (None, "maybe", 2, [], {}):
        status, answer = await sender.track("POST", path, {"unsubscribe": nonsense})
        assert (status, answer["meta"]["errors"][0].split(":")[0]) == (400, "unsubscribe")
    assert (await sender.person("42"))["unsubscribed"] is True
    older = {"unsubscribed": False, "_timestamp": 1_772_013_598}
    assert (await sender.track("PUT", "/api/v1/customers/42", older))[0] == 200
    assert (await sender.person("42"))["unsubscribed"] is True
    assert (await sender.track("POST", "/unsubscribe/nonsense", {"unsubscribe": True}))[0] == 200


@pytest.mark.parametrize(
    ("path", "metric", "token"),
    [
        ("/api/v1/metrics", "metric", "recipient"),
        ("/api/v1/push/events", "event", "device_id"),
        ("/push/events", "event", "device_id"),
    ],
)
async def test_the_action_of_a_click_is_kept_and_shown(sender, path, metric, token):
    delivery_id = await a_delivery(sender)
    for kind, more in (
        ("opened", {"action": "later"}),
        ("clicked", {"action": "buy", "href": "https://example.com"}),
    ):
        await sender.track("POST", path, {"delivery_id": delivery_id, metric: kind, token: "t1", **more})
    message = (await sender.app("GET", f"/v1/messages/{delivery_id}"))[1]["message"]
    assert message["actions"] == ["buy", "later"]
    _, answer = await sender.app("GET", "/v1/customers/42/activities?type=clicked_push")
    [clicked] = answer["activities"]
    assert clicked["data"] == {"action": "buy", "href": "https://example.com"}


@pytest.mark.parametrize("odd", [3, None, "", "a" * 1_001, ["x"], {"a": 1}])
async def test_an_odd_link_or_action_does_not_cost_the_click(sender, odd):
    delivery_id = await a_delivery(sender)
    body = {"delivery_id": delivery_id, "metric": "clicked", "recipient": "t1", "href": odd, "action": odd}
    await sender.raw("POST", "/api/v1/metrics", json.dumps(body).encode())
    assert "clicked" in await metrics_of(sender, delivery_id)


async def test_pages_of_any_site_may_report_and_unsubscribe(sender):
    delivery_id = await a_delivery(sender)
    for path in ("/api/v1/metrics", "/api/v1/push/events", "/push/events", f"/unsubscribe/{delivery_id}"):
        status, body, headers = await sender.raw(
            "OPTIONS",
            path,
            None,
            origin="https://shop.example",
            **{"access-control-request-method": "POST", "access-control-request-headers": "content-type"},
        )
        assert (status, body) == (204, b"")
        assert headers["access-control-allow-origin"] == "*"
        assert headers["access-control-allow-methods"] == "POST, OPTIONS"
        assert "content-type" in headers["access-control-allow-headers"]
        for sent in (b"{}", b"nonsense", b"x" * 200_000):
            _, _, headers = await sender.raw("POST", path, sent, origin="https://shop.example")
            assert headers["access-control-allow-origin"] == "*"


async def test_calls_that_need_a_key_of_the_server_are_not_for_other_sites_pages(sender):
    status, _, headers = await sender.raw("OPTIONS", f"{PERSON}/devices", None)
    assert (status, "access-control-allow-origin" in headers) == (405, False)


# Segments and forms.


async def a_segment(door):
    return await door.database.value(
        "insert into segments (workspace_id, name) values ($1, 'friends') returning segment_id",
        door.workspace_id,
    )


async def members(door, segment):
    rows = await door.database.rows(
        "select key from segment_members join identifiers using (person_id) where segment_id = $1 order by key",
        segment,
    )
    return [row["key"] for row in rows]


async def test_people_are_put_into_a_segment_and_taken_out_again(door):
    segment = await a_segment(door)
    path = f"/api/v1/segments/{segment}"
    assert await door.track("POST", f"{path}/add_customers", {"ids": ["1", "2", "2", 3]}) == (200, {})
    assert await members(door, segment) == ["1", "2", "3"]
    emails = {"ids": ["ann@example.com"]}
    assert await door.track("POST", f"{path}/add_customers?id_type=email", emails) == (200, {})
    assert await door.track("POST", f"{path}/remove_customers", {"ids": ["1", "nobody"]}) == (200, {})
    assert await members(door, segment) == ["2", "3", "ann@example.com"]


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("", {}, 400),
        ("", {"ids": "1"}, 400),
        ("", {"ids": ["1"] * 1001}, 400),
        ("?id_type=phone", {"ids": ["1"]}, 400),
    ],
)
async def test_a_bad_list_of_people_is_refused(door, query, body, status):
    segment = await a_segment(door)
    found, answer = await door.track("POST", f"/api/v1/segments/{segment}/add_customers{query}", body)
    assert (found, list(answer["meta"])) == (status, ["errors"])
    assert await members(door, segment) == []


async def test_what_is_no_identifier_of_the_kind_is_passed_over(door):
    segment = await a_segment(door)
    ids: dict[str, list[object]] = {"ids": ["1", None, "", [], {}, "x" * 151, True, 2]}
    assert await door.track("POST", f"/api/v1/segments/{segment}/add_customers", ids) == (200, {})
    assert await members(door, segment) == ["1", "2"]
    assert await door.track("POST", f"/api/v1/segments/{segment}/remove_customers", ids) == (200, {})
    assert await members(door, segment) == []


@pytest.mark.parametrize("segment", ["0", "x", "9" * 30, "999999"])
async def test_a_segment_that_is_not_there_is_refused_as_they_document_it(door, segment):
    for verb in ("add_customers", "remove_customers"):
        status, answer = await door.track("POST", f"/api/v1/segments/{segment}/{verb}", {"ids": ["1"]})
        assert status == 400
        assert answer == {"meta": {"errors": [f"segment: segment {segment} does not exist"]}}
    assert (await door.app("GET", "/v1/customers/1/attributes"))[0] == 404, "nobody is made"


async def test_a_form_creates_or_updates_the_person_that_it_names(door):
    body = {"data": {"email": "ann@example.com", "city": "Bern"}}
    status, answer, _ = await door.raw(
        "POST",
        "/api/v1/forms/newsletter/submit",
        json.dumps(body).encode(),
        authorization=door.basic,
    )
    assert (status, answer) == (204, b"")
    assert (await door.person("ann@example.com", "email"))["attributes"]["city"] == "Bern"
    assert (await door.track("POST", "/api/v1/forms/newsletter/submit", {"data": {"city": "x"}}))[0] == 400
