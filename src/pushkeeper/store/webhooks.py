"""Reporting webhooks, and the outbox of their queued events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from pushkeeper.core.model import PersonId, WorkspaceId
from pushkeeper.store.db.database import columns, storable
from pushkeeper.store.db.queries import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.delivery.delivery_id import DeliveryId
    from pushkeeper.core.model import Secret
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection, Row
    from pushkeeper.store.jobs import Claim

SQL = load_queries(__name__)


def _events(channel: str, metrics: str) -> frozenset[str]:
    return frozenset(f"{channel}_{metric}" for metric in metrics.split())


POSTED_EVENTS = (
    _events("push", "drafted attempted sent delivered opened clicked converted bounced dropped failed")
    | _events("push", "undeliverable")
    | _events("customer", "subscribed unsubscribed subscription_preferences_changed")
    | _events("device", "registered moved bounced suppressed revived deleted")
)
# Events of Customer.io's other channels (their API's `createWebhook`, and the pages of reporting webhooks), which a webhook
# may subscribe to and never gets, so that an existing configuration can be imported unchanged.
OTHER_CHANNELS_EVENTS = (
    _events("email", "drafted attempted sent delivered opened clicked converted bounced dropped deferred")
    | _events("email", "spammed failed unsubscribed undeliverable")
    | _events("in_app", "drafted attempted sent opened clicked converted failed undeliverable")
    | _events("slack", "drafted attempted sent clicked converted failed undeliverable")
    | _events("sms", "drafted attempted sent delivered clicked converted bounced dropped failed")
    | _events("sms", "undeliverable replied")
    | _events("whatsapp", "drafted attempted sent delivered opened clicked converted bounced dropped")
    | _events("whatsapp", "failed undeliverable replied")
    | _events("webhook", "drafted attempted sent clicked converted failed undeliverable")
)
EVENTS = POSTED_EVENTS | OTHER_CHANNELS_EVENTS

KEPT_CALLS = 200  # of each webhook


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDefinition:
    """A webhook as its owner wants it."""

    name: str
    endpoint: str
    events: tuple[str, ...]
    disabled: bool = False
    full_resolution: bool = False
    with_content: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChange:
    """The changes to a webhook; None leaves a field unchanged."""

    name: str | None = None
    endpoint: str | None = None
    events: tuple[str, ...] | None = None
    disabled: bool | None = None
    full_resolution: bool | None = None
    with_content: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAttempt:
    """A failed attempt at a push that will be retried.

    Attributes:
        reason: our code of the failure; `provider_status`, `provider_reason` and `detail` are the push service's own.
    """

    workspace_id: WorkspaceId
    message_id: UUID
    person_id: PersonId
    reason: str
    provider_status: int | None
    provider_reason: str
    detail: str | None


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
class WebhookTarget:
    """A webhook with what its caller needs."""

    webhook_id: int
    workspace_id: WorkspaceId
    endpoint: str
    with_content: bool
    sealed: bytes
    failures: int
    failing_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingCall:
    """One event to post: what happened, to which person, and its message."""

    outbox_id: int
    event_id: UUID
    object_type: str
    metric: str
    message_id: UUID | None
    person_id: PersonId | None
    data: dict[str, Any]
    happened_at: datetime
    attempts: int
    kind: str | None
    template_id: int | None
    broadcast_id: int | None
    content: dict[str, Any] | None
    id: str | None
    email: str | None


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of an endpoint.

    Attributes:
        outbox_id: its event in the outbox; None of a ping.
        message_id, person_id: the delivery or the person of the event, if any.
        attempt: the number of the attempt, from 1.
        status: the response's status; None without one.
        failure: why it failed; None of a success.
        left_out: the event could not be read, so nothing was posted and nothing is retried.
    """

    outbox_id: int | None
    at: datetime
    event_id: UUID
    object_type: str
    metric: str
    message_id: UUID | None = None
    person_id: PersonId | None = None
    attempt: int = 1
    status: int | None
    failure: str | None
    took_ms: int
    left_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedCall:
    """A logged call; its number is the webhook's own, `delivery_id` is the delivery of its event, if any."""

    delivery_id: DeliveryId | None
    call: int
    at: datetime
    event_id: UUID
    object_type: str
    metric: str
    message_id: UUID | None
    person_id: PersonId | None
    attempt: int
    status: int | None
    failure: str | None
    took_ms: int

    @property
    def event(self) -> str:
        """By the name that webhooks ask for it; a ping is `webhook_ping`."""
        return f"{self.object_type}_{self.metric}"


