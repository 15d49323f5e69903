"""What a person did and what happened to them, in Customer.io's App API."""

import json
import time

import pytest

PERSON = "/api/v1/customers/42"


async def asked(door, query=""):
    status, answer = await door.app("GET", f"/v1/customers/42/activities{query}")
    assert status == 200, answer
    return answer


async def types(door, query=""):
    return [one["type"] for one in (await asked(door, query))["activities"]]


async def test_everything_that_is_known_of_a_person_comes_the_newest_first(sender):
    door = sender
    await door.track("PUT", f"{PERSON}/devices", {"device": {"id": "t", "platform": "android"}})
    send = {"identifiers": {"id": "42"}, "title": "Hello", "message": "text"}
    delivery_id = (await door.app("POST", "/v1/send/push", send))[1]["delivery_id"]
    await door.track(
        "POST", "/api/v1/metrics", {"delivery_id": delivery_id, "metric": "opened", "recipient": "t"}
    )
    await door.track("POST", f"{PERSON}/events", {"name": "bought", "data": {"price": 3}, "type": "event"})
    await door.track("POST", f"{PERSON}/events", {"name": "home", "type": "page"})
    await door.track("DELETE", f"{PERSON}/devices/t")
    found = (await asked(door))["activities"]
    assert [(one["type"], one["name"]) for one in found] == [
        ("device_change", "deleted"),
        ("page", "home"),
        ("event", "bought"),
        ("opened_push", None),
        ("device_change", "registered"),
        ("profile_create", None),
    ]
    assert found[2]["data"] == {"price": 3}
    assert (found[3]["delivery_id"], found[3]["delivery_type"]) == (delivery_id, "push")
    assert {one["customer_identifiers"]["id"] for one in found} == {"42"}
    assert await types(door, "?type=device_change") == ["device_change"] * 2
    assert await types(door, "?name=bought") == ["event"]
    assert await types(door, "?type=page&name=bought") == []


async def test_pages_lose_nothing_of_what_happened_in_the_same_second(door):
    at = int(time.time()) - 60
    for number in range(25):
        await door.track("POST", f"{PERSON}/events", {"name": f"n{number}", "timestamp": at})
    seen, start = [], ""
    while True:
        page = await asked(door, f"?limit=4&type=event&start={start}")
        seen += [one["name"] for one in page["activities"]]
        start = page["next"]
        if not start:
            break
    assert sorted(seen) == sorted(f"n{number}" for number in range(25))


async def test_pages_lose_no_change_of_devices_that_were_written_at_once(door):
    """Their numbers have one digit and two: in the order of texts, by which pages are cut, that is another."""
    await door.track("PUT", f"{PERSON}/devices", {"device": {"id": "t", "platform": "android"}})
    lines = (
        "insert into device_history (history_id, at, workspace_id, device_id, event, from_status, to_status, strikes, "
        "from_person_id, to_person_id, generation) overriding system value "
        "select n, date_trunc('second', now()), workspace_id, device_id, 'refreshed', '', '', 0, person_id, person_id, 1 "
        "from devices, generate_series(8, 12) n where workspace_id = $1"
    )
    await door.database.rows(lines, door.workspace_id)
    seen, start = [], ""
    while True:
        page = await asked(door, f"?limit=2&type=device_change&start={start}")
        seen += [one["id"] for one in page["activities"] if one["name"] == "refreshed"]
        start = page["next"]
        if not start:
            break
    assert sorted(seen) == sorted(f"device-{number}" for number in range(8, 13))


async def test_the_outcome_of_a_push_is_an_activity(sender):
    await sender.track("PUT", f"{PERSON}/devices", {"device": {"id": "t", "platform": "android"}})
    endings = {
        "accepted": "sent_push",
        "bounced": "bounced_push",
        "skipped": "dropped_push",
        "expired": "failed_push",
    }
    for number, ending in enumerate(endings):
        await sender.database.rows(
            "insert into pushes (message_day, message_id, device_id, workspace_id, person_id, ending, reason, provider) "
            "select (now() at time zone 'utc')::date, $2, device_id, workspace_id, person_id, $3, 'why', 'fcm' "
            "from devices where workspace_id = $1",
            sender.workspace_id,
            f"0195f000-0000-7000-8000-00000000000{number}",
            ending,
        )
    for kind in endings.values():
        [one] = (await asked(sender, f"?type={kind}"))["activities"]
        assert one["data"]["reason"] == ("fcm_accepted" if kind == "sent_push" else "why")


@pytest.mark.parametrize("query", ["?type=dance", "?limit=0", "?limit=101", "?start=x!", "?start=YWJj"])
async def test_a_bad_question_is_refused(door, query):
    await door.track("PUT", PERSON, {})
    assert (await door.app("GET", f"/v1/customers/42/activities{query}"))[0] == 400


