"""The pages of the API reference: each call with its parameters, and a request and a response of a real service.

The examples are in `reference/examples.json`, which `make examples` writes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushkeeper.api.openapi import document
from pushkeeper.api.openapi.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pushkeeper.api.openapi.operation import Operation
    from pushkeeper.api.openapi.schema import Schema

EXAMPLES = Path(__file__).parent / "reference" / "examples.json"
HOST = "https://push.example.com"
AUTHENTICATION = {
    "app": ' -H "Authorization: Bearer $APP_API_KEY"',
    "track": ' -u "$SITE_ID:$API_KEY"',
    "cdp": ' -u "$WRITE_KEY:"',
    "none": "",
}
WIDTH = 100
# The first part of a path below /api/v1, and the heading of its calls.
GROUPS = {
    "devices": "Devices",
    "stats": "Statistics",
    "explain": "Explain",
    "undo": "Revert bounces",
    "audiences": "Audiences",
    "broadcasts": "Broadcasts",
    "messages": "Messages and drafts",
    "drafts": "Messages and drafts",
    "templates": "Templates",
    "sending": "Sending",
    "routes": "Routes",
    "imports": "Imports",
    "jobs": "Background jobs",
    "exports": "Exports",
    "reports": "Reports",
    "customers": "Erasure",
    "erasures": "Erasure",
    "options": "Options",
    "credentials": "Credentials and keys",
    "keys": "Credentials and keys",
    "audit": "Audit log",
    "webhooks": "Webhooks",
}
CUSTOMERIO = {
    "track": "Track API",
    "cdp": "Data Pipelines API",
    "none": "Calls without a key",
    "app": "App API",
}


def api_page() -> str:
    """Our own calls."""
    parts = [
        "# Native API reference",
        "",
        "Pushkeeper's own calls, for what Customer.io's APIs do not have. Authenticate with an App API key as bearer token. A running",
        "service describes this API as OpenAPI 3.1 at `/api/openapi.json`, and shows it at `/api/docs`. [Errors](errors.md) have a",
        "stable code. Sending, people and segments use [Customer.io's calls](customerio.md).",
        "",
        "The examples are recorded by a test, so they are what the service answers. Lists are shortened to two items.",
        "",
    ]
    examples = _examples()
    described = document()
    schemas = described["components"]["schemas"]
    grouped: dict[str, list[tuple[str, str]]] = {}
    for method, path in OPERATIONS:
        grouped.setdefault(GROUPS[path.split("/")[3]], []).append((method, path))
    for group, calls in grouped.items():
        parts += [f"## {group}", ""]
        for method, path in calls:
            operation = OPERATIONS[method, path]
            parts += [f"### {operation.summary}", "", f"`{method} {path}`", ""]
            parts += _asked(operation, described["paths"][path][method.lower()], schemas)
            if example := examples.get(f"{method} {path}"):
                parts += _shown(example)
    return "\n".join(parts)


def customerio_page() -> str:
    """Customer.io's calls, by API."""
    parts = [
        "# Customer.io API examples",
        "",
        "A request and a response for every call of Customer.io's APIs that Pushkeeper serves, recorded by a test from the service.",
        "Lists are shortened to two items. [Coverage](customerio.md) lists the calls by topic.",
        "",
    ]
    native = {f"{method} {path}" for method, path in OPERATIONS}
    examples = {key: one for key, one in _examples().items() if key not in native}
    for authentication, heading in CUSTOMERIO.items():
        parts += [f"## {heading}", ""]
        for key, example in examples.items():
            if example["authentication"] == authentication:
                parts += [f"### {key}", "", *_shown(example)]
    return "\n".join(parts)


def _examples() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    return found


def _shown(example: dict[str, Any]) -> Iterator[str]:
    """A request as it is typed, and its response."""
    yield from ("```sh", _curl(example), "```", "")
    if example["response"] is None:
        yield from (f"Response: {example['status']}, without a body.", "")
        return
    if isinstance(example["response"], str):  # a file
        yield from (f"Response: {example['status']}", "", "```", example["response"].rstrip(), "```", "")
        return
    body = json.dumps(example["response"], indent=2, ensure_ascii=False)
    yield from (f"Response: {example['status']}", "", "```json", body, "```", "")


def _curl(example: dict[str, Any]) -> str:
    method, body = example["method"], example["body"]
    implied = "GET" if body is None else "POST"
    verb = "" if method == implied else f" -X {method}"
    url = f"{HOST}{example['path']}"
    first = f"curl{AUTHENTICATION[example['authentication']]}{verb} '{url}'"
    if body is None:
        return first
    text = json.dumps(body, ensure_ascii=False)
    if len(text) > WIDTH - 10:
        text = json.dumps(body, indent=2, ensure_ascii=False)
    quoted = text.replace("'", "'\\''")
    return f"{first} \\\n    -d '{quoted}'"


def _asked(operation: Operation, described: Schema, schemas: dict[str, Schema]) -> Iterator[str]:
    """What an operation takes and answers, as far as its schemas say."""
    rows = [
        f"| `?{one['name']}` | {_type(_resolved(one['schema'], schemas))} |"
        for one in described["parameters"]
        if one["in"] == "query"
    ]
    body = described.get("requestBody", {})
    rows += [f"| `{name}` | {_type(schema)} |" for name, schema in _fields(body, schemas)]
    if rows:
        yield from ("| parameter | type |", "|---|---|", *rows, "")
    answered = [f"`{name}`" for name, _ in _fields(described["responses"][str(operation.status)], schemas)]
    yield f"Returns {operation.status}{': ' + ', '.join(answered) if answered else ''}."
    if operation.refused:
        yield f"Errors: {', '.join(map(str, operation.refused))}."
    yield ""


def _fields(described: Schema, schemas: dict[str, Schema]) -> list[tuple[str, Schema]]:
    """The fields of a JSON body."""
    schema = described.get("content", {}).get("application/json", {}).get("schema", {})
    found = _resolved(schema, schemas).get("properties", {})
    return [(name, _resolved(one, schemas)) for name, one in found.items()]


def _resolved(schema: Schema, schemas: dict[str, Schema]) -> Schema:
    """A schema itself, where it is one that has a name, or may be null besides."""
    for one in schema.get("anyOf", ()):
        if schemas.get(one.get("$ref", "").rpartition("/")[2], {}).get("enum"):
            return _resolved(one, schemas)
    return schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _type(schema: Schema) -> str:
    """A schema in a few words."""
    kinds = schema.get("type", "object" if "$ref" in schema else "")
    words = " or ".join([kinds] if isinstance(kinds, str) else kinds)
    if "enum" in schema:
        words = ", ".join(f"`{value}`" if value not in {None, ""} else "empty" for value in schema["enum"])
    if "maximum" in schema and "minimum" in schema:
        words += f", {schema['minimum']:,} to {schema['maximum']:,}"
    elif "minimum" in schema:
        words += f", {schema['minimum']:,} or more"
    described = schema.get("description")
    text = f"{words}: {described}" if described else words
    return re.sub(r"(?<!\\)\|", r"\\|", text)
