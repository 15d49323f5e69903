"""The census: people who can be reached and devices by last status, counted once an hour and kept for long."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Platform, Token
from pushkeeper.services.accounts import Users
from pushkeeper.services.reports.insights import Insights
from pushkeeper.services.reports.reach import ReachReports, Span, is_old
from pushkeeper.store.devices import devices
from pushkeeper.store.devices.devices import Registration, SettleEvent, Settlement
from pushkeeper.store.messages.messages import new_id
from pushkeeper.store.people.people import AttributeChange, PersonReference
from pushkeeper.store.reports import reach
from pushkeeper.store.reports.reach import MOST_VERSIONS, OTHER_VERSIONS, DeviceCount, ReachNow
from pushkeeper.worker.jobs.reports import Counting
from pushkeeper.worker.metrics import WorkerMetrics

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.people import People
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.devices.devices import Device


@pytest.fixture
def census(database: Database) -> ReachReports:
    return ReachReports(database)


async def registered(
    registry: People, tenant: WorkspaceId, person: str, version: str | None = "1.0"
) -> Device:
    token = Token(secrets.token_hex(32))
    naming = PersonReference(workspace_id=tenant, path=Identifier(IdentifierKind.ID, person))
    attributes = {} if version is None else {"app_version": version}
    await registry.register(
        naming,
        Registration(token=token, platform=Platform.IOS, last_used=datetime.now(UTC), attributes=attributes),
    )
    return await registry.device(tenant, token)


async def settled(database: Database, device: Device, *events: SettleEvent) -> None:
    async def work(connection: Connection) -> None:
        for event in events:
            settlement = Settlement(
                workspace_id=device.workspace_id,
                device_id=device.device_id,
                generation=device.generation,
                event=event,
                message_id=new_id(),
                provider="apns",
            )
            await devices.settle(connection, [settlement])

    await database.in_transaction(work)


async def test_a_person_is_reachable_by_any_device_that_is_not_known_to_refuse(
    database: Database, census: ReachReports, registry: People, tenant: WorkspaceId
) -> None:
    refused = SettleEvent.REFUSED
    await registered(registry, tenant, "unused")
    await settled(database, await registered(registry, tenant, "bounced"), refused)
    await settled(database, await registered(registry, tenant, "one of two"), refused, refused)
    await settled(database, await registered(registry, tenant, "one of two"), SettleEvent.ACCEPTED)
    naming = PersonReference(workspace_id=tenant, path=Identifier(IdentifierKind.ID, "without"))
    await registry.identify(naming, AttributeChange(changed_at=0))
    standing = await census.now(tenant)
    assert (standing.reach.people, standing.reach.people_with_device, standing.reach.people_reachable) == (
        4,
        3,
        2,
    )
    assert {status: standing.with_status(status) for status in LastStatus} == {
        LastStatus.UNUSED: 1,
        LastStatus.SENT: 1,
        LastStatus.BOUNCED: 1,
        LastStatus.SUPPRESSED: 1,
    }


async def test_devices_are_counted_by_platform_and_app_version(
    census: ReachReports, registry: People, tenant: WorkspaceId
) -> None:
    for version in ("1.0", "1.0", "2.0", None):
        await registered(registry, tenant, "ann", version)
    assert list((await census.now(tenant)).devices) == [
        DeviceCount("ios", "", "", 1),
        DeviceCount("ios", "1.0", "", 2),
        DeviceCount("ios", "2.0", "", 1),
    ]


async def test_of_many_versions_the_rarest_are_counted_as_one(
    census: ReachReports, registry: People, tenant: WorkspaceId
) -> None:
    for number in range(MOST_VERSIONS + 3):
        for _ in range(2 if number < MOST_VERSIONS else 1):
            await registered(registry, tenant, "ann", f"1.{number}")
    counted = {count.app_version: count.devices for count in (await census.now(tenant)).devices}
    assert counted[OTHER_VERSIONS] == 3
    assert len(counted) == MOST_VERSIONS + 1


async def test_the_first_count_of_an_hour_is_kept_and_no_later_one(
    database: Database, census: ReachReports, registry: People, tenant: WorkspaceId
) -> None:
    await registered(registry, tenant, "ann")
    for due in await census.due():
        await census.count(due)
    await registered(registry, tenant, "ben")
    assert await reach.count(database, tenant)
    [moment] = await census.over_time(tenant, Span.DAYS_2)
    assert moment.devices == {"": 1}
    counted = await reach.now(database, tenant)
    assert counted is not None
    assert counted.people == 2


async def test_who_looks_while_it_is_counted_for_the_first_time_is_told_that_count(
    census: ReachReports, registry: People, tenant: WorkspaceId
) -> None:
    await registered(registry, tenant, "ann")
    told = await asyncio.gather(*(census.now(tenant) for _ in range(5)))
    assert {(one.reach.people, one.with_status(LastStatus.UNUSED)) for one in told} == {(1, 1)}
    assert len({one.reach.counted_at for one in told}) == 1


async def test_a_workspace_is_due_once_an_hour_and_when_somebody_asks(
    database: Database, census: ReachReports, tenant: WorkspaceId
) -> None:
    assert tenant in await reach.due(database)
    for due in await census.due():
        await census.count(due)
    assert tenant not in await reach.due(database)
    await reach.ask(database, tenant)
    assert tenant in await reach.due(database)
    for due in await census.due():
        await census.count(due)
    await database.rows(
        "update reach_now set counted_at = counted_at - interval '1 hour' where workspace_id = $1", tenant
    )
    assert tenant in await reach.due(database)


async def test_what_takes_long_to_count_is_left_to_a_worker(
    database: Database, census: ReachReports, registry: People, tenant: WorkspaceId
) -> None:
    await census.now(tenant)
    await database.rows(
        "update reach_now set took_ms = 900, counted_at = now() - interval '10 minutes' where workspace_id = $1",
        tenant,
    )
    await registered(registry, tenant, "ann")
    assert (await census.now(tenant)).reach.people == 0
    assert tenant in await reach.due(database)
    for due in await census.due():
        await census.count(due)
    assert (await census.now(tenant)).reach.people == 1


def test_a_count_stands_fifty_times_as_long_as_it_took() -> None:
    now = datetime.now(UTC)
    counted = ReachNow(
        people=0,
        people_with_device=0,
        people_reachable=0,
        counted_at=now - timedelta(seconds=60),
        took_ms=1_000,
    )
    assert is_old(counted, now)
    assert not is_old(counted, now - timedelta(seconds=11))


async def test_hours_say_what_was_accepted_and_which_devices_turned(
    database: Database, census: ReachReports, registry: People, tenant: WorkspaceId
) -> None:
    device = await registered(registry, tenant, "ann")
    await settled(database, device, SettleEvent.ACCEPTED, SettleEvent.REFUSED, SettleEvent.REFUSED)
    naming = PersonReference(workspace_id=tenant, path=Identifier(IdentifierKind.ID, "ann"))
    await registry.register(
        naming, Registration(token=device.token, platform=Platform.IOS, last_used=datetime.now(UTC))
    )
    await database.rows(
        "with c as (insert into credentials (workspace_id, provider, kind, app, sealed) "
        "values ($1, 'apns', 'key', 'app', '') returning credential_id), "
        "r as (insert into routes (workspace_id, credential_id) select $1, credential_id from c returning route_id) "
        "insert into route_hours (workspace_id, route_id, hour, accepted) "
        "select $1, route_id, date_trunc('hour', now()), 7 from r",
        tenant,
    )
    hours = await census.hours(tenant)
    assert len(hours) == 48
    last = hours[-1]
    assert (last.accepted, last.bounced, last.suppressed, last.revived) == (7, 1, 1, 1)
    assert all(not (hour.accepted or hour.bounced or hour.revived) for hour in hours[:-1])


async def test_of_long_ago_the_first_count_of_each_day_is_kept(
    database: Database, census: ReachReports, tenant: WorkspaceId
) -> None:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    kept, gone = now - timedelta(days=20), now - timedelta(days=900)
    moments = [now, now - timedelta(hours=1), gone, *(kept.replace(hour=hour) for hour in (3, 7, 23))]
    for at in moments:
        await database.rows("insert into reach_snapshots values ($1, $2, 0, 0, 0)", tenant, at)
        await database.rows("insert into device_snapshots values ($1, $2, 'ios', '', 'sent', 5)", tenant, at)
    await census.thin()
    rows = await database.rows("select at from device_snapshots where workspace_id = $1 order by at", tenant)
    assert [row["at"] for row in rows] == [kept.replace(hour=3), now - timedelta(hours=1), now]
    days = await census.over_time(tenant, Span.DAYS_30)
    assert [moment.at for moment in days if moment.at < now - timedelta(days=2)] == [kept.replace(hour=3)]


async def test_a_worker_counts_what_is_due_and_forgets_what_is_over(
    database: Database, census: ReachReports, tenant: WorkspaceId
) -> None:
    users = Users(database)
    await database.rows(
        "insert into login_failures (at, name_hash, address) values (now() - interval '1 day', $1, '')",
        bytes(32),
    )
    await Counting(census, Insights(database), users, WorkerMetrics()).look()
    assert await reach.now(database, tenant) is not None
    assert await database.value("select count(*) from login_failures") == 0
