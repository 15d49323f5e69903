"""The audit log: who changed what, written before it is done and again when it is done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pushkeeper.core.actor import ActorKind
from pushkeeper.store.db.database import storable
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.core.roles import UserId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)

_MAX_CHARACTERS = 500


class Outcome(StrEnum):
    """The result of a change."""

    BEGUN = "begun"  # put there before it is done; it stays when nobody came back to say more
    DONE = "done"  # it was done
    REFUSED = "refused"  # rejected: the request was invalid, or not permitted
    FAILED = "failed"  # it may have been done: something broke on the way


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAuditLine:
    """What somebody is about to do.

    Attributes:
        user_id: None of what is no user, and of those who are not logged in.
        user_name: the actor's name: also of a key, at the command line, or of a job.
        workspace_id: None where it is about the installation.
        target: on what, in a word that holds no secret.
    """

    actor: ActorKind = ActorKind.USER
    user_id: UserId | None
    user_name: str
    action: str
    workspace_id: WorkspaceId | None = None
    target: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine(NewAuditLine):
    """One line of the log."""

    audit_id: int
    at: datetime
    workspace: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """A filter of lines, before one of them; None is no condition."""

    before: int | None = None
    workspace_id: WorkspaceId | None = None
    user_id: UserId | None = None
    actor: ActorKind | None = None
    limit: int


async def begin(database: Database, act: NewAuditLine) -> int:
    """Write what somebody is about to do, and return the number of its line."""
    begun: int = await database.value(SQL["begin"], *_values(act), Outcome.BEGUN.value, "")
    return begun


async def write(database: Database, act: NewAuditLine, outcome: Outcome, detail: str = "") -> None:
    """Write a whole line, of what is over."""
    await database.value(SQL["begin"], *_values(act), outcome.value, _short(detail))


async def write_with(connection: Connection, act: NewAuditLine, detail: str = "") -> None:
    """Write the line of what is done in this transaction."""
    await connection.fetchval(SQL["begin"], *_values(act), Outcome.DONE.value, _short(detail))


def _values(act: NewAuditLine) -> list[object]:
    return [
        act.actor.value,
        act.user_id,
        storable(act.user_name),
        act.workspace_id,
        act.action,
        _short(act.target),
        act.address,
    ]


async def end(
    database: Database, audit_id: int, outcome: Outcome, *, target: str = "", detail: str = ""
) -> None:
    """Record the result; an empty target leaves the earlier one."""
    await database.rows(SQL["end"], audit_id, outcome.value, _short(target), _short(detail))


async def done_with(connection: Connection, audit_id: int) -> None:
    """Write that it is done, in the transaction of the change."""
    await connection.execute(SQL["done"], audit_id)


async def page(database: Database, wanted: AuditFilter) -> list[AuditLine]:
    """Lines of the log, the newest first."""
    rows = await database.rows(
        SQL["page"], wanted.before, wanted.workspace_id, wanted.user_id, wanted.actor, wanted.limit
    )
    return [
        AuditLine(**{**row, "actor": ActorKind(row["actor"]), "outcome": Outcome(row["outcome"])})
        for row in rows
    ]


def _short(text: str) -> str:
    text = storable(text)
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 1]}…"
