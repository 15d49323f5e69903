"""Schemas of the structs that requests are read into and answers are written from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from pushkeeper.api.openapi.schema import ref

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pushkeeper.api.openapi.schema import Schema

Kind: TypeAlias = type[msgspec.Struct]
_NULL: Schema = {"type": "null"}


class Structs:
    """The schemas of some structs, and of all that these are made of.

    Where a type is a language of its own, its annotation names the schema of that by `x-schema`.
    """

    def __init__(self, kinds: Iterable[Kind]) -> None:
        found = list(dict.fromkeys(kinds))
        refs, components = msgspec.json.schema_components(found, ref_template="#/components/schemas/{name}")
        refs = tuple(map(_plain, refs))
        self._refs = dict(zip(found, refs, strict=True))
        self._components = components

    def of(self, kind: Kind | Schema) -> Schema:
        """The schema of a struct, by its name; one that is given as such, unchanged."""
        return kind if isinstance(kind, dict) else self._refs[kind]

    def parameters(self, kind: Kind) -> Mapping[str, Schema]:
        """The fields of a query."""
        properties: dict[str, Schema] = self._components[kind.__name__]["properties"]
        return {name: _plain(_without_null(one)) for name, one in properties.items()}

    def components(self, without: Iterable[Kind]) -> dict[str, Schema]:
        """All of them by their names, but these, which nothing refers to."""
        hidden = {kind.__name__ for kind in without}
        return {_shown(name): _plain(one) for name, one in self._components.items() if name not in hidden}


def _plain(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """A schema as short as people write it: nullable types without `anyOf`, no titles and no defaults."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "x-schema" in schema:
        return ref(schema["x-schema"]) | {k: one for k, one in schema.items() if k == "description"}
    if "$ref" in schema:
        schema = schema | {"$ref": _shown(schema["$ref"])}
    found = {name: _plain(one) for name, one in schema.items()}
    if isinstance(found.get("title"), str):
        del found["title"]
    if isinstance(found.get("description"), str):
        # Of a docstring: what follows is for those who read the code.
        found["description"] = found["description"].partition("\n\n")[0].replace("\n", " ")
    if not isinstance(found.get("default"), dict):
        # Generators of clients take a field with a default for one that has to be sent.
        found.pop("default", None)
    if not found.get("required", ...):
        del found["required"]
    if found.get("type") == "object" and not found.keys() & {"properties", "additionalProperties"}:
        # Without it some generators take it for an empty object.
        found["additionalProperties"] = True
    return _joined(found)


def _shown(name: str) -> str:
    """The name of a struct as clients have it."""
    return name.removesuffix("View")


def _joined(schema: Schema) -> Schema:
    """`type: [string, null]` for what is any of a string and null, and one enum for several."""
    options = schema.get("anyOf", ())
    several = [one for one in options if one != _NULL]
    more = {name: one for name, one in schema.items() if name != "anyOf"}
    null = [_NULL["type"]] if len(several) < len(options) else []
    if several and all("enum" in one and "type" not in one for one in several):
        words = [word for one in several for word in one["enum"]]
        return {**several[0], **more, "enum": words + [None for _ in null]}
    if len(several) == 1 and isinstance(several[0].get("type"), str):
        return {**several[0], **more, "type": [several[0]["type"], *null]}
    if several and all(one.keys() == {"type"} and isinstance(one["type"], str) for one in several):
        return {**more, "type": [*(one["type"] for one in several), *null]}
    return schema


def _without_null(schema: Schema) -> Schema:
    """What a parameter is if it is given: no query has null."""
    several = [one for one in schema.get("anyOf", ()) if one != _NULL]
    more = {name: one for name, one in schema.items() if name != "anyOf"}
    if not several:
        return schema
    return {**several[0], **more} if len(several) == 1 else {**more, "anyOf": several}
