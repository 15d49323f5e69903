"""The API, a worker and the push services in one event loop, on a real database and real sockets."""

from __future__ import annotations

import asyncio
import json
import secrets
from base64 import b64encode
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pushkeeper import config, wiring
from pushkeeper.core.model import Environment
from pushkeeper.simulator.world import Origin
from pushkeeper.store.admin import credentials, workspaces
from pushkeeper.store.admin.vault import Vault, key_of_folder
from support.serving import bound, exchange, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pushkeeper.core.model import Content
    from pushkeeper.simulator import Simulator
    from pushkeeper.store.db.database import Database

GIVE_UP_S = 60.0


@asynccontextmanager
async def engine(database: Database, simulator: Simulator, folder: Path) -> AsyncIterator[Engine]:
    """Everything running; the worker is stopped as by a signal, and drains."""
    store = wiring.Store(database, Vault(key_of_folder(folder)), None, ())
    listener, port = bound()
    async with aclosing(store.renderer), serving(wiring.api(store, "http://push.example.com"), listener):
        worker = wiring.worker(store, config.Settings(data_dir=folder, webhooks_may_be_private=True))
        working = asyncio.create_task(worker.run())
        try:
            yield Engine(store, simulator, port)
        finally:
            worker.stop()
            await working


class Engine:
    """What tests start workspaces from."""

    def __init__(self, store: wiring.Store, simulator: Simulator, port: int) -> None:
        self.store = store
        self.broadcasts = store.services.broadcasts
        self.triggers = store.services.triggered
        self.insights = store.services.insights
        self.simulator = simulator
        self.port = port

    async def tenant(self) -> Tenant:
        made, keys = await workspaces.create(self.store.database, f"engine-{secrets.token_hex(6)}")
        return Tenant(self, made.workspace_id, keys)


