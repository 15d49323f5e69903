"""Requests and responses of a real service, as the API reference shows them.

`Recorder.call` makes a call and keeps what was sent and answered, without anything of the run: secrets, tokens, ids and times are
replaced by values that are the same in each run. `make examples` writes them to `docs/reference/examples.json`.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from base64 import b64encode
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from support.serving import exchange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.engine import Tenant

NOW = 1_780_000_000
AT = "2026-05-28T20:26:40Z"
UUID = "0b8f2d6e-6f0a-4a0e-8c52-3a1f7f0f2c11"
LONGEST_LIST = 2  # of a response: the others look the same
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_TIME = re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|\+00:00)?")
_DAY = re.compile(r"\b20\d\d-\d\d-\d\d\b(?!T)|\b20\d\d-\d\d\b(?!-)")
_CLOCK = re.compile(r"\b\d\d:\d\d UTC\b")
_HEX = re.compile(r"\b(?=[0-9]*[a-f])[0-9a-f]{12,}\b")
_UNIX = re.compile(r"(?<=:)1[78]\d{8}\b")
_OF_THE_RUN = {
    r"engine-[0-9a-f]{12}": "my-app",
    r"localhost:\d{4,5}": "localhost:8392",
    r"exports/[\w-]{30,}": "exports/LINK",
}
# Objects whose fields depend on what they are about.
OPEN = {
    "attributes",
    "timestamps",
    "data",
    "metrics",
    "facts",
    "counts",
    "totals",
    "series",
    "endings",
    "figures",
    "steps",
}
_OFF_BY_S = 400 * 86_400


class Example(NamedTuple):
    """One call: the request and the response; `body` and `response` are JSON, None if empty."""

    method: str
    route: str
    path: str
    authentication: str
    body: Any
    status: int
    response: Any


class Recorder:
    """Calls a workspace, and keeps the first call of each route."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._replaced: dict[str, str] = {}
        self.examples: dict[str, Example] = {}
        self.refused: list[tuple[str, str, int, bytes]] = []
        write_key = "Basic " + b64encode(f"{tenant.write_key}:".encode()).decode()
        self._keys = {"app": tenant.bearer, "track": tenant.basic, "cdp": write_key, "none": ""}
        self.replace(tenant.write_key, "WRITE_KEY")

    def replace(self, found: str, by: str) -> None:
        """Show one text in place of another, wherever it is found."""
        self._replaced[found] = by
        self._replaced[quote(found, safe="")] = by

    async def call(
        self,
        key: str,
        method: str,
        route: str,
        body: Any = None,
        /,
        *,
        query: dict[str, Any] | None = None,
        **parts: Any,
    ) -> Any:
        """Make a call, with the parts of its path by name, and return the response."""
        path = re.sub(r"{(\w+)}", lambda name: quote(str(parts[name[1]]), safe=""), route)
        path += f"?{urlencode(query)}" if query else ""
        headers = {"content-type": "application/json", "x-strict-mode": "1"}
        if self._keys[key]:
            headers["authorization"] = self._keys[key]
        sent = None if body is None else json.dumps(body)
        status, said, got = await asyncio.to_thread(
            exchange, self._tenant.engine.port, method, path, sent, headers
        )
        if status >= HTTPStatus.BAD_REQUEST:
            self.refused.append((method, path, status, said))
        is_json = dict(got).get("content-type", "").startswith("application/json")
        answer = json.loads(said) if is_json and said.strip() else said.decode() or None
        self.examples.setdefault(f"{method} {route}", Example(method, route, path, key, body, status, answer))
        return answer

    def normalized(self) -> dict[str, Example]:
        """The examples without anything of this run; called at the end, when all that is to be replaced is known."""
        return {
            key: one._replace(
                path=self._text(one.path),
                body=self._shown(one.body),
                response=self._shown(one.response, shorten=True),
            )
            for key, one in self.examples.items()
        }

    def _shown(self, value: Any, name: str = "", *, shorten: bool = False) -> Any:
        """A value without what is of this run alone."""
        if isinstance(value, dict):
            return {self._text(key): self._shown(one, key, shorten=shorten) for key, one in value.items()}
        if isinstance(value, list):
            kept = value[:LONGEST_LIST] if shorten else value
            return [self._shown(one, name, shorten=shorten) for one in kept]
        if isinstance(value, str):
            return "SECRET" if name == "signing_key" else self._text(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        return self._number(value, name)

    def _number(self, value: float, name: str) -> Any:
        if name.endswith(("_ms", "cost")):
            return 1
        if isinstance(value, int) and abs(value - time.time()) < _OFF_BY_S:
            return NOW
        return value

    def _text(self, text: str) -> str:
        for found, by in self._replaced.items():
            text = text.replace(found, by)
        for found, by in _OF_THE_RUN.items():
            text = re.sub(found, by, text)
        text = _TIME.sub(AT, text)
        text = _DAY.sub(lambda day: AT[: len(day[0])], text)
        text = _UNIX.sub(str(NOW), _CLOCK.sub("20:26 UTC", text))
        text = _HEX.sub(lambda found: ("0123456789abcdef" * 4)[: len(found[0])], text)
        return _UUID.sub(UUID, text)


def written(examples: dict[str, Example]) -> str:
    """The examples as the file has them, one a route, in the order of the routes."""
    return (
        json.dumps({key: examples[key]._asdict() for key in sorted(examples)}, indent=1, ensure_ascii=False)
        + "\n"
    )


def differences(kept: Any, now: Any, path: str = "", depth: int = 4) -> Iterator[str]:
    """Fields that one of two responses has and the other has not; values, and what a list has after its first item, may differ."""
    if depth and isinstance(kept, dict) and isinstance(now, dict):
        yield from (f"{path}.{name}" for name in kept.keys() ^ now.keys())
        for name in kept.keys() & now.keys():
            if name not in OPEN:
                yield from differences(kept[name], now[name], f"{path}.{name}", depth - 1)
    elif depth and isinstance(kept, list) and isinstance(now, list) and kept and now:
        yield from differences(kept[0], now[0], f"{path}[]", depth)
