"""Audiences on a workspace of some thousands: estimates, and what an index would do."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import fixtures
from pushkeeper.core.filters.from_text import parse
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.errors import TooSlow
from pushkeeper.services.audiences import Audiences
from pushkeeper.store.admin import workspaces
from pushkeeper.store.audiences import audiences
from pushkeeper.store.audiences.audiences import Audience
from pushkeeper.store.devices import pages as device_pages
from pushkeeper.store.people import pages as person_pages
from pushkeeper.store.reports import insights
from pushkeeper.store.reports.insights import Insight

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

PEOPLE = 7_000
DEVICES = 10_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def large(database: Database) -> WorkspaceId:
    made, _ = await workspaces.create(database, secrets.token_hex(8))

    async def fill(connection: Connection) -> None:
        await fixtures.fill(connection, made.workspace_id, fixtures.Size.of(DEVICES))

    await database.owned.in_transaction(fill)
    await database.owned.rows("analyze people")
    await database.owned.rows("analyze devices")
    return made.workspace_id


async def truth(database: Database, sql: str) -> tuple[int, int]:
    row = await database.row(sql)
    assert row is not None
    return row["people"], row["devices"]


@pytest.mark.parametrize("unit", list(Unit))
async def test_an_estimate_from_a_part_is_near_what_is_counted(
    database: Database, large: WorkspaceId, unit: Unit
) -> None:
    for text in (
        "platform = ios",
        "person.plan = pro",
        "person.plan = pro and app_version = 4.2.0",
        "nobody",
    ):
        audience = Audience(workspace_id=large, node=parse(text), unit=unit, now=datetime.now(UTC))
        size = await audiences.size(database, audience)
        # Of a small part by its index, and of a larger one without.
        for people in (100, 500):
            about = await audiences.from_a_part(database, audience, within_s=60, people=people)
            # Three margins instead of one: the same people are asked each time, and who they are is chance.
            assert abs(about.people - size.people) <= 3 * about.people_margin
            assert abs(about.devices - size.devices) <= 3 * about.devices_margin
        assert about.devices_margin < DEVICES / 4


@given(doublings=st.integers(1, 20), data=st.data())
def test_a_margin_holds_19_times_in_20(doublings: int, data: st.DataObject) -> None:
    """However few are found in the part that is looked at: what each count of them is likely is added up."""
    one_in = 1 << doublings
    people = data.draw(st.integers(0, 200 * one_in))
    likely, held = (1 - 1 / one_in) ** people, 0.0
    for found in range(min(people, 600) + 1):
        if abs(found * one_in - people) <= audiences.margin(found, one_in):
            held += likely
        likely *= (people - found) / (found + 1) / (one_in - 1)
    assert held >= 0.95


@pytest.mark.parametrize("read", ["an audience", "a page of devices", "a page of people", "a report"])
async def test_a_workspace_that_was_just_filled_is_known_before_it_is_read(
    database: Database, read: str
) -> None:
    made, _ = await workspaces.create(database, secrets.token_hex(8))
    await database.owned.rows("analyze people, devices")
    size = fixtures.Size.of(1_000)
    await database.owned.in_transaction(lambda connection: fixtures.fill(connection, made.workspace_id, size))
    workspace, node = made.workspace_id, parse("platform = ios")
    match read:
        case "an audience":
            of = Audience(workspace_id=workspace, node=node, unit=Unit.DEVICE, now=datetime.now(UTC))
            await audiences.size(database, of)
        case "a page of devices":
            await device_pages.page(database, workspace, node, after=device_pages.FIRST, limit=50)
        case "a page of people":
            await person_pages.page(database, workspace, node, after=person_pages.FIRST, limit=50)
        case _:
            await insights.count(database, workspace, Insight.COHORTS)
    for table, held in (("people", size.people), ("devices", size.devices)):
        told = await database.value(
            f"explain (format json) select from {table} where workspace_id = $1", made.workspace_id
        )
        [plan] = msgspec.json.decode(told)
        assert held / 2 < plan["Plan"]["Plan Rows"] < held * 2


async def test_devices_that_come_after_their_people_are_known_of_too(database: Database) -> None:
    made, _ = await workspaces.create(database, secrets.token_hex(8))
    size = fixtures.Size.of(1_000)
    people = replace(size, devices=0, events=0)
    await database.owned.in_transaction(
        lambda connection: fixtures.fill(connection, made.workspace_id, people)
    )
    await database.know(made.workspace_id)

    async def add_devices(connection: Connection) -> None:
        await connection.execute(fixtures.SQL["part"])
        await connection.execute(fixtures.SQL["devices"], made.workspace_id, 1, size.devices, size.people)

    await database.owned.in_transaction(add_devices)
    await database.know(made.workspace_id)
    told = await database.value(
        "explain (format json) select from devices where workspace_id = $1", made.workspace_id
    )
    [plan] = msgspec.json.decode(told)
    assert size.devices / 2 < plan["Plan"]["Plan Rows"] < size.devices * 2


async def test_a_small_workspace_is_counted_however_busy_the_machine_is(database: Database) -> None:
    made, _ = await workspaces.create(database, secrets.token_hex(8))
    asked = "select pg_sleep(0.1), $1::bigint"
    assert await database.survey(asked, made.workspace_id, within_s=0.001)


async def test_what_takes_longer_than_it_may_is_estimated(database: Database, large: WorkspaceId) -> None:
    conditions = " or ".join(f"person.city contains {letter}" for letter in "abcdefghijklmnopqrstuvw" * 10)
    audience = Audience(workspace_id=large, node=parse(conditions), unit=Unit.PERSON, now=datetime.now(UTC))
    exact = await audiences.size(database, audience)
    with pytest.raises(TooSlow, match=r"takes longer than 0.001 s"):
        await database.survey("select pg_sleep(10), $1::bigint", large, within_s=0.001)
    assert await audiences.estimate(database, audience, within_s=60) == exact


async def test_an_index_is_advised_where_it_would_find_few_and_is_used_once_it_is_made(
    database: Database, large: WorkspaceId
) -> None:
    room = Audiences(database)
    await database.owned.rows("drop index if exists audience_people_visits_number")
    plan = await room.explain(large, "person.visits > 990 and platform = ios", Unit.DEVICE)
    [advice] = plan.advice
    assert 0.002 < advice.share < 0.05
    assert {scan.index for scan in plan.scans if scan.table == "people"} <= {None, "people_pkey"}
    await database.owned.rows(advice.index.sql)
    await database.owned.rows("analyze people")
    again = await room.explain(large, "person.visits > 990 and platform = ios", Unit.DEVICE)
    assert again.advice == ()
    assert again.size == plan.size
    assert "audience_people_visits_number" in {scan.index for scan in again.scans}
    await database.owned.rows("drop index audience_people_visits_number")


async def test_no_index_is_suggested_for_what_matches_many(database: Database, large: WorkspaceId) -> None:
    plan = await Audiences(database).explain(large, "person.plan = free", Unit.PERSON)
    assert plan.advice == ()
    assert plan.size.people > PEOPLE / 2
    assert plan.took_ms > 0
