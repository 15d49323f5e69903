"""The id of a broadcast's message: given when it begins, on whichever day that is, and the same to its last pass."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkeeper.core.broadcasts import schedule
from pushkeeper.core.broadcasts.schedule import Schedule
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.identity import of_path
from pushkeeper.core.model import Content, Platform, Token, message_day, uuid7
from pushkeeper.services.broadcasts.planner import Planning
from pushkeeper.store.broadcasts import broadcasts, planning
from pushkeeper.store.broadcasts.broadcasts import Broadcast, BroadcastState, Definition
from pushkeeper.store.db import migrate
from pushkeeper.store.devices.devices import Registration
from pushkeeper.store.messages.messages import LIVES
from pushkeeper.store.people.people import PersonReference
from pushkeeper.worker.jobs.broadcasts import Planner
from pushkeeper.worker.jobs.runner import Jobs
from support.databases import former_database
from support.examples import examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.people import People
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

ZONES = ("Pacific/Kiritimati", "Asia/Tokyo", "Europe/Berlin", "America/New_York", "Pacific/Honolulu", None)


async def people_of(registry: People, tenant: WorkspaceId, zones: Sequence[str | None]) -> None:
    for number, zone in enumerate(zones):
        registration = Registration(
            token=Token(f"{number:064x}"),
            platform=Platform.IOS,
            last_used=datetime.now(UTC),
            attributes={} if zone is None else {"timezone": zone},
        )
        await registry.register(
            PersonReference(workspace_id=tenant, path=of_path(f"p{number}")), registration
        )


async def started(database: Database, tenant: WorkspaceId, *, created_days_ago: int) -> int:
    """A broadcast at a local time of today, which was created some days ago."""
    local = Schedule(local_time=datetime.now(UTC).replace(tzinfo=None, microsecond=0))
    definition = Definition(content=Content(title="Hello"), unit=Unit.DEVICE, schedule=local)

    async def work(connection: Connection) -> int:
        now = datetime.now(UTC)
        made = await broadcasts.insert(
            connection,
            tenant,
            definition,
            state=BroadcastState.SCHEDULED,
            passes=schedule.passes(local, now - timedelta(days=1)),
        )
        assert made is not None
        return made

    made = await database.of(tenant).in_transaction(work)
    await database.rows(
        "update broadcasts set created_at = now() - make_interval(days => $3) where workspace_id = $1 and broadcast_id = $2",
        tenant,
        made,
        created_days_ago,
    )
    return made


async def read(database: Database, tenant: WorkspaceId, number: int) -> Broadcast:
    found = await broadcasts.one(database, tenant, number)
    assert found is not None
    return found


async def planned_pass(database: Database, tenant: WorkspaceId, number: int) -> Broadcast:
    """The broadcast once whatever is due of it is planned, and the next pass is due."""
    await database.rows(
        "update broadcasts set pass_at = least(pass_at, now()), next_attempt_at = now() "
        "where workspace_id = $1 and broadcast_id = $2",
        tenant,
        number,
    )
    await Jobs(database, Planner(Planning(database))).finish()
    return await read(database, tenant, number)


@settings(
    max_examples=examples(6), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    created=st.integers(0, 400),
    began=st.sampled_from((0, 1, 2)),
    zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=8),
)
async def test_it_is_the_same_from_the_first_pass_to_the_last_whatever_days_they_are_on(
    database: Database,
    registry: People,
    tenant: WorkspaceId,
    created: int,
    began: int,
    zones: Sequence[str | None],
) -> None:
    await people_of(registry, tenant, zones)
    devices = await database.value("select count(*) from devices where workspace_id = $1", tenant)
    number = await started(database, tenant, created_days_ago=created)
    found = await read(database, tenant, number)
    assert found.message_id is None
    day = datetime.now(UTC) - timedelta(days=began)
    expected = None
    if began:  # on another day than that of the passes that are planned below
        expected = uuid7(int(day.timestamp() * 1000), bytes(6) + number.to_bytes(4, "big"))

        async def begin(connection: Connection) -> None:
            await planning.begin(connection, found, expected, {}, LIVES)

        await database.of(tenant).in_transaction(begin)
    seen = set()
    while found.state is not BroadcastState.PLANNED:
        found = await planned_pass(database, tenant, number)
        seen.add(found.message_id)
    [message_id] = seen
    assert message_id is not None
    assert message_id == (expected or message_id)
    assert message_day(message_id) in {day.date(), datetime.now(UTC).date()}
    # Nobody is planned twice, and nobody is missed.
    batched = await database.rows(
        "select unnest(device_ids) as device from batches where workspace_id = $1 and message_id = $2",
        tenant,
        message_id,
    )
    assert len({row["device"] for row in batched}) == len(batched) == devices


async def test_the_database_itself_keeps_it(database: Database, tenant: WorkspaceId) -> None:
    number = await started(database, tenant, created_days_ago=0)
    await planned_pass(database, tenant, number)
    for other in ("gen_random_uuid()", "null"):
        with pytest.raises(Exception, match="keeps its id"):
            await database.rows(
                f"update broadcasts set message_id = {other} where workspace_id = $1 and broadcast_id = $2",
                tenant,
                number,
            )


async def test_what_it_says_may_change_until_it_is_started_and_what_was_sent_does_not(
    database: Database, tenant: WorkspaceId
) -> None:
    number = await started(database, tenant, created_days_ago=3)
    before = await read(database, tenant, number)

    async def change(connection: Connection) -> None:
        await broadcasts.change(connection, before, Definition(content=Content(title="Another")))

    await database.of(tenant).in_transaction(change)
    assert (await read(database, tenant, number)).version == before.version + 1
    began = await planned_pass(database, tenant, number)
    said = await database.value(
        "select content from messages where workspace_id = $1 and message_id = $2", tenant, began.message_id
    )
    assert said == {"title": "Another"}


SEED = """
insert into workspaces (workspace_id, name) overriding system value values (1, 'w');
insert into people (workspace_id, person_id, attributes) overriding system value values (1, 1, '{}');
insert into messages (message_id, workspace_id, kind, content, wording, send_to_unsubscribed, expires_at)
select ('00000000-0000-7000-8000-00000000000' || n)::uuid, 1, 'broadcast', jsonb_build_object('title', 'B' || n), null, n = 1,
    now() + interval '1 day' from generate_series(1, 4) n;
