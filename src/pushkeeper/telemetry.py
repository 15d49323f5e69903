"""Logs: an event's name and its fields, one JSON object a line, without secrets and without whole tokens."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog

from pushkeeper.core.model import Secret, Token

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_SECRET_WORDS = ("token", "authorization", "password", "secret", "api_key", "write_key", "private_key")


def configure(*, json: bool) -> None:
    """Log to standard error: JSON for machines, or aligned lines for people."""
    renderer = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose lines say which room they are from."""
    bound: structlog.stdlib.BoundLogger = structlog.get_logger(room=name)
    return bound


def redact(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask every value that is a token or a secret, by its type or by the name it goes under."""
    for key, value in event.items():
        if isinstance(value, Token):
            event[key] = value.masked
        elif isinstance(value, Secret) or (
            isinstance(value, str) and any(word in key for word in _SECRET_WORDS)
        ):
            event[key] = "…"
    return event
