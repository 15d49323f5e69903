"""What happened in a workspace, in Customer.io's App API."""

import random
from urllib.parse import quote

import pytest

from pushkeeper.api.customerio.activities import THEIRS
from support.documented import ACTIVITY, fits

FEED = "/v1/activities"


async def asked(door, query=""):
    status, answer = await door.app("GET", f"{FEED}{query}")
    assert status == 200, answer
    fits(answer["activities"], [ACTIVITY])
    return answer


async def all_pages(door, query):
    """Everything, page by page, and how many pages there were."""
    seen, start, pages = [], "", 0
    while pages == 0 or start:
        answer = await asked(door, f"?{query}&start={quote(start)}")
        seen += answer["activities"]
        start, pages = answer["next"], pages + 1
    return seen, pages


async def kinds(door, query=""):
    return [(one["type"], one["customer_id"]) for one in (await asked(door, query))["activities"]]


async def push(door, device_person, count, ending="accepted"):
    """So many settled pushes of a person's device, a millisecond apart."""
    await door.database.rows(
        "insert into pushes (message_day, message_id, device_id, workspace_id, person_id, ending, reason, settled_at) "
        "select now()::date, gen_random_uuid(), substr(sha256(n::text::bytea), 1, 16), $1, i.person_id, $4, 'why', "
        "now() + n * interval '1 millisecond' from identifiers i, generate_series(1, $3) n "
        "where i.workspace_id = $1 and i.kind = 'id' and i.key = $2",
        door.workspace_id,
        device_person,
        count,
        ending,
    )


async def test_everything_comes_the_newest_first(sender, other_door):
    door = sender
    for one, person in ((door, "ann"), (door, "ben"), (other_door, "eve")):
        at = f"/api/v1/customers/{person}"
        await one.track("PUT", f"{at}/devices", {"device": {"id": f"t-{person}", "platform": "android"}})
        await one.track("POST", f"{at}/events", {"name": "bought", "data": {"price": 3}, "timestamp": 1})
    await door.track("POST", "/api/v1/events", {"name": "looked", "anonymous_id": "a"})
    await door.track("POST", "/api/v1/customers/ann/events", {"name": "https://x.io", "type": "page"})
    send = {"identifiers": {"id": "ann"}, "title": "Hello"}
    delivery = (await door.app("POST", "/v1/send/push", send))[1]["delivery_id"]
    report = {"delivery_id": delivery, "metric": "opened", "recipient": "t-ann"}
    await door.track("POST", "/api/v1/metrics", report)
    found = (await asked(door, "?limit=100"))["activities"]
    assert [(one["type"], one["customer_id"]) for one in found] == [
        ("opened_push", "ann"),
        ("page", "ann"),
        ("event", "ben"),
        ("device_change", "ben"),
        ("profile_create", "ben"),
        ("event", "ann"),
        ("device_change", "ann"),
        ("profile_create", "ann"),
    ]
    assert (found[0]["delivery_id"], found[1]["url"]) == (delivery, "https://x.io")
    assert (found[2]["timestamp"], found[2]["data"]) == (1, {"price": 3})
    assert await kinds(door, "?type=event") == [("event", "ben"), ("event", "ann")]
    assert await kinds(door, "?name=bought&limit=1") == [("event", "ben")]
    assert await kinds(door, "?type=device_change&customer_id=ann") == [("device_change", "ann")]
    assert len(await kinds(door, "?customer_id=ben")) == 3
    assert await kinds(door, "?name=nothing") == await kinds(door, "?customer_id=nobody") == []
    cio_id = found[2]["customer_identifiers"]["cio_id"]
    assert len(await kinds(door, f"?customer_id={cio_id}&id_type=cio_id")) == 3
    assert await kinds(door, "?customer_id=eve") == []


async def test_an_identifier_that_was_not_applied_is_an_activity(door):
    await door.track("PUT", "/api/v1/customers/ann", {"email": "a@x.io"})
    await door.track("PUT", "/api/v1/customers/ben", {"email": "a@x.io"})
    [found] = (await asked(door, "?type=failed_attribute_change"))["activities"]
    assert found["customer_id"] == "ben"
    assert (found["name"], found["data"]) == ("email", {"email": {"from": "", "to": "a@x.io"}})
    assert await kinds(door, "?name=email") == [("failed_attribute_change", "ben")]


