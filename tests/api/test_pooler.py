"""PgBouncer that pools transactions, in front of the database: the APIs run through it, and workers are told not to."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from pushkeeper.errors import Misconfigured
from pushkeeper.store.admin import workspaces
from pushkeeper.store.db.database import Database
from pushkeeper.store.db.server_checks import require_notifications
from support.databases import own_database

from .conftest import may_send

if TYPE_CHECKING:
    from collections.abc import Iterator

PGBOUNCER = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
SERVER_PROCESSES = 3
TURNS = 40

pytestmark = pytest.mark.skipif(not Path(PGBOUNCER).exists(), reason="PgBouncer is not installed")


def _keeps_statements() -> bool:
    said = subprocess.run([PGBOUNCER, "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = said.split()[1].split(".")[:2]
    return (int(major), int(minor)) >= (1, 21)


@contextmanager
def pooled(url: str, folder: Path, *, keeping: int) -> Iterator[str]:
    """The address of a pooler in front of this server, on a Unix socket."""
    parts = urlsplit(url)
    [host] = parse_qs(parts.query)["host"]
    folder.mkdir()
    folder.chmod(0o777)
    file = folder / "pgbouncer.ini"
    (folder / "users").write_text(f'"{parts.username}" ""\n')
    file.write_text(
        f"""
[databases]
* = host={host} user={parts.username}
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
pool_mode = transaction
default_pool_size = {SERVER_PROCESSES}
auth_type = trust
auth_file = {folder}/users
{f"max_prepared_statements = {keeping}" if keeping else ""}
"""
    )
    process = subprocess.Popen(
        [PGBOUNCER, str(file)],
        user=Path(host).stat().st_uid if os.geteuid() == 0 else None,  # it does not run as root
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "process up" in line:
                break
        yield f"{parts.scheme}://{parts.username}@{parts.path}?host={folder}&port=6432"
    finally:
        process.terminate()
        process.communicate()


@pytest.fixture(params=[0, 200], ids=["no_prepared_statements", "prepared_statements"])
def keeping(request: pytest.FixtureRequest) -> int:
    """How many prepared statements the pooler keeps, and we."""
    if request.param and not _keeps_statements():
        pytest.skip("this PgBouncer is older than 1.21")
    return int(request.param)


async def _use(door, number: int) -> set[int]:
    name, token = f"somebody-{number}", f"token-of-a-phone-{number:030d}"
    device = {"device": {"id": token, "platform": "android"}}
    push = {"identifiers": {"id": name}, "title": "t", "message": "m"}
    return {
        (await door.track("PUT", f"/api/v1/customers/{name}", {"plan": {"is": number}}))[0],
        (await door.track("PUT", f"/api/v1/customers/{name}/devices", device))[0],
        (await door.app("POST", "/v1/send/push", push))[0],
        (await door.app("GET", f"/v1/customers/{name}/attributes"))[0],
        (await door.app("POST", "/v1/customers", {"filter": {"and": [{"attribute": {"field": "plan", "operator": "exists"}}]}}))[0],
    }  # fmt: skip


async def test_the_apis_run_through_a_pooler(database, folder, door_to, keeping) -> None:
    async with own_database(database) as own:
        with pooled(own.url, folder / f"pooler-{keeping}", keeping=keeping) as url:
            behind = await Database.open(url, connections=16, statement_cache_size=keeping)
            made, keys = await workspaces.create(own, "pooled")
            async with door_to(behind, made.workspace_id, keys) as door:
                await may_send(door)
                found = await asyncio.gather(*(_use(door, number) for number in range(TURNS)))
            assert set().union(*found) == {200}
            await behind.close()


async def test_a_worker_is_refused_there_and_not_on_the_server_itself(database, folder) -> None:
    await require_notifications(database)
    with pooled(database.url, folder / "pooler", keeping=0) as url:
        behind = await Database.open(url, statement_cache_size=0)
        with pytest.raises(Misconfigured, match="pooler"):
            await require_notifications(behind)
        await behind.close()