class Tenant:
    """One workspace, through the door, and with a look behind it."""

    def __init__(self, engine: Engine, workspace_id: Any, keys: Any) -> None:
        self.engine = engine
        self.simulator = engine.simulator
        self.database = engine.store.database
        self.workspace_id = workspace_id
        self.basic = "Basic " + b64encode(f"{keys.site_id}:{keys.api_key}".encode()).decode()
        self.bearer = f"Bearer {keys.app_api_key}"
        self.write_key = keys.write_key

    # Through the door.

    async def call(
        self, method: str, path: str, body: Any = None, *, track: bool = False, expect: int = 200
    ) -> Any:
        headers = {"authorization": self.basic if track else self.bearer, "content-type": "application/json"}
        data = None if body is None else json.dumps(body)
        status, said, _ = await asyncio.to_thread(exchange, self.engine.port, method, path, data, headers)
        answer = json.loads(said or b"null")
        assert status == expect, (method, path, status, answer)
        return answer

    async def register(self, person: str, token: str, platform: str, **attributes: str) -> None:
        """Give a person a device, a browser with the keys of its subscription."""
        path = f"/api/v1/customers/{quote(person, safe='')}/devices"
        if (browser := self.simulator.world.browsers.get(token)) is not None:
            attributes = {f"webpush_{name}": key for name, key in browser.keys.items()} | attributes
        device = {"id": token, "platform": platform, "attributes": attributes}
        await self.call("PUT", path, {"device": device}, track=True)

    async def push(self, person: str, **more: Any) -> str:
        body = {"identifiers": {"id": person}, "title": "Hello", "message": "text", **more}
        delivery_id: str = (await self.call("POST", "/v1/send/push", body))["delivery_id"]
        return delivery_id

    async def message(self, delivery_id: str) -> Any:
        return (await self.call("GET", f"/v1/messages/{quote(delivery_id, safe='')}"))["message"]

    async def status(self, token: str) -> str:
        status: str = (await self.call("GET", f"/api/v1/devices/{quote(token, safe='')}"))["last_status"]
        return status

    async def history(self, token: str) -> Any:
        return (await self.call("GET", f"/api/v1/devices/{quote(token, safe='')}/history"))["history"]

    async def routes(self) -> dict[str, Any]:
        return {route["route"]: route for route in (await self.call("GET", "/api/v1/routes"))["routes"]}

    async def audited(self, action: str) -> list[dict[str, Any]]:
        """The lines of the audit log that this is called, of this workspace."""
        rows = await self.database.rows(
            "select * from audit_log where workspace_id = $1 and action = $2 order by audit_id",
            self.workspace_id,
            action,
        )
        return [dict(row) for row in rows]

    async def send_to_all(self, content: Content) -> None:
        """A broadcast to all devices, in the queue."""
        await self.engine.triggers.send_to_all(self.workspace_id, content, send_to_unsubscribed=True)
        await self.planned()

    async def planned(self) -> None:
        """Until all broadcasts are in the queue, or cannot be."""

        async def ask() -> bool:
            waiting = await self.database.value(
                "select count(*) from broadcasts where workspace_id = $1 and state in ('scheduled', 'fetching', 'planning') and pass_at <= now()",
                self.workspace_id,
            )
            return bool(waiting == 0)

        await eventually(ask)

    # Credentials.

    async def add_fcm(self, *, account: bytes | None = None, **replaced: Any) -> None:
        options = {"endpoint_url": self.simulator.fcm_url, "ca_pem": self._ca(), **replaced}
        file = await asyncio.to_thread(Path(self.simulator.service_account_file).read_bytes)
        await self._put(wiring.fcm_credential(account or file, **options))

    async def add_apns(self, *, certificate: bytes | None = None, **replaced: Any) -> None:
        app = wiring.AppleApp(
            **{
                "topic": self.simulator.apns_topic,
                "environment": Environment.PRODUCTION,
                "endpoint_url": self.simulator.apns_url,
                "ca_pem": self._ca(),
                **replaced,
            }
        )
        if certificate is not None:
            await self._put(wiring.apns_certificate(certificate, app))
            return
        key = await asyncio.to_thread(Path(self.simulator.apns_key_file).read_bytes)
        ids = {"key_id": self.simulator.apns_key_id, "team_id": self.simulator.apns_team_id}
        await self._put(wiring.apns_key(key, app=app, **ids))

    async def add_webpush(self, **replaced: Any) -> None:
        options = {
            "subject": "mailto:ops@example.com",
            "endpoint_url": self.simulator.webpush_url,
            "ca_pem": self._ca(),
            **replaced,
        }
        await self._put(wiring.vapid_credential(**options))

    async def _put(self, new: credentials.NewCredential) -> None:
        await credentials.put(self.database, self.engine.store.vault, self.workspace_id, new)

    def _ca(self) -> str:
        return Path(self.simulator.ca_file).read_text()

    # Behind the door.

    def mint(self, platform: Any, count: int = 1, *, provider: Any = None) -> list[str]:
        if platform == "web":
            return [browser.endpoint for browser in self.simulator.world.subscribe(count)]
        origin = Origin(platform=platform, provider=provider or ("apns" if platform == "ios" else "fcm"))
        return self.simulator.world.mint(count, origin)

    def asked(self, token: str) -> list[Any]:
        """What the push services were asked for this token."""
        return list(self.simulator.world.journal.read(token))

    async def pushes(self) -> list[dict[str, Any]]:
        """Push records, the oldest first."""
        rows = await self.database.rows(
            "select p.*, push_reason(ending, provider, reason) as reason from pushes p "
            "where workspace_id = $1 order by settled_at, message_id",
            self.workspace_id,
        )
        return [dict(row) for row in rows]

    async def queued(self) -> list[dict[str, Any]]:
        """The queue, with seconds until each batch is due."""
        rows = await self.database.rows(
            "select attempt, lane, coalesce(cardinality(device_ids), 1) as devices, claim_id is not null as claimed, "
            "extract(epoch from due_at - now())::float8 as due_in_s "
            "from batches where workspace_id = $1 order by batch_id",
            self.workspace_id,
        )
        return [dict(row) for row in rows]

    async def make_due(self) -> None:
        """Make the queue due now, and notify workers."""
        await self.database.rows(
            "update batches set due_at = now() where workspace_id = $1 and claim_id is null",
            self.workspace_id,
        )
        await self.database.rows("notify pushkeeper_work")

    async def let_probe(self) -> None:
        """Let the probes of this workspace's paused routes be due now."""
        await self.database.rows(
            "update routes r set probe_at = now() from credentials c "
            "where c.credential_id = r.credential_id and c.workspace_id = $1 and r.probe_at is not null",
            self.workspace_id,
        )

    async def settled(self, count: int) -> list[dict[str, Any]]:
        """The push records, once there are so many and nothing waits."""

        async def ask() -> list[dict[str, Any]] | None:
            found = await self.pushes()
            return found if len(found) >= count and not await self.queued() else None

        found: list[dict[str, Any]] = await eventually(ask)
        assert len(found) == count, found
        return found

    async def paused(self) -> None:
        """Until one of the routes has paused."""

        async def ask() -> bool:
            return any(route["paused_at"] for route in (await self.routes()).values())

        await eventually(ask)

    async def waiting_for(self, devices: int) -> list[dict[str, Any]]:
        """The unclaimed queue of this many devices, in any lane."""

        async def ask() -> list[dict[str, Any]] | None:
            found = await self.queued()
            unclaimed = found and not any(batch["claimed"] for batch in found)
            return found if unclaimed and sum(batch["devices"] for batch in found) == devices else None

        found: list[dict[str, Any]] = await eventually(ask)
        return found

    async def waiting(self, devices: int = 1) -> list[dict[str, Any]]:
        """The unclaimed queue, once it is for this many devices."""

        async def ask() -> list[dict[str, Any]] | None:
            found = await self.queued()
            known = found and all(not batch["claimed"] and batch["lane"] for batch in found)
            return found if known and sum(batch["devices"] for batch in found) == devices else None

        found: list[dict[str, Any]] = await eventually(ask)
        return found


async def eventually(ask: Callable[[], Any], within_s: float = GIVE_UP_S) -> Any:
    """What is asked for, once it is so."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + within_s
    while not (found := await ask()):
        assert loop.time() < give_up_at, f"not so within {within_s} s"
        await asyncio.sleep(0.01)
    return found
