"""Audiences over people and over devices, and who differs."""

import pytest
import pytest_asyncio

SUPPRESSED = {"attribute": {"field": "last_status", "operator": "eq", "value": "suppressed"}}
NOT_SUPPRESSED = {"attribute": {"field": "last_status", "operator": "neq", "value": "suppressed"}}


@pytest_asyncio.fixture(loop_scope="session")
async def ann(door):
    """A person with a suppressed iPhone and a live Android phone, beside one with an iPhone and one with nothing."""
    for person, token, platform in (
        ("ann", "ann-ios", "ios"),
        ("ann", "ann-android", "android"),
        ("ben", "ben-ios", "ios"),
    ):
        await door.track("PUT", f"/api/v1/customers/{person}", {"plan": "pro" if person == "ann" else "free"})
        device = {"device": {"id": token, "platform": platform, "last_used": 1_700_000_000}}
        status, answer = await door.track("PUT", f"/api/v1/customers/{person}/devices", device)
        assert status == 200, answer
    await door.track("PUT", "/api/v1/customers/sam", {"plan": "pro"})
    for token, change in (
        ("ann-ios", "status = 'suppressed', strikes = 2"),
        ("ann-android", "status = 'sent'"),
    ):
        await door.database.value(
            f"update devices set {change} where workspace_id = $1 and token = $2 returning 1",
            door.workspace_id,
            token,
        )
    return door


async def ask(door, what, **body):
    status, answer = await door.app("POST", f"/api/v1/audiences/{what}", body)
    assert status == 200, answer
    return answer


@pytest.mark.parametrize(
    ("filter_", "of_devices", "of_people"),
    [
        ({"device": SUPPRESSED}, (1, 1), (1, 2)),
        ({"not": {"device": SUPPRESSED}}, (2, 2), (2, 1)),
        ({"device": NOT_SUPPRESSED}, (2, 2), (2, 3)),
        ("last_status = suppressed", (1, 1), (1, 2)),
        ("last_status != suppressed and person.plan = pro", (1, 1), (1, 2)),
        ("person.plan = pro", (1, 2), (2, 2)),
        ({"and": []}, (2, 3), (3, 3)),
        ("last_status = bounced", (0, 0), (0, 0)),
    ],
)
async def test_people_and_devices_are_counted_as_each_is_asked_for(ann, filter_, of_devices, of_people):
    for unit, (people, devices) in (("device", of_devices), ("person", of_people)):
        assert await ask(ann, "count", filter=filter_, unit=unit) == {"people": people, "devices": devices}
    people, devices = of_devices
    assert await ask(ann, "count", filter=filter_) == {"people": people, "devices": devices}


async def test_preview_names_who_is_taken_in_wrongly(ann):
    preview = await ask(ann, "preview", filter="last_status != suppressed")
    [example] = preview.pop("examples")
    assert preview == {"people": 2, "devices": 2, "wrongly_included": 1, "wrongly_excluded": 0}
    assert (example["wrongly"], example["device"]["token"]) == ("included", "ann-ios")
    assert example["clause"] == "last_status != suppressed"


async def test_preview_names_who_is_left_out_wrongly(ann):
    preview = await ask(ann, "preview", filter={"not": {"device": SUPPRESSED}}, unit="person")
    [example] = preview.pop("examples")
    assert preview == {"people": 2, "devices": 1, "wrongly_included": 0, "wrongly_excluded": 1}
    assert (example["wrongly"], example["device"]["token"]) == ("excluded", "ann-android")
    assert example["clause"] == "not any(last_status = suppressed)"


async def test_of_an_example_the_clause_is_named_that_makes_the_difference(ann):
    asked = "person.plan = pro and platform = ios and last_status != suppressed"
    await ann.track("PUT", "/api/v1/customers/ann/devices", {"device": {"id": "ann-pad", "platform": "ios"}})
    preview = await ask(ann, "preview", filter=asked)
    clauses = {one["device"]["token"]: one["clause"] for one in preview["examples"]}
    assert clauses == {"ann-ios": "last_status != suppressed", "ann-android": "platform = ios"}


async def test_it_is_told_how_an_audience_is_counted(ann):
    plan = await ask(ann, "explain", filter="last_status = suppressed")
    assert (plan["people"], plan["devices"]) == (1, 1)
    assert plan["took_ms"] > 0
    assert {scan["table"] for scan in plan["scans"]} >= {"devices"}


