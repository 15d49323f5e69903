"""Bounces on a real database: statuses match their history, and the bounces of a bad hour are reverted."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from pushkeeper.core.delivery.status_replay import StrikeFilter
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Environment, Platform, Provider, Secret, Token, device_id
from pushkeeper.errors import BadRequest, NotFound
from pushkeeper.services.strikes import Strikes, StrikeSelector
from pushkeeper.store.admin import credentials, vault, workspaces
from pushkeeper.store.admin.credentials import NewCredential
from pushkeeper.store.delivery import routes
from pushkeeper.store.devices import devices
from pushkeeper.store.devices.devices import Registration, SettleEvent, Settlement
from pushkeeper.store.messages import messages
from pushkeeper.store.people.people import PersonReference
from support.actors import BY

if TYPE_CHECKING:
    from pathlib import Path

    from pushkeeper.core.model import RouteId, WorkspaceId
    from pushkeeper.services.people import People
    from pushkeeper.store.db.database import Database

FCM, APPLE = "fcm:project", "fcm:project:apple"


class Books:
    """Devices of one workspace, and the ledger of them."""

    def __init__(self, database: Database, registry: People, tenant: WorkspaceId) -> None:
        self.database = database
        self.registry = registry
        self.tenant = tenant
        self.ledger = Strikes(database)
        self.routes: dict[str, RouteId] = {}

    async def register(self, *tokens: str) -> None:
        for token in tokens:
            naming = PersonReference(
                workspace_id=self.tenant, path=Identifier(IdentifierKind.ID, f"of {token}")
            )
            told = Registration(token=Token(token), platform=Platform.ANDROID, last_used=datetime.now(UTC))
            await self.registry.register(naming, told)

    async def say(
        self,
        *tokens: str,
        event: str = "refused",
        route: str = FCM,
        reason: str = "GONE",
        definite: bool = False,
    ) -> None:
        """One push's outcome at each device."""
        for token in tokens:
            key = device_id(self.tenant, Token(token))
            generation = await self.database.value("select generation from devices where device_id = $1", key)
            settlement = Settlement(
                workspace_id=self.tenant,
                device_id=key,
                generation=generation,
                event=SettleEvent(event),
                definite=definite,
                message_id=messages.new_id(),
                provider="fcm",
                provider_status=200 if event == "accepted" else 404,
                provider_reason="" if event == "accepted" else reason,
                route_id=self.routes[route],
            )
            await self.database.in_transaction(partial(devices.settle, settlements=[settlement]))

    async def now(self) -> datetime:
        found: datetime = await self.database.value("select clock_timestamp()")
        return found

    async def status(self, token: str) -> str:
        found = await devices.read(self.database, self.tenant, Token(token))
        return "gone" if found is None else f"{found.status or 'unused'} {found.strikes}"

    async def verified(self) -> None:
        checked = await self.ledger.verify(self.tenant)
        assert (checked.wrong, checked.unchecked) == (0, 0), checked.examples

    async def undo(
        self, since: datetime, *, dry_run: bool = False, until: datetime | None = None, **meant: Any
    ) -> Any:
        asked = StrikeSelector(since=since, until=until or await self.now(), **meant)
        if dry_run:
            return await self.ledger.preview(self.tenant, asked)
        return await self.ledger.undo(BY, self.tenant, asked, why="the key was wrong")


@pytest_asyncio.fixture
async def books(database: Database, registry: People, tenant: WorkspaceId, tmp_path: Path) -> Books:
    new = NewCredential(
        provider=Provider.FCM,
        kind="service_account",
        app="project",
        environment=Environment.PRODUCTION,
        facts={},
        secret=Secret(b"{}"),
    )
    await credentials.put(database, vault.Vault(vault.key_of_folder(tmp_path)), tenant, new)
    made = Books(database, registry, tenant)
    made.routes = {one.name: one.route_id for one in await routes.of_workspaces(database, [tenant])}
    return made


