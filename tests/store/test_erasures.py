"""Erasures: when one is done, what it waits for, and who is left alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pushkeeper.core import csv_text
from pushkeeper.core.identity import Identifier, IdentifierKind, cio_id
from pushkeeper.services.people import PersonUpdate, RequestedBy
from pushkeeper.store.exports import exports
from pushkeeper.store.people import erasures
from pushkeeper.store.people.events import NewEvent
from pushkeeper.store.people.people import PersonReference
from pushkeeper.worker.jobs.erasures import Eraser
from support.actors import BY

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.people import People
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

ANN, BEN = (Identifier(IdentifierKind.ID, name) for name in ("ann", "ben"))


def event(name: str) -> NewEvent:
    return NewEvent(kind="event", name=name, data={}, happened_at=datetime.now(UTC))


async def did(registry: People, tenant: WorkspaceId, who: Identifier, *names: str) -> None:
    naming = PersonReference(workspace_id=tenant, path=who)
    for name in names:
        await registry.apply(PersonUpdate(workspace_id=tenant, naming=naming, event=event(name)))


async def erase(registry: People, tenant: WorkspaceId, who: Identifier = ANN) -> int:
    return (await registry.erase(BY, tenant, who, by=RequestedBy.API)).erasure_id


async def look(database: Database, tenant: WorkspaceId, *, webhooks_have_s: float = 60.0) -> list[int]:
    """One look at all erasures of a workspace, due or not; those that are done."""
    await database.rows("update erasures set due_at = now() where workspace_id = $1", tenant)
    claimed = await erasures.claim(database, tenant, most=100)
    return await erasures.look(database, tenant, claimed, webhooks_have_s=webhooks_have_s)


async def is_pending(registry: People, tenant: WorkspaceId, number: int) -> bool:
    return (await registry.receipt(tenant, number)).done_at is None


async def test_an_erasure_is_done_once_a_look_finds_nothing_any_more(
    database: Database, registry: People, tenant: WorkspaceId
) -> None:
    await did(registry, tenant, ANN, "a", "b", "c")
    number = await erase(registry, tenant)
    assert await look(database, tenant) == []
    assert (await registry.receipt(tenant, number)).counts == {"people": 1, "devices": 0, "events": 3}
    assert await look(database, tenant) == [number]
    assert not await is_pending(registry, tenant, number)
    assert await erasures.claim(database, tenant, most=100) == {}


async def test_later_data_of_the_identifiers_new_owner_is_kept(
    database: Database, registry: People, tenant: WorkspaceId
) -> None:
    await did(registry, tenant, ANN, "before")
    relation = {"type": "person", "identifiers": {"id": "ann"}, "cio_relationships": []}
    thing = {"type": "object", "identifiers": {"object_id": "acme"}}
    both = {**thing, "cio_relationships": [{"identifiers": {"id": "ann"}}, {"identifiers": {"id": "ben"}}]}
    for said in (relation, both):
        await registry.note(tenant, said)
    await registry.apply(PersonUpdate(workspace_id=tenant, anonymous_id="a1", event=event("before, unknown")))
    await registry.apply(
        PersonUpdate(
            workspace_id=tenant, naming=PersonReference(workspace_id=tenant, path=ANN), anonymous_id="a1"
        )
    )
    await erase(registry, tenant)
    await did(registry, tenant, ANN, "since")
    for said in (relation, both):
        await registry.note(tenant, said)
    await registry.apply(PersonUpdate(workspace_id=tenant, anonymous_id="a1", event=event("since, unknown")))
    await look(database, tenant)
    await look(database, tenant)
    names = await database.rows("select name from events where workspace_id = $1 order by name", tenant)
    assert [row["name"] for row in names] == ["since", "since, unknown"]
    notes = await database.rows(
        "select said from object_notes where workspace_id = $1 order by note_id", tenant
    )
    assert [row["said"] for row in notes] == [
        {**thing, "cio_relationships": [{"identifiers": {"id": "ben"}}]},
        relation,
        both,
    ]


async def test_an_erasure_waits_for_transactions_that_began_before_it(
    database: Database, registry: People, tenant: WorkspaceId
) -> None:
    """A process that read a person before their deletion may still write about them."""
    await did(registry, tenant, ANN, "a")
    person = (await registry.person(tenant, ANN)).person_id
    began, may_end = asyncio.Event(), asyncio.Event()

    async def work(connection: Connection) -> None:
        query = "insert into events (workspace_id, person_id, kind, name, happened_at) values ($1, $2, 'event', $3, now())"
        await connection.execute(query, tenant, person, "late")
        began.set()
        await may_end.wait()

    writing = asyncio.create_task(database.in_transaction(work))
    await began.wait()
    number = await erase(registry, tenant)
    for _ in range(3):
        assert await look(database, tenant) == []
    may_end.set()
    await writing
    assert await look(database, tenant) == [], "there is something again"
    assert await look(database, tenant) == [number]
    assert (await registry.receipt(tenant, number)).counts["events"] == 2


@pytest.mark.parametrize("what", ["batch", "export", "webhook"])
async def test_an_erasure_waits_for_what_may_still_be_written(
    database: Database, registry: People, tenant: WorkspaceId, what: str
) -> None:
    await did(registry, tenant, ANN, "a")
    person = (await registry.person(tenant, ANN)).person_id
    if what == "export":
        await exports.insert(database, tenant, "customers", {"and": []}, BY)
    else:
        await database.rows(
            "insert into messages (message_id, workspace_id, kind, person_id, content, expires_at) "
            "values (gen_random_uuid(), $1, 'transactional', $2, '{}', now())",
            tenant,
            person,
        )
        await database.rows(
            "insert into batches (workspace_id, message_id, person_id, pick, claim_id, lease_until) "
            "select workspace_id, message_id, person_id, 'all', gen_random_uuid(), now() + interval '1 hour' "
            "from messages where workspace_id = $1 and $2 = 'batch'",
            tenant,
            what,
        )
        await database.rows(
            "insert into webhooks (workspace_id, name, endpoint, events, sealed) select $1, '', '', '{push_sent}', '' "
            "where $2 = 'webhook'",
            tenant,
            what,
        )
        await database.rows(
            "insert into outbox (workspace_id, webhook_id, object_type, metric, person_id, data, happened_at) "
            "select workspace_id, webhook_id, 'customer', 'x', $2, '{}', now() from webhooks where workspace_id = $1",
            tenant, person)  # fmt: skip
    number = await erase(registry, tenant)
    for _ in range(3):
        assert await look(database, tenant) == []
    # The worker is lost, the export written; of webhooks, what has waited long enough goes untold.
    await database.rows(
        "update batches set lease_until = now() - interval '1 s' where workspace_id = $1", tenant
    )
    await database.rows("update exports set state = 'done' where workspace_id = $1", tenant)
    over = await look(database, tenant, webhooks_have_s=0.0)
    assert over + await look(database, tenant) == [number]
    assert await database.value("select count(*) from outbox where workspace_id = $1", tenant) == 0
    left = await database.rows("select person_id, claim_id from batches where workspace_id = $1", tenant)
    assert all(row["person_id"] != person and row["claim_id"] is None for row in left)


async def test_one_that_fails_stops_no_other_and_says_so_without_its_words(
    database: Database, registry: People, tenant: WorkspaceId
) -> None:
    numbers = []
    for who in (ANN, BEN):
        await did(registry, tenant, who, "a")
        numbers.append(await erase(registry, tenant, who))
    broken, well = numbers
    # A name that is no object cannot be read.
    await database.rows(
        "update erasures set names = '5' where workspace_id = $1 and erasure_id = $2", tenant, broken
    )
    eraser = Eraser(database)
    for _ in range(3):
        await database.rows("update erasures set due_at = now() where workspace_id = $1", tenant)
        await eraser.look()
    assert not await is_pending(registry, tenant, well)
    failed = await registry.receipt(tenant, broken)
    assert (failed.done_at, failed.failure) == (None, "InvalidParameterValueError")
    assert await database.value(
        "select due_at > now() and claimed_until is null from erasures where workspace_id = $1 and erasure_id = $2",
        tenant, broken)  # fmt: skip


async def test_rows_of_exports_go_one_by_one_and_the_rest_stays_byte_for_byte(
    database: Database, registry: People, tenant: WorkspaceId
) -> None:
    await did(registry, tenant, ANN, "a")
    person = (await registry.person(tenant, ANN)).person_id
    others = ['=1+1,"of, ""theirs""\n', "two\r\nlines", f"of {cio_id(person)}"]
    rows = [["id", "email", "cio_id"], *([text, "", "0" * 12] for text in others)]
    theirs = ['"', "\n\r\n", cio_id(person)]
    text = csv_text.text([*rows[:2], theirs, *rows[2:], theirs])
    export = await exports.insert(database, tenant, "customers", {"and": []}, BY)

    await database.rows(
        "insert into export_parts (workspace_id, export_id, part, text) select $1, $2, part, $3 from generate_series(0, 24) part",
        tenant, export, text)  # fmt: skip
    await database.rows(
        "update exports set state = 'done', lines = 125 where workspace_id = $1 and export_id = $2", tenant, export)  # fmt: skip
    number = await erase(registry, tenant)
    await look(database, tenant)
    for part in range(25):
        assert await exports.part(database, tenant, export, part) == csv_text.text(rows)
    [found] = await exports.of_workspace(database, tenant, export)
    assert (found.lines, (await registry.receipt(tenant, number)).counts["export_rows"]) == (3 * 25, 2 * 25)


async def test_what_is_suppressed_is_kept_by_its_hash_and_so_is_what_was_before(
    database: Database, registry: People, tenant: WorkspaceId
) -> None:
    for number, who in enumerate((ANN, BEN)):
        email = Identifier(IdentifierKind.EMAIL, f"{who.value}@x.io")
        naming = PersonReference(workspace_id=tenant, path=who, others=(email,))
        await registry.apply(PersonUpdate(workspace_id=tenant, naming=naming))
        if number == 0:
            await registry.do(registry.suppressing(tenant, who))
        else:
            # As release 0.1 did it.
            await registry.forget_person(tenant, who)
            await database.rows(
                "insert into blocked (workspace_id, kind, key, person) "
                "select $1, k.kind, k.key, gen_random_uuid() from (values ('id', 'ben'), ('email', 'ben@x.io')) k (kind, key)",
                tenant,
            )
    named = [PersonReference(workspace_id=tenant, path=who) for who in (ANN, BEN)]
    by_email = [
        PersonReference(workspace_id=tenant, path=Identifier(IdentifierKind.EMAIL, f"{who}@X.io"))
        for who in ("ann", "ben")
    ]
    for naming in (*named, *by_email):
        assert await registry.apply(PersonUpdate(workspace_id=tenant, naming=naming)) is None
    await Eraser(database).look()
    for naming in (*named, *by_email):
        assert await registry.apply(PersonUpdate(workspace_id=tenant, naming=naming)) is None
    kept = await database.rows("select key, hashed from blocked where workspace_id = $1", tenant)
    assert len(kept) == 4
    assert all(row["hashed"] and len(row["key"]) == 32 for row in kept)
    await registry.do(registry.unsuppressing(tenant, ANN))
    assert await registry.apply(PersonUpdate(workspace_id=tenant, naming=by_email[0])) is not None, (
        "all of one person's"
    )
    await registry.do(registry.unsuppressing(tenant, BEN))
    assert await registry.apply(PersonUpdate(workspace_id=tenant, naming=named[1])) is not None
