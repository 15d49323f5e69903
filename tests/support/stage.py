"""Four phones of three people, and broadcasts to them, through the API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from support.engine import eventually

if TYPE_CHECKING:
    from support.engine import Tenant

CONTENT = {"title": "News", "message": "for {{ person.id }}"}
PHONES = {
    "ann-ios": ("ann", "ios", {"device_model": "iPhone 15", "timezone": "Europe/Berlin"}),
    "ann-android": ("ann", "android", {"device_model": "Pixel 8", "timezone": "Europe/Berlin"}),
    "ben-ios": (
        "ben",
        "ios",
        {"device_model": "iPhone 12", "timezone": "Asia/Tokyo", "push_enabled": "false"},
    ),
    "eve-android": ("eve", "android", {"timezone": "Nowhere/At all"}),
}


class Stage:
    """Four phones of three people, and broadcasts to them."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.token: dict[str, str] = {}

    async def fill(self) -> None:
        for name, (person, platform, attributes) in PHONES.items():
            await self.add(name, person, platform, attributes)

    async def add(self, name: str, person: str, platform: str, attributes: dict[str, Any]) -> None:
        self.token[name] = self.tenant.mint(platform)[0]
        device = {"id": self.token[name], "platform": platform, "attributes": attributes}
        await self.tenant.call("PUT", f"/api/v1/customers/{person}/devices", {"device": device}, track=True)

    async def make(self, *, expect: int = 201, **asked: Any) -> Any:
        if not asked.keys() & {"audience", "ids", "emails", "per_user_data", "devices"}:
            asked["audience"] = {"filter": "everybody"}
        answer = await self.tenant.call(
            "POST", "/api/v1/broadcasts", {"content": CONTENT, **asked}, expect=expect
        )
        return await self.estimated(answer["broadcast"]["id"]) if expect == 201 else answer["error"]

    async def estimated(self, number: int) -> Any:
        """The broadcast, once its estimate is made or has failed."""

        async def ask() -> Any:
            found = await self.read(number)
            return found if found["estimate"]["state"] != "pending" else None

        return await eventually(ask)

    async def send(self, **asked: Any) -> int:
        number: int = (await self.make(start=True, **asked))["id"]
        return number

    async def do(self, number: int, what: str, *, expect: int = 200) -> Any:
        return await self.tenant.call("POST", f"/api/v1/broadcasts/{number}/{what}", expect=expect)

    async def on_fcm(self, what: str) -> str:
        """Pause or resume the route of Android, and return its name."""
        names: list[str] = [name for name in await self.tenant.routes() if name.startswith("fcm")]
        [android] = [name for name in names if not name.endswith(":apple")]
        await self.tenant.call("POST", f"/api/v1/routes/{quote(android, safe='')}/{what}", {})
        return android

    async def read(self, number: int) -> Any:
        return (await self.tenant.call("GET", f"/api/v1/broadcasts/{number}"))["broadcast"]

    async def over(self, number: int) -> Any:
        """The broadcast, once nothing of it is left."""

        async def ask() -> Any:
            found = await self.read(number)
            return found if found["progress"]["unknown"] == "over" else None

        return await eventually(ask)

    def told(self) -> dict[str, list[dict[str, Any]]]:
        """What each phone was sent, oldest first: headers and body."""
        return {
            name: [
                {
                    "headers": {key.decode(): value.decode() for key, value in entry.headers},
                    **json.loads(entry.body),
                }
                for entry in self.tenant.asked(token)
            ]
            for name, token in self.token.items()
        }

    def reached(self) -> set[str]:
        return {name for name, told in self.told().items() if told}

    async def reasons(self) -> dict[str, str]:
        """Why each phone that was left out was."""
        keys = {token: name for name, token in self.token.items()}
        rows = await self.tenant.database.rows(
            "select p.reason, d.token from pushes p join devices d using (device_id) "
            "where p.workspace_id = $1 and p.ending = 'skipped'",
            self.tenant.workspace_id,
        )
        return {keys[row["token"]]: row["reason"] for row in rows}
