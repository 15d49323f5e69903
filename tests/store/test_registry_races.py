"""Two processes on one database: whatever they do to the same people at once, some order of it would have left."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from pushkeeper.core import identity
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import PersonId, Platform, Token, WorkspaceId
from pushkeeper.errors import NotFound
from pushkeeper.services.people import People, PersonUpdate
from pushkeeper.store.db.database import Database
from pushkeeper.store.devices.devices import Registration
from pushkeeper.store.people.events import NewEvent
from pushkeeper.store.people.people import AttributeChange, PersonReference

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROUNDS = 40
NOTHING = AttributeChange(changed_at=1)


@pytest_asyncio.fixture
async def rivals(database: Database) -> AsyncIterator[tuple[People, People]]:
    """Two registries that share nothing but the server."""
    here, there = [await Database.open(database.url, connections=3) for _ in range(2)]
    yield People(here), People(there)
    await here.close()
    await there.close()


def an_id(value: str) -> Identifier:
    return Identifier(IdentifierKind.ID, value)


def an_email(value: str) -> Identifier:
    return Identifier(IdentifierKind.EMAIL, value)


def phone(token: str) -> Registration:
    return Registration(token=Token(token), platform=Platform.IOS, last_used=NOON)


async def people_with(database: Database, tenant: WorkspaceId, *identifiers: Identifier) -> set[PersonId]:
    rows = await database.rows(
        "select person_id from identifiers where workspace_id = $1 and key = any ($2)",
        tenant,
        [identifier.key[1] for identifier in identifiers],
    )
    return {row["person_id"] for row in rows}


async def at_once(calls: Sequence[Awaitable[object]]) -> None:
    """Make the calls and let every one end before the first error is raised."""
    for answer in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer


@pytest.mark.parametrize(
    ("here", "there"),
    [
        pytest.param(("id", "email"), ("id", "email"), id="the same call"),
        pytest.param(("id", "email"), ("email", "id"), id="by id and by email"),
        pytest.param(("id", "email"), ("email",), id="by id with the email, and by the email alone"),
        pytest.param(("email", "id"), ("id",), id="by email with the id, and by the id alone"),
    ],
)
async def test_two_that_create_the_same_person_make_one(
    database: Database,
    rivals: tuple[People, People],
    tenant: WorkspaceId,
    here: tuple[str, ...],
    there: tuple[str, ...],
) -> None:
    for n in range(ROUNDS):
        names = {"id": an_id(f"p{n}"), "email": an_email(f"p{n}@example.com")}
        namings = [
            PersonReference(
                workspace_id=tenant, path=names[path], others=tuple(names[other] for other in others)
            )
            for path, *others in (here, there)
        ]
        found = await asyncio.gather(
            *(registry.identify(naming, NOTHING) for registry, naming in zip(rivals, namings, strict=True))
        )
        assert await people_with(database, tenant, *names.values()) == set(found)
        assert len(set(found)) == 1
    rows = await database.rows("select person_id from people where workspace_id = $1", tenant)
    assert len(rows) == ROUNDS


async def test_many_at_once_make_one_person_for_each_name(
    database: Database, rivals: tuple[People, People], tenant: WorkspaceId
) -> None:
    names = [an_id(f"p{n}") for n in range(100)]
    orders = (names, names[::-1])
    found = await asyncio.gather(
        *(
            registry.register(PersonReference(workspace_id=tenant, path=name), phone(f"{name.value}-{side}"))
            for side, (registry, order) in enumerate(zip(rivals, orders, strict=True))
            for name in order
        )
    )
    assert found[:100] == found[:99:-1]
    assert len(set(found)) == 100
    assert await people_with(database, tenant, *names) == set(found)


async def test_a_registration_that_meets_a_deletion_of_the_person_leaves_no_device_without_one(
    database: Database, rivals: tuple[People, People], tenant: WorkspaceId
) -> None:
    here, there = rivals
    for n in range(ROUNDS):
        name = PersonReference(workspace_id=tenant, path=an_id(f"p{n}"))
        await here.register(name, phone(f"old-{n}"))
        await at_once(
            [
                here.register(name, phone(f"new-{n}")),
                here.register(name, phone(f"old-{n}")),
                there.forget_person(tenant, name.path),
            ]
        )
    orphans = await database.rows(
        "select from devices where workspace_id = $1 and not exists "
        "(select from identifiers i where i.person_id = devices.person_id)",
        tenant,
    )
    assert orphans == []
    nameless = await database.rows(
        "select from people p where workspace_id = $1 "
        "and not exists (select from identifiers i where i.person_id = p.person_id)",
        tenant,
    )
    assert nameless == []


async def test_a_registration_that_was_answered_after_the_deletion_is_there(
    rivals: tuple[People, People], tenant: WorkspaceId
) -> None:
    here, there = rivals
    for n in range(ROUNDS):
        name = PersonReference(workspace_id=tenant, path=an_id(f"p{n}"))
        await here.register(name, phone(f"old-{n}"))
        forgetting = asyncio.create_task(there.forget_person(tenant, name.path))
        await here.register(name, phone(f"new-{n}"))
        await forgetting
        last = (await here.history(tenant, Token(f"new-{n}")))[0]
        if last.event == "deleted":
            with pytest.raises(NotFound):
                await here.device(tenant, Token(f"new-{n}"))
        else:
            assert (await here.device(tenant, Token(f"new-{n}"))).person_id == last.to_person_id


async def test_an_update_that_meets_a_deletion_of_the_person_does_not_fail(
    rivals: tuple[People, People], tenant: WorkspaceId
) -> None:
    here, there = rivals
    for n in range(ROUNDS):
        name = PersonReference(workspace_id=tenant, path=an_id(f"p{n}"))
        await here.identify(name, NOTHING)
        await at_once(
            [
                here.identify(name, AttributeChange(attributes={"round": n}, changed_at=2)),
                there.forget_person(tenant, name.path),
            ]
        )
        with suppress(NotFound):
            assert (await here.person(tenant, name.path)).attributes == {"round": n}


async def test_a_person_whose_new_email_somebody_else_takes_meanwhile_keeps_one(
    database: Database, rivals: tuple[People, People], tenant: WorkspaceId
) -> None:
    here, there = rivals
    for n in range(ROUNDS):
        former, wanted = an_email(f"former{n}@example.com"), an_email(f"wanted{n}@example.com")
        person = await here.identify(PersonReference(workspace_id=tenant, path=former), NOTHING)
        assert person is not None
        by_cio_id = Identifier(IdentifierKind.CIO_ID, identity.cio_id(person))
        await at_once(
            [
                here.identify(
                    PersonReference(workspace_id=tenant, path=by_cio_id, others=(wanted,)), NOTHING
                ),
                there.identify(PersonReference(workspace_id=tenant, path=wanted), NOTHING),
            ]
        )
        assert person in await people_with(database, tenant, former, wanted)
        assert await people_with(database, tenant, wanted)


def tied(tenant: WorkspaceId, who: str, anonymous_id: str) -> PersonUpdate:
    naming = PersonReference(workspace_id=tenant, path=an_id(who))
    return PersonUpdate(workspace_id=tenant, naming=naming, anonymous_id=anonymous_id)


async def test_of_two_who_identify_with_one_anonymous_id_one_gets_all_that_waits(
    database: Database, rivals: tuple[People, People], tenant: WorkspaceId
) -> None:
    looked = NewEvent(kind="event", name="looked", data={}, happened_at=NOON)
    ids = [f"a{n}" for n in range(ROUNDS)]
    for one in ids:
        await rivals[0].apply(PersonUpdate(workspace_id=tenant, anonymous_id=one, event=looked))
        await rivals[0].apply(PersonUpdate(workspace_id=tenant, anonymous_id=one, registration=phone(one)))
    # Each process in its own order, so that two wait for each other.
    here, there = ([tied(tenant, who, one) for one in ids] for who in ("ann", "ben"))
    await at_once([rivals[0].do_all(here), rivals[1].do_all(there[::-1])])
    rows = await database.rows(
        "select count(*) as n from anonymous_ids a join events e using (workspace_id, anonymous_id, person_id) "
        "join devices d on d.workspace_id = a.workspace_id and d.person_id = a.person_id and d.token = anonymous_id "
        "where a.workspace_id = $1",
        tenant,
    )
    assert [row["n"] for row in rows] == [ROUNDS]


async def test_an_anonymous_id_is_tied_to_an_identifying_person_who_is_not_deleted_meanwhile(
    database: Database, rivals: tuple[People, People], tenant: WorkspaceId
) -> None:
    here, there = rivals
    for n in range(ROUNDS):
        ann, anonymous_id = an_id(f"p{n}"), f"a{n}"
        await here.identify(PersonReference(workspace_id=tenant, path=ann), NOTHING)
        await at_once([here.apply(tied(tenant, ann.value, anonymous_id)), there.forget_person(tenant, ann)])
        is_tied = await database.value(
            "select count(*) = 1 from anonymous_ids where workspace_id = $1 and anonymous_id = $2",
            tenant,
            anonymous_id,
        )
        assert is_tied is bool(await people_with(database, tenant, ann))