async def test_of_the_deleted_only_if_that_is_asked_for(door):
    for person in ("ann", "ben"):
        await door.track(
            "PUT", f"/api/v1/customers/{person}/devices", {"device": {"id": person, "platform": "ios"}}
        )
    await door.track("DELETE", "/api/v1/customers/ann")
    assert {person for _, person in await kinds(door)} == {"ben"}
    assert {person for _, person in await kinds(door, "?deleted=false")} == {"ben"}
    found = await kinds(door, "?deleted=true&type=device_change")
    assert sorted(found, key=str) == [("device_change", "ben"), *[("device_change", None)] * 2]


async def test_merged_people_are_who_they_are_now(door):
    for person in ("ann", "old"):
        await door.track("POST", f"/api/v1/customers/{person}/events", {"name": person})
    await push(door, "old", 1)
    await door.track(
        "POST", "/api/v1/merge_customers", {"primary": {"id": "ann"}, "secondary": {"id": "old"}}
    )
    assert {person for _, person in await kinds(door)} == {"ann"}
    assert ("sent_push", "ann") in await kinds(door)


async def test_pages_lose_nothing_and_repeat_nothing(door):
    """Whatever of each source was written at the same moment."""
    await door.track("PUT", "/api/v1/customers/42", {})
    person = await door.database.value(
        "select person_id from people where workspace_id = $1", door.workspace_id
    )
    chance = random.Random(7)
    for limit in range(1, 8):
        for table in ("reports", "messages", "events", "device_history", "pushes"):
            await door.database.rows(f"delete from {table} where workspace_id = $1", door.workspace_id)
        count = chance.randint(1, 20)
        for number in range(count):
            line, moment = chance.choice(_LINES), chance.randint(0, 4)
            await door.database.rows(line, door.workspace_id, person, number, moment)
        seen, _ = await all_pages(door, f"limit={limit}")
        assert (len(seen), len({one["id"] for one in seen})) == (count + 1, count + 1)


_AT = "date_trunc('second', now()) - $4::int * interval '1 second'"
_KEY = "('00000000-0000-7000-8000-' || lpad($3::int::text, 12, '0'))::uuid"
_LINES = (
    (
        "insert into events (workspace_id, person_id, kind, name, happened_at, received_at) "
        f"select $1, $2, 'event', 'n' || $3::int, now(), {_AT}"
    ),
    (
        "insert into device_history (at, workspace_id, device_id, event, from_status, to_status, strikes, to_person_id, "
        f"generation) select {_AT}, $1, substr(sha256(($3::int)::text::bytea), 1, 16), 'refreshed', '', '', 0, $2, 1"
    ),
    (
        "insert into pushes (message_day, message_id, device_id, workspace_id, person_id, ending, settled_at) "
        f"select now()::date, {_KEY}, substr(sha256('a'), 1, 16), $1, $2, 'accepted', {_AT}"
    ),
    (
        "with m as (insert into messages (message_id, workspace_id, kind, person_id, content, send_to_unsubscribed, created_at, "
        f"send_at, expires_at) select {_KEY}, $1, 'transactional', $2, '{{}}', true, now(), now(), now() returning message_id) "
        "insert into reports (workspace_id, message_id, person_id, device_id, metric, reported_at) "
        f"select $1, m.message_id, $2, '', 'opened', {_AT} from m"
    ),
)


async def test_a_page_looks_at_so_much_and_goes_on(door):
    await door.track("PUT", "/api/v1/customers/42", {})
    await push(door, "42", 1, "bounced")
    await push(door, "42", 12_000)
    first = await asked(door, "?type=bounced_push")
    assert (first["activities"], bool(first["next"])) == ([], True)
    seen, pages = await all_pages(door, "type=bounced_push")
    assert ([one["type"] for one in seen], pages) == (["bounced_push"], 2)
    seen, pages = await all_pages(door, "limit=100&type=sent_push")
    assert len({one["id"] for one in seen}) == 12_000
    seen, pages = await all_pages(door, "limit=100&type=profile_create")
    assert (len(seen), pages) == (1, 1)


@pytest.mark.parametrize("kind", ["sent_email", "attribute_change", "drafted_push"])
async def test_a_type_that_only_customer_io_has_is_empty(door, kind):
    await door.track("PUT", "/api/v1/customers/42", {})
    assert kind in THEIRS
    assert await asked(door, f"?type={kind}") == {"activities": [], "next": ""}
    status, answer = await door.app("GET", f"/v1/customers/42/activities?type={kind}")
    assert (status, answer) == (200, {"activities": [], "next": ""})


@pytest.mark.parametrize(
    "query", ["type=dance", "limit=0", "limit=101", "start=x!", "start=YWJj", "customer_id=1&id_type=phone"]
)
async def test_a_bad_question_is_refused(door, query):
    assert (await door.app("GET", f"{FEED}?{query}"))[0] == 400
