"""Users: made by links that work once, logged in by what is kept as hashes, and kept out at once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import pytest
import pytest_asyncio
from argon2 import PasswordHasher

from pushkeeper.core.roles import Role
from pushkeeper.errors import BadRequest, Conflict, NotFound, TooManyRequests, Unauthorized
from pushkeeper.services.accounts import Users
from support.actors import BY
from support.databases import own_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushkeeper.store.admin.accounts import User
    from pushkeeper.store.db.database import Database

QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
PASSWORD = "correct horse battery"


@pytest_asyncio.fixture
async def own(database: Database) -> AsyncIterator[Database]:
    """A database of its own: who is the first user of one is a matter of the whole installation."""
    async with own_database(database, connections=4) as opened:
        yield opened


@pytest.fixture
def room(own: Database) -> Users:
    return Users(own, QUICK)


async def joined(room: Users, name: str, role: Role = Role.ADMIN) -> User:
    made, entry = await room.add(BY, name, role)
    await room.follow(entry.token, PASSWORD)
    return await room.one(made.user_id)


async def test_the_first_admin_is_made_by_a_link_that_works_once(room: Users) -> None:
    entry = await room.setup_link()
    assert entry is not None
    token = await room.follow(entry.token, PASSWORD, name=" Ann@example.com ")
    user = await room.holder(token)
    assert user is not None
    assert (user.name, user.role) == ("Ann@example.com", Role.ADMIN)
    with pytest.raises(NotFound):
        await room.follow(entry.token, PASSWORD, name="mallory")
    assert [user.name for user in await room.all()] == ["Ann@example.com"]


async def test_of_several_set_up_links_one_makes_the_first_admin(room: Users) -> None:
    entries = [entry for _ in range(4) if (entry := await room.setup_link())]
    done = await asyncio.gather(
        *(room.follow(entry.token, PASSWORD, name=f"user {n}") for n, entry in enumerate(entries)),
        return_exceptions=True,
    )
    assert [type(one) for one in done if not isinstance(one, str)] == [NotFound] * 3
    assert len(await room.all()) == 1


async def test_there_is_no_set_up_link_once_there_is_somebody(room: Users) -> None:
    early = await room.setup_link()
    assert early is not None
    await joined(room, "ann")
    assert await room.setup_link() is None
    with pytest.raises(NotFound):
        await room.link(early.token)


async def test_what_is_kept_of_links_and_sessions_opens_nothing(own: Database, room: Users) -> None:
    _, entry = await room.add(BY, "ann", Role.VIEWER)
    token = await room.follow(entry.token, PASSWORD)
    rows = await own.rows(
        "select row_to_json(t)::text as said from users t union all select row_to_json(t)::text from sessions t"
    )
    said = " ".join(row["said"] for row in rows)
    assert PASSWORD not in said
    assert token not in said
    assert "$argon2id$" in said


async def test_logging_in_takes_the_right_password_in_any_case_of_the_name(room: Users) -> None:
    await joined(room, "Ann@example.com")
    user, token = await room.log_in("ANN@EXAMPLE.COM ", PASSWORD, "10.0.0.1")
    assert await room.holder(token) == await room.one(user.user_id)


async def test_a_wrong_password_and_an_unknown_name_are_told_alike(room: Users) -> None:
    await joined(room, "ann")
    said = set()
    for name in ("ann", "nobody"):
        with pytest.raises(Unauthorized) as refused:
            await room.log_in(name, "wrong", "10.0.0.1")
        said.add(refused.value.message)
    assert len(said) == 1


async def test_a_name_that_nobody_has_is_hashed_for_all_the_same(own: Database) -> None:
    """A user's password and nobody's are verified as often: what takes the time is done for both."""
    verified = []

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - argon2's name
            verified.append(password)
            return super().verify(hash, password)

    room = Users(own, Counting(time_cost=1, memory_cost=64, parallelism=1))
    await joined(room, "ann")
    for name in ("ann", "nobody"):
        with pytest.raises(Unauthorized):
            await room.log_in(name, f"wrong for {name}", "10.0.0.1")
    assert verified == ["wrong for ann", "wrong for nobody"]


async def test_who_guesses_has_to_wait_and_others_have_not(room: Users) -> None:
    await joined(room, "ann")
    for _ in range(5):
        with pytest.raises(Unauthorized):
            await room.log_in("ann", "wrong", "10.0.0.66")
    with pytest.raises(TooManyRequests):
        await room.log_in("Ann", PASSWORD, "10.0.0.66")
    await room.log_in("ann", PASSWORD, "10.0.0.1")


async def test_strangers_lock_nobody_out_of_a_browser_in_which_they_have_logged_in(room: Users) -> None:
    user = await joined(room, "ann")
    held = room.known_device(user)
    for number in range(60):  # from all over the world, and then from her own address
        with suppress(Unauthorized, TooManyRequests):
            await room.log_in("ann", "wrong", f"10.0.{number}.66")
        with suppress(Unauthorized, TooManyRequests):
            await room.log_in(f"nobody {number}", "wrong", "10.0.0.1")
    with pytest.raises(TooManyRequests):
        await room.log_in("ann", PASSWORD, "10.0.0.1")
    with pytest.raises(TooManyRequests):
        await room.log_in("ann", PASSWORD, "10.0.0.2", device="made up")
    assert (await room.log_in("ann", PASSWORD, "10.0.0.1", device=held))[0].name == "ann"
    # Who took the browser has five attempts, as anybody has.
    for _ in range(5):
        with pytest.raises(Unauthorized):
            await room.log_in("ann", "wrong", "10.0.0.1", device=held)
    with pytest.raises(TooManyRequests):
        await room.log_in("ann", PASSWORD, "10.0.0.1", device=held)
    assert (await room.log_in("ann", PASSWORD, "10.0.0.1", device=room.known_device(user)))[0].name == "ann"


async def test_a_browser_that_is_known_for_one_user_guesses_at_another_as_a_stranger(room: Users) -> None:
    ann, _ = await joined(room, "ann"), await joined(room, "ben")
    for _ in range(5):
        with pytest.raises(Unauthorized):
            await room.log_in("ben", "wrong", "10.0.0.66", device=room.known_device(ann))
    with pytest.raises(TooManyRequests):
        await room.log_in("ben", PASSWORD, "10.0.0.66", device=room.known_device(ann))


async def test_who_guesses_from_all_addresses_of_an_ipv6_network_is_one(room: Users) -> None:
    await joined(room, "ann")
    for number in range(5):
        with pytest.raises(Unauthorized):
            await room.log_in("ann", "wrong", f"2001:db8::{number:x}")
    with pytest.raises(TooManyRequests):
        await room.log_in("ann", PASSWORD, "2001:db8::ffff")
    await room.log_in("ann", PASSWORD, "2001:db8:0:1::1")


async def test_a_logged_in_user_can_change_the_password_whatever_strangers_do(room: Users) -> None:
    user = await joined(room, "ann")
    _, token = await room.log_in("ann", PASSWORD, "10.0.0.1")
    for number in range(60):
        with suppress(Unauthorized, TooManyRequests):
            await room.log_in("ann", "wrong", f"10.0.{number}.66")
    await room.change_password(BY, user, PASSWORD, "another password", token=token)
    found, _ = await room.log_in("ann", "another password", "10.0.0.1", device=room.known_device(user))
    assert found.name == "ann"


async def test_strangers_who_wait_for_their_turn_keep_nobody_waiting(room: Users) -> None:
    user = await joined(room, "ann")
    held = room.known_device(user)
    strangers = [
        asyncio.create_task(room.log_in(f"nobody {number}", "wrong", f"10.1.{number}.1"))
        for number in range(60)
    ]
    assert (await room.log_in("ann", PASSWORD, "10.0.0.1", device=held))[0].name == "ann"
    done = await asyncio.gather(*strangers, return_exceptions=True)
    assert {type(one) for one in done} <= {Unauthorized, TooManyRequests}


async def test_guesses_that_are_made_at_once_count_too(room: Users) -> None:
    await joined(room, "ann")
    tried = await asyncio.gather(
        *(room.log_in("ann", "wrong", "10.0.0.66") for _ in range(12)), return_exceptions=True
    )
    assert all(isinstance(one, Unauthorized | TooManyRequests) for one in tried)
    with pytest.raises(TooManyRequests):
        await room.log_in("ann", PASSWORD, "10.0.0.66")


async def test_a_slip_is_forgotten_when_the_password_is_right(room: Users) -> None:
    await joined(room, "ann")
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(Unauthorized):
                await room.log_in("ann", "wrong", "10.0.0.1")
        await room.log_in("ann", PASSWORD, "10.0.0.1")


async def test_another_password_ends_all_other_sessions(room: Users) -> None:
    user = await joined(room, "ann")
    _, elsewhere = await room.log_in("ann", PASSWORD, "10.0.0.2")
    _, here = await room.log_in("ann", PASSWORD, "10.0.0.1")
    with pytest.raises(Unauthorized):
        await room.change_password(BY, user, "wrong", "another password", token=here)
    await room.change_password(BY, user, PASSWORD, "another password", token=here)
    assert await room.holder(here) is not None
    assert await room.holder(elsewhere) is None
    with pytest.raises(Unauthorized):
        await room.log_in("ann", PASSWORD, "10.0.0.1")


async def test_a_new_link_sets_another_password_and_logs_out(room: Users) -> None:
    user = await joined(room, "ann")
    _, before = await room.log_in("ann", PASSWORD, "10.0.0.1")
    first, second = await room.new_link(BY, user.user_id), await room.new_link(BY, user.user_id)
    with pytest.raises(NotFound):
        await room.follow(first.token, "another password")
    await room.follow(second.token, "another password")
    assert await room.holder(before) is None


@pytest.mark.parametrize("password", ["short", "xxxxxxxxxxxx", "ann"])
async def test_a_link_is_not_used_up_by_a_password_that_is_none(room: Users, password: str) -> None:
    _, entry = await room.add(BY, "ann", Role.VIEWER)
    with pytest.raises(BadRequest) as refused:
        await room.follow(entry.token, password)
    assert refused.value.field == "password"
    await room.follow(entry.token, PASSWORD)


async def test_who_is_kept_out_is_out_at_once_and_until_let_back(room: Users) -> None:
    await joined(room, "boss")
    user = await joined(room, "ann", Role.OPERATOR)
    _, token = await room.log_in("ann", PASSWORD, "10.0.0.1")
    link = await room.new_link(BY, user.user_id)
    await room.disable(BY, user.user_id)
    assert await room.holder(token) is None
    with pytest.raises(Unauthorized):
        await room.log_in("ann", PASSWORD, "10.0.0.1")
    with pytest.raises(NotFound):
        await room.follow(link.token, "another password")
    with pytest.raises(Conflict):
        await room.new_link(BY, user.user_id)
    await room.enable(BY, user.user_id)
    await room.log_in("ann", PASSWORD, "10.0.0.1")


async def test_somebody_stays_an_admin_who_can_log_in(room: Users) -> None:
    boss = await joined(room, "boss")
    await room.add(BY, "not yet", Role.ADMIN)
    with pytest.raises(Conflict):
        await room.disable(BY, boss.user_id)
    with pytest.raises(Conflict):
        await room.set_role(BY, boss.user_id, Role.VIEWER)
    other = await joined(room, "other")
    done = await asyncio.gather(
        room.disable(BY, boss.user_id), room.disable(BY, other.user_id), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in done) == ["Conflict", "NoneType"]


async def test_a_name_is_taken_whatever_its_case(room: Users) -> None:
    await room.add(BY, "Ann", Role.VIEWER)
    with pytest.raises(Conflict):
        await room.add(BY, "aNN", Role.ADMIN)


@pytest.mark.parametrize(
    ("began", "seen", "over"),
    [
        (timedelta(days=13), timedelta(hours=11), False),
        (timedelta(hours=13), timedelta(hours=12, seconds=1), True),
        (timedelta(days=14, seconds=1), timedelta(0), True),
    ],
)
async def test_a_session_ends_when_it_is_idle_and_when_it_is_old(
    own: Database, room: Users, began: timedelta, seen: timedelta, *, over: bool
) -> None:
    await joined(room, "ann")
    _, token = await room.log_in("ann", PASSWORD, "10.0.0.1")
    now = datetime.now(UTC)
    await own.rows("update sessions set created_at = $1, seen_at = $2", now - began, now - seen)
    assert [await room.holder(token) is None for _ in range(2)] == [over, over]


async def test_what_is_over_is_forgotten(own: Database, room: Users) -> None:
    await joined(room, "ann")
    _, entry = await room.add(BY, "ben", Role.VIEWER)
    _, token = await room.log_in("ann", PASSWORD, "10.0.0.1")
    with pytest.raises(Unauthorized):
        await room.log_in("ann", "wrong", "10.0.0.1")
    long_ago = datetime.now(UTC) - timedelta(days=4)
    await own.rows("update sessions set seen_at = $1", long_ago)
    await own.rows("update login_failures set at = $1", long_ago)
    await own.rows("update user_links set expires_at = $1", long_ago)
    assert await room.holder(token) is None
    with pytest.raises(NotFound):
        await room.link(entry.token)
    await room.clean()
    for table in ("sessions", "login_failures", "user_links"):
        assert await own.value(f"select count(*) from {table}") == 0
