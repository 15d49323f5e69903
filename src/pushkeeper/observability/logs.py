"""Logs: an event's name and its fields, one JSON object a line, without secrets and without whole tokens."""

from __future__ import annotations

import asyncio
import atexit
import logging
import re
import sys
import threading
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from pushkeeper.core.model import Secret, Token
from pushkeeper.observability.log_writer import LogWriter

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from structlog.typing import EventDict, Processor, WrappedLogger

FLUSHED_WITHIN_S = 2.0

_SECRET_WORDS = ("token", "authorization", "password", "secret", "api_key", "write_key", "private_key")
# Drivers quote values in their messages. Names are as long as tokens, but hold no digit.
_LIKE_A_TOKEN = re.compile(r"(?=[A-Za-z_:-]*\d)[A-Za-z0-9_:-]{32,}")


def configure(*, json: bool, process: str | None = None) -> None:
    """Log to standard error: JSON for machines, or aligned lines for people; what libraries warn of, too.

    Where several processes share a log, each line has the name of its own.

    Whatever becomes of standard error, nobody who logs waits for it or fails by it (decision 23): a full disk, a pipe
    without a reader, and a reader that stalls cost lines, which are counted.
    """
    encoder = msgspec.json.Encoder(enc_hook=repr)
    renderer: Processor = (
        structlog.processors.JSONRenderer(lambda event, **_: encoder.encode(event).decode())
        if json
        else structlog.dev.ConsoleRenderer()
    )
    render = _Renderer(renderer, process)
    writer = _OUTPUT.open(2, tell_gap=render.gap)
    _REQUESTS.writer = writer if json else None
    _REQUESTS.process = msgspec.UNSET if process is None else process
    structlog.configure(
        processors=[render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: _Lines(writer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Foreign()], level=logging.WARNING)
    logging.captureWarnings(capture=True)
    # By itself Python writes these straight to standard error, and waits for it.
    logging.raiseExceptions = False
    sys.excepthook = lambda _, error, __: logger("process").critical("crashed", exc_info=error)
    sys.unraisablehook = threading.excepthook = _failed_aside


def dropped() -> int:
    """How many lines of the log could not be written so far."""
    return _OUTPUT.dropped


def standard_output() -> LogWriter:
    """Standard output for a service, which never blocks on its reader."""
    return _OUTPUT.open(1, tell_gap="{} lines dropped\n".format)


def standard_error() -> Any:  # noqa: ANN401 - as much of a text file as is needed to print to it
    """Standard error as who prints to it may use it; None, which is Python's own, where nothing is logged to it."""
    return _OUTPUT.writers.get(2)


class _Output:
    """What is written by threads, and is given a moment at the end of the process."""

    def __init__(self) -> None:
        self.writers: dict[int, LogWriter] = {}

    def open(self, fd: int, *, tell_gap: Callable[[int], str]) -> LogWriter:
        """The writer of a file descriptor: there is one of each."""
        if not self.writers:
            atexit.register(self._close)
        if fd not in self.writers:
            self.writers[fd] = LogWriter(fd, tell_gap=tell_gap)
        return self.writers[fd]

    @property
    def dropped(self) -> int:
        return sum(writer.dropped for writer in self.writers.values())

    def _close(self) -> None:
        for writer in self.writers.values():
            writer.close(FLUSHED_WITHIN_S)


_OUTPUT = _Output()


class _Renderer:
    """Formats an event as a line, whatever its fields: one that cannot be formatted never fails its caller."""

    def __init__(self, last: Processor, process: str | None) -> None:
        self._process = process
        self._steps: tuple[Processor, ...] = (
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            structlog.processors.format_exc_info,
            mask_exception,
            last,
        )

    def __call__(self, wrapped: WrappedLogger, method: str, event: EventDict) -> str:
        name, room = event.get("event"), event.get("room")
        if self._process is not None:
            event["process"] = self._process
        try:
            return self._render(wrapped, method, event)
        except Exception as error:  # noqa: BLE001 - whatever a field's own code raises
            told = {"event": str(name), "room": str(room), "not_shown": type(error).__name__}
            return self._render(wrapped, method, told)

    def _render(self, wrapped: WrappedLogger, method: str, event: EventDict) -> str:
        made: Any = event
        for step in self._steps:
            made = step(wrapped, method, made)
        return str(made)

    def gap(self, lines: int) -> str:
        """The line that says that so many are missing here."""
        return f"{self(None, 'warning', {'event': 'log_lines_dropped', 'room': 'log', 'lines': lines})}\n"


class _Lines:
    """What structlog hands lines to; unlike its own, without a lock that the garbage collector could take twice."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    def msg(self, line: str) -> None:
        self._writer.write(f"{line}\n")

    debug = info = warning = error = critical = exception = msg


class _Foreign(logging.Handler):
    """Says in our form what a library logs, without what its words repeat of what it was given."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            said = masked(record.getMessage())
        except Exception:  # noqa: BLE001 - the words do not fit what they are about; it is logged all the same
            said = str(record.msg)
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        logger(record.name).log(level, said, exc_info=record.exc_info)


def _failed_aside(raised: sys.UnraisableHookArgs | threading.ExceptHookArgs) -> None:
    """Nobody is there for it to be raised to: a thread fails, or the end of an object does."""
    logger("process").error("failed_aside", error=str(raised.exc_type), exc_info=raised.exc_value)


class _RequestLine(msgspec.Struct, kw_only=True, gc=False):
    method: str
    route: str | None
    status: int
    ms: float
    request_id: str
    timestamp: str
    delivery_id: str | msgspec.UnsetType = msgspec.UNSET
    process: str | msgspec.UnsetType = msgspec.UNSET
    room: str = "api"
    event: str = "request"
    level: str = "info"


_SAID_BY_THE_LOGGER = frozenset({"timestamp", "process", "room", "event", "level"})


_WRITTEN_WHOLE = 12  # of these, each up to 340 bytes long, go into a pipe as one


class _RequestLog:
    """The lines of calls, which as JSON are handed over together, once a turn of the event loop.

    No field of theirs can hold a secret or an exception, so that they are spared the processors that look for them.
    """

    def __init__(self) -> None:
        self.writer: LogWriter | None = None  # of JSON
        self.process: str | msgspec.UnsetType = msgspec.UNSET
        self._encoder = msgspec.json.Encoder()
        self._lines: list[bytes] = []

    def write(self, line: _RequestLine) -> None:
        line.process = self.process
        if self.writer is None:
            said = msgspec.to_builtins(line)
            logger("api").info(
                "request", **{key: said[key] for key in said if key not in _SAID_BY_THE_LOGGER}
            )
            return
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._flush, self.writer)
        self._lines.append(self._encoder.encode(line))

    def _flush(self, writer: LogWriter) -> None:
        lines, self._lines = self._lines, []
        for first in range(0, len(lines), _WRITTEN_WHOLE):
            writer.write_lines(b"\n".join([*lines[first : first + _WRITTEN_WHOLE], b""]))


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


def masked(text: str) -> str:
    """A text with whatever looks like a token masked."""
    return _LIKE_A_TOKEN.sub("…", text)


def mask_exception(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask what looks like a token in the text of an exception."""
    if "exception" in event:
        event["exception"] = masked(event["exception"])
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
