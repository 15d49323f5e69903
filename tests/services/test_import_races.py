"""Apps register devices while a file with the same devices is imported."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushkeeper.worker.jobs.runner import Jobs
from support.import_room import NOW, OLD, Room, line, table, token

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.store.admin.workspaces import NewKeys, Workspace
    from pushkeeper.store.db.database import Database


@pytest.fixture
def room(database: Database, workspace: tuple[Workspace, NewKeys]) -> Room:
    return Room(database, workspace[0].workspace_id)


class Registered(NamedTuple):
    """A registration of a token of the file, by somebody else than the file has it for."""

    token: int
    before: bool  # it was there before the import; else it comes while the file is read
    newer: bool  # than the file's last use


_REGISTERED = st.builds(Registered, st.integers(0, 11), st.booleans(), st.booleans())


@given(registered=st.lists(_REGISTERED, max_size=8, unique_by=lambda one: one.token), move=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_newer_registration_wins_and_no_owner_changes_unasked(
    room: Room,
    registered: list[Registered],
    move: bool,  # noqa: FBT001 - it is drawn
) -> None:
    run = secrets.token_hex(4)  # tokens of this example alone

    def name(number: int) -> str:
        return str(token(f"{run}{number}"))

    at: dict[bool, datetime] = {True: NOW, False: OLD}
    for one in registered:
        if one.before:
            await room.register("app", name(one.token), at[one.newer])
    middle = (OLD + (NOW - OLD) / 2).isoformat()
    rows = [line(number, token=name(number), last_used=middle) for number in range(12)]
    made = await room.make(table(rows), apply=True, move=move)
    await asyncio.gather(
        room.work(),
        *(room.register("app", name(one.token), at[one.newer]) for one in registered if not one.before),
    )
    done = await room.imports.one(room.workspace, made.import_id)
    assert (done.state, done.counts["rows"]) == ("done", 12)
    by_token = {one.token: one for one in registered}
    for number in range(12):
        owner, other = await room.owner(name(number)), by_token.get(number)
        if other is None:
            assert owner == f"person {number}"
        elif other.newer or (other.before and not move):
            assert owner == "app"
        elif other.before:
            assert owner == f"person {number}"
        else:
            # An older one that arrives meanwhile: the first one wins, and only one is there.
            assert owner in {"app", f"person {number}"}


async def test_registrations_meanwhile_are_not_lost(room: Room) -> None:
    content = table([line(number) for number in range(2_000)])
    made = await room.make(content, apply=True)
    importing = asyncio.create_task(Jobs(room.database, room.importer()).finish())
    await asyncio.gather(*(room.register("app", token(number), NOW) for number in range(0, 2_000, 40)))
    await importing
    assert (await room.imports.one(room.workspace, made.import_id)).state == "done"
    for number in range(0, 2_000, 40):
        assert await room.owner(token(number)) == "app"
    assert len((await room.tables())["devices"]) == 2_000
