"""A workspace in which everything is called something evil: no page of it holds any of it but as text."""

from __future__ import annotations

import json
from base64 import b64encode
from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pushkeeper.core.roles import Role
from pushkeeper.store.devices.devices import SettleEvent
from support.hostile import EVIL, PRODUCT, held
from support.inside import Inside, app_of

if TYPE_CHECKING:
    from support.dashboard import Place, Site

MOST_PAGES = 360


async def filled(site: Site, inside: Inside) -> Place:
    """One of everything for each evil text, by the APIs that apps and back-ends have, where there is one."""
    place = await site.workspace(f"{EVIL[1]} {PRODUCT[:3]}")
    basic = b64encode(f"{place.keys.site_id}:{place.keys.api_key}".encode()).decode()
    keys = {"track": f"Basic {basic}", "app": f"Bearer {place.keys.app_api_key}"}

    async def call(key: str, method: str, path: str, body: Any) -> Any:
        headers = {"authorization": keys[key], "content-type": "application/json"}
        seen = await inside.ask(method, path, json.dumps(body).encode(), headers)
        assert seen.status < 300, (path, seen.text)
        return json.loads(seen.body)

    for number, evil in enumerate(EVIL):
        await place.credential(evil)
        person = f"/api/v1/customers/{quote(evil, safe='')}"
        await call(
            "track", "PUT", person, {"email": f"{number}@x.io", "plan": evil, evil[:50]: {evil: [evil]}}
        )
        await call("track", "POST", f"{person}/events", {"name": evil, "data": {evil: evil, "href": evil}})
        device = await place.device(evil, app_version=evil, device_model=evil)
        await place.settled(device, SettleEvent.REFUSED, SettleEvent.REFUSED, reason=evil)
        await place.pushed(device, "accepted")
        template = {"name": evil, "title": "{% raw %}" + evil + "{% endraw %}", "description": evil}
        for kind in ("transactional", "broadcast"):
            await call(
                "app",
                "POST",
                "/api/v1/templates",
                {"kind": kind, "trigger_name": f"{evil}{kind}", **template},
            )
        await call(
            "app",
            "POST",
            "/api/v1/audiences",
            {"name": evil, "description": evil, "filter": "platform = ios"},
        )
        content = {"title": template["title"], "message": "text", "link": template["title"]}
        broadcast = {"name": evil, "content": content, "audience": {"filter": "platform = ios"}}
        await call("app", "POST", "/api/v1/broadcasts", broadcast)
        hook = {"name": evil, "endpoint": f"https://hook.example/?{quote(evil)}", "events": ["push_sent"]}
        await call("app", "POST", "/v1/reporting_webhooks", hook)
    await site.database.rows(
        "update routes r set paused_at = now(), pause_kind = 'credentials', pause_reason = c.app from credentials c "
        "where c.credential_id = r.credential_id and c.workspace_id = $1",
        place.workspace.workspace_id,
    )
    messages = json.loads(
        (await inside.ask("GET", "/v1/messages", None, {"authorization": keys["app"]})).body
    )["messages"]
    for message, evil in zip(messages, EVIL, strict=False):
        clicked = {
            "delivery_id": message["id"],
            "metric": "clicked",
            "href": evil,
            "timestamp": 1_800_000_000,
        }
        await inside.ask(
            "POST", "/api/v1/metrics", json.dumps(clicked).encode(), {"content-type": "application/json"}
        )
    return place


async def test_nothing_that_is_called_something_evil_is_more_than_text(site: Site) -> None:
    """Following every link of the workspace shows no tag, no attribute, no script and no result of a template."""
    admin = Inside.of(site, app_of(site), Role.ADMIN)
    place = await filled(site, admin)
    start = f"/w/{quote(place.name, safe='')}"
    waiting, met, files = deque([start]), {start}, 0
    while waiting and len(met) - len(waiting) < MOST_PAGES:
        path = waiting.popleft()
        seen = await admin.get(path)
        assert seen.status in {200, 303, 400, 404, 503}, path
        if "text/csv" in seen.headers.get("content-type", ""):
            files += 1
            assert seen.headers["content-disposition"].startswith("attachment")
            assert seen.headers["x-content-type-options"] == "nosniff"
            continue
        held(seen)
        assert "<pk-evil" not in seen.text, path
        assert "<img" not in seen.text, path
        assert "<svg/onload" not in seen.text, path
        for link in seen.page.links():
            address = link.partition("#")[0]
            elsewhere = address.startswith("/w/") and not address.startswith(start)
            if address.startswith("/") and address not in met and not elsewhere:
                met.add(address)
                waiting.append(address)
    assert len(met) - len(waiting) > 250
    assert files > 15
