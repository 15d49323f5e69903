"""A page that is being followed does not keep the service from ending, nor does it break off."""

from __future__ import annotations

import asyncio
import http.client
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from support.dashboard import PASSWORD, Browser
from support.processes import running
from support.service import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from support.processes import Running


async def test_who_follows_a_broadcast_hears_the_end_when_the_service_ends(
    folder: Path, simulator: Running
) -> None:
    data = folder / f"live-{secrets.token_hex(3)}"
    with running("serve", "--data", data, "--port", "0", "--no-worker") as service:
        place = await asyncio.to_thread(Workspace, "live", service, simulator)
        await asyncio.to_thread(place.add_fcm)
        asked = {
            "content": {"title": "Later"},
            "audience": {"filter": "everybody"},
            "schedule": {"local_time": f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%dT%H:%M}"},
            "start": True,
        }
        status, made = await asyncio.to_thread(place.app.request, "POST", "/api/v1/broadcasts", asked)
        assert (status, made["broadcast"]["state"]) == (201, "scheduled")
        browser = Browser(urlsplit(service["url"]).port or 0)
        link = urlsplit(service["setup_url"]).path
        typed = {"name": "ann", "password": PASSWORD, "again": PASSWORD}
        assert (await browser.post(link, typed)).status == 303
        seen = await browser.get(f"/w/live/broadcasts/{made['broadcast']['id']}")
        [standing] = [one for one in seen.page.all("div") if one.get("id") == "standing"]
        connection = http.client.HTTPConnection("127.0.0.1", browser.port, timeout=60)
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        connection.request("GET", standing["data-live"] or "", headers={"cookie": cookie})
        response = await asyncio.to_thread(connection.getresponse)
        assert response.status == 200
        await asyncio.to_thread(response.readline)
        service.process.terminate()
        # An answer that was broken off would raise here: it has its end.
        rest = await asyncio.to_thread(response.read)
        assert b"event: shown" in rest
        connection.close()
        assert await asyncio.to_thread(service.process.wait, 60) == 0
