"""What a process remembers of keys: for less than a second, and looked up once however many calls wait for it."""

import asyncio
import time

import pytest

from pushkeeper.errors import Unauthorized
from pushkeeper.services.api_keys import Authenticator
from pushkeeper.store.admin import keys as stored

WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'secret_hash'"


async def test_a_key_that_is_revoked_is_refused_by_all_processes_within_a_second(
    workspace, database, monkeypatch
):
    made, _ = workspace
    new = await stored.make(database, made.workspace_id, "app")
    bearer = f"Bearer {new.secret}".encode()
    processes = [Authenticator(database), Authenticator(database)]
    for keys in processes:
        assert (await keys.app(bearer)).workspace_id == made.workspace_id
    await stored.revoke(database, made.workspace_id, "app", new.key_id)
    revoked_at = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: revoked_at + 1.0)
    for keys in processes:
        with pytest.raises(Unauthorized):
            await keys.app(bearer)


async def test_calls_that_come_together_look_their_key_up_once(workspace, database):
    made, new = workspace
    keys = Authenticator(database)
    held, let_go = asyncio.Event(), asyncio.Event()

    async def lock(connection):
        await connection.execute("lock table keys in access exclusive mode")
        held.set()
        await let_go.wait()

    locking = asyncio.create_task(database.owned.in_transaction(lock))
    await held.wait()
    calls = [asyncio.create_task(keys.app(f"Bearer {new.app_api_key}".encode())) for _ in range(20)]
    while not (waiting := await database.owned.value(WAITING)):  # noqa: ASYNC110 - PostgreSQL sends no event
        await asyncio.sleep(0)
    assert waiting == 1
    # A caller that leaves does not affect the others.
    calls.pop(0).cancel()
    let_go.set()
    await locking
    found = await asyncio.gather(*calls)
    assert {one.workspace_id for one in found} == {made.workspace_id}


async def test_calls_with_a_wrong_key_that_come_together_are_all_refused(workspace, database):
    keys = Authenticator(database)
    calls = [keys.app(b"Bearer nobodys-key-at-all") for _ in range(5)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(one) for one in found] == [Unauthorized] * 5
