"""A change that is older than what is there comes too late, over every API and in batches."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.examples import examples

PAST = 1_795_800_000
TOPICS = "cio_subscription_preferences.topics"


def iso(at):
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def v2_item(person, said, at):
    return {
        "type": "person",
        "action": "identify",
        "identifiers": {"id": person},
        "attributes": said,
        **({} if at is None else {"timestamp": at}),
    }


def cdp_item(person, said, at):
    return {
        "type": "identify",
        "userId": person,
        "traits": said,
        **({} if at is None else {"timestamp": iso(at)}),
    }


async def by_v1(door, person, changes):
    for said, at in changes:
        body = said if at is None else {**said, "_timestamp": at}
        assert (await door.track("PUT", f"/api/v1/customers/{person}", body))[0] == 200


async def by_v2(door, person, changes):
    for said, at in changes:
        assert (await door.track("POST", "/api/v2/entity", v2_item(person, said, at)))[0] == 200


async def by_v2_batch(door, person, changes):
    body = {"batch": [v2_item(person, said, at) for said, at in changes]}
    assert await door.track("POST", "/api/v2/batch", body) == (200, {})


async def by_cdp(door, person, changes):
    for said, at in changes:
        body = {**cdp_item(person, said, at), "writeKey": door.keys.write_key}
        assert (await door.raw("POST", "/v1/identify", json.dumps(body).encode()))[0] == 200


async def by_cdp_batch(door, person, changes):
    body = {"batch": [cdp_item(person, said, at) for said, at in changes], "writeKey": door.keys.write_key}
    status, _, _ = await door.raw("POST", "/v1/b", json.dumps(body).encode(), **{"x-strict-mode": "1"})
    assert status == 200


WAYS = (by_v1, by_v2, by_v2_batch, by_cdp, by_cdp_batch)


async def known(door, person):
    """A person's own attributes, without their identifiers, and whether they are unsubscribed."""
    found = await door.person(person)
    own = {k: v for k, v in found["attributes"].items() if k not in {"id", "email", "cio_id"}}
    return own, found["unsubscribed"]


@pytest.mark.parametrize("older", WAYS)
@pytest.mark.parametrize("newer", WAYS)
async def test_what_is_older_and_arrives_later_changes_nothing(door, newer, older):
    now = {"plan": "new", "unsubscribed": True, f"{TOPICS}.a": False, "gone": None}
    late = {"plan": "old", "unsubscribed": False, f"{TOPICS}.a": True, "gone": 1, f"{TOPICS}.b": True}
    await newer(door, "42", [(now, PAST + 100_000)])
    await older(door, "42", [(late, PAST)])
    assert await known(door, "42") == (
        {
            "plan": "new",
            "unsubscribed": "true",
            "cio_subscription_preferences": '{"topics":{"a":false,"b":true}}',
        },
        True,
    )
    times = (await door.person("42"))["timestamps"]
    assert {times["plan"], times["unsubscribed"], times["cio_subscription_preferences"]} == {PAST + 100_000}
    assert "gone" not in times


said = st.fixed_dictionaries(
    {},
    optional={
        "plan": st.sampled_from(["free", "pro", None, ""]),
        "unsubscribed": st.booleans(),
        "cio_subscription_preferences": st.sampled_from([{"topics": {"a": True}}, {"topics": {"b": False}}]),
        f"{TOPICS}.a": st.sampled_from([True, False, None]),
    },
)
tellings = st.tuples(st.sampled_from(WAYS), said.filter(bool))


@settings(
    max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tellings=st.lists(tellings, min_size=2, max_size=5), data=st.data())
async def test_every_order_of_arrival_comes_to_the_same(door, tellings, data):
    timed = [(way, (change, PAST + place)) for place, (way, change) in enumerate(tellings)]
    arrival = data.draw(st.permutations(timed))
    sorted_, shuffled, at_once = (
        f"{kind}-{time.monotonic_ns()}" for kind in ("sorted", "shuffled", "at-once")
    )
    for way, change in timed:
        await way(door, sorted_, [change])
    for way, change in arrival:
        await way(door, shuffled, [change])
    await asyncio.gather(*(way(door, at_once, [change]) for way, change in arrival))
    in_a_batch = [change for _, change in arrival]
    await by_v2_batch(door, f"v2-{sorted_}", in_a_batch)
    await by_cdp_batch(door, f"cdp-{sorted_}", in_a_batch)
    expected = await known(door, sorted_)
    for person in (shuffled, at_once, f"v2-{sorted_}", f"cdp-{sorted_}"):
        assert await known(door, person) == expected


@pytest.mark.parametrize("way", [by_cdp, by_cdp_batch])
async def test_changes_of_one_second_are_in_order_where_their_times_are_known_better(door, way):
    for place, order in enumerate(permutations([(0.25, 1), (0.5, 2), (0.75, 3)])):
        await way(door, f"p{place}", [({"visits": visit}, PAST + fraction) for fraction, visit in order])
        assert (await door.person(f"p{place}"))["attributes"]["visits"] == "3"


@pytest.mark.parametrize("way", WAYS)
async def test_the_later_arrival_counts_where_no_time_is_told_or_both_are_the_same(door, way):
    for changes in ([({"n": 1}, None), ({"n": 2}, None)], [({"n": 1}, PAST), ({"n": 2}, PAST)]):
        person = f"p{len(changes)}-{changes[0][1]}"
        await way(door, person, changes)
        assert (await door.person(person))["attributes"]["n"] == "2"


@pytest.mark.parametrize("way", WAYS)
async def test_a_change_without_a_time_is_of_now_and_one_of_the_future_too(door, way):
    future = (datetime.now(UTC) + timedelta(days=400)).timestamp() // 1
    before = int(time.time())
    await way(door, "42", [({"n": 1}, future)])
    assert before <= (await door.person("42"))["timestamps"]["n"] <= time.time()
    await way(door, "42", [({"n": 2}, None)])
    await way(door, "42", [({"n": 3}, PAST)])
    assert (await door.person("42"))["attributes"]["n"] == "2"
