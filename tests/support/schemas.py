"""Two installations side by side in one database, each in a schema of its own."""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pushkeeper.store.db import migrate
from pushkeeper.store.db.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def side_by_side(database: Database) -> AsyncIterator[tuple[Database, Database]]:
    name = f"shared_{secrets.token_hex(8)}"
    await database.owned.value(f"create database {name} template template0")
    at = urlsplit(database.url)._replace(path=f"/{name}")
    try:
        async with AsyncExitStack() as stack:
            shared = await Database.open(at.geturl(), connections=1)
            stack.push_async_callback(shared.close)
            made = []
            for schema in ("one", "two"):
                await shared.owned.value(f"create schema {schema}")
                url = at._replace(query=f"{at.query}&options=-csearch_path%3D{schema}").geturl()
                opened = await Database.open(url, connections=8)
                stack.push_async_callback(opened.close)
                await migrate.migrate(opened)
                made.append(opened)
            yield made[0], made[1]
    finally:
        await database.owned.value(f"drop database {name} with (force)")
