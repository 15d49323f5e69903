"""What a body costs grows no faster than the body: every route that takes one, over what is worst for somebody."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from support.examples import examples, share
from support.requests import NO_KEYS, SAMPLES, filled, key_of, places, routes_with_bodies, with_value
from support.work import MOST, growth, no_collections, shapes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.inside import Inside


_LARGE, _SMALL = 60_000, 7_500  # bytes; eight times as many are tried too
_OF_ITEM = 3_500  # where an item may have 32 KiB
_FEWER = 4  # a field is tried with every fourth shape, and the next field with others
_HERE = "here it goes"  # a value that is replaced by what no library would write


def test_each_route_that_takes_a_body_has_samples(inside: Inside) -> None:
    assert sorted(routes_with_bodies(inside.app)) == sorted(SAMPLES)


def _most(route: str) -> int:
    """The bytes from which eight times as many are still read."""
    if route.endswith(("/b", "/batch")):
        return _LARGE
    if not key_of(route, NO_KEYS):
        return _SMALL
    return (
        _OF_ITEM if route.startswith("POST /api/v2") or "x-strict-mode" in key_of(route, NO_KEYS) else _LARGE
    )


async def fast_growing(inside: Inside, keys: Any, size: int, bodies: dict[str, list[bytes]]) -> list[str]:
    """What costs more than it may, of bodies with a hole in them, by the routes that they are sent to."""
    found, tried, turn = [], 0, 0
    for route, several in bodies.items():
        method, path = route.split()
        headers = key_of(route, keys)
        for body in several:
            turn += 1
            for name, shape in share(shapes().items(), turn, usual=_FEWER):

                async def send(n: int, body: bytes = body, shape: Any = shape) -> None:
                    whole = body.replace(json.dumps(_HERE).encode(), shape(n))
                    seen = await inside.ask(method, filled(path), whole, headers)  # noqa: B023 - called at once
                    assert seen.status < 500 and seen.status != 401, (route, body, name, seen.status)  # noqa: B023, PT018

                tried += 1
                if (times := await growth(send, min(size, _most(route)))) > MOST:
                    found.append(f"{route} {body.decode()[:200]}: {name}: {times:.1f} times")
    assert tried > examples(300 // _FEWER)
    return found


async def test_a_large_body_costs_no_more_than_its_size(inside: Inside, workspace: Any) -> None:
    bodies = {route: [json.dumps({"x": _HERE}).encode()] for route in SAMPLES}
    with no_collections():
        assert await fast_growing(inside, workspace[1], _LARGE, bodies) == []


async def test_nor_does_a_batch_of_many_items_that_have_much_in_common(
    inside: Inside, workspace: Any
) -> None:
    keys = workspace[1]
    group = b'{"type":"group","userId":"42","groupId":"x"},'
    device = b'{"type":"track","event":"Device Deleted","userId":"42","properties":{"device":{"token":7}}},'
    delivery = (
        b'{"type":"delivery","identifiers":{"id":"x"},"name":"none","attributes":{"device_token":"t"}},'
    )
    common = {
        "much in common": (b'"a":{%s"b":0}', lambda n: b"".join(b'"%x":0,' % k for k in range(n))),
        "a long token in common": (b'"device":{"token":"%s"}', lambda n: "é".encode() * (4 * n)),
        "a device of many keys": (
            b'"device":{%s"b":0}',
            lambda n: b"".join(b'"%x":0,' % k for k in range(n)),
        ),
    }
    found = []
    with no_collections():
        for what, (context, of_size) in common.items():
            for item in (group, device):

                async def send(
                    n: int, context: bytes = context, of_size: Any = of_size, item: bytes = item
                ) -> None:
                    items = item * (n // 2 // len(item)) + b"{}"
                    sent = b'{"context":{%s},"batch":[%s]}' % (context % of_size(n // 20), items)
                    seen = await inside.ask("POST", "/v1/b", sent, key_of("POST /v1/b", keys))
                    assert seen.status == 400  # the last item says nothing

                if (times := await growth(send, _LARGE)) > MOST:
                    found.append((what, item, times))

        async def tell(n: int) -> None:
            sent = b'{"batch":[%s{}]}' % (delivery * (n // len(delivery)))
            seen = await inside.ask("POST", "/api/v2/batch", sent, key_of("POST /api/v2/batch", keys))
            assert seen.status == 207

        if (times := await growth(tell, _LARGE)) > MOST:
            found.append(("deliveries", delivery, times))
    assert found == []


async def test_nor_do_values_of_a_field(inside: Inside, workspace: Any) -> None:
    with no_collections():
        assert await fast_growing(inside, workspace[1], _SMALL, dict(_each_field())) == []


def _each_field() -> Iterator[tuple[str, list[bytes]]]:
    """Each field of each sample with a hole in its place; what samples share, they are the same reader's."""
    seen = set()
    for route, samples in SAMPLES.items():
        bodies = []
        for sample in samples:
            for place, value in places(sample):
                field = (place[-1:], id(value) if isinstance(value, dict | list) else value)
                if field not in seen:
                    bodies.append(json.dumps(with_value(sample, place, _HERE)).encode())
                seen.add(field)
        yield route, bodies
