"""Whatever is wrong with a request of our own API is refused by its path and code, and changes nothing.

The bodies are made from `SAMPLES`, and what is wrong with them from the structs that they are read into.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec import inspect

from pushkeeper.api.openapi.operations import OPERATIONS
from support.requests import SAMPLES, filled, places, with_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.requests import Place

UNKNOWN = "zzzzzz"
BODIES = [
    (f"{method} {path}", operation.body, sample)
    for (method, path), operation in OPERATIONS.items()
    if operation.body is not None and not isinstance(operation.body, dict)
    for sample in SAMPLES[f"{method} {path}"]
]
QUERIES = [
    (f"{method} {path}", operation.query)
    for (method, path), operation in OPERATIONS.items()
    if operation.query is not None
]
WORDS = (inspect.EnumType, inspect.LiteralType)


def alternatives(kind: inspect.Type) -> list[inspect.Type]:
    if isinstance(kind, inspect.Metadata):
        return alternatives(kind.type)
    if isinstance(kind, inspect.UnionType):
        return [inner for one in kind.types for inner in alternatives(one)]
    return [kind]


def structs_in(
    kind: inspect.Type, value: Any, place: Place = ()
) -> Iterator[tuple[Place, inspect.StructType, dict[str, Any]]]:
    """Every object of a body that is read into a struct, and where it is."""
    for one in alternatives(kind):
        if isinstance(one, inspect.StructType) and isinstance(value, dict):
            yield place, one, value
            for field in one.fields:
                if field.encode_name in value:
                    yield from structs_in(field.type, value[field.encode_name], (*place, field.encode_name))
        elif isinstance(one, inspect.DictType) and isinstance(value, dict):
            for name, inner in value.items():
                yield from structs_in(one.value_type, inner, (*place, name))
        elif isinstance(one, inspect.ListType) and isinstance(value, list):
            for index, inner in enumerate(value):
                yield from structs_in(one.item_type, inner, (*place, index))


def mutations(kind: type[msgspec.Struct], body: Any) -> Iterator[tuple[Any, Place, str]]:
    """Bodies with one thing wrong: the body, the path and the code with which it is refused."""
    for place, struct, value in structs_in(inspect.type_info(kind), body):
        yield with_value(body, place, {**value, UNKNOWN: 1}), (*place, UNKNOWN), "unknown_field"
        for field in struct.fields:
            name = field.encode_name
            here = (*place, name)
            kinds = alternatives(field.type)
            if field.required:
                without = {key: one for key, one in value.items() if key != name}
                yield with_value(body, place, without), here, "missing"
            if len(name) > 3 and name in value:
                typo = {(f"{name}z" if key == name else key): one for key, one in value.items()}
                if not field.required:
                    yield with_value(body, place, typo), (*place, f"{name}z"), "unknown_field"
            if any(isinstance(one, inspect.AnyType) for one in kinds):
                continue
            if any(isinstance(one, WORDS) for one in kinds):
                yield with_value(body, place, {**value, name: UNKNOWN}), here, "unknown_value"
            else:
                is_object = any(isinstance(one, inspect.DictType | inspect.StructType) for one in kinds)
                wrong = 3 if is_object else {"a": 1}
                yield with_value(body, place, {**value, name: wrong}), here, "wrong_type"


def test_all_bodies_of_our_own_api_are_structs() -> None:
    bodies = [operation.body for operation in OPERATIONS.values() if operation.body is not None]
    assert len(bodies) > 10
    assert not [body for body in bodies if isinstance(body, dict)]


@pytest.mark.parametrize(("route", "kind", "sample"), BODIES, ids=[route for route, _, _ in BODIES])
async def test_one_wrong_field_of_a_body_is_named_and_changes_nothing(door, route, kind, sample):
    method, path = route.split()
    before = await door.counts()
    tried = 0
    for body, place, code in mutations(kind, sample):
        status, answer = await door.app(method, filled(path), body)
        assert status == 400, (body, answer)
        error = answer["error"]
        assert (error["path"], error["code"]) == ([*place], code), (body, answer)
        if code == "unknown_field" and place[-1] != UNKNOWN:
            assert f"did you mean `{str(place[-1])[:-1]}`?" in error["message"]
        tried += 1
    assert tried >= 2
    assert await door.counts() == before


@pytest.mark.parametrize(("route", "kind"), QUERIES, ids=[route for route, _ in QUERIES])
async def test_a_parameter_that_is_none_of_ours_is_named(door, route, kind):
    method, path = route.split()
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        status, answer = await door.app(method, f"{filled(path)}?{name}z=1")
        assert (status, answer["error"]["path"], answer["error"]["code"]) == (
            400,
            [f"{name}z"],
            "unknown_field",
        )
        if len(name) > 3:
            assert f"did you mean `{name}`?" in answer["error"]["message"]


@pytest.mark.parametrize(("route", "kind"), QUERIES, ids=[route for route, _ in QUERIES])
async def test_a_parameter_that_cannot_be_so_is_named(door, route, kind):
    method, path = route.split()
    struct = inspect.type_info(kind)
    assert isinstance(struct, inspect.StructType)
    for field in struct.fields:
        name = field.encode_name
        wrong = []
        for one in alternatives(field.type):
            if isinstance(one, inspect.IntType):
                wrong += [
                    ("x", "wrong_type"),
                    ("0", "out_of_range"),
                    (str((one.le or 0) + 1), "out_of_range"),
                ]
            elif isinstance(one, WORDS):
                wrong.append((UNKNOWN, "unknown_value"))
        for value, code in wrong:
            status, answer = await door.app(method, f"{filled(path)}?{name}={value}")
            assert (status, answer["error"]["path"], answer["error"]["code"]) == (400, [name], code), (
                value,
                answer,
            )


@pytest.mark.parametrize(("route", "kind", "sample"), BODIES, ids=[route for route, _, _ in BODIES])
async def test_null_is_taken_for_what_may_be_null(route, kind, sample):
    for place, value in places(sample):
        if not isinstance(value, dict):
            continue
        for field in next(
            (one.fields for where, one, _ in structs_in(inspect.type_info(kind), sample) if where == place),
            (),
        ):
            may_be_null = any(isinstance(one, inspect.NoneType) for one in alternatives(field.type))
            if may_be_null and not field.required:
                null = with_value(deepcopy(sample), (*place, field.encode_name), None)
                assert isinstance(msgspec.convert(null, kind), kind)