insert into message_people (workspace_id, message_id, person_id, data)
select 1, message_id, 1, '{"a": 1}' from messages;
insert into broadcasts (workspace_id, message_id, state, listed, saved, preflight, planned_at, started_at)
select 1, ('00000000-0000-7000-8000-00000000000' || n)::uuid, state, true, saved::jsonb, '{}', planned_at, started_at
from (values (1, 'draft', null, null::timestamptz, null::timestamptz), (2, 'planning', null, null, null),
    (3, 'planning', '{}', null, now()), (4, 'planned', '{}', now(), now())) v (n, state, saved, planned_at, started_at);
"""


async def test_migrated_broadcasts_say_what_they_said_and_only_those_that_began_keep_their_message(
    database: Database,
) -> None:
    async with former_database(database, before=33) as former:
        await former.owned.value(f"do $do$ begin {SEED} end $do$")
        await migrate.migrate(former)
        rows = await former.owned.rows(
            "select b.*, (select data from broadcast_people p where p.broadcast_id = b.broadcast_id) as named, "
            "(select state from broadcast_estimates e where e.broadcast_id = b.broadcast_id) as estimate "
            "from broadcasts b order by content ->> 'title'"
        )
        assert [row["content"]["title"] for row in rows] == ["B1", "B2", "B3", "B4"]
        assert [row["send_to_unsubscribed"] for row in rows] == [True, False, False, False]
        assert [row["message_id"] is not None for row in rows] == [False, False, True, True]
        assert [row["named"] for row in rows] == [{"a": 1}] * 4
        assert {(row["version"], row["estimate"]) for row in rows} == {(1, "done")}
        assert await former.owned.value("select count(*) from messages") == 2
