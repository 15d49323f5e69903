"""The log of webhooks' calls keeps the last of each webhook, by any writer, and nothing of a deleted one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from pushkeeper.core.model import Secret
from pushkeeper.store import webhooks
from pushkeeper.store.jobs import Claim
from pushkeeper.store.webhooks import KEPT_CALLS, Call, WebhookDefinition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


async def made(database: Database, tenant: WorkspaceId) -> int:
    wanted = WebhookDefinition(name="ours", endpoint="https://example.com/hook", events=("push_sent",))
    found = await webhooks.insert(database, tenant, wanted, Secret(b"sealed"), most=10)
    assert found is not None
    return found


async def settle(
    database: Database, tenant: WorkspaceId, webhook_id: int, calls: Sequence[Call], **more: Any
) -> None:
    """A turn, from its claim to its end."""
    claimed = "update webhooks set claim_id = gen_random_uuid() where webhook_id = $1 returning claim_id"
    claim = Claim(tenant, webhook_id, await database.value(claimed, webhook_id), 1)
    await webhooks.settle(database, claim, calls, **more)


def call(**changes: Any) -> Call:
    usual = {"outbox_id": None, "at": NOW, "event_id": uuid4(), "object_type": "push", "metric": "sent"}
    return Call(**{**usual, "status": 200, "failure": None, "took_ms": 3, **changes})


async def waits(database: Database, tenant: WorkspaceId, webhook_id: int, count: int) -> list[int]:
    rows = await database.rows(
        "insert into outbox (workspace_id, webhook_id, object_type, metric, data, happened_at) "
        "select $1, $2, 'push', 'sent', '{}', now() from generate_series(1, $3::int) returning outbox_id",
        tenant,
        webhook_id,
        count,
    )
    return [row["outbox_id"] for row in rows]


async def numbers(database: Database, tenant: WorkspaceId, webhook_id: int) -> list[int]:
    found = await webhooks.calls(database, tenant, webhook_id, before=None, most=1_000)
    return [one.call for one in found]


@pytest.mark.parametrize("size", [1, 7, 10])
async def test_the_last_two_hundred_of_each_webhook_are_kept(
    database: Database, tenant: WorkspaceId, size: int
) -> None:
    one, other = await made(database, tenant), await made(database, tenant)
    await settle(database, tenant, other, [call()])
    for start in range(0, KEPT_CALLS + 30, size):
        await settle(database, tenant, one, [call(took_ms=start + n) for n in range(size)])
    last = len(range(0, KEPT_CALLS + 30, size)) * size
    assert await numbers(database, tenant, one) == list(range(last, last - KEPT_CALLS, -1))
    found = await webhooks.calls(database, tenant, one, before=None, most=1_000)
    assert [logged.took_ms + 1 for logged in found] == [logged.call for logged in found], "in their order"
    assert await numbers(database, tenant, other) == [1]


async def test_pings_beside_turns_have_numbers_of_their_own_and_push_nothing_over_the_brim(
    database: Database, tenant: WorkspaceId
) -> None:
    one = await made(database, tenant)
    for _ in range(KEPT_CALLS // 10):
        await settle(database, tenant, one, [call() for _ in range(10)])

    async def turns() -> None:
        for _ in range(10):
            await settle(database, tenant, one, [call(), call()])

    pings = [
        webhooks.log(database, tenant, one, call(object_type="webhook", metric="ping")) for _ in range(10)
    ]
    await asyncio.gather(turns(), *pings)
    last = KEPT_CALLS + 30
    assert await numbers(database, tenant, one) == list(range(last, last - KEPT_CALLS, -1))
    found = await webhooks.calls(database, tenant, one, before=None, most=30)
    assert sum(logged.event == "webhook_ping" for logged in found) == 10


async def test_a_turn_takes_out_what_was_taken_and_counts_the_attempts_of_what_was_not(
    database: Database, tenant: WorkspaceId
) -> None:
    one = await made(database, tenant)
    taken, failed, behind = await waits(database, tenant, one, 3)
    calls = [
        call(outbox_id=taken),
        call(outbox_id=failed, status=503, failure="answered 503", attempt=1),
    ]
    await settle(database, tenant, one, calls, wait_s=60.0)
    waiting = await webhooks.waiting(database, tenant, one, most=10)
    assert [(item.outbox_id, item.attempts) for item in waiting] == [(failed, 1), (behind, 0)]
    [found] = await webhooks.of_workspace(database, tenant, one)
    assert (found.failures, found.failure, found.disabled) == (1, "answered 503", False)
    again = [call(outbox_id=failed, status=None, failure="no answer", attempt=2)]
    await settle(database, tenant, one, again, wait_s=60.0, give_up=True)
    [found] = await webhooks.of_workspace(database, tenant, one)
    assert (found.failures, found.failure, found.disabled) == (2, "no answer", True)
    assert (await webhooks.waiting(database, tenant, one, most=1))[0].attempts == 2
    await settle(database, tenant, one, [call(outbox_id=failed, attempt=3), call(outbox_id=behind)])
    [found] = await webhooks.of_workspace(database, tenant, one)
    assert (found.failures, found.failing_since, found.failure, found.waiting) == (0, None, None, 0)


async def test_calls_of_a_webhook_that_was_deleted_meanwhile_are_dropped(
    database: Database, tenant: WorkspaceId
) -> None:
    one = await made(database, tenant)
    await settle(database, tenant, one, [call()])
    await webhooks.delete(database, tenant, one)
    await settle(database, tenant, one, [call()])
    await webhooks.log(database, tenant, one, call())
    assert await numbers(database, tenant, one) == []


async def test_a_turn_that_somebody_else_has_by_now_settles_nothing(
    database: Database, tenant: WorkspaceId
) -> None:
    one = await made(database, tenant)
    [waiting] = await waits(database, tenant, one, 1)
    await settle(database, tenant, one, [call()])
    await webhooks.settle(database, Claim(tenant, one, uuid4(), 1), [call(outbox_id=waiting)])
    assert len(await webhooks.waiting(database, tenant, one, most=10)) == 1
    assert await numbers(database, tenant, one) == [1]


async def test_a_workspace_has_so_many_webhooks_and_no_more(database: Database, tenant: WorkspaceId) -> None:
    for _ in range(10):
        await made(database, tenant)
    wanted = WebhookDefinition(name="ours", endpoint="https://example.com/hook", events=("push_sent",))
    assert await webhooks.insert(database, tenant, wanted, Secret(b"sealed"), most=10) is None
