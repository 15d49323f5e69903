"""Driver errors: the one border at which errors of the driver and PostgreSQL become ours.

There are two kinds. *Temporary*: the cause is around the statement (a full disk, a server that is read-only or shuts
down, the network), and a retry may succeed. *Permanent*: the cause is the statement or its data.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from pushkeeper.errors import BadRequest, PushkeeperError, TooLarge, Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping


class Busy(Unreachable):
    """Concurrent transactions were first: nothing was written, and a retry may run at once."""


class Cancelled(Unreachable):
    """A statement was cancelled: it took longer than its limit, or somebody did not want to wait for it."""


class ReadOnly(Unreachable):
    """The server is read-only: it is a standby, or configured so."""


class _NotNow(NamedTuple):
    said: str
    retry_after_s: int = 2
    kind: type[Unreachable] = Unreachable


_LOST = _NotNow("does not answer")
_BUSY = _NotNow("is too busy: other transactions were first", 1, Busy)
_TOO_SLOW = _NotNow("is too busy: the query took too long")
_UNPREPARED = _NotNow(
    "is behind a pooler that does not keep prepared statements (the setting statement_cache_size)"
)
# By SQLSTATE, or by its class, which is the first two characters (PostgreSQL's Appendix A).
_NOT_NOW: Mapping[str, _NotNow] = {
    "08": _LOST,  # connection exception
    "25006": _NotNow("is read-only", 5, ReadOnly),
    "25P03": _TOO_SLOW,  # idle in transaction: we were
    "25P04": _TOO_SLOW,
    "26000": _UNPREPARED,
    "42P05": _UNPREPARED,
    "40": _BUSY,  # transaction rollback: deadlocks, and what cannot be serialized
    "53": _NotNow("has no resources left", 5),
    "53100": _NotNow("has no room left on its disk", 10),
    "53200": _NotNow("has no memory left", 5),
    "53300": _NotNow("has no connection left"),
    "55006": _TOO_SLOW,  # object in use
    "55P03": _TOO_SLOW,  # lock not available
    "57": _LOST,  # operator intervention
    "57014": _NotNow("is too busy: the query took too long", kind=Cancelled),
    "57P01": _NotNow("is shutting down"),
    "57P02": _NotNow("crashed, and starts again"),
    "57P03": _NotNow("is starting, or shutting down"),
    "58": _NotNow("cannot use its files", 10),  # system error: outside PostgreSQL itself
}
_NO_PARTITION = _NotNow("has no partition for this day yet", 10)
# No thread can be started to look a name up in, or no memory is left: of this process, which other connections may free.
_OUT_OF_OURS = _NotNow("cannot be connected to: this process is out of threads or memory", 5)
# Classes of SQLSTATE by which PostgreSQL refuses the values that it was given, whatever else is right or wrong with it.
_OF_VALUES = frozenset({"22", "23", "54"})
_UNUSABLE = re.compile("clos(ed|ing)|released|another operation is in progress")
_HOLDING_NUL = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)


def translated(error: Exception, *, connecting: bool = False) -> PushkeeperError | None:
    """Our error for an error of the driver; None if the statement is at fault, or it is no driver's.

    While `connecting` no statement ran yet, so that no rejection is permanent either: a password may be about to
    change, a database is just being restored.
    """
    if (found := _not_now(error, connecting=connecting)) is not None:
        return found.kind(f"the database {found.said}", retry_after_s=found.retry_after_s)
    if isinstance(error, _HOLDING_NUL):
        return BadRequest("text", "the character NUL cannot be stored")
    if isinstance(error, asyncpg.CheckViolationError) and (error.constraint_name or "").endswith("_times"):
        return BadRequest("time", "out of bounds")
    if isinstance(error, asyncpg.ProgramLimitExceededError):
        return TooLarge("identifier", "too long to be stored")
    return None


def refuses_values(error: Exception) -> bool:
    """Whether a statement failed by the values that it was given, so that it would fail with them on any server.

    Of all else that is no `Unreachable` the reason may be the statement, or the server: a right that was taken away, a
    table that is missing, an index that is broken.
    """
    if _not_now(error, connecting=False) is not None:
        return False
    if isinstance(error, asyncpg.PostgresError):
        return (getattr(error, "sqlstate", None) or "")[:2] in _OF_VALUES
    # What the driver cannot encode is an InterfaceError and a ValueError; anything else that is raised of values, by us too.
    if isinstance(error, asyncpg.InterfaceError):
        return isinstance(error, ValueError)
    return not isinstance(error, Unreachable | MemoryError)


def _not_now(error: Exception, *, connecting: bool) -> _NotNow | None:
    match error:
        case ExceptionGroup(exceptions=several):
            found = [_not_now(one, connecting=connecting) for one in several]
            return found[0] if all(found) else None
        case asyncpg.PostgresError():
            return _by_state(error) or (_NotNow("rejects connections") if connecting else None)
        # TimeoutError is an OSError. InternalClientError is what the driver says when the server's farewell came just before
        # the query, or when the schema changed under a statement that it remembers.
        case OSError() | asyncpg.InternalClientError():
            return _LOST
        case asyncpg.InterfaceError() if connecting or _UNUSABLE.search(str(error)):
            return _LOST
        case RuntimeError() | MemoryError() if connecting:
            return _OUT_OF_OURS
        case _:
            return None


def _by_state(error: asyncpg.PostgresError) -> _NotNow | None:
    state = getattr(error, "sqlstate", None) or ""
    if (found := _NOT_NOW.get(state) or _NOT_NOW.get(state[:2])) is not None:
        return found
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return _BUSY
    return _NO_PARTITION if _lacks_a_partition(error) else None


def _lacks_a_partition(error: asyncpg.PostgresError) -> bool:
    """Whether a row was refused for want of a partition: PostgreSQL calls that a check, but names no constraint."""
    return (
        isinstance(error, asyncpg.CheckViolationError)
        and error.constraint_name is None
        and error.table_name is not None
    )