async def test_what_names_an_audience_is_told_with_it(ann, sender):
    phones = await save(ann, filter="platform = ios")
    assert phones["used_by"] == []
    others = await save(ann, "not those", filter=f"not segment {phones['id']}")
    body = {"audience": {"id": phones["id"]}, "content": {"title": "Hello"}, "name": "to phones"}
    status, answer = await sender.app("POST", "/api/v1/broadcasts", body)
    assert status == 201, answer
    _, shown = await ann.app("GET", f"/api/v1/audiences/{phones['id']}")
    assert shown["audience"]["used_by"] == [
        {"kind": "audience", "number": others["id"], "name": "not those"},
        {"kind": "broadcast", "number": answer["broadcast"]["id"], "name": "to phones"},
    ]


async def test_a_sample_is_of_devices_or_of_the_devices_of_people(ann):
    async def sample(**body):
        return {device["token"] for device in (await ask(ann, "sample", **body))["devices"]}

    assert await sample(filter="last_status = suppressed") == {"ann-ios"}
    assert await sample(filter="last_status = suppressed", unit="person") == {"ann-ios", "ann-android"}
    status, answer = await ann.app("POST", "/api/v1/audiences/sample?limit=1", {"filter": "platform = ios"})
    assert (status, len(answer["devices"])) == (200, 1)


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({}, "filter", "is required"),
        ({"filter": "platform ="}, "filter", "unexpected end of the filter (character 11): expected a value"),
        ({"filter": {"device": []}}, "filter.device", "expected an object"),
        ({"filter": "platform = ios", "unit": "phone"}, "unit", "expected device or person"),
    ],
)
async def test_what_is_wrong_is_told_by_its_field(ann, body, field, said):
    for what in ("count", "sample", "preview"):
        status, answer = await ann.app("POST", f"/api/v1/audiences/{what}", body)
        assert (status, answer["error"]["field"]) == (400, field)
        assert said in answer["error"]["message"]


async def test_another_workspace_is_not_counted(ann, other_door):
    assert await ask(other_door, "count", filter={"and": []}, unit="person") == {"people": 0, "devices": 0}


async def save(door, name="phones", **body):
    status, answer = await door.app("POST", "/api/v1/audiences", {"name": name, **body})
    assert status == 201, answer
    return answer["audience"]


async def members(door, audience, query=""):
    status, answer = await door.app("GET", f"/api/v1/audiences/{audience}/members{query}")
    assert status == 200, answer
    return answer


async def test_a_saved_audience_has_the_current_members_of_its_filter(ann):
    suppressed = await save(ann, filter="last_status = suppressed")
    assert (suppressed["type"], suppressed["unit"]) == ("filter", "device")
    of_it = {"segment": {"id": suppressed["id"]}}
    assert await ask(ann, "count", filter=of_it) == {"people": 1, "devices": 1}
    assert await ask(ann, "count", filter=of_it, unit="person") == {"people": 1, "devices": 2}
    await ann.track("PUT", "/api/v1/customers/ann/devices", {"device": {"id": "ann-ios", "platform": "ios"}})
    assert await ask(ann, "count", filter=of_it) == {"people": 0, "devices": 0}


async def test_an_audience_is_changed_read_and_forgotten(ann):
    made = await save(ann, "old", description="who they are", filter="platform = ios", unit="person")
    path = f"/api/v1/audiences/{made['id']}"
    changed = {"name": "new", "filter": {"and": []}}
    status, answer = await ann.app("PUT", path, changed)
    assert (status, answer["audience"]["name"], answer["audience"]["unit"]) == (200, "new", "device")
    assert (await ann.app("GET", path))[1] == answer
    assert (await ann.app("GET", "/api/v1/audiences"))[1] == {"audiences": [answer["audience"]]}
    assert (await ann.raw("DELETE", path, authorization=ann.bearer))[0] == 204
    assert [(await ann.app(method, path, changed))[0] for method in ("GET", "PUT")] == [404, 404]


async def test_members_are_devices_or_people_a_page_at_a_time(ann):
    phones = await save(ann, filter="platform = ios")
    first = await members(ann, phones["id"], "?limit=1")
    second = await members(ann, phones["id"], f"?limit=1&start={first['next']}")
    assert {page["devices"][0]["token"] for page in (first, second)} == {"ann-ios", "ben-ios"}
    assert second["next"] is None
    people = await save(ann, filter="platform = ios", unit="person")
    first = await members(ann, people["id"], "?limit=1")
    second = await members(ann, people["id"], f"?limit=1&start={first['next']}")
    assert [page["people"][0]["id"] for page in (first, second)] == ["ann", "ben"]


