"""What is written for groups takes look-ups in proportion to the group, whatever the planner believes of the tables."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from pushkeeper.core.model import Platform, Token, device_id
from pushkeeper.store.devices import registration
from pushkeeper.store.devices.devices import Registration
from pushkeeper.store.devices.registration import ToRegister

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

GROUP = 200
STEPS = 40  # rows that pass through all of a plan for each of the group
EIGHT_COMMITS = 8
TABLES = ("people", "identifiers", "devices", "device_history", "anonymous_devices", "blocked")
NOW = datetime(2026, 12, 1, tzinfo=UTC)


async def own_tables(connection: Connection, tenant: WorkspaceId) -> None:
    """Empty tables of this transaction's own, which hide those of the schema, and one workspace."""
    for table in TABLES:
        await connection.execute(
            f"create temp table {table} (like public.{table} including all) on commit drop"
        )
    await connection.execute(
        "create temp table workspaces on commit drop as "
        f"select * from public.workspaces where workspace_id = {tenant}"
    )


async def prepare(connection: Connection, query: str) -> list[str]:
    """Prepare a query as `planned`, and return the types of its parameters, by number."""
    types = dict(re.findall(r"\$(\d+)::([a-z]+\[\])", query))
    await connection.execute(f"prepare planned as {query}")
    return [types.get(str(number), "") for number in range(1, max(map(int, types)) + 3)]


async def run(connection: Connection, types: list[str], arguments: list[Any]) -> dict[str, Any]:
    """Run what is prepared, with the plan that is kept for it; the plan as it went."""
    literals = [
        await connection.fetchval(f"select quote_nullable($1::{kind}::text)", one) + f"::{kind}"
        if kind
        else await connection.fetchval("select quote_nullable($1::text)", str(one))
        for kind, one in zip(types, arguments, strict=True)
    ]
    told = await connection.fetchval(f"explain (analyze, format json) execute planned({', '.join(literals)})")
    [found] = json.loads(told)
    plan: dict[str, Any] = found["Plan"]
    return plan


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    yield from chain.from_iterable(nodes(below) for below in plan.get("Plans", ()))


def steps(plan: dict[str, Any]) -> float:
    """How many rows were looked at in all of a plan."""
    counted = ("Actual Rows", "Rows Removed by Join Filter", "Rows Removed by Filter")
    return float(sum(node.get(count, 0) * node["Actual Loops"] for node in nodes(plan) for count in counted))


def asked(tenant: WorkspaceId, first: int) -> list[Any]:
    group = {}
    for number in range(first, first + GROUP):
        token = Token(f"token-{number}")
        told = Registration(token=token, platform=Platform.IOS, last_used=NOW, attributes={"a": 1})
        name = f"person-{number}"
        to = ToRegister(tenant, told, identifier=("id", name, name, "-"))
        group[device_id(tenant, token)] = to
    return registration.arguments(group)


@pytest.mark.parametrize("plans", ["force_generic_plan", "force_custom_plan"])
@pytest.mark.parametrize("analyzed_at", [None, 0, 1, 8], ids=["never", "empty", "small", "large"])
async def test_registering_a_group_takes_a_few_steps_for_each_device(
    database: Database, tenant: WorkspaceId, plans: str, analyzed_at: int | None
) -> None:
    async def work(connection: Connection) -> list[float]:
        await own_tables(connection, tenant)
        await connection.execute(f"set local plan_cache_mode = {plans}")
        types = await prepare(connection, registration.SQL["register"])
        taken = []
        for number in range(10):
            # What was analyzed while it was empty, the service has analyzed again after eight commits (`Statistics`).
            if number == analyzed_at or (analyzed_at == 0 and number == EIGHT_COMMITS // 2):
                await connection.execute(f"analyze {', '.join(TABLES)}")
            group = asked(tenant, number * GROUP)
            taken += [steps(await run(connection, types, group)) for _ in ("new", "known")]
        await connection.execute("deallocate planned")
        return taken

    taken = await database.owned.in_transaction(work)
    # A table of a page or two may be read for each device, and a larger one once or twice for a group.
    looked_at = EIGHT_COMMITS if analyzed_at == 0 else 2
    for number, one in enumerate(taken[looked_at:], looked_at):
        assert one < STEPS * GROUP + number * GROUP, (number, taken)
