"""The imports of all workspaces: a file is uploaded, read by a worker, counted or written, and compared with what is there."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, cast

import msgspec

from pushkeeper.core.imports import generic
from pushkeeper.core.imports.records import BadFile, records
from pushkeeper.core.imports.row import ImportOptions
from pushkeeper.core.imports.sources import READERS
from pushkeeper.errors import BadRequest, Conflict, NotFound
from pushkeeper.services.audit import audited
from pushkeeper.services.imports.batch import Batches
from pushkeeper.services.imports.counts import Counts, Verification
from pushkeeper.services.imports.writing import compare, count, write
from pushkeeper.store import imports
from pushkeeper.store.db import patience
from pushkeeper.store.imports import Import, NewImport

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from pushkeeper.core.imports.row import Reader
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.services.imports.batch import Batch
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.jobs import Claim

__all__ = ["Import", "Imports", "NewImport"]

PART_BYTES = 1 << 20
MAX_UPLOAD_BYTES = 5_000_000_000
_NOT_FOUND = "import: not found"


class Imports:
    """The imports of all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @audited("import.make")
    async def make(
        self, entry: AuditEntry, workspace: WorkspaceId, wanted: NewImport, file: AsyncIterable[bytes]
    ) -> Import:
        """Upload a file, and let a worker import it.

        Raises:
            BadRequest: the source is unknown, the options or the mapping are wrong, or the file is too large.
            Conflict: it was cancelled meanwhile.
        """
        _reader(wanted)
        _options(wanted)
        number = await imports.insert(self._database, workspace, wanted)
        part = size = 0
        async for content in file:
            size += len(content)
            if size > MAX_UPLOAD_BYTES:
                raise BadRequest("file", f"cannot be over {MAX_UPLOAD_BYTES:,} bytes")
            for start in range(0, len(content), PART_BYTES):
                piece = content[start : start + PART_BYTES]
                if not await imports.add_part(self._database, workspace, number, part, piece):
                    raise Conflict("import: it was cancelled")
                part += 1
            patience.renew()
        if not await imports.uploaded(self._database, workspace, number):
            raise Conflict("import: it was cancelled")
        entry.target = str(number)
        entry.detail = f"{wanted.source}, {'apply' if wanted.apply else 'dry run'}, {size:,} bytes"
        return await self.one(workspace, number)

    async def all(self, workspace: WorkspaceId) -> list[Import]:
        """The last hundred imports of a workspace, the newest first."""
        return await imports.of_workspace(self._database, workspace)

    async def one(self, workspace: WorkspaceId, import_id: int) -> Import:
        """One import.

        Raises:
            NotFound: it does not exist.
        """
        found = await imports.of_workspace(self._database, workspace, import_id)
        if not found:
            raise NotFound(_NOT_FOUND)
        return found[0]

    async def run(self, claim: Claim) -> None:
        """Import a file that is claimed, from where an attempt before this one came to; `ClaimLost` where it is cancelled.

        Raises:
            BadRequest: the file can't be read.
        """
        of = self._database.of(claim.workspace_id)
        found = await of.in_transaction(lambda connection: imports.claimed(connection, claim))
        with tempfile.TemporaryFile() as file:
            await self._download(found, cast("BinaryIO", file))
            try:
                found = await self._import(found, claim, cast("BinaryIO", file))
                if found.apply:
                    await self._verify(found, claim, cast("BinaryIO", file))
            except BadFile as error:
                place = f"{found.name}, line {error.line}" if error.line else found.name
                raise BadRequest("file", f"{place}: {error.problem}", is_sentence=True) from None
        await of.in_transaction(lambda connection: imports.done(connection, claim))

    async def _download(self, found: Import, file: BinaryIO) -> None:
        number = 0
        at = self._database, found.workspace_id, found.import_id
        while (content := await imports.part(*at, number)) is not None:
            await asyncio.to_thread(file.write, content)
            number += 1

    async def _import(self, found: Import, claim: Claim, file: BinaryIO) -> Import:
        """Count or write the records that are not done."""
        batches = await self._batches(found, file, found.records)
        of = self._database.of(claim.workspace_id)
        written = 0
        while True:
            batch = await asyncio.to_thread(batches.next)
            if not batch.records:
                return found
            position = file.tell()

            async def work(connection: Connection, batch: Batch = batch, position: int = position) -> Import:
                now = await imports.claimed(connection, claim)
                counts = msgspec.convert(now.counts, Counts)
                do = write if now.apply else count
                await do(connection, claim, now, batch, counts, self._database.hashes)
                after = replace(
                    now,
                    records=now.records + batch.records,
                    read_bytes=position,
                    counts=msgspec.to_builtins(counts),
                )
                await imports.note(connection, claim, after)
                return after

            found = await of.in_transaction(work)
            written += 1
            # After the first batch, and each time that twice as many are written.
            if written & (written - 1) == 0:
                self._database.grew()

    async def _verify(self, found: Import, claim: Claim, file: BinaryIO) -> None:
        """Compare the file's devices with those that are there."""
        batches = await self._batches(found, file, found.checked)
        of = self._database.of(claim.workspace_id)
        while (batch := await asyncio.to_thread(batches.next)).records:

            async def work(connection: Connection, batch: Batch = batch) -> Import:
                now = await imports.claimed(connection, claim)
                counts = msgspec.convert(now.counts, Counts)
                counts.verified = counts.verified or Verification()
                await compare(connection, batch, counts)
                after = replace(now, checked=now.checked + batch.records, counts=msgspec.to_builtins(counts))
                await imports.note(connection, claim, after)
                return after

            await of.in_transaction(work)

    async def _batches(self, found: Import, file: BinaryIO, done: int) -> Batches:
        batches = Batches(
            records(file),
            _reader(found),
            _options(found),
            workspace=found.workspace_id,
            at=found.created_at,
        )
        await asyncio.to_thread(batches.skip, done)
        return batches


def _reader(wanted: NewImport) -> Reader:
    """The reader of a source.

    Raises:
        BadRequest: there is no such source, or the mapping is wrong.
    """
    if wanted.source not in READERS:
        raise BadRequest("source", f"expected one of {', '.join(sorted(READERS))}")
    if wanted.mapping is None:
        return READERS[wanted.source]
    if wanted.source != "generic":
        raise BadRequest("mapping", "only files of the source generic have one")
    try:
        return generic.reader(generic.mapping(wanted.mapping))
    except generic.BadMapping as error:
        raise BadRequest("mapping", str(error)) from None


def _options(wanted: NewImport) -> ImportOptions:
    """The options.

    Raises:
        BadRequest: there is no such option, or it can't have this value.
    """
    try:
        return msgspec.convert(wanted.options, ImportOptions)
    except msgspec.ValidationError as error:
        raise BadRequest("options", str(error)) from None
