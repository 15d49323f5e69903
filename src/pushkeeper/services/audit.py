"""The audit log: a use case that changes something takes an actor, and leaves one line with what it changed."""

from __future__ import annotations

import functools
import inspect
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

from pushkeeper.core.actor import Actor, ActorKind
from pushkeeper.errors import PushkeeperError
from pushkeeper.store.admin import audit
from pushkeeper.store.admin.audit import AuditFilter, AuditLine, Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

__all__ = ["Actor", "ActorKind", "Audit", "AuditEntry", "AuditFilter", "AuditLine", "Outcome", "audited"]

T = TypeVar("T")
P = ParamSpec("P")

_LONGEST_VALUE = 60  # characters of a value that is written


@dataclass(slots=True)
class AuditEntry:
    """The audit line of a change in progress, filled in by the use case.

    Attributes:
        target: what is changed, by a name or number that is no secret; empty keeps the initial one.
        detail: further data.
    """

    by: Actor
    number: int
    target: str = ""
    detail: str = ""
    changes: list[str] = field(default_factory=list)

    def changed(self, name: str, before: object, after: object) -> None:
        """Write what a field was and is; nothing of one that is the same."""
        if before != after:
            self.changes.append(f"{name}: {_shown(before)} → {_shown(after)}")

    def changed_fields(self, before: Any, after: Any, *names: str) -> None:  # noqa: ANN401 - any two objects
        """Write these fields of what is changed."""
        for name in names:
            self.changed(name, getattr(before, name), getattr(after, name))

    def replaced_fields(self, before: Any, after: Any, *names: str) -> None:  # noqa: ANN401 - any two objects
        """Write only the names of these fields that differ: their values are texts to people, or large."""
        self.changes += [
            f"{name}: changed" for name in names if getattr(before, name) != getattr(after, name)
        ]

    async def done_with(self, connection: Connection) -> None:
        """Complete the line in the change's transaction: it is committed exactly if the change is."""
        await audit.done_with(connection, self.number)

    @property
    def text(self) -> str:
        return "; ".join([*self.changes, *([self.detail] if self.detail else [])])


class Audit:
    """The audit log of the installation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lines(self, wanted: AuditFilter) -> list[AuditLine]:
        """Lines of the log, the newest first."""
        return await audit.page(self._database, wanted)

    @asynccontextmanager
    async def change(
        self, by: Actor, action: str, workspace: WorkspaceId | None = None, target: str = ""
    ) -> AsyncIterator[AuditEntry]:
        """Write a line around a change, for what is no use case of its own; use cases have `audited`."""
        async with _line(self._database, by, action, workspace, target) as entry:
            yield entry

    async def refused(
        self, by: Actor, action: str, why: str, workspace: WorkspaceId | None = None, target: str = ""
    ) -> None:
        """Write what somebody tried who may not."""
        await audit.write(self._database, _act(by, action, workspace, target), Outcome.REFUSED, why)

    async def tokens_read(self, by: Actor, workspace: WorkspaceId, devices: int) -> None:
        """Record that this many whole tokens were given to somebody who did not name them; nothing for zero."""
        if devices:
            target = "1 device" if devices == 1 else f"{devices:,} devices"
            await audit.write(self._database, _act(by, "tokens.read", workspace, target), Outcome.DONE)


class _HasDatabase(Protocol):
    _database: Database


S = TypeVar("S", bound=_HasDatabase)


def audited(
    action: str, *target: str
) -> Callable[
    [Callable[Concatenate[S, AuditEntry, P], Awaitable[T]]],
    Callable[Concatenate[S, Actor, P], Coroutine[Any, Any, T]],
]:
    """Write a line around a use case: it is called with an actor, and gets the entry of its line in place of it.

    `target` names the parameters that say what is changed. The workspace is the parameter `workspace`; without one it
    is a matter of the installation.
    """

    def wrap(
        method: Callable[Concatenate[S, AuditEntry, P], Awaitable[T]],
    ) -> Callable[Concatenate[S, Actor, P], Coroutine[Any, Any, T]]:
        signature = inspect.signature(method)

        @functools.wraps(method)
        async def run(self: S, by: Actor, /, *args: P.args, **kwargs: P.kwargs) -> T:
            given = signature.bind(self, by, *args, **kwargs).arguments
            what = " ".join(str(given[name]) for name in target)
            async with _line(self._database, by, action, given.get("workspace"), what) as entry:
                return await method(self, entry, *args, **kwargs)

        run.__dict__["audited_as"] = action
        return run

    return wrap


@asynccontextmanager
async def _line(
    database: Database, by: Actor, action: str, workspace: WorkspaceId | None, target: str
) -> AsyncIterator[AuditEntry]:
    """Committed as begun before the change, so that none is without its line, and completed after it."""
    number = await audit.begin(database, _act(by, action, workspace, target))
    entry = AuditEntry(by, number)
    try:
        yield entry
    except PushkeeperError as error:
        await audit.end(database, number, Outcome.REFUSED, target=entry.target, detail=error.message)
        raise
    except BaseException:
        await audit.end(database, number, Outcome.FAILED, target=entry.target)
        raise
    await audit.end(database, number, Outcome.DONE, target=entry.target, detail=entry.text)


async def write_with(
    connection: Connection,
    by: Actor,
    action: str,
    workspace: WorkspaceId | None = None,
    target: str = "",
    detail: str = "",
) -> None:
    """Write the line of a change in its transaction, where its actor is known only then, or nothing else can fail."""
    await audit.write_with(connection, _act(by, action, workspace, target), detail)


async def write_refused(database: Database, by: Actor, action: str, why: str) -> None:
    """Record a rejected attempt of an unknown caller."""
    await audit.write(database, _act(by, action, None, ""), Outcome.REFUSED, why)


def _act(by: Actor, action: str, workspace: WorkspaceId | None, target: str) -> audit.NewAuditLine:
    return audit.NewAuditLine(
        actor=by.kind,
        user_id=by.user_id,
        user_name=by.name,
        address=by.address,
        workspace_id=workspace,
        action=action,
        target=target,
    )


def _shown(value: object) -> str:
    if value is None or value == "":
        return "none"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
