"""What an App key may read of dashboard users' changes: what was done, but not by which user or from where."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
from typing import TYPE_CHECKING, Any

from pushkeeper.api.openapi.operations import OPERATIONS

if TYPE_CHECKING:
    from support.dashboard import Browser, Place

CHANGE = {
    "ramp_s": "30",
    "suppress_after": "3",
    "min_strike_gap_s": "0",
    "max_pushes_per_s": "",
    "token_ownership": "move",
}
WEBHOOK = {"name": "ours", "endpoint": "https://hook.example/", "events": ["push_sent"]}


async def told(place: Place, path: str) -> str:
    def exchange() -> str:
        connection = http.client.HTTPConnection("127.0.0.1", place.site.port, timeout=60)
        try:
            connection.request("GET", path, None, {"authorization": f"Bearer {place.keys.app_api_key}"})
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    return await asyncio.to_thread(exchange)


async def test_an_app_key_reads_what_was_done_without_names_and_addresses(
    admin: Browser, operator: Browser, place: Place
) -> None:
    assert (await admin.post(place.path("/settings/options"), CHANGE)).status == 303
    assert (await operator.post(place.path("/settings/options"), CHANGE)).status == 403
    lines = json.loads(await told(place, "/api/v1/audit"))["audit"]
    assert [(line["action"], line["outcome"]) for line in lines] == [
        ("options.change", "refused"),
        ("options.change", "done"),
    ]
    assert len({line["user_id"] for line in lines}) == 2
    for line in lines:
        assert set(line) == {"audit_id", "at", "actor", "user_id", "action", "target", "outcome", "detail"}
    # Who looks after the users sees all of it.
    [mine] = [
        line for line in (await admin.get("/audit.csv")).text.splitlines() if f"{place.name},,done" in line
    ]
    assert "admin@example.com" in mine
    assert "127.0.0.1" in mine


async def test_no_answer_of_our_own_api_holds_a_users_name_or_address(admin: Browser, place: Place) -> None:
    device = await place.device("ann", plan="pro")
    made: list[Any] = [
        await admin.post(place.path("/settings/options"), CHANGE),
        await admin.post(place.path("/webhooks/add"), WEBHOOK),
        await admin.post(place.path("/audiences/new"), {"name": "Pro", "filter": "person.plan = pro"}),
        await admin.post(place.path("/settings/keys"), {"kind": "app"}),
    ]
    assert all(seen.status in {200, 303} for seen in made)
    webhooks = json.loads(await told(place, "/v1/reporting_webhooks"))["reporting_webhooks"]
    segments = {"id": str(webhooks[0]["id"]), "token": device.token.value}
    asked = [path for method, path in OPERATIONS if method == "GET"]
    assert len(asked) > 20
    for path in asked:
        filled = re.sub(r"{([a-z_]+)}", lambda match: segments.get(match[1], "1"), path)
        said = await told(place, filled)
        assert "@example.com" not in said, path
        assert "127.0.0.1" not in said, path
