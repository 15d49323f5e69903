"""`identifiers` of a call: a cio_id goes by `internal` too, and a phone number is refused by its name."""

from __future__ import annotations

from typing import Any

import pytest

DEVICE = {"token": "t1", "platform": "android"}
# A call that names a person: how to build it from the identifier object, and the object's path.
NAMING: dict[str, tuple[str, str, Any, str]] = {
    "send/push": (
        "app",
        "/v1/send/push",
        lambda who: {"identifiers": who, "title": "Hello", "message": "x"},
        "identifiers",
    ),
    "merge, primary": (
        "track",
        "/api/v1/merge_customers",
        lambda who: {"primary": who, "secondary": {"id": "other"}},
        "primary",
    ),
    "merge, secondary": (
        "track",
        "/api/v1/merge_customers",
        lambda who: {"primary": {"id": "other"}, "secondary": who},
        "secondary",
    ),
    **{
        f"v2 {action}": (
            "track",
            "/api/v2/entity",
            lambda who, action=action, more=more: {
                "type": "person",
                "action": action,
                "identifiers": who,
                **more,
            },
            "identifiers",
        )
        for action, more in {
            "identify": {"attributes": {"plan": "pro"}},
            "delete": {},
            "event": {"name": "bought"},
            "screen": {"name": "home"},
            "page": {"name": "https://example.com"},
            "add_device": {"device": DEVICE},
            "delete_device": {"device": {"token": "t1"}},
            "suppress": {},
            "unsuppress": {},
            "add_relationships": {"cio_relationships": []},
        }.items()
    },
    "v2 merge": (
        "track",
        "/api/v2/entity",
        lambda who: {"type": "person", "action": "merge", "primary": who, "secondary": {"id": "other"}},
        "primary",
    ),
}


@pytest.mark.parametrize("name", NAMING)
async def test_a_phone_number_is_refused_by_name_and_changes_nothing(sender, name):
    door, path, body, place = NAMING[name]
    before = await sender.counts()
    for who in ({"phone": "+41791234567"}, {"phone": "+41791234567", "id": "ann"}):
        status, answer = await getattr(sender, door)("POST", path, body(who))
        assert status == 400
        said = str(answer)
        assert f"{place}.phone: phone numbers are not supported as identifiers" in said
    assert await sender.counts() == before


@pytest.mark.parametrize("name", NAMING)
@pytest.mark.parametrize("prefix", ["cio_", ""])
async def test_a_cio_id_goes_by_internal(sender, name, prefix):
    door, path, body, _ = NAMING[name]
    for person in ("ann", "other"):
        await sender.track("PUT", f"/api/v1/customers/{person}", {"city": person})
    await sender.track(
        "PUT", "/api/v1/customers/ann/devices", {"device": {"id": "t1", "platform": "android"}}
    )
    who = {"internal": prefix + (await sender.person("ann"))["identifiers"]["cio_id"], "phone": None}
    status, answer = await getattr(sender, door)("POST", path, body(who))
    assert status == 200, answer


@pytest.mark.parametrize("name", ["cio_id", "internal"])
async def test_a_push_to_nobody_names_the_identifier_as_the_call_spells_it(sender, name):
    body = {"identifiers": {name: "ffffffffffff"}, "title": "Hello", "message": "x"}
    refused = {"meta": {"error": f"identifiers.{name}: no person found with this identifier"}}
    assert await sender.app("POST", "/v1/send/push", body) == (400, refused)


async def test_what_internal_names_is_who_is_changed(sender):
    await sender.track("PUT", "/api/v1/customers/ann", {})
    cio_id = (await sender.person("ann"))["identifiers"]["cio_id"]
    operation = {
        "type": "person",
        "action": "identify",
        "identifiers": {"internal": f"cio_{cio_id}"},
        "attributes": {"plan": "pro"},
    }
    assert await sender.track("POST", "/api/v2/batch", {"batch": [operation]}) == (200, {})
    assert (await sender.person("ann"))["attributes"]["plan"] == "pro"
    both = {**operation, "identifiers": {"internal": f"cio_{cio_id}", "cio_id": cio_id}}
    status, answer = await sender.track("POST", "/api/v2/batch", {"batch": [operation, both]})
    assert (status, [one["batch_index"] for one in answer["errors"]]) == (207, [1])


@pytest.mark.parametrize(
    ("by", "method", "path", "body"),
    [
        *(
            ("app", "GET", f"/v1/customers/42/{what}", None)
            for what in (
                "attributes",
                "segments",
                "messages",
                "activities",
                "subscription_preferences",
                "relationships",
            )
        ),
        ("app", "POST", "/v1/customers/attributes", {"ids": ["+41791234567"]}),
        ("track", "POST", "/api/v1/segments/1/add_customers", {"ids": ["+41791234567"]}),
        ("track", "POST", "/api/v1/segments/1/remove_customers", {"ids": ["+41791234567"]}),
    ],
)
async def test_a_phone_number_as_the_type_of_an_id_is_refused_by_name(sender, by, method, path, body):
    status, answer = await getattr(sender, by)(method, f"{path}?id_type=phone", body)
    assert status == 400
    assert "id_type: phone numbers are not supported as identifiers" in str(answer)


@pytest.mark.parametrize("channel", ["email", "sms", "whatsapp", "in_app", "inbox_message"])
async def test_a_message_of_another_channel_is_refused_and_says_so(sender, channel):
    body = {"transactional_message_id": 1, "identifiers": {"id": "42"}, "to": "a@example.com"}
    status, answer = await sender.app("POST", f"/v1/send/{channel}", body)
    assert (status, list(answer), list(answer["meta"])) == (400, ["meta"], ["error"])
    assert answer["meta"]["error"].endswith("cannot be sent: Pushkeeper sends push notifications only")
    status, _, _ = await sender.raw("POST", f"/v1/send/{channel}", b"{}")
    assert status == 401
