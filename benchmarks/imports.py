"""Imports: a file of devices, tried, applied and verified, and applied once more; beside a bare COPY of the same devices."""

from __future__ import annotations

import asyncio
import gzip
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from benchmarks import processes
from benchmarks.figures import Beside, Figure
from benchmarks.fleet import BY
from pushkeeper import config, wiring
from pushkeeper.errors import Misconfigured
from pushkeeper.store.admin import workspaces
from pushkeeper.store.imports import NewImport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.imports.service import Import
    from pushkeeper.wiring import Store

ROWS = 1_000_000
QUICK_ROWS = 3_000
_LOOK_S = 0.25
_BLOCK_BYTES = 1 << 20
_GOAL = "20,000 rows/s; 150 MB"
_HEAD = "id,identifier,external_user_id,device_type,tags,last_active,game_version,timezone,language\n"
_COPIED = "create table copied (id text, token text, person text, kind int, tags jsonb, at timestamptz, version text)"


def _row(number: int) -> str:
    token = f"{number:022d}:APA91b{number:0134d}"
    tags = f'"{{""plan"": ""{"pro" if number % 3 else "free"}"", ""visits"": ""{number % 100}""}}"'
    return (
        f"{number:08x}-0000-4000-8000-000000000000,{token},person-{number},1,{tags},"
        f"2026-{1 + number % 9:02d}-05 18:33:02 UTC,3.{number % 40},7200,en\n"
    )


async def measure(*, rows: int = ROWS) -> list[Figure]:
    """Rows a second of a dry run, of an import into an empty workspace with its verification, and of all known."""
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as folder:
        data, file = Path(folder), Path(folder) / "devices.csv.gz"
        _write(file, rows)
        async with wiring.store(config.Settings(data_dir=data)) as store:
            workspace = (await workspaces.create(store.database, "bench"))[0].workspace_id
            copied = await _copy(store, rows)
            with processes.pushkeeper("worker", "--data", folder) as worker:
                figures = []
                for name, apply in (("dry run", False), ("new, verified", True), ("known, verified", True)):
                    made = await _upload(store, workspace, file, apply=apply)
                    used = worker["pid"], processes.postmaster(data)
                    figures.append(await _timed(store, made, used, f"import, {rows:,} rows, {name}", copied))
                return figures


def _write(file: Path, rows: int) -> None:
    with gzip.open(file, "wt", compresslevel=1, encoding="ascii") as opened:
        opened.write(_HEAD)
        opened.writelines(map(_row, range(rows)))


async def _copy(store: Store, rows: int) -> Beside:
    """What PostgreSQL takes without us: the same rows, into a table without an index."""
    connection = await asyncpg.connect(store.database.url)
    try:
        await connection.execute(_COPIED)

        async def lines() -> AsyncIterator[bytes]:
            for begin in range(0, rows, 5_000):
                # What builds the rows takes longer than what copies them, and is none of it.
                yield b"".join(
                    f"{n:08x}\t{n:022d}:APA91b{n:0134d}\tperson-{n}\t1\t{{}}\t2026-01-05 18:33:02+00\t3.1\n".encode()
                    for n in range(begin, min(begin + 5_000, rows))
                )

        blocks = [block async for block in lines()]

        async def ready() -> AsyncIterator[bytes]:
            for block in blocks:
                yield block

        started = time.perf_counter()
        await connection.copy_to_table("copied", source=ready())
        return Beside(name="COPY", requests_per_s=rows / (time.perf_counter() - started))
    finally:
        await connection.execute("drop table if exists copied")
        await connection.close()


async def _upload(store: Store, workspace: WorkspaceId, file: Path, *, apply: bool) -> Import:
    async def content() -> AsyncIterator[bytes]:
        with file.open("rb") as opened:
            while block := opened.read(_BLOCK_BYTES):
                yield block

    wanted = NewImport(source="onesignal", name=file.name, options={}, apply=apply)
    return await store.services.imports.make(BY, workspace, wanted, content())


async def _timed(store: Store, made: Import, used: tuple[int, int], name: str, copied: Beside) -> Figure:
    """How fast the worker does it, from the file's last byte on."""
    cpu_s, started = processes.cpu_s(*used), time.perf_counter()
    held_mb, done = [processes.rss_mb(used[0])], made
    while done.state == "pending":
        await asyncio.sleep(_LOOK_S)
        held_mb.append(processes.rss_mb(used[0]))
        done = await store.services.imports.one(made.workspace_id, made.import_id)
    took_s, cpu_s = time.perf_counter() - started, processes.cpu_s(*used) - cpu_s
    rows, verified = done.counts["rows"], done.counts["verified"]
    if done.state != "done" or (verified and verified["missing"] + verified["wrong_owner"]):
        raise Misconfigured(f"bench: {name} is {done.state}: {done.failure or verified}")
    return Figure(
        name=name,
        requests_per_s=rows / took_s,
        cpu_s_per_10k=cpu_s / rows * 10_000,
        rss_mb=max(held_mb),
        beside=(copied,),
        goal=_GOAL,
    )
