"""Workspaces: their keys are shown once, found by a part and kept as hashes only."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from pushkeeper.errors import Conflict, NotFound
from pushkeeper.store.admin import workspaces
from pushkeeper.store.reports import reach

if TYPE_CHECKING:
    from pushkeeper.store.db.database import Database


def a_name() -> str:
    return f"workspace {secrets.token_hex(8)}"


async def test_each_key_leads_to_its_workspace_and_no_other_does(database: Database) -> None:
    made, keys = await workspaces.create(database, a_name())
    _, others = await workspaces.create(database, a_name())
    holders = [
        (await workspaces.holder_of_site(database, keys.site_id), keys.api_key, others.api_key),
        (
            await workspaces.holder_of_key(database, "app", keys.app_api_key),
            keys.app_api_key,
            others.app_api_key,
        ),
        (await workspaces.holder_of_key(database, "cdp", keys.write_key), keys.write_key, others.write_key),
    ]
    for holder, right, wrong in holders:
        assert holder is not None
        assert holder.workspace == made
        assert holder.matches(right)
        for other in (wrong, "", right[:-1], right + "0", "ü"):
            assert not holder.matches(other)


async def test_a_key_of_one_kind_is_none_of_another(database: Database) -> None:
    _, keys = await workspaces.create(database, a_name())
    assert await workspaces.holder_of_key(database, "app", keys.write_key) is None
    assert await workspaces.holder_of_key(database, "cdp", keys.app_api_key) is None
    assert await workspaces.holder_of_site(database, keys.app_api_key) is None


async def test_the_beginning_of_a_key_finds_its_row_but_is_not_the_key(database: Database) -> None:
    _, keys = await workspaces.create(database, a_name())
    holder = await workspaces.holder_of_key(database, "app", keys.app_api_key[:12] + "0" * 28)
    assert holder is not None
    assert not holder.matches(keys.app_api_key[:12] + "0" * 28)


@pytest.mark.parametrize(("took_ms", "people"), [(60, 0), (61, 7)])
async def test_what_takes_long_to_count_is_listed_as_it_was_last_counted(
    database: Database, took_ms: int, people: int
) -> None:
    name = a_name()
    made, _ = await workspaces.create(database, name)
    await reach.count(database, made.workspace_id, first=True)
    await database.rows(
        "update reach_now set took_ms = $2, people = 7 where workspace_id = $1", made.workspace_id, took_ms
    )
    (facts,) = [found for found in await workspaces.list_all(database) if found.name == name]
    assert (facts.people, facts.devices) == (people, 0)
    assert (facts.counted_at is None) == (people == 0)


@pytest.mark.parametrize("unknown", ["", "unknown", "x" * 1000])
async def test_an_unknown_key_is_nobodys(database: Database, unknown: str) -> None:
    assert await workspaces.holder_of_site(database, unknown) is None
    assert await workspaces.holder_of_key(database, "app", unknown) is None


async def test_new_keys_do_not_show_in_a_log(database: Database) -> None:
    _, keys = await workspaces.create(database, a_name())
    for key in (keys.api_key, keys.app_api_key, keys.write_key):
        assert key not in repr(keys)


async def test_a_name_is_given_once_and_found_by(database: Database) -> None:
    name = a_name()
    made, keys = await workspaces.create(database, name)
    with pytest.raises(Conflict, match=name):
        await workspaces.create(database, name)
    assert await workspaces.by_name(database, name) == made
    with pytest.raises(NotFound, match="not found"):
        await workspaces.by_name(database, a_name())
    (facts,) = [found for found in await workspaces.list_all(database) if found.name == name]
    assert facts.counted_at is None
    assert (facts.workspace_id, facts.site_id, facts.people, facts.devices) == (
        made.workspace_id,
        keys.site_id,
        0,
        0,
    )
