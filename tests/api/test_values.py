"""No value causes a 500, in any documented field; in a batch it costs only its own item."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.examples import examples, share
from support.requests import SAMPLES, filled, key_of, places, with_value

if TYPE_CHECKING:
    from support.inside import Inside

# What readers, dates, floats, PostgreSQL, addresses, patterns and sets have no place for.
ODD = st.sampled_from(
    [
        *(
            10**30,
            -(10**30),
            10**99,
            10**100,
            10**400,
            2**31,
            2**63,
            2**64,
            -1,
            0,
            1e308,
            -1e308,
            5e-324,
            0.5,
        ),
        *(
            "9" * 5000,
            "1" * 20,
            "-1",
            "0",
            "\\0",
            "\\ud800",
            "\\ufeff",
            "\\x7f",
            " ",
            "",
            "null",
            "None",
            "NaN",
        ),
        *("http://[::1", "http://[", "http://x:99999/", "http://x:/", "http://" + "a" * 64 + ".x/", "//x"),
        *("http://a..b/", "https://\\u2100/", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"),
        *(
            "2026-02-30T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01",
            "24:00",
            "Europe/../UTC",
            "/etc/passwd",
        ),
        *("{{", "{{ a.b.c }}", "{% if %}", "a = ", "segment 99999999999999999999", "a < " + "9" * 400),
        *([], {}, [[]], [{}], {"": ""}, {"id": {}}, {"id": []}, [None], {"and": [{"or": []}]}, {"\\0": 0}),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | ODD
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
EACH: tuple[Any, ...] = (10**400, 10**99, "http://[::1", "\\0", [], {"a": 1}, 1e308, -1, "x" * 200)
ANSWERS = {200, 201, 202, 204, 207, 400, 403, 404, 409, 413, 422}


@st.composite
def changed_bodies(draw: st.DrawFn) -> tuple[str, Any]:
    """A route, and a sample of its body with one or two fields that hold something else."""
    route = draw(st.sampled_from(sorted(SAMPLES)))
    body = draw(st.sampled_from(SAMPLES[route]))
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from([place for place, _ in places(body)]))
        body = with_value(body, place, draw(VALUES))
    return route, body


async def test_no_value_of_any_field_is_answered_with_a_500(inside: Inside, workspace: Any) -> None:
    loop, keys = asyncio.get_running_loop(), workspace[1]

    @settings(max_examples=examples(1_000), deadline=None, suppress_health_check=list(HealthCheck))
    @given(changed=changed_bodies())
    def fuzz(changed: tuple[str, Any]) -> None:
        route, body = changed
        method, path = route.split()
        asked = inside.ask(method, filled(path), json.dumps(body).encode(), key_of(route, keys))
        seen = asyncio.run_coroutine_threadsafe(asked, loop).result(60)
        assert seen.status in ANSWERS, (route, body, seen.status, seen.body)
        if seen.body:
            json.loads(seen.body)

    await asyncio.to_thread(fuzz)


async def test_each_odd_value_in_each_field_is_not_a_500(inside: Inside, workspace: Any) -> None:
    keys, tried, turn, broken = workspace[1], 0, 0, list[object]()
    for route, samples in SAMPLES.items():
        method, path = route.split()
        for sample in samples:
            for place, _ in places(sample):
                turn += 1
                for odd in share(EACH, turn, usual=3):
                    body = json.dumps(with_value(sample, place, odd)).encode()
                    seen = await inside.ask(method, filled(path), body, key_of(route, keys))
                    tried += 1
                    if seen.status not in ANSWERS:
                        broken.append((route, place, str(odd)[:20], seen.status))
    assert broken == []
    assert tried > examples(1_600)
