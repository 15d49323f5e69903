"""What grows with the number of devices: each operation on a workspace of so many, and what its tables take on disk."""

from __future__ import annotations

import asyncio
import random
import tempfile
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import msgspec

from benchmarks import load, processes
from benchmarks.fixtures import Size, device, loaded, run_long
from benchmarks.fleet import BY, Fleet, add_credentials, mint, queue_is_empty
from benchmarks.meter import SQL, Cost, Meter
from pushkeeper.core.filters.nodes import Unit
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Content, Platform, Token
from pushkeeper.errors import Misconfigured, TooSlow
from pushkeeper.services.broadcasts.creation import BroadcastRequest
from pushkeeper.services.broadcasts.planner import Planning
from pushkeeper.store.admin import workspaces
from pushkeeper.store.people.erasures import RequestedBy
from pushkeeper.store.reports import metrics
from pushkeeper.worker.jobs.broadcasts import Planner
from pushkeeper.worker.jobs.erasures import Eraser
from pushkeeper.worker.jobs.runner import Jobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.fixtures import Loaded

DEVICES = 100_000
_HISTORY_UP_TO = 1_000_000  # its lines lie in months, and those that are over grow no more
_MOST_OPERATIONS = 20_000
_TIMES = 3
_LOOK_S = 0.1
_OK = 200
_TABLES = ["people", "identifiers", "devices", "device_history", "pushes", "batches"]
_COUNTED = (
    "platform = ios and last_status = suppressed",
    "platform = ios and app_version < 4.2",
    "platform = ios and person.plan = pro",
    "segment {segment}",
)
_CONTENT = Content(
    title="A title of about thirty letters", message="A text of some length, as texts are. " * 3
)


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """A table, or an index of it, with its bytes once it was filled and vacuumed, after the churn, and rebuilt.

    A rebuilt one of 0 bytes was not rebuilt.
    """

    table: str
    index: str | None
    rows: int
    filled: int
    churned: int
    rebuilt: int = 0

    def row(self) -> list[str]:
        """Cells for a table."""
        cells = (self.filled, self.churned, self.rebuilt)
        return [self.table, self.index or "", f"{self.rows:,}", *(f"{cell / 2**20:,.1f}" for cell in cells)]


RELATION_HEADINGS = ["table", "index", "rows", "MB filled", "MB churned", "MB rebuilt"]


class SizeResult(msgspec.Struct, frozen=True, kw_only=True):
    """All measurements with a number of devices."""

    devices: int
    costs: list[Cost]
    relations: list[Relation]