async def test_the_suppressions_of_a_bad_hour_are_reverted_and_recorded(books: Books) -> None:
    await books.register("a", "b", "c", "d")
    await books.say("a", "b", "c", event="accepted")
    await books.say("c")
    since = await books.now()
    await books.say("a", "b", "d")
    await books.say("a", "b", "c", "d")
    await books.verified()
    assert [await books.status(token) for token in "abcd"] == ["suppressed 2"] * 4

    tried = await books.undo(since, dry_run=True)
    assert (tried.strikes, tried.devices, tried.undo_id) == (7, 4, None)
    assert {(one.before.status, one.after.status) for one in tried.examples} == set(tried.changed)
    assert len(tried.examples) == 4
    assert tried.changed == {("suppressed", "sent"): 2, ("suppressed", "bounced"): 1, ("suppressed", ""): 1}
    assert [await books.status(token) for token in "abcd"] == ["suppressed 2"] * 4

    done = await books.undo(since)
    assert done.changed == tried.changed
    assert [await books.status(token) for token in "abcd"] == ["sent 0", "sent 0", "bounced 1", "unused 0"]
    await books.verified()
    last, *_ = await books.registry.history(books.tenant, Token("a"), None, limit=10)
    assert (last.event, last.from_status, last.to_status, last.request_id) == (
        "undone",
        "suppressed",
        "sent",
        f"undo {done.undo_id}",
    )
    [kept] = await books.ledger.all(books.tenant, limit=10)
    assert (kept.undo_id, kept.why, kept.strikes, kept.devices) == (done.undo_id, "the key was wrong", 7, 4)
    assert kept.finished_at is not None
    again = await books.undo(since)
    assert (again.strikes, again.changed) == (0, {})


async def test_only_selected_bounces_are_reverted(books: Books) -> None:
    await books.register("a", "b")
    await books.say("a", "b", event="accepted")
    since = await books.now()
    await books.say("a", reason="UNREGISTERED")
    await books.say("b", route=APPLE)
    middle = await books.now()
    await books.say("a", "b")
    assert (await books.undo(since, reason="UNREGISTERED", dry_run=True)).changed == {
        ("suppressed", "bounced"): 1
    }
    assert (await books.undo(since, route=APPLE, dry_run=True)).devices == 1
    assert (await books.undo(since, credential="fcm:project", dry_run=True)).devices == 2
    assert (await books.undo(since, until=middle, dry_run=True)).strikes == 2
    only = await books.undo(since, only=StrikeFilter.SUPPRESSED)
    assert only.changed == {("suppressed", "bounced"): 2}
    assert [await books.status(token) for token in "ab"] == ["bounced 1"] * 2
    await books.undo(since, route=FCM)
    assert [await books.status(token) for token in "ab"] == ["sent 0", "bounced 1"]
    await books.verified()


async def test_who_came_back_since_stays_and_who_is_gone_stays_gone(books: Books) -> None:
    await books.register("a", "b", "c")
    since = await books.now()
    await books.say("a", "b", "c")
    await books.register("a")
    await books.registry.forget_device(books.tenant, Identifier(IdentifierKind.ID, "of b"), Token("b"))
    await books.say("c", event="accepted")
    done = await books.undo(since)
    assert (done.unchanged, done.gone, done.changed) == (2, 1, {})
    assert [await books.status(token) for token in "abc"] == ["unused 0", "gone", "sent 0"]
    await books.verified()


async def test_strikes_are_counted_where_more_of_them_suppress(books: Books) -> None:
    await workspaces.choose(books.database, books.tenant, {"suppress_after": 3})
    await books.register("a")
    await books.say("a")
    since = await books.now()
    await books.say("a")
    await books.say("a")
    assert await books.status("a") == "suppressed 3"
    await books.verified()
    await books.undo(since)
    assert await books.status("a") == "bounced 1"
    await books.say("a")
    assert await books.status("a") == "bounced 2"
    await books.verified()


