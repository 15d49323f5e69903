"""The filter language as schemas: a tree whose nodes have one member each, which names the kind of node."""

from __future__ import annotations

from pushkeeper.api.openapi.schema import Schema, list_of, ref
from pushkeeper.core.filters.from_json import MAX_SECONDS, OPERATORS
from pushkeeper.core.filters.nodes import MAX_EVENT_COUNT, MAX_VALUE_BYTES, Match, Order

_MOST_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_VALUE_BYTES}


def _node(kind: str, inner: Schema) -> Schema:
    return {
        "type": "object",
        "required": [kind],
        "properties": {kind: inner},
        "additionalProperties": False,
    }


def _nodes(own: str) -> dict[str, Schema]:
    """The nodes that combine others of the same language."""
    return {
        "And": _node("and", list_of(ref(own))),
        "Or": _node("or", list_of(ref(own))),
        "Not": _node("not", ref(own)),
    }


_OF_DEVICE = {f"Device{name}": node for name, node in _nodes("DeviceNode").items()}
_COMPARISON: Schema = {
    "type": "object",
    "description": "A comparison of a device attribute within `device`, otherwise of a person attribute.",
    "required": ["field", "operator"],
    "properties": {
        "field": {**_MOST_NAME, "description": "The name of an attribute or identifier."},
        "operator": {"enum": list(OPERATORS)},
        "value": {
            "description": "The value to compare with, of the type that the operator needs; not for `exists`."
        },
    },
    "additionalProperties": False,
}
_ATTRIBUTE: Schema = _node("attribute", ref("Comparison"))
_EVENT: Schema = _node(
    "event",
    {
        "type": "object",
        "description": "How often an event happened.",
        "required": ["name"],
        "properties": {
            "name": _MOST_NAME,
            "operator": {"enum": [order.value for order in Order]},
            "count": {"type": "integer", "minimum": 0, "maximum": MAX_EVENT_COUNT},
            "since": {"type": ["integer", "string", "null"], "description": "Unix seconds, or ISO 8601."},
            "within_last_s": {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_SECONDS},
        },
        "additionalProperties": False,
    },
)
_DEVICE: Schema = _node(
    "device",
    {
        "type": "object",
        "description": "A condition on one device of the person: exactly one of and, or, not and attribute.",
        "properties": {
            "match": {"enum": [match.value for match in Match]},
            "and": list_of(ref("DeviceNode")),
            "or": list_of(ref("DeviceNode")),
            "not": ref("DeviceNode"),
            "attribute": ref("Comparison"),
        },
        "minProperties": 1,
        "maxProperties": 2,
        "additionalProperties": False,
    },
)
_SEGMENT: Schema = _node(
    "segment",
    {
        "type": "object",
        "required": ["id"],
        "properties": {"id": {"type": "integer", "minimum": 0}},
        "additionalProperties": False,
    },
)
_OF_PERSON = _nodes("FilterNode") | {
    "Attribute": _ATTRIBUTE,
    "Event": _EVENT,
    "Device": _DEVICE,
    "Segment": _SEGMENT,
}


def _any_of(names: dict[str, Schema], prefix: str) -> list[Schema]:
    return [ref(f"{prefix}{name}") for name in names]


FILTERS: dict[str, Schema] = {
    "Comparison": _COMPARISON,
    **{f"Filter{name}": node for name, node in _OF_PERSON.items()},
    **{f"Filter{name}": node for name, node in _OF_DEVICE.items()},
    "FilterNode": {
        "description": "A filter as a tree.",
        "anyOf": _any_of(_OF_PERSON, "Filter"),
    },
    "DeviceNode": {
        "description": "A condition on one device, as a tree.",
        "anyOf": [*_any_of(_OF_DEVICE, "Filter"), ref("FilterAttribute")],
    },
    "Filter": {
        "description": "A filter: a tree, or a text such as `platform = ios`.",
        "anyOf": [ref("FilterNode"), {"type": "string"}],
    },
}
