"""Reporting webhooks, and the outbox of what waits to be posted to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pushkeeper.store.database import load_queries, storable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from pushkeeper.core.model import PersonId, Secret, WorkspaceId
    from pushkeeper.store.database import Database

SQL = load_queries("webhooks")

_PUSH = (
    *("drafted", "attempted", "sent", "delivered", "opened", "clicked", "converted"),
    *("bounced", "dropped", "failed", "undeliverable"),
)
_DEVICE = ("registered", "moved", "bounced", "suppressed", "revived", "deleted")
EVENTS = frozenset(
    {
        *(f"push_{metric}" for metric in _PUSH),
        *("customer_subscribed", "customer_unsubscribed", "customer_cio_subscription_preferences_changed"),
        *(f"device_{metric}" for metric in _DEVICE),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A webhook as its owner wants it."""

    name: str
    endpoint: str
    events: tuple[str, ...]
    disabled: bool = False
    full_resolution: bool = False
    with_content: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A webhook, and how it does: since when its endpoint fails and why, when it is tried again, and how much waits."""

    webhook_id: int
    workspace_id: WorkspaceId
    name: str
    endpoint: str
    events: list[str]
    disabled: bool
    full_resolution: bool
    with_content: bool
    failing_since: datetime | None
    failure: str | None
    failures: int
    due_at: datetime
    created_at: datetime
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A webhook whose turn it is, for the worker that claimed it."""

    webhook_id: int
    workspace_id: WorkspaceId
    endpoint: str
    with_content: bool
    sealed: bytes
    failures: int
    failing_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One thing to be posted: what happened, to whom, and the message that it is about."""

    outbox_id: int
    event_id: UUID
    object_type: str
    metric: str
    message_id: UUID | None
    person_id: PersonId | None
    data: dict[str, Any]
    happened_at: datetime
    kind: str | None
    template_id: int | None
    broadcast_id: int | None
    content: dict[str, Any] | None
    id: str | None
    email: str | None


async def insert(database: Database, workspace: WorkspaceId, wanted: Wanted, sealed: Secret) -> int:
    """Make a webhook whose calls are signed with this key, sealed already, and return its number."""
    made: int = await database.value(SQL["insert"], workspace, *_columns(wanted), sealed.value)
    return made


async def of_workspace(database: Database, workspace: WorkspaceId, only: int | None = None) -> list[Webhook]:
    """The webhooks of a workspace, the oldest first; or only one of them."""
    return [Webhook(**row) for row in await database.rows(SQL["all"], workspace, only)]


async def change(database: Database, workspace: WorkspaceId, webhook_id: int, wanted: Wanted) -> bool:
    """Let a webhook be so, and say whether there is one; what failed is tried again at once."""
    changed = await database.value(SQL["change"], workspace, webhook_id, *_columns(wanted))
    return changed is not None


async def delete(database: Database, workspace: WorkspaceId, webhook_id: int) -> bool:
    """Delete a webhook and what waits for it, and say whether there was one."""
    return await database.value(SQL["delete"], workspace, webhook_id) is not None


async def claim(database: Database, *, for_s: float, most: int) -> list[Turn]:
    """Webhooks that something waits for and whose turn it is; nobody else gets them for so long."""
    return [Turn(**row) for row in await database.rows(SQL["claim"], for_s, most)]


async def turn(database: Database, webhook_id: int) -> Turn | None:
    """A webhook as a worker has it, without claiming it."""
    row = await database.row(SQL["turn"], webhook_id)
    return None if row is None else Turn(**row)


async def waiting(database: Database, webhook_id: int, *, most: int, after: int = 0) -> list[Waiting]:
    """What waits for a webhook, the oldest first, after one of them."""
    return [Waiting(**row) for row in await database.rows(SQL["waiting"], webhook_id, most, after)]


async def posted(database: Database, outbox_ids: Sequence[int]) -> None:
    """Take what was posted out of the outbox."""
    await database.rows(SQL["posted"], list(outbox_ids))


async def taken(database: Database, webhook_id: int) -> None:
    """The endpoint takes what it is sent: its turn is over."""
    await database.rows(SQL["taken"], webhook_id)


async def failed(database: Database, webhook_id: int, failure: str, *, wait_s: float, give_up: bool) -> None:
    """The endpoint did not take it: all waits for so long, or until somebody enables the webhook again."""
    await database.rows(SQL["failed"], webhook_id, storable(failure), wait_s, give_up)


def _columns(wanted: Wanted) -> tuple[object, ...]:
    return (
        wanted.name,
        wanted.endpoint,
        list(wanted.events),
        wanted.disabled,
        wanted.full_resolution,
        wanted.with_content,
    )