async def test_two_runs_of_the_same_revert_revert_each_bounce_once(books: Books) -> None:
    began = datetime.now(UTC)
    await books.register("a", "b", "c")
    await books.say("a", "b", "c")
    await books.say("a", "b")
    meant = StrikeSelector(since=began, until=datetime.now(UTC) + timedelta(seconds=1))
    number = await books.ledger.begin(BY, books.tenant, meant, why="a key of the sandbox")
    [undo] = await books.ledger.all(books.tenant, limit=1)
    assert (undo.meant_devices, undo.strikes, undo.under_way) == (3, 0, True)
    await asyncio.gather(*(books.ledger.go_on(books.tenant, number) for _ in range(4)))
    [undo] = await books.ledger.all(books.tenant, limit=1)
    assert (undo.strikes, undo.devices, undo.under_way) == (5, 3, False)
    assert undo.finished_at is not None
    assert (await books.ledger.verify(books.tenant)).wrong == 0
    with pytest.raises(NotFound, match="Undo not found"):
        await books.ledger.go_on(books.tenant, number + 1)


async def test_of_many_devices_some_are_looked_at_and_said_to_be_a_part_of_them(books: Books) -> None:
    tokens = [f"one-of-many-{number}" for number in range(64)]
    await books.register(*tokens)
    for parts in (1, 7, 64, 1 << 16):
        seen = await books.ledger.verify(books.tenant, parts=parts, within_s=0.0)
        assert seen.share == 1 / parts
        assert (seen.devices == len(tokens)) == (parts == 1)
    # However they are cut, all of them are each device once.
    for parts in (1, 7, 300):
        whole = await books.ledger.verify(books.tenant, parts=parts)
        assert (whole.devices, whole.share) == (len(tokens), 1.0)


async def test_what_does_not_add_up_is_named(books: Books) -> None:
    await books.register("a", "b", "c", "d")
    await books.verified()
    tamper = (
        "update devices set status = 'sent' where workspace_id = $1 and token = 'a'",
        "delete from devices where workspace_id = $1 and token = 'b'",
        (
            "update device_history set from_status = 'sent', event = 'refused' where workspace_id = $1 and device_id in "
            "(select device_id from devices where workspace_id = $1 and token = 'c')"
        ),
        (
            "delete from device_history where workspace_id = $1 and device_id in "
            "(select device_id from devices where workspace_id = $1 and token = 'd')"
        ),
    )
    await books.say("c", event="accepted")
    for sql in tamper:
        await books.database.rows(sql, books.tenant)
    checked = await books.ledger.verify(books.tenant)
    assert (checked.devices, checked.unchecked, checked.wrong) == (3, 1, 3)
    said = {one["what"] for one in checked.examples}
    assert said == {
        "its history comes to another status",
        "it is gone, and its history does not say so",
        "a line of its history does not follow from the one before",
    }


async def test_times_and_names_that_are_none_are_refused(books: Books) -> None:
    now = await books.now()
    with pytest.raises(BadRequest, match="until: must be after since"):
        await books.undo(now, until=now)
    with pytest.raises(BadRequest, match="must be at most 400 days ago"):
        await books.undo(now - timedelta(days=401))
    with pytest.raises(NotFound, match="'nowhere'"):
        await books.undo(now, route="nowhere")
    assert await books.ledger.all(books.tenant, limit=10) == []


async def test_strikes_are_meant_by_a_reason_code(books: Books) -> None:
    await books.register("a", "b")
    since = await books.now()
    await books.say("a", "b")
    by_code = await books.undo(since, reason="fcm_unregistered", dry_run=True)
    assert (by_code.strikes, by_code.devices) == (2, 2)
    for other in ("fcm_sender_id_mismatch", "apns_unregistered", "fcm_invalid_argument_token"):
        assert (await books.undo(since, reason=other, dry_run=True)).strikes == 0


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("apns_bad_token", "did you mean 'apns_bad_device_token'?"),
        ("fcm_not_registered", "did you mean 'fcm_unregistered'?"),
        ("P5", "apns_bad_device_token"),
        ("expired", "fcm_unregistered"),
    ],
)
async def test_what_is_no_code_of_strikes_is_refused_with_one_that_is(
    books: Books, reason: str, advice: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        await books.undo(await books.now() - timedelta(minutes=1), reason=reason, dry_run=True)
    assert refused.value.path == ("reason",)
    assert advice in str(refused.value)
