"""Templates, and other reads about a person in the App API."""

import pytest

GOOD = {"kind": "transactional", "name": "Welcome", "trigger_name": "welcome", "title": "Hello"}
BAD = [
    (b"not json", "body"),
    ({**GOOD, "kind": "letter"}, "kind"),
    ({**GOOD, "name": ""}, "name"),
    ({**GOOD, "name": "x" * 256}, "name"),
    ({**GOOD, "trigger_name": 7}, "trigger_name"),
    ({**GOOD, "title": "{{ a"}, "title"),
    ({**GOOD, "title": "{{ a | shout }}"}, "title"),
    ({**GOOD, "custom_data": {"a": "{% x %}"}}, "custom_data"),
    ({**GOOD, "image_url": "http://x.io"}, "image_url"),
    ({**GOOD, "when_undefined": "guess"}, "when_undefined"),
    ({**GOOD, "send_to_unsubscribed": 1}, "send_to_unsubscribed"),
    ({**GOOD, "translations": []}, "translations"),
    ({**GOOD, "translations": {"de": {"title": "{{ a"}}}, "translations.de.title"),
    ({**GOOD, "translations": {"": {"title": "a"}}}, "translations"),
    ({**GOOD, "audience": {"and": []}}, "audience"),
    ({"kind": "broadcast", "name": "A", "audience": {"x": 1}}, "audience"),
]


@pytest.mark.parametrize(("body", "field"), BAD)
async def test_a_bad_template_is_refused_by_its_field_and_nothing_is_kept(door, body, field):
    status, answer = await door.app("POST", "/api/v1/templates", body)
    assert (status, answer["error"]["field"]) == (400, field), answer
    assert field in answer["error"]["message"]
    assert (await door.app("GET", "/api/v1/templates"))[1] == {"templates": []}


async def test_a_template_is_made_changed_listed_and_deleted(door, other_door):
    status, answer = await door.app("POST", "/api/v1/templates", GOOD)
    assert status == 201
    made = answer["template"]
    one = f"/api/v1/templates/{made['id']}"
    assert (made["title"], made["when_undefined"], made["send_to_unsubscribed"]) == ("Hello", "fail", True)
    status, answer = await door.app("PUT", one, {**GOOD, "title": "Bye", "when_undefined": "empty"})
    assert (status, answer["template"]["title"], answer["template"]["when_undefined"]) == (
        200,
        "Bye",
        "empty",
    )
    assert (await door.app("GET", one))[1]["template"]["title"] == "Bye"
    assert len((await door.app("GET", "/api/v1/templates?kind=transactional"))[1]["templates"]) == 1
    assert (await door.app("GET", "/api/v1/templates?kind=broadcast"))[1]["templates"] == []
    assert (await other_door.app("GET", one))[0] == 404
    assert (await other_door.app("PUT", one, GOOD))[0] == 404
    assert (await door.app("PUT", one, {**GOOD, "kind": "broadcast"}))[0] == 404
    assert (await door.raw("DELETE", one, authorization=door.bearer))[0] == 204
    assert (await door.raw("DELETE", one, authorization=door.bearer))[0] == 404
    assert (await door.app("GET", "/api/v1/templates/nonsense"))[0] == 404


async def test_a_trigger_name_is_one_templates_in_any_case(door):
    assert (await door.app("POST", "/api/v1/templates", GOOD))[0] == 201
    status, answer = await door.app("POST", "/api/v1/templates", {**GOOD, "trigger_name": "WELCOME"})
    assert (status, answer["error"]["code"]) == (409, "conflict")
    _, answer = await door.app("POST", "/api/v1/templates", {**GOOD, "trigger_name": "other"})
    one = f"/api/v1/templates/{answer['template']['id']}"
    assert (await door.app("PUT", one, GOOD))[0] == 409
    assert (await door.app("PUT", one, {**GOOD, "trigger_name": "OTHER"}))[0] == 200


@pytest.mark.parametrize("field", ["message", "translations.de.message"])
async def test_a_long_text_is_checked_like_a_short_one(door, field):
    long = "{{ customer.id }}" * 400
    for text, expected in ((long, 201), (long + "{{ x", 400), (long * 3, 400)):
        said = {"message": text} if field == "message" else {"translations": {"de": {"message": text}}}
        status, answer = await door.app("POST", "/api/v1/templates", {**GOOD, "trigger_name": None, **said})
        assert status == expected, answer
        if status == 400:
            assert answer["error"]["field"] == field


