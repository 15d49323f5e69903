"""One item of each kind of job, as somebody asks for it, and the work that does it."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pushkeeper.core.destination import Destinations
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Content, Environment, Provider, Secret
from pushkeeper.rendering.renderer import Renderer
from pushkeeper.services.broadcasts.creation import BroadcastRequest
from pushkeeper.services.broadcasts.forecast import Estimates
from pushkeeper.services.broadcasts.planner import Planning
from pushkeeper.services.broadcasts.render_checks import RenderChecks
from pushkeeper.services.broadcasts.service import Broadcasts
from pushkeeper.services.broadcasts.triggered import Triggers
from pushkeeper.services.exports.customerio import CustomerioExports
from pushkeeper.services.imports.service import Imports, NewImport
from pushkeeper.services.messages.templates import Templates
from pushkeeper.services.people import People
from pushkeeper.services.webhooks import Webhooks
from pushkeeper.store import jobs, webhooks
from pushkeeper.store.admin import credentials, workspaces
from pushkeeper.store.admin.credentials import NewCredential
from pushkeeper.store.admin.vault import Vault
from pushkeeper.store.messages.templates import Draft, TemplateKind
from pushkeeper.store.people.people import AttributeChange, PersonReference
from pushkeeper.wiring import CHECKS
from pushkeeper.wiring.providers import open_sender
from pushkeeper.worker.jobs.broadcasts import Planner
from pushkeeper.worker.jobs.estimates import Estimator
from pushkeeper.worker.jobs.exports import Exporter
from pushkeeper.worker.jobs.fcm_asker import FcmAsker
from pushkeeper.worker.jobs.imports import Importer
from pushkeeper.worker.jobs.recipient_files import Files
from pushkeeper.worker.jobs.webhooks import Poster
from pushkeeper.worker.metrics import WorkerMetrics
from support.actors import BY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.jobs import JobKind
    from pushkeeper.worker.jobs.runner import Work

ANYWHERE = Destinations(private=True)
VAULT = Vault(Secret(bytes(32)))


class Shop:
    """A workspace that asks for jobs."""

    def __init__(self, database: Database, workspace_id: WorkspaceId, url: str) -> None:
        self.database = database
        self.workspace_id = workspace_id
        self.url = url  # at which a file of its people is

    async def ask(self, kind: JobKind) -> int:
        """Ask for a job, and return its item's number."""
        match kind.name:
            case "plan":
                return await Triggers(self.database, {}).send_to_all(
                    self.workspace_id, Content(title="Hello")
                )
            case "file":
                return await self.ask_for_file(self.url)
            case "export":
                everybody = {"attribute": {"field": "id", "operator": "exists"}}
                return (
                    await CustomerioExports(self.database, VAULT).of_people(BY, self.workspace_id, everybody)
                ).export_id
            case "import":
                return await self.ask_for_import()
            case "estimate":
                request = BroadcastRequest(content=Content(title="Hello"), audience="everybody")
                made = await Broadcasts(self.database, CHECKS, Renderer()).create(
                    BY, self.workspace_id, request
                )
                return made.broadcast_id
            case "webhook":
                return await self.ask_for_call(self.url)
        raise NotImplementedError(f"say here how somebody asks for a job of the kind {kind.name}")

    async def ask_for_import(self) -> int:
        async def content() -> AsyncIterator[bytes]:
            yield b"token,platform,person\nabc:def,android,ann\n"

        new = NewImport(source="generic", name="devices.csv", options={}, apply=True)
        return (await Imports(self.database, VAULT).make(BY, self.workspace_id, new, content())).import_id

    async def ask_for_file(self, url: str) -> int:
        template = await Templates(self.database, CHECKS).make(
            BY,
            self.workspace_id,
            Draft(kind=TemplateKind.BROADCAST, name="News", content=Content(title="Hello")),
        )
        request = BroadcastRequest(template_id=template.template_id, unit=Unit.PERSON, file_url=url)
        return await Triggers(self.database, {}).trigger(BY, self.workspace_id, request)

    async def ask_for_call(self, endpoint: str, events: int = 1) -> int:
        """A webhook that so many events wait for."""
        wanted = webhooks.WebhookDefinition(
            name="ours", endpoint="https://example.com/", events=("push_sent",)
        )
        made, _ = await Webhooks(self.database, VAULT).make(BY, self.workspace_id, wanted)
        key = self.workspace_id, made.webhook_id
        # Past the door, which refuses what can't be called.
        change = "update webhooks set endpoint = $3 where workspace_id = $1 and webhook_id = $2"
        await self.database.rows(change, *key, endpoint)
        await self.database.rows(
            "insert into outbox (workspace_id, webhook_id, object_type, metric, data, happened_at) "
            "select $1, $2, 'device', 'registered', '{}', now() from generate_series(1, $3::int)",
            *key,
            events,
        )
        return made.webhook_id

    async def row(self, kind: JobKind, item: int) -> dict[str, Any]:
        row = await self.database.row(
            f"select *, {kind.next} > now() as is_later from {kind.table} where workspace_id = $1 and {kind.key} = $2",
            self.workspace_id,
            item,
        )
        assert row is not None
        return dict(row)

    async def is_done(self, kind: JobKind, item: int) -> bool:
        row = await self.row(kind, item)
        match kind.name:
            case "plan":
                return bool(row["state"] == "planned")
            case "file":
                return bool(row["listed"])
            case "export":
                text = [
                    one async for one in CustomerioExports(self.database, VAULT).text(self.workspace_id, item)
                ]
                return bool(row["state"] == "done" and "ann" in "".join(text))
            case "estimate":
                return bool(row["state"] == "done")
            case "import":
                return bool(row["state"] == "done" and row["counts"]["devices"]["new"] == 1)
            case "webhook":
                [found] = await webhooks.of_workspace(self.database, self.workspace_id, item)
                return found.waiting == 0 and found.failing_since is None
        raise NotImplementedError(kind.name)

    async def failure(self, kind: JobKind, item: int) -> str | None:
        """Why it failed permanently; None if it did not."""
        row = await self.row(kind, item)
        is_over = row["disabled"] if kind.name == "webhook" else row["state"] == "failed"
        return row["failure"] if is_over else None

    async def make_due(self, kind: JobKind) -> None:
        await self.database.rows(
            f"update {kind.table} set {kind.next} = now() where workspace_id = $1", self.workspace_id
        )


