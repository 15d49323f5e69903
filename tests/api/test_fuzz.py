"""Whatever comes in at the door, the answer is never a 5xx."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.examples import examples

WORDS = st.sampled_from(
    (
        *("id", "email", "device", "platform", "ios", "attributes", "token", "to", "title", "identifiers"),
        *("custom_payload", "custom_device", "custom_data", "last_used", "send_at", "_update", "_timestamp"),
        *("kind", "name", "transactional", "broadcast", "translations", "audience", "filters", "and", "not"),
        *("content", "platforms", "schedule", "at", "local_time", "time_zone", "window", "opens", "closes"),
        *("throttle", "per_second", "filter", "unit", "start", "devices", "event", "idempotency_key", "web"),
        *("since", "until", "route", "reason", "why", "dry_run", "expires_after_s", "2026-11-26T12:00"),
        *("message_data", "language", "queue_draft", "per_user_data", "ids", "recipients", "{{ a", "{{ a }}"),
        *(
            "unsubscribed",
            "42",
            "aps",
            "message",
            "android",
            "sound",
            "none",
            "cio_id",
            "a@b.io",
            "",
            "\0",
            "\ud800",
        ),
    )
)
_AGO, _SOON = ((datetime.now(UTC) + timedelta(hours=hours)).isoformat() for hours in (-1, 1))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    WORDS,
    st.sampled_from([2**63, 1e308, "9" * 5000]),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=5)
    ),
)
BODIES = st.one_of(
    JSON.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(WORDS, JSON, max_size=6).map(lambda value: json.dumps(value).encode()),
    JSON.map(
        lambda value: json.dumps({"device": {"id": "t", "platform": "ios", "attributes": value}}).encode()
    ),
    JSON.map(
        lambda value: json.dumps({"identifiers": {"id": "1"}, "title": "x", "custom_payload": value}).encode()
    ),
    st.dictionaries(WORDS, JSON, max_size=6).map(
        lambda value: json.dumps(
            {"content": {"title": "x"}, "audience": {"filter": "everybody"}, **value}
        ).encode()
    ),
    st.dictionaries(WORDS, JSON, max_size=3).map(
        lambda value: json.dumps({"since": _AGO, "until": _SOON, "why": "x", **value}).encode()
    ),
    st.binary(max_size=40),
)
SEGMENTS = st.one_of(st.text(min_size=1, max_size=20), WORDS.filter(bool)).map(
    lambda text: quote(text.encode("utf-8", "surrogatepass"), safe="")
)


REPORTS = st.sampled_from(
    (
        "reach",
        "cohorts",
        "pushes",
        "reasons",
        "bounces",
        "bounces-by-day",
        "revivals",
        "token-ages",
        "token-calendar",
    )
)


@st.composite
def calls(draw):
    person, token = draw(SEGMENTS), draw(SEGMENTS)
    return draw(
        st.sampled_from(
            [
                ("track", "PUT", f"/api/v1/customers/{person}"),
                ("track", "DELETE", f"/api/v1/customers/{person}"),
                ("track", "PUT", f"/api/v1/customers/{person}/devices"),
                ("track", "DELETE", f"/api/v1/customers/{person}/devices/{token}"),
                ("app", "POST", "/v1/send/push"),
                ("app", "GET", f"/v1/customers/{person}/attributes"),
                ("app", "GET", f"/v1/customers?email={person}"),
                ("app", "GET", f"/v1/messages/{person}"),
                ("app", "GET", f"/api/v1/devices/{token}"),
                ("app", "GET", f"/api/v1/devices/{token}/history"),
                ("app", "GET", f"/v1/messages?start={person}&limit={token}&metric={token}&end_ts={person}"),
                ("app", "POST", "/api/v1/templates"),
                ("app", "PUT", f"/api/v1/templates/{token}"),
                ("app", "PUT", f"/v1/transactional/{token}/language/{person}"),
                ("app", "GET", f"/v1/transactional/1/metrics?period={person}&steps={token}"),
                ("app", "GET", f"/v1/broadcasts/{token}/metrics/links?period={person}&unique={token}"),
                ("app", "GET", f"/v1/broadcasts/{token}/messages?start={person}&start_ts={token}"),
                ("app", "GET", f"/v1/broadcasts/{token}/triggers?start={person}&limit={token}"),
                ("app", "PUT", f"/v1/broadcasts/{token}/actions/{token}/language/{person}"),
                ("app", "GET", f"/v1/activities?type={token}&name={person}&start={token}&limit={person}"),
                ("app", "GET", f"/v1/activities?customer_id={person}&id_type={token}&deleted={token}"),
                ("app", "GET", f"/v1/messages/{token}/archived_message"),
                ("app", "PUT", "/v1/snippets"),
                ("app", "DELETE", f"/v1/snippets/{token}"),
                ("app", "POST", f"/v1/campaigns/{token}/triggers"),
                ("app", "POST", "/v1/exports/customers"),
                ("app", "POST", "/v1/exports/deliveries"),
                ("app", "GET", f"/v1/exports/{token}/download"),
                ("app", "POST", f"/api/v1/drafts/{token}/send"),
                ("app", "GET", f"/exports/{token}"),
                ("track", "POST", "/api/v2/entity"),
                ("app", "POST", "/api/v1/broadcasts"),
                ("app", "GET", f"/api/v1/broadcasts?before={person}&limit={token}"),
                ("app", "POST", f"/api/v1/broadcasts/{token}/start"),
                ("app", "PUT", f"/api/v1/broadcasts/{token}"),
                ("app", "POST", "/api/v1/broadcasts/preview"),
                ("app", "GET", f"/api/v1/broadcasts/{token}/minutes"),
                ("app", "GET", f"/api/v1/reports/{token}"),
                ("app", "GET", f"/api/v1/reports/{draw(REPORTS)}?days={person}&format={token}"),
                ("app", "GET", f"/api/v1/reports/broadcasts?start={person}&limit={token}"),
                ("app", "GET", f"/api/v1/messages/{token}/pushes?start={person}&ending={token}"),
                ("app", "GET", f"/api/v1/audit?start={person}&limit={token}"),
                ("app", "POST", "/api/v1/audiences"),
                ("app", "PUT", f"/api/v1/audiences/{token}"),
                ("app", "POST", "/api/v1/audiences/count"),
                ("app", "POST", "/api/v1/audiences/preview"),
                ("app", "GET", f"/api/v1/explain?person={person}&message={token}"),
                ("app", "GET", f"/api/v1/explain?device={token}"),
                ("app", "POST", "/api/v1/undo"),
                ("app", "GET", f"/api/v1/webhooks/{token}/calls?start={person}&limit={token}"),
            ]
        )
    ), draw(BODIES)


async def test_no_call_is_answered_with_a_5xx(sender):
    @settings(max_examples=examples(900), deadline=None, suppress_health_check=list(HealthCheck))
    @given(call=calls())
    def fuzz(call):
        (api, method, path), body = call
        headers = {"authorization": sender.basic if api == "track" else sender.bearer}
        status, answer, _ = sender.exchange(method, path, body, headers)
        assert status in {200, 201, 207, 400, 404, 409, 422}, (status, answer)
        json.loads(answer)

    await asyncio.to_thread(fuzz)  # the server needs the loop meanwhile


async def test_many_callers_at_once_are_each_answered(sender):
    async def call(number):
        device = {"device": {"id": f"t{number % 7}", "platform": "ios"}}
        return await sender.track("PUT", f"/api/v1/customers/p{number % 5}/devices", device)

    answers = await asyncio.gather(*(call(number) for number in range(100)))
    assert answers == [(200, {})] * 100
    assert (await sender.counts())["devices"] == 7
