"""FCM's topics: which names and conditions it takes, and subscriptions by its API and by Instance ID."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.simulator.fcm_topics import is_condition, is_topic

PROJECT = "/v1/projects/simulated-project"
NAMES = st.text("abcXYZ019-_.~%", min_size=1, max_size=8)


def conditions(left):
    """Conditions of at most so many topics, as Google's page builds them."""
    leaf = NAMES.map(lambda name: f"'{name}' in topics")
    if left < 2:
        return leaf
    inner = st.deferred(lambda: conditions(left // 2))
    joined = st.tuples(inner, st.sampled_from([" && ", " || ", "&&", "||"]), inner).map("".join)
    return leaf | inner.map(lambda one: f"({one})") | inner.map(lambda one: f"!({one})") | joined


@given(conditions(4))
def test_a_condition_of_topics_joined_and_in_parentheses_is_one(text):
    assert is_condition(text)
    assert is_condition(f"  {text} ")


@given(conditions(4), st.sampled_from(["(", ")", "&&", "||", "!", "'a' in topics", "x"]))
def test_a_condition_with_something_left_over_is_none(text, rest):
    assert not is_condition(text + rest)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "(((",
            "'a b' in topics",
            "a in topics",
            "'a' in topic",
            "'a' 'b' in topics",
            "!",
            "()",
            '"a" in x',
        ),
        " && ".join(f"'{name}' in topics" for name in "abcdef"),
    ],
)
async def test_a_malformed_condition_is_refused_in_googles_words(desk, text):
    assert not is_condition(text)
    if text:
        answer = await desk.send({"condition": text})
        assert (answer.status, answer.json["error"]["status"]) == (400, "INVALID_ARGUMENT")
        [violation] = answer.json["error"]["details"][0]["fieldViolations"]
        assert violation == {
            "field": "message.condition",
            "description": "Invalid condition expression provided.",
        }


@given(NAMES)
def test_a_topic_is_letters_digits_and_five_signs(name):
    assert is_topic(name)
    assert not is_topic(f"{name} {name}")


@pytest.mark.parametrize("topic", ["has space", "ü", "a/b", "x" * 901, "'news' in topics"])
async def test_a_malformed_topic_is_refused_by_its_field(desk, topic):
    answer = await desk.send({"topic": topic})
    [violation] = answer.json["error"]["details"][0]["fieldViolations"]
    assert (answer.status, violation["field"]) == (400, "message.topic")


async def subscribe(desk, method, token, rest="", *, project=PROJECT):
    client = await desk.fcm()
    path = f"{project}/registrations/{quote(token, safe='')}/topicSubscriptions{rest}"
    return await client.ask(path, desk.bearer(), b"{}" if method == "POST" else b"", method=method)


async def test_a_subscription_is_made_read_listed_and_taken_away(desk):
    token = desk.android()
    made = await subscribe(desk, "POST", token, "?topic_name=news")
    name = f"projects/simulated-project/registrations/{token}/topicSubscriptions/news"
    assert (made.status, made.json["name"], made.json["topicName"]) == (200, name, "news")
    assert (await subscribe(desk, "GET", token, "/news")).json == made.json
    await subscribe(desk, "PATCH", token, "/sport?allowMissing=true")
    listed = (await subscribe(desk, "GET", token)).json["topicSubscriptions"]
    assert [one["topicName"] for one in listed] == ["news", "sport"]
    assert (await subscribe(desk, "DELETE", token, "/news")).json == {}
    assert list(desk.simulator.world.installations[token].topics) == ["sport"]


async def test_what_is_there_or_not_is_said(desk):
    token = desk.android()
    await subscribe(desk, "POST", token, "?topicName=news")
    again = await subscribe(desk, "POST", token, "?topic_name=news")
    assert (again.status, again.json["error"]["status"]) == (409, "ALREADY_EXISTS")
    for method in ("GET", "PATCH", "DELETE"):
        missing = await subscribe(desk, method, token, "/sport")
        assert (missing.status, missing.json["error"]["status"]) == (404, "NOT_FOUND")
    assert (await subscribe(desk, "DELETE", token, "/sport?allow_missing=true")).status == 200
    assert (await subscribe(desk, "POST", token, "?topic_name=a%20b")).status == 400
    assert (await subscribe(desk, "POST", token)).status == 400
    assert (await subscribe(desk, "PUT", token, "/news")).status == 404


async def test_a_token_that_could_not_be_sent_to_cannot_be_subscribed(desk):
    gone = desk.android()
    desk.simulator.world.uninstall([gone])
    found = [
        (await subscribe(desk, "POST", token, "?topic_name=news")).status
        for token in (gone, "nonsense", desk.android(project="somebody-elses"))
    ]
    assert found == [404, 400, 403]
    other = await subscribe(desk, "GET", desk.android(), project="/v1/projects/somebody-elses")
    assert (other.status, other.json["error"]["status"]) == (403, "PERMISSION_DENIED")


async def batch(desk, verb, asked, headers=(("access_token_auth", "true"),)):
    client = await desk.fcm()
    return await client.ask(f"/iid/v1:{verb}", [*desk.bearer(), *headers], json.dumps(asked).encode())


async def test_instance_id_answers_for_each_token(desk):
    good, gone = desk.android(), desk.android()
    desk.simulator.world.uninstall([gone])
    asked = {"to": "/topics/news", "registration_tokens": [good, gone, "nonsense"]}
    added = await batch(desk, "batchAdd", asked)
    assert added.json == {"results": [{}, {"error": "NOT_FOUND"}, {"error": "INVALID_ARGUMENT"}]}
    assert list(desk.simulator.world.installations[good].topics) == ["news"]
    assert (await batch(desk, "batchAdd", {**asked, "registration_tokens": [good]})).json == {"results": [{}]}
    removed = await batch(desk, "batchRemove", {**asked, "registration_tokens": [good]})
    assert removed.json == {"results": [{}]}
    assert not desk.simulator.world.installations[good].topics


async def test_instance_id_takes_an_access_token_only_where_it_is_said_to_be_one(desk):
    asked = {"to": "/topics/news", "registration_tokens": [desk.android()]}
    assert (await batch(desk, "batchAdd", asked, ())).status == 401


@pytest.mark.parametrize(
    "asked",
    [
        [],
        {"to": "/topics/news"},
        {"to": "news", "registration_tokens": ["x"]},
        {"to": "/topics/a b", "registration_tokens": ["x"]},
        {"to": "/topics/news", "registration_tokens": []},
        {"to": "/topics/news", "registration_tokens": [1]},
        {"to": "/topics/news", "registration_tokens": ["x"] * 1001},
    ],
)
async def test_a_wrong_batch_changes_nothing(desk, asked):
    answer = await batch(desk, "batchAdd", asked)
    assert answer.status == 400
    assert isinstance(answer.json["error"], str)
