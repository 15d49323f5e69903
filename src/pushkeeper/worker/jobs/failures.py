"""Failures of jobs: whether to retry, and the reason to show."""

from __future__ import annotations

from pushkeeper.core.filters.nodes import BadFilter
from pushkeeper.errors import BadRequest, Conflict, Forbidden, NotFound, PushkeeperError

_FINAL = (BadRequest, Forbidden, NotFound, Conflict)


class TryAgain(Exception):
    """Something that a job needs is in trouble for now; the text is shown to people and holds no secret."""


def is_final(error: BaseException) -> bool:
    """Whether another attempt would fail in the same way: the request is wrong."""
    return isinstance(error, _FINAL)


def is_expected(error: BaseException) -> bool:
    """Whether its text says all there is to know."""
    return isinstance(error, PushkeeperError | TryAgain | BadFilter)


def reason(error: BaseException) -> str:
    """Why an attempt failed. Of an unexpected error only the name: its text may contain anything."""
    match error:
        case PushkeeperError():
            return error.message
        case TryAgain() | BadFilter():
            return str(error)
        case MemoryError() | RecursionError():
            return "it is too large or nested too deeply to be worked on"
        case _:
            return f"unexpected error ({type(error).__name__}); see the log"
