"""A workspace that files are imported into, and files of devices."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Platform, Token
from pushkeeper.services.imports.service import Import, Imports, NewImport
from pushkeeper.services.people import People, PersonReference, Registration
from pushkeeper.store.devices import devices
from pushkeeper.worker.jobs.runner import Jobs
from support.actors import BY
from support.imports import importer
from support.jobs import VAULT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.worker.jobs.imports import Importer

NOW = datetime.now(UTC).replace(microsecond=0)
OLD = NOW - timedelta(days=30)


class Room:
    """A workspace that files are imported into."""

    def __init__(self, database: Database, workspace: WorkspaceId) -> None:
        self.database = database
        self.workspace = workspace
        self.imports = Imports(database, VAULT)
        self.people = People(database)

    def importer(self) -> Importer:
        made: Importer = importer(self.database)
        return made

    async def make(self, content: bytes, source: str = "generic", **wanted: Any) -> Import:
        """Upload a file."""
        new = NewImport(source=source, name="file", options=wanted.pop("options", {}), **wanted)
        return await self.imports.make(BY, self.workspace, new, parts(content))

    async def run(self, content: bytes, source: str = "generic", **wanted: Any) -> Import:
        """Import a file to its end."""
        made = await self.make(content, source, **wanted)
        await self.work()
        return await self.imports.one(self.workspace, made.import_id)

    async def work(self) -> None:
        await Jobs(self.database, self.importer()).finish()

    async def left(self, table: str, import_id: int | None = None) -> int:
        """How many rows of a table are left of all imports, or of one."""
        found: int = await self.database.of(self.workspace).value(
            f"select count(*) from {table} where workspace_id = $1 and ($2::bigint is null or import_id = $2)",
            self.workspace,
            import_id,
        )
        return found

    async def register(self, person: str, token: str, last_used: datetime) -> None:
        naming = PersonReference(
            workspace_id=self.workspace, path=Identifier(IdentifierKind.ID, person), create=True
        )
        device = Registration(token=Token(token), platform=Platform.ANDROID, last_used=last_used)
        await self.people.register(naming, device)

    async def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """People and devices, without what the database numbers by itself."""
        people = await self.database.of(self.workspace).rows(
            "select i.kind, i.value, p.attributes::text, p.unsubscribed from people p "
            "join identifiers i using (workspace_id, person_id) where workspace_id = $1 order by 1, 2",
            self.workspace,
        )
        found = await self.database.of(self.workspace).rows(
            "select d.token, i.value, d.platform, d.app, d.environment, d.attributes::text, d.last_used, d.status, "
            "d.strikes from devices d join identifiers i using (workspace_id, person_id) "
            "where workspace_id = $1 and i.kind = 'id' order by 1, 2",
            self.workspace,
        )
        return {"people": [tuple(row) for row in people], "devices": [tuple(row) for row in found]}

    async def owner(self, token: str) -> str:
        device = await devices.read(self.database, self.workspace, Token(token))
        assert device is not None
        [person] = await self.database.of(self.workspace).rows(
            "select value from identifiers where workspace_id = $1 and person_id = $2",
            self.workspace,
            device.person_id,
        )
        return str(person["value"])


async def parts(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 50_000):
        yield content[start : start + 50_000]


def token(number: int | str) -> str:
    return f"fcm{number}:APA91b{'x' * 20}"


def table(rows: Sequence[dict[str, object]]) -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def line(number: int, **more: object) -> dict[str, object]:
    return {
        "token": token(number),
        "platform": "android",
        "person": f"person {number}",
        "last_used": int(OLD.timestamp()),
        "attribute.app_version": "3.1",
        "person_attribute.plan": "gold",
        **more,
    }
