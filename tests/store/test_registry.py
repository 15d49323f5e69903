"""The registry of people and devices: what holds after every call, and when many call at once."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from pushkeeper import wiring
from pushkeeper.config import Settings
from pushkeeper.core import identity
from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Environment, IdKind, PersonId, Platform, Token, WorkspaceId, device_id
from pushkeeper.errors import BadRequest, NotFound
from pushkeeper.store.admin import workspaces
from pushkeeper.store.devices import devices, registration
from pushkeeper.store.devices.devices import HistoryLine, Registration, SettleEvent, Settlement
from pushkeeper.store.people.people import MAX_ATTRIBUTES, AttributeChange, PersonReference

if TYPE_CHECKING:
    from pathlib import Path

    from pushkeeper.services.people import People
    from pushkeeper.store.db.database import Database

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MESSAGE = UUID("01931000-0000-7000-8000-000000000000")
HOUR = timedelta(hours=1)
TOKEN = Token("a-token-that-is-as-long-as-tokens-are")
ANNA, BEN = Identifier(IdentifierKind.ID, "anna"), Identifier(IdentifierKind.ID, "ben")
ANNAS_EMAIL = Identifier(IdentifierKind.EMAIL, "Anna@Example.com")


def by(tenant: WorkspaceId, path: Identifier, *others: Identifier, create: bool = True) -> PersonReference:
    return PersonReference(workspace_id=tenant, path=path, others=others, create=create)


def change(at: int = 1, *removed: str, unsubscribed: Any = None, **attributes: Any) -> AttributeChange:
    return AttributeChange(attributes=attributes, removed=removed, unsubscribed=unsubscribed, changed_at=at)


def phone(token: Token = TOKEN, *, last_used: datetime = NOON, **attributes: object) -> Registration:
    return Registration(token=token, platform=Platform.IOS, last_used=last_used, attributes=attributes)


async def settle(database: Database, tenant: WorkspaceId, *events: SettleEvent, token: Token = TOKEN) -> None:
    device = await devices.read(database, tenant, token)
    assert device is not None
    settlements = [
        Settlement(
            workspace_id=tenant,
            device_id=device.device_id,
            generation=device.generation,
            event=event,
            message_id=MESSAGE,
            provider="apns",
            provider_status=410,
            provider_reason="Unregistered",
        )
        for event in events
    ]
    await database.in_transaction(lambda connection: devices.settle(connection, settlements))


async def registered(
    registry: People, naming: PersonReference, registration: Registration | None = None
) -> PersonId:
    person = await registry.register(naming, registration or phone())
    assert person is not None
    return person


def told(lines: list[HistoryLine]) -> list[tuple[str, str | None, str | None]]:
    """The oldest first."""
    return [(line.event, line.from_status, line.to_status) for line in lines[::-1]]


async def test_an_identified_person_is_read_back_by_every_identifier(
    registry: People, tenant: WorkspaceId
) -> None:
    person = await registry.identify(by(tenant, ANNA, ANNAS_EMAIL), change(plan="gold"))
    assert person is not None
    cio_id = Identifier(IdentifierKind.CIO_ID, identity.cio_id(person))
    for identifier in (ANNA, ANNAS_EMAIL, Identifier(IdentifierKind.EMAIL, "anna@example.com"), cio_id):
        found = await registry.person(tenant, identifier)
        assert (found.person_id, found.id, found.email) == (person, "anna", "Anna@Example.com")
        assert found.attributes == {"plan": "gold"}


async def test_a_person_of_one_workspace_is_nobody_in_another(
    database: Database, registry: People, tenant: WorkspaceId
) -> None:
    other, _ = await workspaces.create(database, secrets.token_hex(8))
    person = await registered(registry, by(tenant, ANNA))
    for identifier in (ANNA, Identifier(IdentifierKind.CIO_ID, identity.cio_id(person))):
        with pytest.raises(NotFound):
            await registry.person(other.workspace_id, identifier)
    with pytest.raises(NotFound):
        await registry.device(other.workspace_id, TOKEN)
    theirs = await registered(registry, by(other.workspace_id, ANNA))
    assert theirs != person
    assert (await registry.device(tenant, TOKEN)).person_id == person


async def test_attributes_merge_and_removed_ones_go(registry: People, tenant: WorkspaceId) -> None:
    await registry.identify(by(tenant, ANNA), change(1, plan="gold", city="Ulm", nested={"a": None}))
    await registry.identify(by(tenant, ANNA), change(2, "city", "never there", plan="silver", age=33))
    anna = await registry.person(tenant, ANNA)
    assert anna.attributes == {"plan": "silver", "age": 33, "nested": {"a": None}}
    assert anna.changed_at == {"plan": 2, "age": 2, "nested": 1, "city": 2, "never there": 2}


async def test_an_attribute_that_is_set_to_what_it_is_was_set_then(
    registry: People, tenant: WorkspaceId
) -> None:
    await registry.identify(by(tenant, ANNA), change(1, plan="gold"))
    await registry.identify(by(tenant, ANNA), change(3, plan="gold"))
    await registry.identify(by(tenant, ANNA), change(2, plan="silver"))
    anna = await registry.person(tenant, ANNA)
    assert (anna.attributes, anna.changed_at) == ({"plan": "gold"}, {"plan": 3})


async def test_who_is_merged_gives_what_is_lacked_with_its_times(
    registry: People, tenant: WorkspaceId
) -> None:
    topics = "cio_subscription_preferences.topics"
    await registry.identify(by(tenant, ANNA), change(5, "city", plan="gold"))
    ben = AttributeChange(
        attributes={"plan": "free", "city": "Ulm", "unsubscribed": True},
        preferences={f"{topics}.a": False, f"{topics}.b": True},
        unsubscribed=True,
        changed_at=7,
    )
    await registry.identify(by(tenant, BEN), ben)
    await registry.do(registry.merging(tenant, ANNA, BEN))
    late = AttributeChange(
        attributes={"city": "Bonn", "unsubscribed": False},
        preferences={f"{topics}.a": True},
        unsubscribed=False,
        changed_at=6,
    )
    await registry.identify(by(tenant, ANNA), late)
    anna = await registry.person(tenant, ANNA)
    assert anna.attributes == {
        "plan": "gold",
        "city": "Ulm",
        "unsubscribed": True,
        "cio_subscription_preferences": {"topics": {"a": False, "b": True}},
    }
    assert anna.unsubscribed is True
    assert anna.changed_at == {
        "plan": 5,
        **dict.fromkeys(("city", "unsubscribed", f"{topics}.a", f"{topics}.b"), 7),
    }


async def test_unsubscribed_stays_until_it_is_said_again(registry: People, tenant: WorkspaceId) -> None:
    await registry.identify(by(tenant, ANNA), change(unsubscribed=True))
    await registry.identify(by(tenant, ANNA), change(plan="gold"))
    assert (await registry.person(tenant, ANNA)).unsubscribed is True
    await registry.identify(by(tenant, ANNA), change(unsubscribed=False))
    assert (await registry.person(tenant, ANNA)).unsubscribed is False


async def test_changes_by_two_names_of_one_person_are_both_made_in_order(
    registry: People, tenant: WorkspaceId
) -> None:
    await registry.identify(by(tenant, ANNA, ANNAS_EMAIL), change())
    await asyncio.gather(
        *(
            registry.identify(by(tenant, [ANNA, ANNAS_EMAIL][n % 2]), change(n, **{f"a{n}": n}))
            for n in range(20)
        )
    )
    assert (await registry.person(tenant, ANNA)).attributes == {f"a{n}": n for n in range(20)}


@pytest.mark.parametrize(
    "bad",
    [
        change(**{f"a{n}": n for n in range(MAX_ATTRIBUTES + 1)}),
        change(name="a NUL: \0"),
        change(**{"a NUL: \0": 1}),
    ],
)
async def test_a_bad_call_fails_alone_and_changes_nothing(
    registry: People, tenant: WorkspaceId, bad: AttributeChange
) -> None:
    names = [Identifier(IdentifierKind.ID, f"p{n}") for n in range(20)]
    answers = await asyncio.gather(
        *(
            registry.identify(by(tenant, name), bad if n == 7 else change(n=n))
            for n, name in enumerate(names)
        ),
        return_exceptions=True,
    )
    assert [n for n, answer in enumerate(answers) if isinstance(answer, BaseException)] == [7]
    assert isinstance(answers[7], BadRequest)
    with pytest.raises(NotFound):
        await registry.person(tenant, names[7])
    assert [(await registry.person(tenant, name)).attributes["n"] for name in names if name != names[7]] == [
        n for n in range(20) if n != 7
    ]


@pytest.mark.parametrize("value", ["a NUL: \0", secrets.token_hex(5000)])
async def test_an_identifier_that_cannot_be_stored_is_a_bad_request(
    registry: People, tenant: WorkspaceId, value: str
) -> None:
    with pytest.raises(BadRequest):
        await registry.identify(by(tenant, Identifier(IdentifierKind.ID, value)), change())


async def test_the_limit_counts_what_would_be_there_in_the_end(registry: People, tenant: WorkspaceId) -> None:
    await registry.identify(by(tenant, ANNA), change(**{f"a{n}": n for n in range(MAX_ATTRIBUTES)}))
    await registry.identify(by(tenant, ANNA), change(2, "a0", "a1", b0=0, b1=1))
    with pytest.raises(BadRequest, match="300"):
        await registry.identify(by(tenant, ANNA), change(3, b2=2))
    assert len((await registry.person(tenant, ANNA)).attributes) == MAX_ATTRIBUTES


async def test_a_call_that_may_not_create_creates_nobody(registry: People, tenant: WorkspaceId) -> None:
    assert await registry.identify(by(tenant, ANNA, create=False), change(plan="gold")) is None
    with pytest.raises(NotFound):
        await registry.person(tenant, ANNA)


async def test_a_registered_device_is_read_back_as_it_was_told(registry: People, tenant: WorkspaceId) -> None:
    person = await registered(
        registry,
        by(tenant, ANNA),
        Registration(
            token=TOKEN,
            platform=Platform.IOS,
            last_used=NOON,
            id_kind=IdKind.FID,
            app="com.example.app",
            environment=Environment.SANDBOX,
            attributes={"app_version": "3.1", "absent": None},
        ),
    )
    device = await registry.device(tenant, TOKEN)
    assert (device.person_id, device.device_id, device.token) == (person, device_id(tenant, TOKEN), TOKEN)
    assert (device.platform, device.id_kind, device.app, device.environment) == (
        Platform.IOS,
        IdKind.FID,
        "com.example.app",
        Environment.SANDBOX,
    )
    assert device.attributes == {"app_version": "3.1"}
    assert (device.status, device.strikes, device.last_used) == (LastStatus.UNUSED, 0, NOON)
    assert told(await registry.history(tenant, TOKEN)) == [("registered", None, "")]


async def test_the_same_person_again_merges_the_device(registry: People, tenant: WorkspaceId) -> None:
    first = Registration(
        token=TOKEN, platform=Platform.IOS, last_used=NOON, app="com.example.app", attributes={"a": 1, "b": 2}
    )
    await registered(registry, by(tenant, ANNA), first)
    before = await registry.device(tenant, TOKEN)
    await registered(registry, by(tenant, ANNA), phone(b=None, c=3))
    after = await registry.device(tenant, TOKEN)
    assert after.attributes == {"a": 1, "c": 3}
    assert (after.app, after.created_at) == ("com.example.app", before.created_at)
    assert after.generation != before.generation
    assert after.registered_at > before.registered_at
    assert told(await registry.history(tenant, TOKEN)) == [("registered", None, "")]


async def test_last_used_keeps_the_latest_of_one_person_and_restarts_with_the_next(
    registry: People, tenant: WorkspaceId
) -> None:
    seen = []
    for who, at in [(ANNA, NOON), (ANNA, NOON - HOUR), (ANNA, NOON + HOUR), (BEN, NOON - HOUR)]:
        await registered(registry, by(tenant, who), phone(last_used=at))
        seen.append((await registry.device(tenant, TOKEN)).last_used)
    assert seen == [NOON, NOON, NOON + HOUR, NOON - HOUR]


async def test_a_registration_revives_a_suppressed_device_and_says_so(
    database: Database, registry: People, tenant: WorkspaceId
) -> None:
    await registered(registry, by(tenant, ANNA))
    await settle(database, tenant, SettleEvent.REFUSED, SettleEvent.REFUSED)
    await registered(registry, by(tenant, ANNA))
    assert told(await registry.history(tenant, TOKEN)) == [
        ("registered", None, ""),
        ("refused", "", "bounced"),
        ("refused", "bounced", "suppressed"),
        ("refreshed", "suppressed", ""),
    ]
    refusal = (await registry.history(tenant, TOKEN))[1]
    assert (refusal.provider, refusal.provider_status, refusal.provider_reason) == (
        "apns",
        410,
        "Unregistered",
    )


async def test_a_token_that_another_person_has_moves(
    database: Database, registry: People, tenant: WorkspaceId
) -> None:
    anna = await registered(registry, by(tenant, ANNA))
    await settle(database, tenant, SettleEvent.ACCEPTED)
    ben = await registered(registry, by(tenant, BEN))
    device = await registry.device(tenant, TOKEN)
    assert (device.person_id, device.status) == (ben, LastStatus.SENT)
    assert await registry.devices_of(await registry.person(tenant, ANNA), tenant) == []
    moved = (await registry.history(tenant, TOKEN))[0]
    assert (moved.event, moved.from_person_id, moved.to_person_id) == ("moved", anna, ben)


async def test_a_new_owner_does_not_get_the_attributes_of_the_previous_one(
    registry: People, tenant: WorkspaceId
) -> None:
    await registered(registry, by(tenant, ANNA), phone(plan_badge="gold", app_version="3.1"))
    await registered(registry, by(tenant, BEN), phone(app_version="3.2", city=None))
    assert (await registry.device(tenant, TOKEN)).attributes == {"app_version": "3.2"}


async def test_a_null_inside_an_attribute_of_a_device_is_kept(registry: People, tenant: WorkspaceId) -> None:
    for nested in ({"a": None}, {"b": [None, {"c": None}]}):
        await registered(registry, by(tenant, ANNA), phone(nested=nested))
        assert (await registry.device(tenant, TOKEN)).attributes == {"nested": nested}


async def test_a_device_does_not_gather_attributes_without_end(registry: People, tenant: WorkspaceId) -> None:
    most: dict[str, Any] = {f"a{n}": n for n in range(registration.MAX_ATTRIBUTES)}
    await registered(registry, by(tenant, ANNA), phone(**most))
    await registered(registry, by(tenant, ANNA), phone(a0=None, b0=0))
    before = await registry.device(tenant, TOKEN)
    with pytest.raises(BadRequest, match="300"):
        await registry.register(by(tenant, ANNA), phone(b1=1))
    assert await registry.device(tenant, TOKEN) == before


async def test_a_device_with_too_many_attributes_does_not_break_up_the_commit_it_shares(
    registry: People, tenant: WorkspaceId, database: Database
) -> None:
    most: dict[str, Any] = {f"a{n}": n for n in range(registration.MAX_ATTRIBUTES)}
    await registered(registry, by(tenant, ANNA), phone(**most))
    before = await registry.device(tenant, TOKEN)
    first = asyncio.create_task(registry.register(by(tenant, BEN), phone(Token("first"))))
    await asyncio.sleep(0)  # its commit is under way: what is called now gathers for the next
    names = [Identifier(IdentifierKind.ID, f"neighbour-{n}") for n in range(5)]
    refused, *stood = await asyncio.gather(
        registry.register(by(tenant, ANNA), phone(b1=1)),
        *(registry.register(by(tenant, name), phone(Token(name.value))) for name in names),
        return_exceptions=True,
    )
    await first
    assert isinstance(refused, BadRequest)
    assert None not in stood
    assert await registry.device(tenant, TOKEN) == before
    transactions = await database.value(
        "select count(distinct xmin::text) from devices where token like 'neighbour-%' and workspace_id = $1",
        tenant,
    )
    assert transactions < len(names), "they share a commit: broken up, each has one of its own"


async def test_a_person_with_too_many_attributes_does_not_break_up_the_commit_they_share(
    registry: People, tenant: WorkspaceId, database: Database
) -> None:
    await registry.identify(by(tenant, ANNA), change(**{f"a{n}": n for n in range(MAX_ATTRIBUTES)}))
    before = await registry.person(tenant, ANNA)
    first = asyncio.create_task(registry.identify(by(tenant, BEN), change(n=0)))
    await asyncio.sleep(0)  # its commit is under way: what is called now gathers for the next
    names = [Identifier(IdentifierKind.ID, f"neighbour-{n}") for n in range(5)]
    refused, *stood = await asyncio.gather(
        registry.identify(by(tenant, ANNA), change(3, b2=2)),
        *(registry.identify(by(tenant, name), change(n=1)) for name in names),
        return_exceptions=True,
    )
    await first
    assert isinstance(refused, BadRequest)
    assert None not in stood
    assert await registry.person(tenant, ANNA) == before
    transactions = await database.value(
        "select count(distinct xmin::text) from identifiers where key like 'neighbour-%' and workspace_id = $1",
        tenant,
    )
    assert transactions < len(names), "they share a commit: broken up, each has one of its own"


async def test_a_cio_id_of_nobody_registers_nothing(registry: People, tenant: WorkspaceId) -> None:
    nobody = Identifier(IdentifierKind.CIO_ID, "0000ffffffff")
    assert await registry.register(by(tenant, nobody), phone()) is None
    with pytest.raises(NotFound):
        await registry.device(tenant, TOKEN)


async def test_a_persons_devices_come_last_used_first(registry: People, tenant: WorkspaceId) -> None:
    for hours in (2, 0, 1):
        await registered(
            registry, by(tenant, ANNA), phone(Token(f"token-{hours}"), last_used=NOON - hours * HOUR)
        )
    found = await registry.devices_of(await registry.person(tenant, ANNA), tenant)
    assert [device.token.value for device in found] == ["token-0", "token-1", "token-2"]


async def test_only_the_owner_can_forget_a_device_and_its_history_outlives_it(
    registry: People, tenant: WorkspaceId
) -> None:
    anna = await registered(registry, by(tenant, ANNA))
    await registry.identify(by(tenant, BEN), change())
    nobody = Identifier(IdentifierKind.ID, "nobody")
    assert await registry.forget_device(tenant, BEN, TOKEN) is False
    assert await registry.forget_device(tenant, nobody, TOKEN) is False
    assert (await registry.device(tenant, TOKEN)).person_id == anna
    assert await registry.forget_device(tenant, ANNA, TOKEN, request_id="r-1") is True
    assert await registry.forget_device(tenant, ANNA, TOKEN) is False
    with pytest.raises(NotFound):
        await registry.device(tenant, TOKEN)
    last = (await registry.history(tenant, TOKEN))[0]
    assert (last.event, last.from_person_id, last.to_person_id, last.request_id) == (
        "deleted",
        anna,
        None,
        "r-1",
    )


async def test_a_forgotten_person_takes_devices_and_names_along_and_may_come_back_as_somebody_new(
    registry: People, tenant: WorkspaceId
) -> None:
    first = await registered(registry, by(tenant, ANNA, ANNAS_EMAIL))
    assert await registry.forget_person(tenant, ANNAS_EMAIL) is True
    assert await registry.forget_person(tenant, ANNAS_EMAIL) is False
    for identifier in (ANNA, ANNAS_EMAIL, Identifier(IdentifierKind.CIO_ID, identity.cio_id(first))):
        with pytest.raises(NotFound):
            await registry.person(tenant, identifier)
    with pytest.raises(NotFound):
        await registry.device(tenant, TOKEN)
    again = await registered(registry, by(tenant, ANNA))
    assert again != first
    assert [event for event, _, _ in told(await registry.history(tenant, TOKEN))] == [
        "registered",
        "deleted",
        "registered",
    ]


async def test_a_token_that_was_never_registered_has_no_history(
    registry: People, tenant: WorkspaceId
) -> None:
    with pytest.raises(NotFound):
        await registry.history(tenant, TOKEN)


async def test_registrations_of_one_token_keep_their_order_however_many_come_at_once(
    registry: People, tenant: WorkspaceId
) -> None:
    names = [Identifier(IdentifierKind.ID, f"p{n}") for n in range(30)]
    people = await asyncio.gather(*(registered(registry, by(tenant, name)) for name in names))
    assert (await registry.device(tenant, TOKEN)).person_id == people[-1]
    lines = (await registry.history(tenant, TOKEN))[::-1]
    assert [line.to_person_id for line in lines] == people
    assert [line.from_person_id for line in lines] == [None, *people[:-1]]
    assert all(line.at < following.at for line, following in pairwise(lines))


async def test_what_is_drained_is_committed(registry: People, tenant: WorkspaceId) -> None:
    calls = [
        asyncio.create_task(registry.register(by(tenant, ANNA), phone(Token(f"token-{n}"))))
        for n in range(10)
    ]
    await asyncio.sleep(0)  # the calls are made
    await registry.drain()
    assert len(await registry.devices_of(await registry.person(tenant, ANNA), tenant)) == 10
    await asyncio.gather(*calls)


async def test_what_was_handed_over_is_committed_before_the_store_closes(
    database: Database, registry: People, tenant: WorkspaceId, tmp_path: Path
) -> None:
    async with wiring.store(Settings(data_dir=tmp_path, database_url=database.url)) as opened:
        people = opened.services.people
        calls = [
            asyncio.create_task(people.register(by(tenant, ANNA), phone(Token(f"late-{n}"))))
            for n in range(10)
        ]
        await asyncio.sleep(0)  # the calls are made
    assert len(await registry.devices_of(await registry.person(tenant, ANNA), tenant)) == 10
    assert len(set(await asyncio.gather(*calls))) == 1