async def measure(*, devices: int = DEVICES) -> SizeResult:
    """Fill a workspace with a number of devices, and run its operations."""
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as folder:
        size = Size(devices=devices, people=devices * 7 // 10, events=0, history=devices <= _HISTORY_UP_TO)
        async with loaded(Path(folder), size) as found:
            return await measured(found, size, Path(folder))


async def measured(found: Loaded, size: Size, folder: Path) -> SizeResult:
    """The same, of a workspace that is filled."""
    database = found.store.database
    await database.owned.rows(SQL["by_hand_only"])
    await database.owned.rows("select pg_reload_conf()")
    growing = _Growing(found, size)
    filled = await growing.relations()
    await growing.audiences()
    await growing.plan()
    await growing.registrations()
    with processes.pushkeeper("simulate", "--data", str(folder / "simulator")) as simulator:
        await growing.pushes(simulator)
    await growing.erasures()
    await growing.churn()
    churned = await growing.relations()
    await run_long(database, "reindex table devices")
    rebuilt = await growing.relations()
    relations = [
        Relation(
            table=table,
            index=index,
            rows=rows,
            filled=filled.get((table, index), (0, 0))[1],
            churned=size_bytes,
            rebuilt=rebuilt[table, index][1] if table == "devices" and index else 0,
        )
        for (table, index), (rows, size_bytes) in churned.items()
    ]
    return SizeResult(devices=size.devices, costs=growing.meter.costs, relations=relations)


class _Growing:
    def __init__(self, found: Loaded, size: Size) -> None:
        self._found = found
        self._store = found.store
        self._database = found.store.database
        self._workspace = found.workspace_id
        self._size = size
        self._operations = min(size.devices // 5, _MOST_OPERATIONS)
        self._choice = random.Random(size.devices)  # noqa: S311 - it chooses, it guards nothing
        self.meter = Meter(self._database, found.data_dir)

    async def relations(self) -> dict[tuple[str, str | None], tuple[int, int]]:
        """Rows and bytes of each table and index."""
        rows = await self._database.owned.rows(SQL["relations"], _TABLES)
        return {(row["table"], row["index"]): (row["rows"], row["bytes"]) for row in rows}

    # What reads.

    async def audiences(self) -> None:
        """Counts, an estimate, whether a push would reach somebody, and what is counted by itself."""
        audiences = self._store.services.audiences
        segment = await self._database.value("select segment_id from segments where name = 'One in twenty'")
        devices = self._size.devices
        for asked in (given.format(segment=segment) for given in _COUNTED):
            async with self.meter.of(f"count, {asked}, a device", devices * _TIMES):
                for _ in range(_TIMES):
                    await audiences.size(self._workspace, asked, Unit.DEVICE)
        async with self.meter.of("estimate within 300 ms", _TIMES):
            for _ in range(_TIMES):
                with suppress(TooSlow):
                    await audiences.estimate(self._workspace, _COUNTED[1], Unit.DEVICE, within_s=0.3)
        async with self.meter.of("hourly count, a device", devices):
            await self._store.services.reach.count(self._workspace)
        async with self.meter.of("devices of /metrics, a device", devices):
            await metrics.devices(self._database)
        explanations = self._store.services.explanations
        people = [str(self._choice.randint(1, self._size.people)) for _ in range(self._operations // 20)]
        async with self.meter.of("explain", len(people)):
            for person in people:
                await explanations.why(
                    self._workspace, person=Identifier(IdentifierKind.ID, person), message=None
                )

    async def plan(self) -> None:
        """A broadcast to everybody, cut into batches that nobody sends."""
        rooms = self._store.services.broadcasts
        asked = BroadcastRequest(content=_CONTENT, audience="everybody", send_to_unsubscribed=True)
        made = await rooms.create(BY, self._workspace, asked)
        await rooms.start(BY, self._workspace, made.broadcast_id)
        planner = Planner(Planning(self._database), most_batches=self._size.devices)
        async with self.meter.of("plan, a device", self._size.devices):
            await Jobs(self._database, planner).finish()
        planned = await self._database.value("select sum(cardinality(device_ids)) from batches")
        if planned != self._size.devices:
            raise Misconfigured(f"bench: {planned:,} of {self._size.devices:,} devices are planned for")
        await self._database.owned.rows("truncate batches")

    # What writes.

    async def registrations(self) -> None:
        """New devices of new people, and known ones by chance, over HTTP."""
        unknown = [self._registration(self._size.devices + n + 1) for n in range(self._operations)]
        known = [
            self._registration(self._choice.randint(1, self._size.people)) for _ in range(self._operations)
        ]
        for name, requests in (("register a new device", unknown), ("register a known device", known)):
            async with self.meter.of(name, len(requests)) as span:
                serve = processes.pushkeeper(
                    "serve", "--no-worker", "--data", str(self._found.data_dir), "--port", "0"
                )
                with serve as served:
                    port = urlsplit(served["url"]).port or 80
                    span.begin(served["pid"])
                    seen = await load.run(load.Plan(port=port, requests=requests))
                    span.end()
            if set(seen.statuses) != {_OK}:
                raise Misconfigured(f"bench: not all was answered 200: {seen.statuses}")

    def _registration(self, number: int) -> bytes:
        token, platform = device(number)
        keys = self._found.keys
        authorization = "Basic " + b64encode(f"{keys.site_id}:{keys.api_key}".encode()).decode()
        body = {"device": {"id": token, "platform": platform}}
        return load.request("PUT", f"/api/v1/customers/{number}/devices", authorization, body)

    async def pushes(self, simulator: dict[str, object]) -> None:
        """A broadcast to devices all over the table; its sender sent another one shortly before."""
        fleet = Fleet(self._store, self._workspace, self._found.keys, simulator, self._found.data_dir)
        await add_credentials(self._store, self._workspace, simulator)
        await workspaces.choose(self._database, self._workspace, {"ramp_s": 0})
        tokens: list[str] = []
        for platform in (Platform.ANDROID, Platform.IOS):
            minted = await mint(fleet, platform, self._operations // 2)
            await self._database.owned.rows(SQL["installed"], self._workspace, platform.value, minted)
            tokens += minted
        self._choice.shuffle(tokens)
        first, rest = tokens[: len(tokens) // 10], tokens[len(tokens) // 10 :]
        async with self.meter.of("push", len(rest)) as span:
            with processes.pushkeeper("worker", "--data", str(self._found.data_dir)) as worker:
                await self._send(fleet, first)
                span.begin(cast("int", worker["pid"]))
                await self._send(fleet, rest)
                span.end()

    async def _send(self, fleet: Fleet, tokens: Sequence[str]) -> None:
        rooms = self._store.services.broadcasts
        devices = [(Token(token), "devices") for token in tokens]
        made = await rooms.create(
            BY,
            self._workspace,
            BroadcastRequest(content=_CONTENT, devices=devices, send_to_unsubscribed=True),
        )
        await rooms.start(BY, self._workspace, made.broadcast_id)
        await queue_is_empty(fleet)
        sent = await self._database.value(
            "select coalesce(sum(pushes), 0) from broadcast_tallies "
            "where workspace_id = $1 and message_id = $2 and ending = 'accepted'",
            self._workspace,
            (await rooms.one(self._workspace, made.broadcast_id)).message_id,
        )
        if sent != len(tokens):
            raise Misconfigured(f"bench: {sent:,} of {len(tokens):,} pushes were accepted")

    async def erasures(self) -> None:
        """People by chance, who are erased with all that is left of them, to their receipts."""
        people = self._choice.sample(range(1, self._size.people), self._operations // 20)
        eraser = Eraser(self._database, webhooks_have_s=0.0)
        await run_long(self._database, "analyze")  # as autovacuum, which is off, does after so many pushes
        async with self.meter.of("erase a person", len(people)):
            for person in people:
                await self._store.services.people.erase(
                    BY, self._workspace, Identifier(IdentifierKind.ID, str(person)), by=RequestedBy.API
                )
            while await self._database.value("select exists (select from erasures where done_at is null)"):
                await eraser.look()
                await asyncio.sleep(_LOOK_S)

    async def churn(self) -> None:
        """Some weeks: apps that start, devices that are refused, tokens that change; and the vacuum after it."""
        devices = self._size.devices
        fifth, twentieth = 256 // 5, 256 // 20
        async with self.meter.of("refresh by SQL, of 1 in 5 devices, 3 times", 3 * devices // 5):
            for turn in range(3):
                bounds = turn * fifth, (turn + 1) * fifth
                await run_long(self._database, SQL["refreshed"], self._workspace, *bounds)
        await run_long(self._database, SQL["refused"], self._workspace, 256 // 50)
        await run_long(self._database, SQL["replaced"], self._workspace, twentieth)
        async with self.meter.of("vacuum of devices, a device", devices):
            await run_long(self._database, "vacuum analyze devices")
