"""Phones that change hands while broadcasts are under way: what was meant for one person never leaves for another's."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import tempfile
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_asyncio

from pushkeeper.core.identity import of_path
from pushkeeper.core.model import Platform, Token
from pushkeeper.services.people import People
from pushkeeper.simulator import Simulator
from pushkeeper.simulator.profiles import FRIENDLY
from pushkeeper.store.devices.devices import Registration
from pushkeeper.store.people.people import PersonReference
from support.engine import Engine, Tenant, engine, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushkeeper.store.db.database import Database

PHONES = 2_400
HANDS = 16
CALLS = 3_000
BROADCASTS = 3
# From a commit until a worker in the same event loop, busy with two thousand pushes a second, is notified. A push
# that was forgotten somewhere would be seen seconds later: in a queue, in a lane, or behind another to the same
# phone.
HEARD_WITHIN_S = 0.5
NOBODY = ""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(database: Database) -> AsyncIterator[Engine]:
    """Push services that take their time, so that much waits in every place where a push can wait."""
    slow = replace(
        FRIENDLY,
        fcm_connection=replace(FRIENDLY.fcm_connection, streams=15, latency_ms=25.0),
        apns_connection=replace(FRIENDLY.apns_connection, streams=15, latency_ms=25.0),
    )
    await database.rows("delete from batches")
    with tempfile.TemporaryDirectory(prefix="pk-") as folder:
        async with (
            Simulator(Path(folder) / "sim", behaviour=slow, journal_size=500_000) as simulator,
            engine(database, simulator, Path(folder)) as found,
        ):
            yield found


@dataclass
class Phone:
    """A phone, and who had it from when, by the answers that its app got."""

    token: str
    platform: Platform
    owner: str
    since: float = 0.0
    former: list[tuple[str, float]] = field(default_factory=list)  # and until when, at the latest

    def until(self, person: str, asked_at: float) -> float:
        """When this person lost it for the last time before somebody else asked; infinite while they have it."""
        if person == self.owner and self.since <= asked_at:
            return float("inf")
        return max((until for owner, until in self.former if owner == person), default=float("-inf"))

    def passes_to(self, owner: str, began: float, ended: float) -> None:
        self.former.append((self.owner, ended))
        self.owner, self.since = owner, began


class Hand:
    """Somebody who takes phones, logs out of them, and in again, one call after the other."""

    def __init__(self, tenant: Tenant, registry: People, phones: list[Phone], seed: int) -> None:
        self._workspace = tenant.workspace_id
        self._registry = registry
        self._phones = phones
        self._random = random.Random(seed)
        self.calls = 0

    async def play(self, over: asyncio.Event) -> None:
        while not over.is_set():
            phone = self._random.choice(self._phones)
            match self._random.randrange(4):
                case 0:
                    await self._log_in(phone, f"thief-{secrets.token_hex(4)}")
                case 1:
                    await self._log_out(phone)
                case 2:
                    owner = phone.owner or f"late-{secrets.token_hex(4)}"
                    await self._log_out(phone)
                    await self._log_in(phone, owner)
                case 3:
                    await self._log_out(phone)
                    await self._log_in(phone, f"heir-{secrets.token_hex(4)}")

    async def _log_in(self, phone: Phone, person: str) -> None:
        began = time.time()
        naming = PersonReference(workspace_id=self._workspace, path=of_path(person))
        now = datetime.now(UTC)
        await self._registry.register(
            naming, Registration(token=Token(phone.token), platform=phone.platform, last_used=now)
        )
        phone.passes_to(person, began, time.time())
        self.calls += 1

    async def _log_out(self, phone: Phone) -> None:
        if phone.owner == NOBODY:
            return
        began = time.time()
        await self._registry.forget_device(self._workspace, of_path(phone.owner), Token(phone.token))
        phone.passes_to(NOBODY, began, time.time())
        self.calls += 1


async def test_a_push_never_leaves_for_a_phone_that_its_person_is_known_to_have_lost(
    running: Engine, record_property
) -> None:
    tenant = await running.tenant()
    await tenant.add_fcm()
    await tenant.add_apns()
    registry = People(tenant.database)
    phones = [
        Phone(token, Platform(platform), f"{platform}-{number}")
        for platform in ("ios", "android")
        for number, token in enumerate(tenant.mint(platform, PHONES // 2))
    ]
    await asyncio.gather(
        *(
            registry.register(
                PersonReference(workspace_id=tenant.workspace_id, path=of_path(phone.owner)),
                Registration(token=Token(phone.token), platform=phone.platform, last_used=datetime.now(UTC)),
            )
            for phone in phones
        )
    )
    over = asyncio.Event()
    hands = [Hand(tenant, registry, phones[n::HANDS], n) for n in range(HANDS)]
    playing = [asyncio.create_task(hand.play(over)) for hand in hands]
    while sum(hand.calls for hand in hands) < CALLS:
        await _broadcasts_until_all_is_over(tenant)
    over.set()
    await asyncio.gather(*playing)

    late, seen = _lateness(tenant, phones)
    record_property("pushes", seen)
    record_property("latest_s", max(late, default=0))
    assert seen > PHONES
    assert [s for s in late if s > HEARD_WITHIN_S] == []
    await _nothing_is_sent_twice(tenant)


async def _broadcasts_until_all_is_over(tenant: Tenant) -> None:
    """Several at once, so that pushes wait for each other at the same phone too; one is paused for a while."""
    content = {"title": "For {{ person.id }}", "message": "alone"}
    asked = {"content": content, "audience": {"filter": "everybody"}, "start": True}
    made = [
        (await tenant.call("POST", "/api/v1/broadcasts", asked, expect=201))["broadcast"]["id"]
        for _ in range(BROADCASTS)
    ]
    await tenant.call("POST", f"/api/v1/broadcasts/{made[0]}/pause")
    for number in made[1:]:
        await _over(tenant, number)
    await tenant.call("POST", f"/api/v1/broadcasts/{made[0]}/resume")
    await _over(tenant, made[0])


async def _over(tenant: Tenant, number: int) -> None:
    async def ask() -> bool:
        found = await tenant.call("GET", f"/api/v1/broadcasts/{number}")
        return bool(found["broadcast"]["progress"]["unknown"] == "over")

    await eventually(ask, within_s=90)


def _lateness(tenant: Tenant, phones: list[Phone]) -> tuple[list[float], int]:
    """How long after its person had lost the phone each push came, where it did; and how many pushes there were."""
    known = {phone.token: phone for phone in phones}
    late, seen = [], 0
    for entry in tenant.simulator.world.journal.read():
        if entry.token not in known:
            continue
        body = json.loads(entry.body)
        apple = body.get("aps", {}).get("alert")
        title = (apple or body["message"]["notification"])["title"]
        person = title.removeprefix("For ")
        seen += 1
        if (s := entry.at_s - known[entry.token].until(person, entry.at_s)) > 0:
            late.append(s)
    return late, seen


async def _nothing_is_sent_twice(tenant: Tenant) -> None:
    twice = await tenant.database.rows(
        "select message_id, device_id from pushes where workspace_id = $1 and ending = 'accepted' "
        "group by 1, 2 having count(*) > 1 or sum(attempts) > 1",
        tenant.workspace_id,
    )
    assert twice == []
