"""Devices that an older release registered by several spellings of one token become one, and nothing of them is lost."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.devices.spellings import Spelled, merge
from pushkeeper.core.devices.tokens import canonical
from pushkeeper.core.model import DeviceId, PersonId, Token, WorkspaceId, device_id, uuid7
from pushkeeper.store import strikes as strike_store
from pushkeeper.store.admin import workspaces
from pushkeeper.store.db import migrate
from pushkeeper.store.db.database import Database
from pushkeeper.store.devices import devices, spellings
from support.databases import former_database
from support.spellings import HEX_TOKENS, spelled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from uuid import UUID

NOW = datetime.now(UTC).replace(microsecond=0)
TOKEN = "1e21b0c5" * 8
UPPER = TOKEN.upper()
PRINTED = "<" + " ".join(["1e21b0c5"] * 8) + ">"
OURS = 24


@pytest_asyncio.fixture
async def former(database: Database) -> AsyncIterator[Database]:
    """A database as the release before left it: without this migration."""
    async with former_database(database, before=OURS) as opened:
        # What is written of an hour ago was, in the first hour of a month, of the month before.
        month = NOW.date().replace(day=1)
        await opened.owned.value(
            "create table device_history_before partition of device_history "
            f"for values from ('{month - timedelta(days=1)} 00:00+00') to ('{month} 00:00+00')"
        )
        yield opened


class Past:
    """What the release before wrote."""

    def __init__(self, database: Database, workspace: WorkspaceId) -> None:
        self.database, self.workspace = database, workspace

    async def person(self) -> PersonId:
        found: PersonId = await self.database.owned.value(
            "insert into people (workspace_id) values ($1) returning person_id", self.workspace
        )
        return found

    async def device(
        self, token: str, person: PersonId, minutes_ago: int, *, status: str = "", shared: bool = False
    ) -> DeviceId:
        """A device that was registered so long ago, with its history; what it is known by."""
        at, strikes = NOW - timedelta(minutes=minutes_ago), int(status in {"bounced", "suppressed"})
        key: DeviceId = await self.database.owned.value(
            "insert into devices (device_id, workspace_id, person_id, token, platform, status, strikes, created_at, "
            "registered_at, last_used, shared) select case when $8 then shared_device(k, $3) else k end, $1, $3, $2, 'ios', "
            "$4, $5, $6, $7, $7, $8 from token_device($1, $2) as k returning device_id",
            self.workspace,
            token,
            person,
            status,
            strikes,
            at - timedelta(days=1),
            at,
            shared,
        )
        lines: list[tuple[str, str | None, str, int]] = [("registered", None, "", 0)]
        if status:
            lines.append(("accepted" if status == "sent" else "refused", "", status, strikes))
        for place, (event, before, after, struck) in enumerate(lines):
            await self.database.owned.value(
                "insert into device_history (at, workspace_id, device_id, event, from_status, to_status, strikes, "
                "to_person_id, from_person_id, generation) select $3, $1, $2, $4, $5, $6, $7, $8, $8, generation "
                "from devices where workspace_id = $1 and device_id = $2",
                self.workspace,
                key,
                at + timedelta(seconds=place),
                event,
                before,
                after,
                struck,
                person,
            )
        return key

    async def message(self) -> UUID:
        message = uuid7(int(NOW.timestamp() * 1000), secrets.token_bytes(10))
        await self.database.owned.value(
            "insert into messages (workspace_id, message_id, kind, content, expires_at) "
            "values ($1, $2, 'broadcast', '{}', $3)",
            self.workspace,
            message,
            NOW + timedelta(days=1),
        )
        return message

    async def push(self, message: UUID, device: DeviceId, person: PersonId) -> None:
        await self.database.owned.value(
            "insert into pushes (message_day, message_id, device_id, workspace_id, person_id, ending) "
            "values ($1, $2, $3, $4, $5, 'accepted')",
            date(NOW.year, NOW.month, NOW.day),
            message,
            device,
            self.workspace,
            person,
        )

    async def report(self, message: UUID, device: DeviceId, person: PersonId) -> None:
        await self.database.owned.value(
            "insert into reports (workspace_id, message_id, person_id, device_id, metric, reported_at) "
            "values ($1, $2, $3, $4, 'opened', $5)",
            self.workspace,
            message,
            person,
            device,
            NOW,
        )

    async def batch(self, message: UUID, queued: Sequence[tuple[DeviceId, PersonId]]) -> int:
        found: int = await self.database.owned.value(
            "insert into batches (workspace_id, message_id, device_ids, person_ids) values ($1, $2, $3, $4) "
            "returning batch_id",
            self.workspace,
            message,
            [device for device, _ in queued],
            [person for _, person in queued],
        )
        return found

    async def column(self, query: str) -> list[Any]:
        return [next(iter(row.values())) for row in await self.database.owned.rows(query, self.workspace)]

    async def devices(self) -> list[tuple[DeviceId, str, PersonId, str]]:
        rows = await self.database.owned.rows(
            "select device_id, token, person_id, status from devices where workspace_id = $1 order by 2, 3",
            self.workspace,
        )
        return [tuple(row.values()) for row in rows]

    async def events(self, device: DeviceId) -> list[tuple[str, PersonId | None, PersonId | None]]:
        rows = await self.database.owned.rows(
            "select event, from_person_id, to_person_id from device_history where workspace_id = $1 and device_id = $2 "
            "order by at, history_id",
            self.workspace,
            device,
        )
        return [tuple(row.values()) for row in rows]

    async def broken(self) -> int:
        """How many devices have a history that does not match their state."""
        return (await strike_store.check(self.database, self.workspace, b"", None, examples=10)).wrong


@pytest_asyncio.fixture
async def past(former: Database) -> Past:
    # What makes a workspace now asks for columns that are still to come.
    made: WorkspaceId = await former.owned.value(
        "insert into workspaces (name) values ('past') returning workspace_id"
    )
    return Past(former, made)


async def test_the_newest_registration_owns_the_phone_and_history_says_whose_it_was(past: Past) -> None:
    ann, bob = await past.person(), await past.person()
    await past.device(TOKEN, ann, 20, status="sent")
    upper = await past.device(UPPER, bob, 10, status="bounced")
    await migrate.migrate(past.database)
    key = device_id(past.workspace, Token(TOKEN))
    assert await past.devices() == [(key, TOKEN, bob, "bounced")]
    assert await past.events(key) == [("registered", bob, bob), ("refused", bob, bob), ("merged", ann, bob)]
    assert await past.events(upper) == [
        ("registered", ann, ann),
        ("accepted", ann, ann),
        ("deleted", ann, None),
    ]
    assert await past.broken() == 0


async def test_a_chain_of_three_becomes_one_device_with_all_of_its_pushes(past: Past) -> None:
    ann = await past.person()
    first = await past.device(PRINTED, ann, 30, status="sent")
    second = await past.device(TOKEN, ann, 20)
    third = await past.device(UPPER, ann, 10, status="sent")
    messages = [await past.message() for _ in range(4)]
    for message, device in zip(messages, (first, second, third, third), strict=True):
        await past.push(message, device, ann)
        await past.report(message, device, ann)
    await past.push(messages[3], second, ann)  # it was pushed to twice
    await migrate.migrate(past.database)
    key = device_id(past.workspace, Token(TOKEN))
    assert key == second
    assert await past.devices() == [(key, TOKEN, ann, "sent")]
    assert [event for event, *_ in await past.events(key)] == ["registered", "accepted", "merged", "merged"]
    for table in ("pushes", "reports"):
        theirs = await past.database.owned.rows(
            f"select message_id, device_id from {table} where workspace_id = $1", past.workspace
        )
        assert {row["message_id"] for row in theirs if row["device_id"] == key} == set(messages)
    assert len(await past.column("select 1 from pushes where workspace_id = $1")) == 5
    assert await past.broken() == 0


async def test_one_spelling_alone_keeps_what_it_was_and_its_earlier_history(past: Past) -> None:
    ann = await past.person()
    lower = await past.device(TOKEN, ann, 60)
    await past.database.owned.value(
        "with gone as (delete from devices where workspace_id = $1 returning workspace_id, device_id, status, generation) "
        "insert into device_history (at, workspace_id, device_id, event, from_status, generation) "
        "select $2, workspace_id, device_id, 'deleted', status, generation from gone returning 1",
        past.workspace,
        NOW - timedelta(minutes=40),
    )
    await past.device(UPPER, ann, 20, status="suppressed")
    await past.device("  fcm:token \n", ann, 5, status="sent")
    await migrate.migrate(past.database)
    assert [found[1:] for found in await past.devices()] == [
        (TOKEN, ann, "suppressed"),
        ("fcm:token", ann, "sent"),
    ]
    assert [event for event, *_ in await past.events(lower)] == [
        "registered",
        "deleted",
        "registered",
        "refused",
    ]
    assert await past.broken() == 0


async def test_what_is_queued_for_the_owner_goes_to_the_phone_once_and_to_nobody_else(past: Past) -> None:
    ann, bob = await past.person(), await past.person()
    lower = await past.device(TOKEN, ann, 30)
    printed = await past.device(PRINTED, bob, 20)
    upper = await past.device(UPPER, bob, 10)
    other = await past.device("another", bob, 10)
    message, later = await past.message(), await past.message()
    batches = [
        await past.batch(message, [(other, bob), (upper, bob), (printed, bob)]),
        await past.batch(message, [(printed, bob)]),
        await past.batch(later, [(lower, ann), (upper, bob)]),
    ]
    await migrate.migrate(past.database)
    queued = [
        await past.database.owned.value(
            "select device_ids from batches where workspace_id = $1 and batch_id = $2", past.workspace, batch
        )
        for batch in batches
    ]
    # A key that nobody has any more is settled as deleted; Ann's, which is Bob's now, as moved.
    assert queued == [[other, lower, printed], [printed], [lower, upper]]


async def test_an_answer_to_a_push_that_was_under_way_changes_no_status(past: Past) -> None:
    ann = await past.person()
    upper = await past.device(UPPER, ann, 10)
    message = await past.message()
    generation: int = await past.database.owned.value(
        "select generation from devices where workspace_id = $1", past.workspace
    )
    await migrate.migrate(past.database)
    refused = devices.Settlement(
        workspace_id=past.workspace,
        device_id=upper,
        generation=generation,
        event=devices.SettleEvent.REFUSED,
        message_id=message,
        provider="apns",
    )
    await past.database.in_transaction(lambda connection: devices.settle(connection, [refused]))
    assert [status for *_, status in await past.devices()] == [""]
    assert await past.broken() == 0


async def test_where_people_share_tokens_each_keeps_one_device(past: Past) -> None:
    ann, bob = await past.person(), await past.person()
    await past.database.owned.value("update workspaces set token_ownership = 'share' returning 1")
    await past.device(UPPER, ann, 40, status="sent")
    await past.device(TOKEN, ann, 30, shared=True)
    await past.device(PRINTED, bob, 20, shared=True, status="bounced")
    await migrate.migrate(past.database)
    rows = await past.database.owned.rows(
        "select token, person_id, status, shared, device_id = case when shared then "
        "shared_device(token_device(workspace_id, token), person_id) else token_device(workspace_id, token) end as keyed "
        "from devices order by person_id"
    )
    assert [tuple(row.values()) for row in rows] == [
        (TOKEN, ann, "", True, True),
        (TOKEN, bob, "bounced", True, True),
    ]
    assert await past.broken() == 0


async def test_where_people_share_tokens_histories_stay_those_of_one_device(past: Past) -> None:
    ann, bob = await past.person(), await past.person()
    await past.database.owned.value("update workspaces set token_ownership = 'share' returning 1")
    await past.device(TOKEN, ann, 40, status="sent")
    await past.device(UPPER, ann, 30, shared=True)
    await past.device(PRINTED, bob, 35, status="bounced")
    await migrate.migrate(past.database)
    key = device_id(past.workspace, Token(TOKEN))
    rows = await past.database.owned.rows(
        "select device_id, person_id, shared from devices order by person_id"
    )
    assert [(row["person_id"], row["shared"], row["device_id"] == key) for row in rows] == [
        (ann, True, False),
        (bob, False, True),
    ]
    assert await past.events(key) == [("registered", bob, bob), ("refused", bob, bob)]
    assert await past.broken() == 0


async def test_a_device_of_nobody_is_respelled_and_one_that_is_somebodys_is_forgotten(past: Past) -> None:
    ann = await past.person()
    await past.device(TOKEN, ann, 10)
    free, spelled_now, later = "ab" * 32, "cd" * 32, "ef" * 32
    await past.device(spelled_now.upper(), ann, 1)
    await past.device(later.upper(), ann, 60)
    for minutes, token, anonymous in (
        (20, UPPER, "a"),
        (1, free.upper(), "b"),
        (2, f"<{free}>", "c"),
        (3, free, "d"),
        (4, spelled_now, "e"),
        (5, later, "f"),  # somebody logged out, and the app registered its phone again
    ):
        await past.database.owned.value(
            "insert into anonymous_devices (workspace_id, device_id, anonymous_id, registration, told_at) "
            "values ($1, token_device($1, $2), $3, jsonb_build_object('token', jsonb_build_object('value', $2::text)), $4)",
            past.workspace,
            token,
            anonymous,
            NOW - timedelta(minutes=minutes),
        )
    await migrate.migrate(past.database)
    rows = await past.database.owned.rows(
        "select anonymous_id, registration #>> '{token,value}', device_id from anonymous_devices order by 1"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("b", free, device_id(past.workspace, Token(free))),
        ("f", later, device_id(past.workspace, Token(later))),
    ]


async def test_pages_and_processes_side_by_side_come_to_the_same(past: Past) -> None:
    ann, bob = await past.person(), await past.person()
    tokens = [secrets.token_hex(32) for _ in range(30)]
    for number, token in enumerate(tokens):
        await past.device(token.upper(), ann, 40 + number, status="sent")
        if number % 3:
            await past.device(token, bob, 30 - number % 2 * 60, status="sent")
    await migrate.migrate(past.database)
    for one in tokens[:10]:  # the release before may still run
        await past.device(f"<{one}>", bob, 1)
    others = [await Database.open(past.database.url, connections=1) for _ in range(3)]
    await asyncio.gather(*(spellings.merge_all(one, page=4) for one in others))
    for other in others:
        await other.close()
    found = await past.devices()
    assert [token for _, token, *_ in found] == sorted(tokens)
    assert {token for _, token, person, _ in found if person == bob} >= set(tokens[:10])
    assert await past.broken() == 0


async def test_the_functions_of_python_and_of_postgresql_agree_on_every_token(database: Database) -> None:
    loop = asyncio.get_running_loop()

    def agree() -> None:
        blanks = st.text(alphabet=" \t\n\x0b\f\r<>-\u00a0", max_size=3)

        @given(st.tuples(blanks, HEX_TOKENS.flatmap(spelled) | st.text(max_size=80), blanks).map("".join))
        def check(text: str) -> None:
            storable = text.replace("\0", "").encode(errors="replace").decode()
            asked = database.value("select canonical_token($1)", storable)
            assert asyncio.run_coroutine_threadsafe(asked, loop).result(60) == canonical(storable)

        check()

    await asyncio.to_thread(agree)


@st.composite
def phones(draw: st.DrawFn) -> list[Spelled]:
    """The devices of one phone: each key is had once, and each person shares it once."""
    plain, keys = (
        DeviceId(bytes(16)),
        draw(st.lists(st.integers(1, 200), min_size=1, max_size=6, unique=True)),
    )
    found: list[Spelled] = []
    for key in keys:
        person = draw(st.integers(1, 3))
        at = NOW - timedelta(minutes=draw(st.integers(0, 5)))
        found.append(
            Spelled(
                device_id=plain if not found and draw(st.booleans()) else DeviceId(bytes([key] * 16)),
                workspace_id=WorkspaceId(1),
                person_id=PersonId(person),
                token=TOKEN,
                key=plain,
                shared_key=DeviceId(bytes([200 + person] * 16)),
                shared=bool(found) and draw(st.booleans()),
                created_at=at,
                registered_at=at,
                last_used=at,
            )
        )
    return found


@given(phone=phones(), shares=st.booleans())
def test_every_phone_has_one_owner_or_one_device_for_each_who_shares_it(
    phone: list[Spelled], *, shares: bool
) -> None:
    merged = merge(phone, shares=shares)
    assert sorted(each.device_id for one in merged for each in (one.kept, *one.dropped)) == sorted(
        one.device_id for one in phone
    )
    assert len({one.key for one in merged}) == len(merged)
    assert len(merged) == (len({one.person_id for one in phone}) if shares else 1)
    assert all(not one.shared for one in merged) or shares
    for one in merged:
        assert all(each.registered_at <= one.kept.registered_at for each in one.dropped)
        # The key that it gets is nobody's, or of one that goes.
        others = [each.kept.device_id for each in merged if each is not one]
        assert one.key not in others


async def test_a_new_workspace_refuses_placeholders(database: Database) -> None:
    made, _ = await workspaces.create(database, secrets.token_hex(8))
    assert not await database.value(
        "select allow_placeholder_ids from workspaces where workspace_id = $1", made.workspace_id
    )
