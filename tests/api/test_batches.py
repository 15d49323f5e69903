"""Batches: every valid item is written, next to odd values of every kind at every place of other items."""

from __future__ import annotations

import asyncio
import json
import secrets
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkeeper.observability.meters import PROCESS
from pushkeeper.observability.metrics import Metric
from support.examples import examples
from support.requests import key_of

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database
    from support.inside import Inside

    Place = tuple[str | int, ...]

# What Python's json can't write: it is put into the JSON in place of these texts.
_RAW = {"<1e400>": "1e400", "<-1e400>": "-1E+400", "<digits>": "9" * 400, "<deep>": "[" * 3_000 + "]" * 3_000}
_ODD: list[Any] = [
    *_RAW,
    *(
        "\0",
        "a\0b",
        "\ud83d",
        "\udc00\ud83d",
        "",
        " ",
        "x" * 151,
        "x" * 1_001,
        "x" * 40_000,
        "\ufffe",
        "null",
    ),
    *(42.0, -0.0, 1.5, 1e308, 2**63, -(2**64), 10**100, True, False, None, [], {}, [[]], {"": ""}),
    *({"a": "\0"}, {"\0": 1}, {"a\0": 1, "a": 2}, ["<1e400>"], json.loads("[" * 101 + "]" * 101)),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "yesterday", -1, 10**15),
]
_KEYS = [
    "k\0",
    "\0",
    "",
    "\ud83d",
    "k" * 151,
    "app_id",
    "apns_environment",
    "email",
    "_timestamp",
    "unsubscribed",
]


def _cdp_items(n: str) -> list[dict[str, Any]]:
    common = {"userId": f"u{n}", "anonymousId": "a", "messageId": n, "timestamp": "2026-11-01T10:00:00Z"}
    device = {"device": {"type": "ios", "token": n.encode().hex().zfill(64)}}
    event = "Device Created or Updated"
    return [
        {**common, "type": "track", "event": f"e{n}", "properties": {"a": 1, "b": {"c": [1]}}},
        {**common, "type": "identify", "traits": {"a": 1, "b": {"c": [1]}}, "context": {}},
        {
            **common,
            "type": "track",
            "event": event,
            "properties": {"a": 1, "b": {"c": [1]}},
            "context": device,
        },
        {**common, "type": "screen", "name": f"e{n}", "properties": {"a": 1}},
    ]


def _operations(n: str) -> list[dict[str, Any]]:
    who = {"type": "person", "identifiers": {"id": f"u{n}"}, "timestamp": 1_790_000_000}
    device = {"token": n.encode().hex().zfill(64), "platform": "ios", "attributes": {"a": 1}}
    return [
        {**who, "action": "event", "name": f"e{n}", "attributes": {"a": 1, "b": {"c": [1]}}},
        {**who, "action": "identify", "attributes": {"a": 1, "b": {"c": [1]}}},
        {**who, "action": "add_device", "device": device},
    ]


def _places(value: object, above: Place = ()) -> list[Place]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, inner in parts for found in ((*above, key), *_places(inner, (*above, key)))]


@st.composite
def _spoiled(draw: st.DrawFn, item: dict[str, Any]) -> tuple[dict[str, Any], Place]:
    """An item with one odd value or key, and where it is."""
    spoiled = deepcopy(item)
    place = draw(st.sampled_from(_places(item)))
    holder: Any = spoiled
    for key in place[:-1]:
        holder = holder[key]
    odd = draw(st.sampled_from(_ODD))
    if isinstance(holder, dict) and draw(st.booleans()):
        holder[draw(st.sampled_from(_KEYS))] = odd
    else:
        holder[place[-1]] = odd
    return spoiled, place


def _encoded(body: object) -> bytes:
    text = json.dumps(body)
    for mark, raw in _RAW.items():
        text = text.replace(json.dumps(mark), raw)
    return text.encode()


def _dropped(surface: str) -> float:
    return sum(
        series.value
        for series in PROCESS.series()
        if series.metric is Metric.INGEST_DROPPED
        and series.labels[0] == surface
        and isinstance(series.value, float)
    )


class _Written:
    """What a workspace has."""

    def __init__(self, database: Database, workspace: int) -> None:
        self._database, self._workspace = database, workspace

    async def has(self, n: str, kind: int) -> bool:
        """Whether what an item of this kind says is there."""
        if kind in {0, 3}:
            sql, key = "select count(*) from events where workspace_id = $1 and name = $2", f"e{n}"
        elif kind == 1:
            sql = "select count(*) from people join identifiers i using (workspace_id, person_id) "
            sql += "where workspace_id = $1 and i.kind = 'id' and i.value = $2 and attributes ? 'a'"
            key = f"u{n}"
        else:
            sql = "select count(*) from devices where workspace_id = $1 and token = $2"
            key = n.encode().hex().zfill(64)
        return bool(await self._database.value(sql, self._workspace, key))


@pytest.mark.parametrize("api", ["cdp", "track_v2"])
async def test_every_valid_item_of_a_batch_is_written_next_to_any_other(
    inside: Inside, workspace: Any, database: Database, api: str
) -> None:
    loop, (made, keys) = asyncio.get_running_loop(), workspace
    written = _Written(database, made.workspace_id)
    route = {"cdp": "POST /v1/b", "track_v2": "POST /api/v2/batch"}[api]
    kinds = {"cdp": _cdp_items, "track_v2": _operations}[api]

    headers = {} if api == "cdp" else key_of(route, keys)  # the key of a body is not strict

    async def send(items: list[Any]) -> tuple[int, list[dict[str, Any]]]:
        body = _encoded({"writeKey": keys.write_key, "batch": items})
        seen = await inside.ask("POST", route.split()[1], body, headers)
        return seen.status, json.loads(seen.body).get("errors", [])

    @settings(max_examples=examples(200), deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def fuzz(data: st.DataObject) -> None:
        run = secrets.token_hex(6)
        chosen = data.draw(st.lists(st.integers(0, len(kinds("")) - 1), min_size=1, max_size=6))
        items = [kinds(f"{run}{n}")[kind] for n, kind in enumerate(chosen)]
        spoiled: dict[int, Place] = {}
        for n in data.draw(st.sets(st.integers(0, len(chosen) - 1), max_size=3)):
            items[n], spoiled[n] = data.draw(_spoiled(items[n]))
        before = _dropped(api)
        status, errors = asyncio.run_coroutine_threadsafe(send(items), loop).result(60)
        assert status == (207 if api == "track_v2" and errors else 200), (items, errors)
        assert {error["batch_index"] for error in errors} <= set(spoiled), (items, errors)
        assert all(error["reason"] and error["message"] for error in errors)
        assert _dropped(api) == before + len(errors)
        for n, kind in enumerate(chosen):
            is_kept = n not in spoiled or (api == "cdp" and kind in {1, 2} and _is_an_attribute(spoiled[n]))
            if is_kept:
                there = asyncio.run_coroutine_threadsafe(written.has(f"{run}{n}", kind), loop).result(60)
                assert there, (items[n], errors)

    await asyncio.to_thread(fuzz)


def _is_an_attribute(place: Place) -> bool:
    return place[0] in {"traits", "properties"} and place != ("traits", "a") and len(place) > 1
