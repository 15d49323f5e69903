"""The API reference and the error codes as plain HTML pages, without scripts or external files."""

from __future__ import annotations

from html import escape
from typing import Any

from pushkeeper import errors

Schema = dict[str, Any]


def page(described: dict[str, Any]) -> str:
    """The page of a description."""
    sections = [
        _section(path, method, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = [
        f"<section id='{escape(name)}'><h3>{escape(name)}</h3>{_schema(schema)}</section>"
        for name, schema in described["components"]["schemas"].items()
    ]
    info = described["info"]
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style>"
        f"<h1>{escape(info['title'])} API <small>{escape(info['version'])}</small></h1>"
        f"<p>{escape(info['description'])} Authenticate with <code>Authorization: Bearer &lt;App API key&gt;</code>; "
        f"<a href='openapi.json'>openapi.json</a> is the machine-readable description. <a href='docs/errors'>Error codes</a></p>"
        f"{''.join(sections)}<h2>Schemas</h2>{''.join(schemas)}</html>"
    )


def errors_page() -> str:
    """The page of all error codes; each has its code as the anchor."""
    sections = [
        f"<section id='{one.code}'><h2><code>{one.code}</code></h2>"
        f"<p>HTTP {one.status}. {escape(one.meaning)}</p><p>{escape(one.remedy)}</p></section>"
        for codes in errors.reference()
        for one in codes
    ]
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>Pushkeeper API errors</title><style>{_STYLE}</style><h1>API errors</h1>"
        "<p>Errors of the native API have a <code>code</code>, a <code>message</code> and a <code>request_id</code>, which "
        "is also in the server log. Errors about a field have its name (<code>field</code>) and <code>path</code>. "
        f"<a href='../docs'>API reference</a></p>{''.join(sections)}</html>"
    )


def _answer(content: dict[str, Any]) -> str:
    """The schema of an answer in JSON, or the media types of a file."""
    if "application/json" in content:
        return _schema(content["application/json"]["schema"])
    return escape(", ".join(content))


def _section(path: str, method: str, operation: dict[str, Any]) -> str:
    query = [p for p in operation["parameters"] if p["in"] == "query"]
    asked = "".join(f"<tr><td><code>{escape(p['name'])}</code><td>{_schema(p['schema'])}" for p in query)
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    answers = "".join(
        f"<tr><td>{status}<td>{escape(said['description'])} {_answer(said.get('content', {}))}"
        for status, said in operation["responses"].items()
    )
    return (
        f"<details><summary><b class='{method}'>{method.upper()}</b> <code>{escape(path)}</code> "
        f"{escape(operation['summary'])}</summary>"
        + (f"<h4>Query</h4><table>{asked}</table>" if asked else "")
        + (f"<h4>Body</h4>{_schema(body)}" if body else "")
        + f"<h4>Answers</h4><table>{answers}</table></details>"
    )


def _schema(schema: Schema) -> str:
    """A schema in words."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rsplit("/", 1)[1])
        return f"<a href='#{name}'>{name}</a>"
    if "enum" in schema:
        return escape(" | ".join("null" if value is None else repr(value) for value in schema["enum"]))
    if "properties" in schema:
        required = schema.get("required", ())
        rows = "".join(
            f"<tr><td><code>{escape(name)}</code>{'*' if name in required else ''}<td>{_schema(inner)}"
            for name, inner in schema["properties"].items()
        )
        return f"<table>{rows}</table>"
    if "items" in schema:
        return f"list of {_schema(schema['items'])}"
    kinds = schema.get("type", "anything")
    said = " or ".join(kinds) if isinstance(kinds, list) else kinds
    bounds = [
        f"{word} {schema[key]:,}" for word, key in (("from", "minimum"), ("to", "maximum")) if key in schema
    ]
    return escape(" ".join([said, *bounds, schema.get("description", "")]).strip())


_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "details{border-top:1px solid #8884;padding:.6rem 0}summary{cursor:pointer}table{border-collapse:collapse;margin:.3rem 0}"
    "td{padding:.2rem .8rem .2rem 0;vertical-align:top;border-top:1px solid #8882}code{font-size:.95em}h4{margin:.8rem 0 .2rem}"
    "b{display:inline-block;min-width:4.5em;font-size:.85em}.get{color:#2a7de1}.post,.put,.patch{color:#1f9254}"
    ".delete{color:#d1453b}section{border-top:1px solid #8884}"
)