async def test_customer_ios_api_reads_and_changes_what_it_says(door):
    _, answer = await door.app(
        "POST", "/api/v1/templates", {**GOOD, "translations": {"de": {"title": "Hallo"}}}
    )
    one = f"/v1/transactional/{answer['template']['id']}"
    [listed] = (await door.app("GET", "/v1/transactional"))[1]["messages"]
    assert (await door.app("GET", one))[1]["message"] == listed
    contents = (await door.app("GET", f"{one}/contents"))[1]["contents"]
    assert [(each["language"], each["subject"]) for each in contents] == [("", "Hello"), ("de", "Hallo")]
    status, answer = await door.app(
        "PUT", f"{one}/language/de", {"subject": "Servus", "body": "{{ customer.id }}"}
    )
    assert (status, answer["content"]["title"]) == (200, "Servus")
    assert (await door.app("GET", f"{one}/language/de"))[1]["content"]["body"] == "{{ customer.id }}"
    assert (await door.app("PUT", f"{one}/content/{contents[0]['id']}", {"title": "Hi"}))[0] == 200
    assert (await door.app("GET", f"{one}/contents"))[1]["contents"][0]["subject"] == "Hi"
    assert (await door.app("PUT", f"{one}/content/7", {"title": "Hi"}))[0] == 404
    assert (await door.app("GET", f"{one}/language/fr"))[0] == 404
    assert (await door.app("PUT", f"{one}/language/de", {"title": "{{ a"}))[0] == 400
    assert (await door.app("GET", f"{one}/metrics?period=years"))[0] == 400
    assert (await door.app("GET", f"{one}/metrics?period=weeks&steps=13"))[0] == 400


@pytest.mark.parametrize("body", [{"subject": "Salut"}, {"title": "{{ a"}, {}])
async def test_a_language_that_is_not_there_is_not_found_and_not_made(door, body):
    _, answer = await door.app("POST", "/api/v1/templates", GOOD)
    number = answer["template"]["id"]
    status, refused = await door.app("PUT", f"/v1/transactional/{number}/language/fr", body)
    assert (status, refused["errors"][0]["status"]) == (404, "404")
    assert (await door.app("GET", f"/api/v1/templates/{number}"))[1]["template"]["translations"] == {}
    made = {**GOOD, "translations": {"fr": {"title": "Bonjour"}}}
    assert (await door.app("PUT", f"/api/v1/templates/{number}", made))[0] == 200
    status, answer = await door.app("PUT", f"/v1/transactional/{number}/language/fr", {"subject": "Salut"})
    assert (status, answer["content"]["title"]) == (200, "Salut")


async def test_a_change_of_a_content_leaves_what_it_does_not_name(door):
    own = {"title": "Hello", "message": "text", "link": "app://a", "custom_data": {"a": "1"}}
    _, answer = await door.app(
        "POST", "/api/v1/templates", {**GOOD, **own, "translations": {"de": {**own, "title": "Hallo"}}}
    )
    number = answer["template"]["id"]
    one = f"/v1/transactional/{number}"
    [first, _] = (await door.app("GET", f"{one}/contents"))[1]["contents"]
    for path, language in ((f"{one}/content/{first['id']}", ""), (f"{one}/language/de", "de")):
        status, answer = await door.app("PUT", path, {"body": "changed", "link": None})
        assert status == 200
        template = (await door.app("GET", f"/api/v1/templates/{number}"))[1]["template"]
        content = template["translations"]["de"] if language else template
        title = "Hallo" if language else "Hello"
        assert {name: content.get(name) for name in own} == {
            **own,
            "title": title,
            "message": "changed",
            "link": None,
        }


async def test_subscription_preferences_of_a_person_are_returned(door):
    await door.track(
        "PUT",
        "/api/v1/customers/ann",
        {"cio_subscription_preferences": {"topics": {"news": True, "ads": False}}},
    )
    status, answer = await door.app("GET", "/v1/customers/ann/subscription_preferences")
    topics = {topic["id"]: topic["subscribed"] for topic in answer["customer"]["topics"]}
    assert (status, topics, answer["customer"]["unsubscribed"]) == (200, {"news": True, "ads": False}, False)
    assert (await door.app("GET", "/v1/customers/nobody/subscription_preferences"))[0] == 404


async def test_relationships_are_what_is_left_of_all_that_was_said(door):
    acme, other = {"object_type_id": "1", "object_id": "acme"}, {"object_type_id": "1", "object_id": "other"}
    said = [
        {
            "type": "person",
            "identifiers": {"id": "ann"},
            "action": "identify",
            "attributes": {},
            "cio_relationships": [{"identifiers": acme, "relationship_attributes": {"role": "admin"}}],
        },
        {
            "type": "object",
            "identifiers": other,
            "action": "add_relationships",
            "cio_relationships": [{"identifiers": {"id": "ann"}}, {"identifiers": {"id": "ben"}}],
        },
        {
            "type": "person",
            "identifiers": {"id": "ann"},
            "action": "add_relationships",
            "cio_relationships": [{"identifiers": acme, "relationship_attributes": {"since": 7}}],
        },
    ]
    for item in said:
        assert (await door.track("POST", "/api/v2/entity", item))[0] == 200
    _, answer = await door.app("GET", "/v1/customers/ann/relationships")
    assert [(one["identifiers"], one["relationship_attributes"]) for one in answer["relationships"]] == [
        (acme, {"role": "admin", "since": 7}),
        (other, {}),
    ]
    gone = {
        "type": "object",
        "identifiers": other,
        "action": "delete_relationships",
        "cio_relationships": [{"identifiers": {"id": "ann"}}],
    }
    await door.track("POST", "/api/v2/entity", gone)
    _, answer = await door.app("GET", "/v1/customers/ann/relationships")
    assert answer["identifiers"] == [acme]
