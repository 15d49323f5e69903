"""API-triggered broadcasts in Customer.io's App API: what they are, what they say, and who may ask."""

import pytest

from support.documented import ACTION, BROADCAST, LINK, METRIC, TRIGGER, fits

GERMAN = {"title": "Hallo"}
ONE = "/v1/broadcasts/{}"
ACTION_PATH = "/v1/broadcasts/{0}/actions/{0}"
READS = [
    ONE,
    *[f"{ONE}/{what}" for what in ("triggers", "actions", "metrics", "metrics/links", "messages")],
    ACTION_PATH,
    *[f"{ACTION_PATH}/{what}" for what in ("metrics", "metrics/links", "language/de")],
]


async def make(door, kind="broadcast"):
    template = {"kind": kind, "name": "Offer", "title": "Tea", "translations": {"de": GERMAN}}
    status, answer = await door.app("POST", "/api/v1/templates", template)
    assert status == 201, answer
    return answer["template"]["id"]


async def read(door, path):
    status, answer = await door.app("GET", path)
    assert status == 200, answer
    return answer


async def test_a_broadcast_is_shown_as_it_is_listed(door):
    one = ONE.format(await make(door))
    found = (await read(door, one))["broadcast"]
    assert [found] == (await read(door, "/v1/broadcasts"))["broadcasts"]
    fits(found, BROADCAST)


async def test_its_action_is_shown_in_each_language_and_changed(door):
    number = await make(door)
    found = (await read(door, f"{ONE.format(number)}/actions"))["actions"]
    fits(found, [ACTION])
    assert [(one["language"], one["subject"]) for one in found] == [("", "Tea"), ("de", "Hallo")]
    action = ACTION_PATH.format(number)
    assert (await read(door, action))["action"] == found[0]
    assert (await read(door, f"{action}/language/de"))["action"] == found[1]
    changed = await door.app("PUT", f"{action}/language/de", {"subject": "Servus", "body": "Tee"})
    assert (changed[0], changed[1]["action"]["body"]) == (200, "Tee")
    changed = await door.app("PUT", action, {"subject": "Coffee"})
    assert (changed[0], changed[1]["action"]["subject"]) == (200, "Coffee")
    said = [one["subject"] for one in (await read(door, f"{ONE.format(number)}/actions"))["actions"]]
    assert said == ["Coffee", "Servus"]
    for path, body, status in (
        (f"{action}/language/fr", {"subject": "Salut"}, 404),
        (action, {"subject": "{{ a"}, 400),
        (f"{ONE.format(number)}/actions/{number + 1}", {"subject": "Tea"}, 404),
    ):
        assert (await door.app("PUT", path, body))[0] == status


@pytest.mark.parametrize("path", ["", "/language/de"])
@pytest.mark.parametrize(
    ("name", "value"),
    [("subject", 5), ("body", "{{ a"), ("title", 5), ("message", "{{ a")],
)
async def test_a_refusal_names_the_field_as_the_call_spells_it(door, path, name, value):
    action = ACTION_PATH.format(await make(door))
    status, answer = await door.app("PUT", f"{action}{path}", {name: value})
    assert (status, answer["errors"][0]["detail"].startswith(name)) == (400, True)


@pytest.mark.parametrize("path", READS)
async def test_what_is_no_broadcast_of_this_workspace_is_not_found(door, other_door, path):
    own = await make(door)
    assert (await door.app("GET", path.format(own)))[0] == 200
    for number in (await make(other_door), await make(door, "transactional"), 0, "x", 10**17):
        status, answer = await door.app("GET", path.format(number))
        assert (status, answer) == (404, {"errors": [{"detail": "not found", "status": "404"}]})


async def test_an_action_of_another_number_is_not_found(door):
    number = await make(door)
    for more in ("", "/metrics", "/metrics/links", "/language/de"):
        path = f"{ONE.format(number)}/actions/{number + 1}{more}"
        assert (await door.app("GET", path))[0] == 404


@pytest.mark.parametrize(
    ("query", "steps"),
    [
        ("", 45),
        ("?steps=0", 45),
        ("?steps=1", 2),
        ("?steps=7&type=push", 7),
        ("?period=hours", 24),
        ("?period=weeks", 12),
        ("?period=months", 12),
        ("?period=months&steps=0", 121),
        ("?type=email", 45),
    ],
)
async def test_series_have_as_many_steps_as_customer_io_has(door, query, steps):
    one = ONE.format(await make(door))
    found = await read(door, f"{one}/metrics{query}")
    fits(found, METRIC)
    assert {len(counts) for counts in found["metric"]["series"].values()} == {steps}
    fits((await read(door, f"{one}/metrics/links{query}"))["links"], [LINK])


@pytest.mark.parametrize(
    "query", ["period=years", "steps=46", "steps=-1", "steps=x", "period=weeks&steps=13"]
)
async def test_a_series_that_there_is_not_is_refused(door, query):
    one = ONE.format(await make(door))
    for what in ("metrics", "metrics/links"):
        assert (await door.app("GET", f"{one}/{what}?{query}"))[0] == 400


async def test_triggers_come_the_newest_first_and_in_pages(sender):
    number, other = await make(sender), await make(sender)
    made = []
    for _ in range(3):
        answer = await sender.app("POST", f"/v1/campaigns/{number}/triggers", {})
        made.append(answer[1]["id"])
        await sender.app("POST", f"/v1/campaigns/{other}/triggers", {})
    draft = {"template": number, "audience": {"filter": "platform = ios"}}
    assert (await sender.app("POST", "/api/v1/broadcasts", draft))[0] == 201
    one = f"{ONE.format(number)}/triggers"
    found = (await read(sender, one))["triggers"]
    fits(found, [TRIGGER])
    assert [trigger["id"] for trigger in found] == made[::-1]
    assert {trigger["broadcast_id"] for trigger in found} == {number}
    page = await read(sender, f"{one}?limit=2")
    rest = await read(sender, f"{one}?limit=2&start={page['next']}")
    assert (page["triggers"] + rest["triggers"], rest["next"]) == (found, "")
    status = await read(sender, f"/v1/campaigns/{number}/triggers/{made[0]}")
    assert {name: status[name] for name in TRIGGER} == found[-1]