async def test_the_activities_of_nobody_are_not_found(door):
    assert (await door.app("GET", "/v1/customers/nobody/activities"))[0] == 404


async def by_v1(door, path, attributes):
    where = f"cio_{path['cio_id']}" if "cio_id" in path else next(iter(path.values()))
    return (await door.track("PUT", f"/api/v1/customers/{where}", attributes))[0]


async def by_v2(door, path, attributes):
    item = {"type": "person", "action": "identify", "identifiers": path, "attributes": attributes}
    return (await door.track("POST", "/api/v2/entity", item))[0]


async def by_v2_batch(door, path, attributes):
    item = {"type": "person", "action": "identify", "identifiers": path, "attributes": attributes}
    return (await door.track("POST", "/api/v2/batch", {"batch": [item]}))[0]


async def by_cdp(door, path, attributes):
    item = {"type": "identify", "userId": next(iter(path.values())), "traits": attributes}
    body = json.dumps({"batch": [item], "writeKey": door.keys.write_key}).encode()
    return (await door.raw("POST", "/v1/b", body, **{"x-strict-mode": "1"}))[0]


async def failures(door, person="42", query=""):
    path = f"/v1/customers/{person}/activities?type=failed_attribute_change{query}"
    status, answer = await door.app("GET", path)
    assert status == 200
    return [(one["name"], one["data"]) for one in answer["activities"]]


TAKEN = [("email", {"email": {"from": "", "to": "Taken@example.com"}})]


@pytest.mark.parametrize("way", [by_v1, by_v2, by_v2_batch, by_cdp])
async def test_an_identifier_of_somebody_else_is_a_failed_change_of_the_person_who_was_meant(door, way):
    await by_v1(door, {"id": "owner"}, {"email": "taken@example.com"})
    assert await way(door, {"id": "42"}, {"email": "Taken@example.com", "plan": "pro"}) == 200
    found = await door.person("42")
    assert (found["attributes"]["plan"], found["identifiers"]["email"]) == ("pro", None)
    assert await failures(door) == await failures(door, query="&name=email") == TAKEN
    assert await failures(door, query="&name=id") == await failures(door, "owner") == []
    assert await way(door, {"id": "owner"}, {"email": "TAKEN@example.com"}) == 200
    assert await failures(door, "owner") == []


@pytest.mark.parametrize("way", [by_v1, by_v2, by_cdp])
async def test_an_identifier_that_cannot_be_changed_is_a_failed_change_too(door, way):
    await by_v1(door, {"id": "42"}, {"email": "a@example.com"})
    await way(door, {"id": "42"}, {"email": "b@example.com"})
    assert (await door.person("42"))["identifiers"]["email"] == "a@example.com"
    assert await failures(door) == [("email", {"email": {"from": "a@example.com", "to": "b@example.com"}})]


@pytest.mark.parametrize("way", [by_v1, by_v2])
async def test_by_their_cio_id_an_identifier_is_changed_unless_somebody_else_has_it(door, way):
    await by_v1(door, {"id": "owner"}, {"email": "taken@example.com"})
    await by_v1(door, {"id": "42"}, {"email": "a@example.com"})
    path = {"cio_id": (await door.person("42"))["identifiers"]["cio_id"]}
    await way(door, path, {"email": "b@example.com"})
    assert await failures(door) == []
    await way(door, path, {"email": "taken@example.com", "id": "owner"})
    assert sorted(await failures(door)) == [
        ("email", {"email": {"from": "b@example.com", "to": "taken@example.com"}}),
        ("id", {"id": {"from": "42", "to": "owner"}}),
    ]


async def test_dropped_parts_move_with_the_person_and_the_device_owner(door):
    for who in ("one", "two"):
        await by_v1(door, {"id": who}, {"email": f"{who}@example.com"})
    for person in ("42", "43"):
        for who in ("one", "two"):
            await by_v1(door, {"id": person}, {"email": f"{who}@example.com"})
    await door.track("DELETE", "/api/v1/customers/one")
    assert [data["email"]["to"] for _, data in await failures(door)] == ["two@example.com"]
    body = {"primary": {"id": "44"}, "secondary": {"id": "42"}}
    await by_v1(door, {"id": "44"}, {})
    await door.track("POST", "/api/v1/merge_customers", body)
    assert [data["email"]["to"] for _, data in await failures(door, "44")] == ["two@example.com"]
    await door.track("DELETE", "/api/v1/customers/43")
    left = "select person_id from failed_changes where workspace_id = $1"
    assert len(await door.database.rows(left, door.workspace_id)) == 1
