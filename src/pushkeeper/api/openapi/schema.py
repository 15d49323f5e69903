"""How schemas of OpenAPI are written."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def list_of(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def record(required: dict[str, Schema], **more: Schema) -> Schema:
    """An object that has these members, and may have more."""
    return {"type": "object", "required": list(required), "properties": {**required, **more}}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