async def insert(
    database: Database, workspace: WorkspaceId, wanted: WebhookDefinition, sealed: Secret, *, most: int
) -> int | None:
    """Make a webhook whose calls are signed with this key, sealed already, and return its number.

    None where the workspace has so many already.
    """
    of = database.of(workspace)
    made: int | None = await of.value(SQL["insert"], workspace, *_columns(wanted), sealed.value, most)
    return made


async def of_workspace(database: Database, workspace: WorkspaceId, only: int | None = None) -> list[Webhook]:
    """The webhooks of a workspace, the oldest first; or only one of them."""
    return [Webhook(**row) for row in await database.of(workspace).rows(SQL["all"], workspace, only)]


async def change(database: Database, workspace: WorkspaceId, webhook_id: int, change: WebhookChange) -> bool:
    """Change a webhook; return whether it exists. Failed calls are retried at once."""
    changed = await database.of(workspace).value(SQL["change"], workspace, webhook_id, *_columns(change))
    return changed is not None


async def delete(database: Database, workspace: WorkspaceId, webhook_id: int) -> bool:
    """Delete a webhook and its queue, and return whether it existed."""
    return await database.of(workspace).value(SQL["delete"], workspace, webhook_id) is not None


async def turn(database: Database, workspace: WorkspaceId, webhook_id: int) -> WebhookTarget | None:
    """A webhook with what its caller needs; None if it was deleted."""
    row = await database.of(workspace).row(SQL["turn"], workspace, webhook_id)
    return None if row is None else WebhookTarget(**row)


async def waiting(
    database: Database, workspace: WorkspaceId, webhook_id: int, *, most: int, after: int = 0
) -> list[PendingCall]:
    """The queue of a webhook, oldest first, after an event."""
    rows = await database.of(workspace).rows(SQL["waiting"], workspace, webhook_id, most, after)
    return [PendingCall(**row) for row in rows]


async def settle(
    database: Database, claim: Claim, calls: Sequence[Call], *, wait_s: float = 0.0, give_up: bool = False
) -> None:
    """End a turn in which these calls were made: all were taken, but for the last if it has a failure.

    After a failure all that waits does so for so long, or until somebody enables the webhook again.
    """
    workspace, webhook_id, claim_id = claim.row
    told = msgspec.to_builtins(list(calls))
    await database.of(workspace).rows(
        SQL["settle"], workspace, webhook_id, told, wait_s, give_up, KEPT_CALLS, claim_id
    )


async def log(database: Database, workspace: WorkspaceId, webhook_id: int, call: Call) -> None:
    """Log a call that was made out of turn."""
    await database.of(workspace).rows(
        SQL["log"],
        workspace,
        webhook_id,
        KEPT_CALLS,
        call.at,
        call.event_id,
        call.object_type,
        call.metric,
        call.status,
        call.failure,
        call.took_ms,
    )


async def calls(
    database: Database, workspace: WorkspaceId, webhook_id: int, *, before: int | None, most: int
) -> list[LoggedCall]:
    """The last calls of a webhook before one of them, the newest first; older ones are not kept."""
    rows = await database.of(workspace).rows(SQL["calls"], workspace, webhook_id, before, most)
    return [LoggedCall(**row, delivery_id=_delivery(database, workspace, row)) for row in rows]


def _delivery(database: Database, workspace: WorkspaceId, row: Row) -> DeliveryId | None:
    if row["message_id"] is None or row["person_id"] is None:
        return None
    return database.delivery_ids.of(workspace, row["message_id"], row["person_id"])


async def report_attempts(connection: Connection, attempts: Sequence[FailedAttempt]) -> None:
    """Put failed attempts into the outboxes of webhooks that subscribe to `push_attempted`, once per delivery."""
    rows = [
        (
            attempt.workspace_id,
            attempt.message_id,
            attempt.person_id,
            attempt.reason,
            attempt.provider_status,
            storable(attempt.provider_reason),
            attempt.detail and storable(attempt.detail),
        )
        for attempt in attempts
    ]
    await connection.execute(SQL["report_attempts"], *columns(rows, 7))


def _columns(wanted: WebhookDefinition | WebhookChange) -> tuple[object, ...]:
    return (
        wanted.name,
        wanted.endpoint,
        None if wanted.events is None else list(wanted.events),
        wanted.disabled,
        wanted.full_resolution,
        wanted.with_content,
    )
