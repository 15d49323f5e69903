"""What Customer.io's mobile SDKs send in a phone's life, with pushes in between: who owns the device, and its status."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest_asyncio

if TYPE_CHECKING:
    import pytest

    from support.engine import Tenant

PLATFORMS = ("ios", "android")
_NUMBERS = itertools.count()


class Phone:
    """One phone with the SDK: it says what the SDK says, in batches, and knows what the server should think of it."""

    def __init__(self, tenant: Tenant, platform: str) -> None:
        self.tenant = tenant
        self.platform = platform
        self.token = ""
        self.user: str | None = None
        self.anonymous = f"anonymous-{next(_NUMBERS)}"
        self._pushes = 0

    # What the SDK says (customerio.md 9.3).

    async def say(self, *items: dict[str, Any]) -> None:
        batch = [{"messageId": f"{self.anonymous}-{next(_NUMBERS)}", **item} for item in items]
        await self.tenant.call("POST", "/v1/b", {"writeKey": self.tenant.write_key, "batch": batch})

    def device(self, event: str, token: str, user: str | None) -> dict[str, Any]:
        return {
            "type": "track",
            "event": event,
            "anonymousId": self.anonymous,
            **({"userId": user} if user else {}),
            "properties": {"push_enabled": "true"},
            "context": {"device": {"token": token, "type": self.platform}},
        }

    def updated(self) -> dict[str, Any]:
        return self.device("Device Created or Updated", self.token, self.user)

    def deleted(self, user: str | None) -> dict[str, Any]:
        return self.device("Device Deleted", self.token, user)

    def identified(self) -> dict[str, Any]:
        return {
            "type": "identify",
            "userId": self.user,
            "anonymousId": self.anonymous,
            "traits": {"plan": "pro"},
        }

    async def start(self, token: str) -> None:
        self.token = token
        await self.say(self.updated())

    async def log_in(self, user: str) -> None:
        former, self.user = self.user, user
        gone = [self.deleted(former)] if former else []
        await self.say(*gone, self.identified(), self.updated())

    async def log_out(self) -> None:
        # Android says "null" of somebody who was never identified.
        nobody = "null" if self.platform == "android" else None
        await self.say(self.deleted(self.user or nobody))
        self.user, self.anonymous = None, f"anonymous-{next(_NUMBERS)}"

    async def refresh(self, token: str) -> None:
        gone = self.deleted(self.user)
        self.token = token
        await self.say(gone, self.updated())

    # What the server thinks.

    async def standing(self, token: str | None = None) -> tuple[str, str] | None:
        """Owner and last status; None where there is no device."""
        row = await self.tenant.database.row(
            "select i.value, d.status from devices d join identifiers i using (person_id) "
            "where d.workspace_id = $1 and d.token = $2 and i.kind = 'id'",
            self.tenant.workspace_id,
            token or self.token,
        )
        return None if row is None else (row["value"], row["status"])

    async def push(self, person: str) -> None:
        await self.tenant.push(person)
        self._pushes += 1
        await self.tenant.settled(self._pushes)


@pytest_asyncio.fixture(params=PLATFORMS, loop_scope="session")
async def phone(tenant: Tenant, request: pytest.FixtureRequest) -> Phone:
    return Phone(tenant, request.param)


def mint(phone: Phone) -> str:
    [token] = phone.tenant.mint(phone.platform)
    return str(token)


async def test_a_first_start_is_nobodys_until_the_first_login(phone: Phone) -> None:
    await phone.start(mint(phone))
    assert await phone.standing() is None
    await phone.log_in("ann")
    assert await phone.standing() == ("ann", "")
    await phone.push("ann")
    assert await phone.standing() == ("ann", "sent")


async def test_another_user_on_the_phone_gets_the_device_unused(phone: Phone) -> None:
    await phone.start(mint(phone))
    await phone.log_in("ann")
    await phone.push("ann")
    await phone.log_in("ben")
    assert await phone.standing() == ("ben", "")
    await phone.push("ann")
    assert len(phone.tenant.asked(phone.token)) == 1
    assert await phone.standing() == ("ben", "")
    await phone.push("ben")
    assert await phone.standing() == ("ben", "sent")


async def test_two_people_on_one_tablet_that_keeps_its_anonymous_id_get_their_own_pushes(
    phone: Phone,
) -> None:
    await phone.start(mint(phone))
    await phone.log_in("ann")
    phone.user = "bob"
    await phone.say(phone.identified())
    await phone.push("bob")
    assert phone.tenant.asked(phone.token) == [], "Bob has no device yet, and Ann's is not his"
    await phone.say(phone.updated())
    await phone.push("ann")
    assert phone.tenant.asked(phone.token) == [], "now Bob has it"
    await phone.push("bob")
    assert await phone.standing() == ("bob", "sent")


async def test_an_alias_of_a_users_id_sends_nothing_to_another_phone(phone: Phone) -> None:
    await phone.start(mint(phone))
    await phone.log_in("ann")
    await phone.say({"type": "alias", "previousId": "ann", "userId": "bob"})
    await phone.push("bob")
    assert phone.tenant.asked(phone.token) == []
    await phone.push("ann")
    assert await phone.standing() == ("ann", "sent")


async def test_a_refreshed_token_takes_the_place_of_the_old_one(phone: Phone) -> None:
    old, new = mint(phone), mint(phone)
    await phone.start(old)
    await phone.log_in("ann")
    await phone.push("ann")
    phone.tenant.simulator.world.uninstall([old])
    await phone.refresh(new)
    assert (await phone.standing(old), await phone.standing(new)) == (None, ("ann", ""))
    await phone.push("ann")
    assert await phone.standing(new) == ("ann", "sent")


async def test_a_logout_deletes_the_device_and_the_next_start_gives_it_to_nobody(phone: Phone) -> None:
    await phone.start(mint(phone))
    await phone.log_in("ann")
    await phone.push("ann")
    await phone.log_out()
    assert await phone.standing() is None
    await phone.start(phone.token)
    assert await phone.standing() is None
    await phone.push("ann")
    assert len(phone.tenant.asked(phone.token)) == 1
    await phone.log_in("ben")
    assert await phone.standing() == ("ben", "")


async def test_a_logout_while_anonymous_forgets_the_device(phone: Phone) -> None:
    await phone.start(mint(phone))
    former = phone.anonymous
    await phone.log_out()
    phone.anonymous = former
    phone.user = "ann"
    await phone.say(phone.identified())
    assert await phone.standing() is None


async def test_an_app_that_is_opened_again_revives_its_device_and_an_identify_alone_does_not(
    phone: Phone,
) -> None:
    await phone.start(mint(phone))
    await phone.log_in("ann")
    phone.tenant.simulator.world.uninstall([phone.token])
    await phone.push("ann")
    assert await phone.standing() == ("ann", "bounced")
    await phone.say(phone.identified())
    assert await phone.standing() == ("ann", "bounced")
    await phone.push("ann")
    assert await phone.standing() == ("ann", "suppressed")
    await phone.say(phone.updated())
    assert await phone.standing() == ("ann", "")
    phone.tenant.simulator.world.install([phone.token])
    await phone.push("ann")
    assert await phone.standing() == ("ann", "sent")
    await phone.say(phone.updated())
    assert await phone.standing() == ("ann", "sent")


async def test_the_tasks_of_an_old_sdk_are_replayed_with_the_device_alone(phone: Phone) -> None:
    phone.token, phone.user = mint(phone), "ann"
    bare = phone.updated()
    del bare["properties"]
    await phone.say(phone.identified(), {**bare, "timestamp": "2024-01-01T00:00:00Z"})
    assert await phone.standing() == ("ann", "")
    await phone.push("ann")
    assert await phone.standing() == ("ann", "sent")
    gone = phone.deleted("ann")
    del gone["properties"]
    await phone.say({**gone, "timestamp": "2024-01-01T00:00:00Z"})
    assert await phone.standing() is None
