"""Imports into real tables: counted without a trace, written once, never over what is newer, and resumed where they ended."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Token
from pushkeeper.errors import BadRequest, Conflict
from pushkeeper.services.imports.estimate import progress_of, remaining_s
from pushkeeper.services.people import PersonReference, PersonUpdate
from pushkeeper.services.strikes import Strikes
from pushkeeper.store import jobs
from pushkeeper.store.devices import devices
from pushkeeper.worker.jobs.runner import Jobs
from support.actors import BY
from support.engine import eventually
from support.import_room import NOW, OLD, Room, line, table, token

if TYPE_CHECKING:
    from pushkeeper.store.admin.workspaces import NewKeys, Workspace
    from pushkeeper.store.db.database import Database


@pytest.fixture
def room(database: Database, workspace: tuple[Workspace, NewKeys]) -> Room:
    return Room(database, workspace[0].workspace_id)


async def test_a_dry_run_says_what_applying_comes_to_and_changes_nothing(room: Room) -> None:
    await room.register("person 1", token(1), OLD)
    await room.register("somebody", token(2), OLD)
    before = await room.tables()
    rows = [
        *(line(number) for number in range(5)),
        line(3, last_used=int(NOW.timestamp())),
        line(6, platform="symbian"),
        {**line(7), "person": "", "email": "seven@acme.io"},
    ]
    dry = await room.run(table(rows))
    assert dry.state == "done"
    assert await room.tables() == before
    applied = await room.run(gzip.compress(table(rows)), apply=True)
    expected = {
        "rows": 8,
        "people": {"new": 5, "known": 1},
        "devices": {"new": 4, "known": 1, "moved": 0, "anonymous": 0},
        "platforms": {"android": 5},
        "skipped": {"malformed": 1, "duplicate": 1, "owned_by_another": 1},
    }
    for done in (dry, applied):
        assert {name: done.counts[name] for name in expected} == expected
    assert dry.counts["examples"] == applied.counts["examples"]
    [malformed] = [one for one in dry.counts["examples"] if one["reason"] == "malformed"]
    assert (malformed["line"], malformed["field"]) == (8, "platform")
    assert dry.counts["verified"] is None
    assert applied.counts["verified"] == {"devices": 6, "missing": 0, "wrong_owner": 1, "lines": [4]}
    device = await devices.read(room.database, room.workspace, Token(token(3)))
    assert device is not None
    # What APNs says of a token since then is about this device.
    assert (device.last_used, device.registered_at) == (NOW, NOW)
    assert device.attributes == {"app_version": "3.1"}
    [imported] = await devices.history(room.database, room.workspace, Token(token(3)), limit=5)
    assert (imported.event, imported.provider_reason) == ("imported", "imported:generic")
    assert await room.left("import_keys") == 0
    # That of a dry run is kept, to be applied.
    assert await room.left("import_parts") == await room.left("import_parts", dry.import_id) == 1


async def test_a_dry_run_is_tried_with_another_mapping_and_applied_once(room: Room) -> None:
    rows: list[dict[str, object]] = [
        {"push_token": token(number), "platform": "android", "person": "ann"} for number in range(3)
    ]
    first = await room.run(table(rows))
    assert first.counts["skipped"] == {"no_token": 3}
    assert [(one.name, one.read_as) for one in await room.imports.columns(first)] == [
        ("push_token", ""),
        ("platform", "platform"),
        ("person", "person"),
    ]
    with pytest.raises(BadRequest):
        await room.imports.map(BY, room.workspace, first.import_id, "tokn = 'push_token'")
    mapped = await room.imports.map(BY, room.workspace, first.import_id, "token = 'push_token'")
    await room.work()
    [column, *_] = await room.imports.columns(await room.imports.one(room.workspace, mapped.import_id))
    assert (column.read_as, len(column.examples)) == ("token", 3)
    assert token(0) not in str(column)
    applied = await room.imports.apply(BY, room.workspace, mapped.import_id)
    await room.work()
    assert (await room.imports.one(room.workspace, applied.import_id)).counts["devices"]["new"] == 3
    assert await room.left("import_parts") == 0
    for number in (first.import_id, mapped.import_id, applied.import_id):
        with pytest.raises(Conflict):
            await room.imports.apply(BY, room.workspace, number)


async def test_how_long_the_rest_takes_is_told_by_the_speed_of_the_attempt(room: Room) -> None:
    made = await room.make(table([line(1)]), apply=True)
    began = NOW
    running = replace(
        made,
        bytes=1_000,
        read_bytes=600,
        began_at=began,
        began_bytes=100,
        updated_at=began + timedelta(seconds=10),
    )
    # Half of the work is behind it: a file that is applied is read twice. At 50 bytes a second 1,400 are left.
    assert (progress_of(running), remaining_s(running)) == (0.3, 28.0)
    for unknown in (
        replace(running, state="failed"),
        replace(running, began_at=None),
        replace(running, read_bytes=100),
        replace(running, updated_at=began + timedelta(seconds=1)),
    ):
        assert remaining_s(unknown) is None
    assert progress_of(replace(running, state="done")) == 1.0


async def test_the_same_file_twice_changes_nothing(room: Room) -> None:
    content = table([line(number) for number in range(20)])
    await room.run(content, apply=True)
    before = await room.tables()
    again = await room.run(content, apply=True)
    assert again.counts["devices"] == {"new": 0, "known": 20, "moved": 0, "anonymous": 0}
    assert again.counts["people"] == {"new": 0, "known": 20}
    assert await room.tables() == before


async def test_what_is_newer_wins(room: Room) -> None:
    await room.register("person 1", token(1), NOW)
    await room.run(table([line(1, **{"attribute.app_version": "old"})]), apply=True)
    device = await devices.read(room.database, room.workspace, Token(token(1)))
    assert device is not None
    assert (device.last_used, device.attributes) == (NOW, {})
    await room.run(
        table([line(2), line(2, last_used=int(NOW.timestamp()), **{"attribute.app_version": "new"})]),
        apply=True,
    )
    device = await devices.read(room.database, room.workspace, Token(token(2)))
    assert device is not None
    assert device.attributes == {"app_version": "new"}


async def test_an_owner_is_moved_only_where_that_is_asked_for_and_newer(room: Room) -> None:
    await room.register("former", token(1), OLD)
    newer = table([line(1, last_used=int(NOW.timestamp()))])
    kept = await room.run(newer, apply=True)
    assert kept.counts["skipped"] == {"owned_by_another": 1}
    assert await room.owner(token(1)) == "former"
    dry = await room.run(newer, move=True)
    assert (dry.counts["devices"]["moved"], await room.owner(token(1))) == (1, "former")
    moved = await room.run(newer, move=True, apply=True)
    assert (moved.counts["devices"]["moved"], await room.owner(token(1))) == (1, "person 1")
    older = table([line(1, person="other")])
    await room.run(older, move=True, apply=True)
    assert await room.owner(token(1)) == "person 1"


async def test_statuses_are_kept_where_that_is_asked_for_and_agree_with_history(room: Room) -> None:
    rows = [
        line(number, status=status) for number, status in enumerate(("", "sent", "bounced", "suppressed"))
    ]
    done = await room.run(table(rows), apply=True, options={"keep_status": True})
    assert done.counts["devices"]["new"] == 4
    statuses = [row[7:] for row in (await room.tables())["devices"]]
    assert statuses == [("", 0), ("sent", 0), ("bounced", 1), ("suppressed", 2)]
    assert (await Strikes(room.database).verify(room.workspace)).wrong == 0
    # An app that registers its device again revives it, as ever.
    await room.register("person 3", token(3), NOW)
    device = await devices.read(room.database, room.workspace, Token(token(3)))
    assert device is not None
    assert (device.status, device.strikes) == ("", 0)
    assert (await Strikes(room.database).verify(room.workspace)).wrong == 0


async def test_a_device_of_an_anonymous_user_is_whose_who_identifies(room: Room) -> None:
    row = {**line(1), "person": "", "anonymous_id": "onesignal:1"}
    done = await room.run(table([row]), apply=True)
    assert done.counts["devices"] == {"new": 0, "known": 0, "moved": 0, "anonymous": 1}
    naming = PersonReference(workspace_id=room.workspace, path=Identifier(IdentifierKind.ID, "ann"))
    await room.people.apply(
        PersonUpdate(workspace_id=room.workspace, naming=naming, anonymous_id="onesignal:1")
    )
    assert await room.owner(token(1)) == "ann"


async def test_an_import_that_was_interrupted_goes_on_where_it_was(room: Room) -> None:
    content = table([line(number) for number in range(9_000)])
    made = await room.make(content, apply=True)
    interrupted = Jobs(room.database, room.importer())
    await interrupted.look()

    async def begun() -> bool:
        return bool((await room.imports.one(room.workspace, made.import_id)).records > 0)

    await eventually(begun)
    await interrupted.aclose()
    half = await room.imports.one(room.workspace, made.import_id)
    assert half.state == "pending"
    assert half.records < 9_000
    await Jobs(room.database, room.importer()).finish()
    done = await room.imports.one(room.workspace, made.import_id)
    assert (done.state, done.records, done.attempts) == ("done", 9_000, 0)
    assert done.counts["devices"]["new"] == done.counts["people"]["new"] == 9_000
    assert done.counts["verified"]["missing"] == done.counts["verified"]["wrong_owner"] == 0


async def test_a_cancelled_import_leaves_nothing_of_its_file(room: Room) -> None:
    made = await room.make(table([line(1)]), apply=True)
    assert await jobs.change(room.database, room.workspace, jobs.IMPORT.cancel or "", made.import_id)
    await Jobs(room.database, room.importer()).finish()
    assert (await room.imports.one(room.workspace, made.import_id)).state == "cancelled"
    assert (await room.tables())["devices"] == []
    left = await room.database.of(room.workspace).value(
        "select count(*) from import_parts where workspace_id = $1", room.workspace
    )
    assert left == 0


async def test_a_file_that_cannot_be_read_on_fails_by_its_line(room: Room) -> None:
    text = json.dumps([{"id": "ann", "devices": []}] * 3, indent=1)[:-20]
    failed = await room.run(text.encode(), "pushkeeper", apply=True)
    assert failed.state == "failed"
    assert failed.failure is not None
    assert failed.failure.startswith("file, line ")


async def test_people_by_id_and_email_share_a_batch_only_where_they_do_not_share_one_of_them(
    room: Room,
) -> None:
    rows = [
        {**line(1), "person": "a", "email": "x@acme.io"},
        {**line(2), "person": "b", "email": "x@acme.io"},
        {**line(3), "person": "a", "email": "x@acme.io"},
        {**line(4), "person": "", "email": "X@acme.io"},
    ]
    done = await room.run(table(rows), apply=True)
    assert done.counts["devices"]["new"] == 4
    assert [await room.owner(token(number)) for number in (2,)] == ["b"]
    assert done.counts["verified"]["missing"] == 0


async def test_what_cannot_be_kept_costs_itself(room: Room) -> None:
    rows = [
        line(1, **{"attribute.app_version": "x" * 1_001}),
        line(2, person="p" * 151),
        line(3, **{"person_attribute.plan": "x" * 1_001}),
        line(4, token="t" * 5_000),
    ]
    done = await room.run(table(rows), apply=True)
    assert done.counts["skipped"] == {"bad_attribute": 2, "bad_identifier": 1, "bad_token": 1}
    assert [row[0] for row in (await room.tables())["devices"]] == [token(1), token(3)]


async def test_where_people_share_tokens_each_gets_a_device_of_their_own(room: Room) -> None:
    await room.database.rows(
        "update workspaces set token_ownership = 'share' where workspace_id = $1", room.workspace
    )
    await room.register("first", token(1), OLD)
    done = await room.run(table([line(1)]), apply=True)
    assert done.counts["devices"]["new"] == 1
    assert len((await room.tables())["devices"]) == 2
    again = await room.run(table([line(1)]), apply=True)
    assert again.counts["devices"] == {"new": 0, "known": 1, "moved": 0, "anonymous": 0}
    assert len((await room.tables())["devices"]) == 2


async def test_what_is_wrong_with_the_question_is_said_at_once(room: Room) -> None:
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("mailchimp", {}, "source"),
        ("generic", {"mapping": "tokn = 'x'"}, "mapping"),
        ("onesignal", {"mapping": "token = 'x'"}, "mapping"),
        ("generic", {"options": {"environment": "staging"}}, "options"),
        ("generic", {"options": {"enviroment": "production"}}, "options"),
    ]
    for source, wanted, field in cases:
        with pytest.raises(BadRequest) as refused:
            await room.make(b"token\n", source, **wanted)
        assert refused.value.field == field
