"""Retention: old data is deleted, queued pushes keep their place, and running workers do not notice."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest_asyncio

from pushkeeper.core.model import Content, DeviceId, PersonId, minted_at, uuid7
from pushkeeper.store.admin import workspaces
from pushkeeper.store.db import migrate, retention
from pushkeeper.store.db.retention import DeletedRows, Keep
from pushkeeper.store.delivery import pushes, queue
from pushkeeper.store.messages import messages
from pushkeeper.store.people import activities
from pushkeeper.store.people.activities import ActivitiesPage
from support.databases import own_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from pushkeeper.core.delivery.delivery_id import DeliveryId
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database

KEEP = Keep(pushes_days=90, history_days=400, events_days=90, exports_days=30, outbox_days=30)
ALL = Keep(pushes_days=None, history_days=None, events_days=None, exports_days=None, outbox_days=None)
NOW = datetime.now(UTC)
ANN = PersonId(1)


class Past:
    """A database of its own, in which things happened long ago."""

    def __init__(self, database: Database, workspace: WorkspaceId) -> None:
        self.database = database
        self.workspace = workspace

    async def day(self, days_ago: int) -> str:
        """The partition of pushes of a day."""
        day = (NOW - timedelta(days=days_ago)).date()
        name = f"pushes_{day:%Y%m%d}"
        await self.database.owned.rows(
            f"create table if not exists {name} partition of pushes "
            f"for values from ('{day}') to ('{day + timedelta(days=1)}')"
        )
        return name

    async def month(self, table: str, days_ago: int) -> str:
        """The partition of history or events of the month of a day."""
        start = (NOW - timedelta(days=days_ago)).date().replace(day=1)
        end = (start + timedelta(days=31)).replace(day=1)
        name = f"{table}_{start:%Y%m}"
        await self.database.owned.rows(
            f"create table if not exists {name} partition of {table} "
            f"for values from ('{start} 00:00+00') to ('{end} 00:00+00')"
        )
        return name

    async def message(self, days_ago: int, *, waits: bool = False, pushed: bool = True) -> UUID:
        """A message to Ann: sent and recorded, or still in the queue."""
        await self.day(days_ago)
        at = NOW - timedelta(days=days_ago)
        new = messages.NewMessage(
            message_id=uuid7(int(at.timestamp() * 1000), secrets.token_bytes(10)),
            workspace_id=self.workspace,
            person_id=ANN,
            content=Content(title="long ago"),
            pick="all",
            send_to_unsubscribed=True,
            send_at=at,
            expires_at=at + timedelta(days=28),
        )
        await self.database.in_transaction(lambda connection: messages.insert(connection, [new]))
        if pushed:
            row = pushes.PushRow(
                message_id=new.message_id,
                device_id=DeviceId(secrets.token_bytes(16)),
                workspace_id=self.workspace,
                person_id=ANN,
                generation=1,
                ending="accepted",
                reason="apns_accepted",
                provider="apns",
                provider_status=200,
                attempts=1,
            )
            await self.database.in_transaction(lambda connection: pushes.insert(connection, [row]))
        if not waits:
            await self.database.rows("delete from batches where message_id = $1", new.message_id)
        return new.message_id

    async def report(self, message: UUID) -> None:
        await self.database.rows(
            "insert into reports (message_id, person_id, metric, workspace_id, reported_at) "
            "values ($1, 1, 'opened', $2, now())",
            message,
            self.workspace,
        )

    async def broadcast(self, message: UUID, *, planned: bool = True) -> None:
        """Let a message be one to many, for which Ann is named."""
        await self.database.rows(
            "update messages set kind = 'broadcast', person_id = null where message_id = $1", message
        )
        await self.database.rows(
            "insert into broadcasts (workspace_id, message_id, state, started_at, planned_at) "
            "select $1, $2, case when $3 then 'planned' else 'planning' end, created_at, case when $3 then now() end "
            "from messages where message_id = $2",
            self.workspace,
            message,
            planned,
        )
        await self.database.rows(
            "insert into broadcast_people (workspace_id, broadcast_id, person_id) "
            "select workspace_id, broadcast_id, 1 from broadcasts where message_id = $1",
            message,
        )

    async def hold(self, message: UUID) -> None:
        """Let a refusal of it be held."""
        made = await self.database.value(
            "with c as (insert into credentials (workspace_id, provider, kind, app, sealed) "
            "values ($1, 'fcm', 'service_account', $2, '') returning credential_id) "
            "insert into routes (workspace_id, credential_id) select $1, credential_id from c returning route_id",
            self.workspace,
            secrets.token_hex(4),
        )
        await self.database.rows(
            "insert into held_verdicts (message_id, device_id, workspace_id, route_id, person_id, generation, why, "
            "priority, attempt, first_attempt_at, reason, provider, provider_reason) "
            "values ($1, '', $2, $3, 1, 1, 'guard', 0, 0, now(), 'fcm_invalid_argument_token', 'fcm', '')",
            message,
            self.workspace,
            made,
        )

    def delivery(self, message: UUID) -> DeliveryId:
        """That message for Ann."""
        return self.database.delivery_ids.of(self.workspace, message, ANN)

    async def tables(self) -> set[str]:
        return {partition.name for partition in await retention.partitions(self.database)}

    async def count(self, table: str) -> int:
        found: int = await self.database.value(f"select count(*) from {table}")
        return found


@pytest_asyncio.fixture
async def past(database: Database) -> AsyncIterator[Past]:
    async with own_database(database, connections=4) as made:
        workspace, _ = await workspaces.create(made, "past")
        await made.rows("insert into people (person_id, workspace_id) values (1, $1)", workspace.workspace_id)
        yield Past(made, workspace.workspace_id)


async def test_partitions_that_are_old_as_a_whole_are_dropped_and_no_others(past: Past) -> None:
    before = await past.tables()
    old = {await past.day(91), await past.day(200)}
    kept = {await past.day(90), await past.day(89)}
    old |= {await past.month("events", 130), await past.month("device_history", 440)}
    kept |= {await past.month("events", 85), await past.month("device_history", 130)}
    assert set(await retention.drop_partitions(past.database, KEEP)) == old
    assert await past.tables() == before | kept
    assert await retention.drop_partitions(past.database, KEEP) == []
    assert await past.database.value("select to_regclass($1)", f"{next(iter(old))}") is None


async def test_what_is_to_be_kept_for_ever_is_kept(past: Past) -> None:
    message = await past.message(4000)
    await past.report(message)
    await past.month("device_history", 4000)
    tables = await past.tables()
    assert await retention.drop_partitions(past.database, ALL) == []
    assert await retention.forget(past.database, past.workspace, ALL, NOW) == DeletedRows()
    assert await past.tables() == tables


async def test_a_day_of_which_something_waits_is_kept(past: Past) -> None:
    queued, held, unplanned = (
        await past.message(100, waits=True),
        await past.message(101),
        await past.message(102),
    )
    await past.hold(held)
    await past.broadcast(unplanned, planned=False)
    gone = await past.day(103)
    assert await retention.drop_partitions(past.database, KEEP) == [gone]
    await retention.forget(past.database, past.workspace, KEEP, NOW)
    for message in (queued, held, unplanned):
        assert await past.database.value("select count(*) from messages where message_id = $1", message) == 1
    assert await past.count("broadcast_people") == 1


async def test_messages_go_when_nothing_refers_to_them_with_their_app_reports(past: Past) -> None:
    old = [await past.message(100) for _ in range(3)]
    to_many, young = await past.message(100), await past.message(10)
    await past.broadcast(to_many)
    for message in (*old, to_many, young):
        await past.report(message)
    # As long as their pushes are recorded, they are too.
    assert (await retention.forget(past.database, past.workspace, KEEP, NOW)).messages == 0
    await retention.drop_partitions(past.database, KEEP)
    await past.report(old[0])
    forgotten = await retention.forget(past.database, past.workspace, KEEP, NOW)
    assert (forgotten.messages, forgotten.named) == (3, 0)
    left = {row["message_id"] for row in await past.database.rows("select message_id from messages")}
    assert left == {to_many, young}  # of a broadcast there is a record still
    assert await past.database.value("select message_id from reports") == young
    assert await past.count("reports") == 1


async def test_changes_that_failed_are_forgotten_with_events(past: Past) -> None:
    for value, days_ago in (("old", KEEP.events_days), ("young", 1)):
        assert days_ago is not None
        await past.database.rows(
            "insert into failed_changes (workspace_id, person_id, name, value, failed_at) "
            "values ($1, $2, 'email', $3, $4)",
            *(past.workspace, ANN, value, NOW - timedelta(days=days_ago, seconds=1)),
        )
    for expected in (1, 0):
        forgotten = await retention.forget(past.database, past.workspace, KEEP, NOW)
        assert forgotten.failed_changes == expected
    assert await past.database.value("select value from failed_changes") == "young"


async def test_who_was_named_for_an_old_broadcast_is_forgotten_once_it_is_over(past: Past) -> None:
    over, under_way, young = (
        await past.message(100),
        await past.message(100, waits=True),
        await past.message(5),
    )
    for message in (over, under_way, young):
        await past.broadcast(message)
    assert (await retention.forget(past.database, past.workspace, KEEP, NOW)).named == 1
    left = {
        row["message_id"]
        for row in await past.database.rows(
            "select message_id from broadcast_people join broadcasts using (workspace_id, broadcast_id)"
        )
    }
    assert left == {under_way, young}


async def test_more_than_a_page_goes_in_one_look(past: Past) -> None:
    await past.day(100)
    first = NOW - timedelta(days=100)
    ids = [uuid7(int(first.timestamp() * 1000) + n, secrets.token_bytes(10)) for n in range(2_500)]
    await past.database.rows(
        "insert into messages (message_id, workspace_id, kind, person_id, content, created_at, expires_at) "
        "select m, $1, 'transactional', 1, '{}', $2, $2 from unnest($3::uuid[]) m",
        past.workspace,
        first,
        ids,
    )
    assert (await retention.forget(past.database, past.workspace, KEEP, NOW)).messages == 2_500


async def test_old_exports_and_what_no_webhook_came_for_go(past: Past) -> None:
    await past.database.rows(
        "insert into exports (workspace_id, kind, asked, state, updated_at) "
        "select $1, 'customers', '{}', state, now() - make_interval(days => days) from (values "
        "('done', 31), ('done', 29), ('failed', 31), ('pending', 31)) as e (state, days)",
        past.workspace,
    )
    await past.database.rows(
        "insert into export_parts (workspace_id, export_id, part, text) "
        "select workspace_id, export_id, 0, 'text' from exports"
    )
    await past.database.rows(
        "with w as (insert into webhooks (workspace_id, name, endpoint, events, sealed) "
        "values ($1, '', '', '{push_sent}', '') returning webhook_id) "
        "insert into outbox (workspace_id, webhook_id, object_type, metric, data, happened_at) "
        "select $1, webhook_id, 'push', 'sent', '{}', now() - make_interval(days => days) "
        "from w, unnest(array[31, 40, 29, 1]) days",
        past.workspace,
    )
    forgotten = await retention.forget(past.database, past.workspace, KEEP, NOW)
    assert (forgotten.exports, forgotten.outbox) == (2, 2)
    assert await past.count("export_parts") == 2
    assert await past.count("outbox") == 2


async def test_concurrent_writers_and_readers_continue(past: Past) -> None:
    """A reader of the old day holds the drop up, and nobody else."""
    await past.message(100)
    reader = await asyncpg.connect(past.database.url)
    try:
        reading = reader.transaction(isolation="repeatable_read")
        await reading.start()
        assert await reader.fetchval("select count(*) from pushes") == 1
        dropping = asyncio.create_task(retention.drop_partitions(past.database, KEEP))
        detaching = "select count(*) from pg_inherits where inhdetachpending"
        while not await past.database.value(detaching):
            assert not dropping.done()
        await past.message(0)
        assert await past.count("pushes") == 1  # the day is gone for later readers
        assert await reader.fetchval("select count(*) from pushes") == 1
        assert not dropping.done()
        await reading.commit()
        assert len(await dropping) == 1
    finally:
        await reader.close()


async def test_a_drop_that_was_cut_off_is_finished_by_the_next(past: Past) -> None:
    await past.message(100)
    name, other = await past.day(100), await past.day(120)
    reader, cut_off = await asyncpg.connect(past.database.url), await asyncpg.connect(past.database.url)
    try:
        reading = reader.transaction()
        await reading.start()
        await reader.fetchval("select count(*) from pushes")
        detach = f"alter table pushes detach partition {name} concurrently"
        task = asyncio.create_task(cut_off.execute(detach))
        while not await past.database.value("select count(*) from pg_inherits where inhdetachpending"):
            assert not task.done()
        cut_off.terminate()
        await asyncio.wait([task])
        await reading.rollback()
        # One whose drop was cut off is a table of its own.
        await reader.execute(f"alter table pushes detach partition {other}")
    finally:
        await reader.close()
    assert set(await retention.drop_partitions(past.database, KEEP)) == {name, other}


async def test_of_two_who_tidy_at_once_one_does_and_neither_fails(past: Past) -> None:
    for days_ago in range(95, 110):
        await past.message(days_ago)
    dropped = await asyncio.gather(*(retention.drop_partitions(past.database, KEEP) for _ in range(3)))
    assert sum(map(len, dropped)) == 15
    forgotten = await asyncio.gather(
        *(retention.forget(past.database, past.workspace, KEEP, NOW) for _ in range(3))
    )
    again = await retention.forget(past.database, past.workspace, KEEP, NOW)
    assert sum(one.messages for one in (*forgotten, again)) == 15


async def test_what_reads_over_a_range_that_is_gone_finds_what_is_left(past: Past) -> None:
    of_many, young = await past.message(100), await past.message(5)
    await past.broadcast(of_many)
    await retention.drop_partitions(past.database, KEEP)
    await retention.forget(past.database, past.workspace, KEEP, NOW)
    facts = await messages.delivery(past.database, past.workspace, past.delivery(of_many))
    assert facts is not None
    assert (facts.pushes, facts.waiting) == ((), False)
    page = messages.Page(
        before=uuid7(1 << 47, bytes(10)), since=NOW - timedelta(days=183), until=NOW, limit=100
    )
    assert await messages.of_person(past.database, past.workspace, ANN, page) == [past.delivery(young)]
    wanted = messages.DeliveriesFilter(
        after_message=uuid7(1 << 47, bytes(10)),
        after_device=b"",
        since=NOW - timedelta(days=183),
        until=NOW,
        metric=None,
        template_id=None,
        drafts=False,
        limit=100,
    )
    listed = await messages.of_workspace(past.database, past.workspace, wanted)
    assert [one.delivery_id for one in listed] == [past.delivery(young)]
    asked = ActivitiesPage(before=NOW + timedelta(days=1), before_id="", type=None, name=None, limit=100)
    did = await activities.of_person(past.database, past.workspace, ANN, asked)
    assert [one.message_id for one in did if one.type == "sent_push"] == [young]
    counted = await messages.answers(past.database, past.workspace, days=366)
    assert [(line.ending, line.pushes) for line in counted] == [("accepted", 1)]


async def test_a_message_that_waits_longer_than_pushes_are_kept_is_recorded_when_it_goes(past: Past) -> None:
    message = await past.message(100, waits=True, pushed=False)
    await retention.drop_partitions(past.database, KEEP)
    await retention.forget(past.database, past.workspace, KEEP, NOW)
    await migrate.make_partitions(past.database)
    told = await queue.messages(past.database, [(past.workspace, message)])
    assert told[message].content == Content(title="long ago")
    row = pushes.PushRow(
        message_id=message,
        device_id=DeviceId(secrets.token_bytes(16)),
        workspace_id=past.workspace,
        person_id=ANN,
        generation=1,
        ending="expired",
        reason="expired",
    )
    assert await past.database.in_transaction(lambda connection: pushes.insert(connection, [row]))
    assert minted_at(message).date() == (NOW - timedelta(days=100)).date()
