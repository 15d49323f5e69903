"""The audit log: what users did, written before they do it and again when it is done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pushkeeper.store.db.database import load_queries, storable

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.core.roles import UserId
    from pushkeeper.store.db.database import Database

SQL = load_queries(__name__)

_MAX_CHARACTERS = 500


class Outcome(StrEnum):
    """What came of what a user did."""

    BEGUN = "begun"  # put there before it is done; it stays when nobody came back to say more
    DONE = "done"  # it was done
    REFUSED = "refused"  # it was not done: what was asked for was wrong, or not theirs to do
    FAILED = "failed"  # it may have been done: something broke on the way


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a user is about to do.

    Attributes:
        user_id: None of the command line, and of those who are not logged in.
        workspace_id: None where it is about the installation.
        target: on what, in a word that holds no secret.
    """

    user_id: UserId | None
    user_name: str
    action: str
    workspace_id: WorkspaceId | None = None
    workspace: str = ""
    target: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Act):
    """One line of the log."""

    audit_id: int
    at: datetime
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which lines are asked for, before one of them; what is None is not asked for."""

    before: int | None = None
    workspace_id: WorkspaceId | None = None
    user_id: UserId | None = None
    limit: int


async def begin(database: Database, act: Act) -> int:
    """Write what a user is about to do, and return the number of its line."""
    begun: int = await database.value(
        SQL["begin"],
        act.user_id,
        storable(act.user_name),
        act.workspace_id,
        act.workspace,
        act.action,
        _short(act.target),
        act.address,
    )
    return begun


async def end(
    database: Database, audit_id: int, outcome: Outcome, *, target: str = "", detail: str = ""
) -> None:
    """Write what came of it; an empty target leaves what was written."""
    await database.rows(SQL["end"], audit_id, outcome.value, _short(target), _short(detail))


async def page(database: Database, wanted: Wanted) -> list[Line]:
    """Lines of the log, the newest first."""
    rows = await database.rows(SQL["page"], wanted.before, wanted.workspace_id, wanted.user_id, wanted.limit)
    return [Line(**{**row, "outcome": Outcome(row["outcome"])}) for row in rows]


def _short(text: str) -> str:
    text = storable(text)
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 1]}…"
