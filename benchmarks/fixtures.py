"""A workspace as one is after years, for what reads: people, devices, events, and pushes with their history."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from benchmarks.fleet import add_credentials
from pushkeeper import config, wiring
from pushkeeper.simulator import keys as simulator_keys
from pushkeeper.simulator.world import PROJECT, TOPIC
from pushkeeper.store.admin import workspaces
from pushkeeper.store.db.queries import read_queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.admin.workspaces import NewKeys
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

SQL = read_queries(resources.files("benchmarks").joinpath("sql", "fixtures.sql").read_text(encoding="utf-8"))

_PAGE = 100_000
_LONGEST_S = 3_600.0
_TABLES = (
    "people",
    "identifiers",
    "devices",
    "device_history",
    "events",
    "segment_members",
    "pushes",
    "messages",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a workspace is; `pushes` are spread over `days` broadcasts, one a day.

    Without `history`, its devices have no lines of history.
    """

    devices: int = 1_000_000
    people: int = 700_000
    events: int = 500_000
    history: bool = True
    pushes: int = 0
    days: int = 90

    @classmethod
    def of(cls, devices: int, *, pushes: int = 0) -> Size:
        """A number of devices, with people and events in the usual proportion."""
        return cls(devices=devices, people=devices * 7 // 10, events=devices // 2, pushes=pushes)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A workspace that is filled, and the store that it is in."""

    store: wiring.Store
    workspace_id: WorkspaceId
    keys: NewKeys
    data_dir: Path


@asynccontextmanager
async def loaded(folder: Path, size: Size) -> AsyncIterator[Loaded]:
    """A store on a new folder, with one workspace of this size."""
    settings = config.load({"data_dir": folder / "data"})
    async with wiring.store(settings) as store:
        made, keys = await workspaces.create(store.database, "bench")
        await add_credentials(store, made.workspace_id, await asyncio.to_thread(_nowhere, folder / "keys"))
        await store.database.owned.in_transaction(
            lambda connection: fill(connection, made.workspace_id, size)
        )
        for table in _TABLES:
            await run_long(store.database, f"vacuum analyze {table}")
        yield Loaded(store, made.workspace_id, keys, settings.data_dir)


def _nowhere(folder: Path) -> dict[str, Any]:
    """Keys for push services that nobody runs: what reads sends nothing."""
    made = simulator_keys.prepare(folder)
    simulator_keys.write_service_account(made, PROJECT, "https://localhost:1/token")
    return {
        "ca_file": str(made.ca_file),
        "service_account_file": str(made.service_account_file),
        "apns_key_file": str(made.apns_key_file),
        "apns_key_id": simulator_keys.KEY_ID,
        "apns_team_id": simulator_keys.TEAM_ID,
        "apns_topic": TOPIC,
        "apns_url": "https://localhost:1",
        "fcm_url": "https://localhost:1",
    }


async def run_long(database: Database, query: str, *arguments: object) -> None:
    """Run what may take longer than anything that the service asks, by itself."""
    await database.outside_transactions(
        lambda connection: connection.execute(query, *arguments, timeout=_LONGEST_S)
    )


async def fill(connection: Connection, workspace: WorkspaceId, size: Size) -> None:
    """Put people, devices, events and pushes into a workspace that has none."""
    await connection.execute(SQL["partitions"])
    await connection.execute(SQL["part"])
    # What they refer to is there: looking each up would take a third of the time.
    await connection.execute("set local session_replication_role = replica")
    for first, last in _pages(size.people):
        await connection.execute(SQL["people"], workspace, first, last)
    await connection.execute("analyze identifiers")
    for first, last in _pages(size.devices):
        await connection.execute(SQL["devices"], workspace, first, last, size.people)
    await connection.execute("set local session_replication_role = origin")
    if size.history:
        await connection.execute(SQL["history"], workspace)
    await connection.execute(SQL["events"], workspace, size.events, size.people)
    await connection.execute(SQL["members"], workspace)
    if size.pushes:
        await push(connection, workspace, size)


async def push(connection: Connection, workspace: WorkspaceId, size: Size) -> None:
    """Let there have been a broadcast on each day that lies behind."""
    per_mille = min(1_000.0, size.pushes / size.days / size.devices * 1_000)
    for row in await connection.fetch(SQL["messages"], workspace, size.days):
        await connection.execute(SQL["pushes"], workspace, row["message_id"], row["created_at"], per_mille)
        await connection.execute(SQL["days"], workspace, row["created_at"])


def device(number: int) -> tuple[str, str]:
    """The token and the platform of the device of this number, as `fixtures.sql` makes them."""
    first, second = (
        hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        for text in (f"{number}", f"token {number}")
    )
    if number % 20 < 9:  # noqa: PLR2004 - as it is written there
        return first + second, "ios"
    return f"{first[:22]}:APA91b{(second * 5)[:134]}", "android"


def _pages(count: int) -> list[tuple[int, int]]:
    return [(first, min(first + _PAGE - 1, count)) for first in range(1, count + 1, _PAGE)]
