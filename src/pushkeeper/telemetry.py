"""Logs: an event's name and its fields, one JSON object a line, without secrets and without whole tokens."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from pushkeeper.core.model import Secret, Token

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_SECRET_WORDS = ("token", "authorization", "password", "secret", "api_key", "write_key", "private_key")
# Drivers repeat in their messages what they were given. Names are as long as tokens, but hold no digit.
_LIKE_A_TOKEN = re.compile(r"(?=[A-Za-z_:-]*\d)[A-Za-z0-9_:-]{32,}")


def configure(*, json: bool) -> None:
    """Log to standard error: JSON for machines, or aligned lines for people; what libraries warn of, too."""
    logging.basicConfig(handlers=[_Foreign()], level=logging.WARNING)
    _REQUESTS.as_json = json
    encoder = msgspec.json.Encoder(enc_hook=repr)
    renderer = (
        structlog.processors.JSONRenderer(lambda event, **_: encoder.encode(event).decode())
        if json
        else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            structlog.processors.format_exc_info,
            mask_exception,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


class _Foreign(logging.Handler):
    """Says in our form what a library logs, without what its words repeat of what it was given."""

    def emit(self, record: logging.LogRecord) -> None:
        said = _LIKE_A_TOKEN.sub("…", record.getMessage())
        logger(record.name).log(record.levelno, said, exc_info=record.exc_info)


class _RequestLine(msgspec.Struct, kw_only=True, gc=False):
    method: str
    route: str | None
    status: int
    ms: float
    request_id: str
    timestamp: str
    delivery_id: str | msgspec.UnsetType = msgspec.UNSET
    room: str = "api"
    event: str = "request"
    level: str = "info"


_SAID_BY_THE_LOGGER = frozenset({"timestamp", "room", "event", "level"})


class _RequestLog:
    """The lines of calls, which as JSON are written together, once a turn of the event loop.

    No field of theirs can hold a secret or an exception, so that they are spared the processors that look for them.
    """

    def __init__(self) -> None:
        self.as_json = False
        self._encoder = msgspec.json.Encoder()
        self._lines: list[bytes] = []

    def write(self, line: _RequestLine) -> None:
        if not self.as_json:
            said = msgspec.to_builtins(line)
            logger("api").info(
                "request", **{key: said[key] for key in said if key not in _SAID_BY_THE_LOGGER}
            )
            return
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._flush)
        self._lines.append(self._encoder.encode(line))

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        sys.stderr.write(b"\n".join([*lines, b""]).decode())
        sys.stderr.flush()


_REQUESTS = _RequestLog()


def write_request(
    *, method: str, route: str | None, status: int, ms: float, request_id: str, delivery_id: str | None = None
) -> None:
    """Write the line of a call that was answered; `route` is its path's template, for the path may hold a token.

    `delivery_id` is of the delivery that it was about, where it was about one.
    """
    now = datetime.now(UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
    line = _RequestLine(
        method=method, route=route, status=status, ms=ms, request_id=request_id, timestamp=f"{now}Z"
    )
    if delivery_id is not None:
        line.delivery_id = delivery_id
    _REQUESTS.write(line)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose lines say which room they are from."""
    bound: structlog.stdlib.BoundLogger = structlog.get_logger(room=name)
    return bound


def redact(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask every value that is a token or a secret, by its type or by the name it goes under, however deep."""
    for key, value in event.items():
        if not (value is None or isinstance(value, int | float)):
            event[key] = _redacted(key, value)
    return event


def mask_exception(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask what looks like a token in the text of an exception."""
    if "exception" in event:
        event["exception"] = _LIKE_A_TOKEN.sub("…", event["exception"])
    return event


def _redacted(key: str, value: object) -> object:
    match value:
        case Token():
            return value.masked
        case Secret():
            return "…"
        case str() | bytes():
            return "…" if _names_a_secret(key) else value
        case dict():
            return {name: _redacted(str(name), inner) for name, inner in value.items()}
        case list() | tuple():
            return [_redacted(key, inner) for inner in value]
        case _:
            return value


@lru_cache(maxsize=1024)
def _names_a_secret(key: str) -> bool:
    lower = key.lower()
    return any(word in lower for word in _SECRET_WORDS)