@asynccontextmanager
async def shops(database: Database, count: int = 2) -> AsyncIterator[list[Shop]]:
    """So many workspaces with somebody in each, and with credentials that nothing is sent by."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"content-length: " in head:
            await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r")[0]))
        writer.write(b'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{"id": "ann"}\n')
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/people"
    found = []
    for _ in range(count):
        made, _keys = await workspaces.create(database, secrets.token_hex(8))
        new = NewCredential(
            provider=Provider.FCM, kind="service_account", app="project",
            environment=Environment.PRODUCTION, facts={}, secret=Secret(b"{}"),
        )  # fmt: skip
        await credentials.put(database, VAULT, made.workspace_id, new)
        ann = PersonReference(workspace_id=made.workspace_id, path=Identifier(IdentifierKind.ID, "ann"))
        await People(database).identify(ann, AttributeChange(attributes={}, changed_at=0))
        found.append(Shop(database, made.workspace_id, url))
    try:
        yield found
    finally:
        for table in sorted({kind.table for kind in KINDS.values()}):  # estimates before their broadcasts
            await database.rows(
                f"delete from {table} where workspace_id = any ($1)", [shop.workspace_id for shop in found]
            )
        server.close()
        await server.wait_closed()


def work(database: Database, kind: JobKind) -> Work:
    """What does jobs of a kind."""
    match kind.name:
        case "plan":
            return Planner(Planning(database))
        case "file":
            return Files(database, destinations=ANYWHERE)
        case "export":
            return Exporter(CustomerioExports(database, VAULT))
        case "import":
            asker = FcmAsker(database, VAULT, open_sender)
            return Importer(Imports(database, VAULT), asker, destinations=ANYWHERE)
        case "estimate":
            return Estimator(Estimates(database, RenderChecks(database, CHECKS, Renderer())))
        case "webhook":
            return Poster(database, VAULT, WorkerMetrics(), destinations=ANYWHERE)
    raise NotImplementedError(kind.name)


KINDS = {kind.name: kind for kind in jobs.KINDS}