async def test_customerio_shows_saved_audiences_beside_lists_kept_by_hand(ann):
    _, answer = await ann.app("POST", "/v1/segments", {"segment": {"name": "by hand"}})
    by_hand = answer["segment"]["id"]
    await ann.track("POST", f"/api/v1/segments/{by_hand}/add_customers", {"ids": ["sam", "ann"]})
    saved = (await save(ann, filter="last_status = suppressed or person.plan = free"))["id"]
    _, answer = await ann.app("GET", "/v1/segments")
    assert [(one["id"], one["type"], one["state"]) for one in answer["segments"]] == [
        (by_hand, "manual", "finished"),
        (saved, "dynamic", "finished"),
    ]
    assert (await ann.app("GET", f"/v1/segments/{saved}/customer_count"))[1]["count"] == 2
    assert (await ann.app("GET", f"/v1/segments/{saved}/membership"))[1]["ids"] == ["ann", "ben"]
    of_ann = (await ann.app("GET", "/v1/customers/ann/segments"))[1]["segments"]
    assert [one["id"] for one in of_ann] == [by_hand, saved]
    of_sam = (await ann.app("GET", "/v1/customers/sam/segments"))[1]["segments"]
    assert [one["id"] for one in of_sam] == [by_hand]
    both = {"and": [{"segment": {"id": by_hand}}, {"segment": {"id": saved}}]}
    assert (await ann.app("POST", "/v1/customers", {"filter": both}))[1]["ids"] == ["ann"]


async def test_nobody_is_put_into_a_filter_by_hand(ann):
    saved = (await save(ann, filter="platform = ios"))["id"]
    for what in ("add_customers", "remove_customers"):
        status, answer = await ann.track("POST", f"/api/v1/segments/{saved}/{what}", {"ids": ["sam"]})
        assert status == 400
        assert "people cannot be added or removed manually" in str(answer)


async def test_an_audience_that_another_or_a_template_names_is_not_forgotten(ann):
    inner = (await save(ann, "inner", filter="platform = ios"))["id"]
    outer = (await save(ann, "outer", filter=f"not segment {inner}"))["id"]
    status, answer = await ann.app("DELETE", f"/api/v1/audiences/{inner}")
    assert (status, answer["error"]["message"]) == (409, f"Audience {outer} references this audience.")
    template = {"kind": "broadcast", "name": "t", "title": "x", "audience": {"segment": {"id": outer}}}
    _, answer = await ann.app("POST", "/api/v1/templates", template)
    number = answer["template"]["id"]
    status, answer = await ann.app("DELETE", f"/v1/segments/{outer}")
    assert status == 409
    assert str(number) in str(answer)
    _, answer = await ann.app("GET", f"/v1/segments/{outer}/used_by")
    assert answer["used_by"]["campaigns"] == [number]


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({"filter": "platform = ios"}, "name", "is required"),
        ({"name": "x"}, "filter", "is required"),
        ({"name": "x", "filter": "platform ="}, "filter", "character 11"),
        ({"name": "x", "filter": "segment 1000000000"}, "filter", "segment 1000000000 does not exist"),
        ({"name": "x", "filter": "platform = ios", "unit": "x"}, "unit", "expected device or person"),
    ],
)
async def test_an_audience_that_is_none_is_not_saved(ann, body, field, said):
    status, answer = await ann.app("POST", "/api/v1/audiences", body)
    assert (status, answer["error"]["field"]) == (400, field)
    assert said in answer["error"]["message"]
    assert (await ann.app("GET", "/api/v1/audiences"))[1] == {"audiences": []}


async def test_an_audience_cannot_be_made_to_lead_to_itself(ann):
    inner = (await save(ann, "inner", filter="platform = ios"))["id"]
    outer = (await save(ann, "outer", filter=f"segment {inner}"))["id"]
    path = f"/api/v1/audiences/{inner}"
    status, answer = await ann.app("PUT", path, {"name": "inner", "filter": f"not segment {outer}"})
    assert (status, answer["error"]["field"]) == (400, "filter")
    assert f"segment {inner} in segment {outer} in segment {inner}" in answer["error"]["message"]
    assert (await ann.app("GET", path))[1]["audience"]["filter"] == "platform = ios"


async def test_a_segment_of_another_workspace_is_none(ann, other_door):
    theirs = (await save(other_door, filter="platform = ios"))["id"]
    status, answer = await ann.app("POST", "/api/v1/audiences/count", {"filter": f"segment {theirs}"})
    assert (status, answer["error"]["field"]) == (400, "filter")


async def test_what_can_be_counted_in_time_is_counted(ann):
    found = await ask(ann, "count", filter="platform = ios", within_ms=10_000)
    assert found == {"people": 2, "devices": 2}
    for wrong in (0, True, "1", 30_001):
        body = {"filter": "platform = ios", "within_ms": wrong}
        status, answer = await ann.app("POST", "/api/v1/audiences/count", body)
        assert (status, answer["error"]["field"]) == (400, "within_ms")
