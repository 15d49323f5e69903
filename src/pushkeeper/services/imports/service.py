"""The imports of all workspaces: a file is uploaded, read by a worker, counted or written, and compared with what is there."""

from __future__ import annotations

import asyncio
import io
import tempfile
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, cast

import msgspec

from pushkeeper.core.imports import generic, preview
from pushkeeper.core.imports.records import BadFile, records
from pushkeeper.core.imports.row import ImportOptions
from pushkeeper.core.imports.sources import READERS
from pushkeeper.errors import BadRequest, Conflict, NotFound, TooLarge
from pushkeeper.services.audit import audited
from pushkeeper.services.imports import probing
from pushkeeper.services.imports.batch import Batches, ahead
from pushkeeper.services.imports.counts import Counts, Verification
from pushkeeper.services.imports.fetching import PART_BYTES, in_parts, seal, unseal
from pushkeeper.services.imports.writing import compare, count, write
from pushkeeper.store import imports, jobs
from pushkeeper.store.db import patience
from pushkeeper.store.imports import Import, NewImport

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from pushkeeper.core.imports.preview import Column
    from pushkeeper.core.imports.row import Reader
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.services.imports.batch import Batch
    from pushkeeper.services.imports.fetching import Fetch
    from pushkeeper.services.imports.probing import Asker
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.jobs import Claim

__all__ = ["Import", "Imports", "NewImport"]

MAX_UPLOAD_BYTES = 5_000_000_000
_NOT_FOUND = "Import not found"
_CANCELLED = "The import was cancelled"


class Imports:
    """The imports of all workspaces."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    @audited("import.make")
    async def make(
        self, entry: AuditEntry, workspace: WorkspaceId, wanted: NewImport, file: AsyncIterable[bytes]
    ) -> Import:
        """Upload a file, and let a worker import it.

        Raises:
            BadRequest: the source is unknown, the options or the mapping are wrong, or the file is too large.
            Conflict: it was cancelled meanwhile.
        """
        _check(wanted)
        number = await imports.insert(self._database, workspace, wanted)
        size = 0
        try:
            size = await self._upload(workspace, number, file)
        finally:
            if not size:
                await imports.forget_upload(self._database, workspace, number)
        entry.target, entry.detail = str(number), f"{_described(wanted)}, {size:,} bytes"
        return await self.one(workspace, number)

    async def _upload(self, workspace: WorkspaceId, number: int, file: AsyncIterable[bytes]) -> int:
        """Store a file, and return its length in bytes."""
        part = size = 0
        async for content in file:
            size += len(content)
            if size > MAX_UPLOAD_BYTES:
                raise TooLarge("file", f"cannot be over {MAX_UPLOAD_BYTES:,} bytes")
            for start in range(0, len(content), PART_BYTES):
                piece = content[start : start + PART_BYTES]
                if not await imports.add_part(self._database, workspace, number, part, piece):
                    raise Conflict(_CANCELLED)
                part += 1
            patience.renew()
        if not size:
            raise BadRequest("file", "is empty")
        if not await imports.uploaded(self._database, workspace, number):
            raise Conflict(_CANCELLED)
        return size

    @audited("import.make")
    async def make_from(
        self, entry: AuditEntry, workspace: WorkspaceId, wanted: NewImport, fetch: Fetch
    ) -> Import:
        """Let a worker fetch a file from where it is, and import it.

        Raises:
            BadRequest: the source is unknown, the options or the mapping are wrong, or the address can't be called.
        """
        _check(wanted)
        fetch.check()
        sealed = seal(self._vault, workspace, fetch)
        number = await imports.insert(self._database, workspace, wanted, sealed)
        entry.target, entry.detail = str(number), f"{_described(wanted)}, from {fetch.shown}"
        return await self.one(workspace, number)

    @audited("import.apply", "import_id")
    async def apply(self, entry: AuditEntry, workspace: WorkspaceId, import_id: int) -> Import:
        """Import the file of a dry run that is done, as an import of its own.

        Raises:
            NotFound: it does not exist.
            Conflict: it is no dry run that is done, or its file is kept no longer.
        """
        found = await self.one(workspace, import_id)
        return await self._repeat(entry, found, mapping=found.mapping, apply=True)

    @audited("import.map", "import_id")
    async def map(
        self, entry: AuditEntry, workspace: WorkspaceId, import_id: int, mapping: str | None
    ) -> Import:
        """Try the file of a dry run that is done with another mapping, as an import of its own.

        Raises:
            NotFound, Conflict: as of `apply`.
            BadRequest: the mapping is wrong.
        """
        found = replace(await self.one(workspace, import_id), mapping=mapping)
        _check(found)
        return await self._repeat(entry, found, mapping=mapping, apply=False)

    async def _repeat(self, entry: AuditEntry, found: Import, *, mapping: str | None, apply: bool) -> Import:
        if found.apply or found.state != "done":
            raise Conflict(f"Import {found.import_id} is not a finished dry run")
        made = await imports.repeat(
            self._database, found.workspace_id, found.import_id, mapping=mapping, apply=apply
        )
        if made is None:
            raise Conflict(f"The file of import {found.import_id} is no longer stored; upload it again")
        entry.detail = f"as import {made}"
        return await self.one(found.workspace_id, made)

    async def columns(self, found: Import) -> list[Column]:
        """The columns of a file of the generic source, as they are read; none where the file is not stored."""
        if found.source != "generic" or not found.has_file:
            return []
        begin = await imports.part(self._database, found.workspace_id, found.import_id, 0) or b""
        mapping = generic.Mapping() if found.mapping is None else generic.mapping(found.mapping)
        return await asyncio.to_thread(preview.columns, records(io.BytesIO(begin)), mapping)

    @audited("import.cancel", "import_id")
    async def cancel(self, entry: AuditEntry, workspace: WorkspaceId, import_id: int) -> Import:
        """Stop an import; what it has written stays, and its file is deleted.

        Raises:
            NotFound: it does not exist.
            Conflict: it is over already.
        """
        found = await self.one(workspace, import_id)
        if not await jobs.change(self._database, workspace, jobs.IMPORT.cancel or "", import_id):
            raise Conflict(f"Import {import_id} is {found.state}, and can't be cancelled")
        entry.changed("state", found.state, "cancelled")
        return await self.one(workspace, import_id)

    async def verification(self, workspace: WorkspaceId, import_id: int) -> Verification:
        """The comparison of the stored devices with the file, made after the import was applied.

        Raises:
            NotFound: it does not exist.
            Conflict: it is a dry run, or not done.
        """
        found = await self.one(workspace, import_id)
        verified = msgspec.convert(found.counts, Counts).verified
        if verified is None or found.state != "done":
            raise Conflict(f"Import {import_id} is not verified: only a completely applied import is")
        return verified

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

    async def to_fetch(self, claim: Claim) -> tuple[Fetch | None, str]:
        """Where the file of a claimed import is to be had and up to which place it is there; None: all of it is.

        `ClaimLost` where the import is cancelled.
        """
        sealed, place = await imports.to_fetch(self._database, claim)
        return None if sealed is None else unseal(self._vault, claim.workspace_id, sealed), place

    async def fetch_whole(self, claim: Claim, content: AsyncIterable[bytes]) -> None:
        """Store what is fetched from its beginning; `ClaimLost` where the import is cancelled.

        Raises:
            BadRequest: it is too large.
        """
        await imports.fetch_again(self._database, claim)
        size = 0
        async for block in in_parts(content):
            size += len(block)
            if size > MAX_UPLOAD_BYTES:
                raise TooLarge("url", f"leads to a file of over {MAX_UPLOAD_BYTES:,} bytes")
            await imports.add_fetched(self._database, claim, block)
        await imports.fetched(self._database, claim)

    async def fetch_pages(self, claim: Claim, pages: AsyncIterable[tuple[bytes, str]]) -> None:
        """Store the pages that follow the place up to which the file is there, each with the next place.

        `ClaimLost` where the import is cancelled.
        """
        async for content, place in pages:
            await imports.add_fetched(self._database, claim, content, place)
        await imports.fetched(self._database, claim)

    async def run(self, claim: Claim, asker: Asker) -> None:
        """Import a file that is claimed, from where an attempt before this one came to; `ClaimLost` where it is cancelled.

        Raises:
            BadRequest: the file can't be read.
        """
        of = self._database.of(claim.workspace_id)
        found = await of.in_transaction(lambda connection: imports.claimed(connection, claim))
        with tempfile.TemporaryFile() as file:
            await self._download(found, cast("BinaryIO", file))
            await imports.begin(self._database, claim)
            try:
                found = await self._import(found, claim, cast("BinaryIO", file))
                # Who was there before can't be told from who was imported, once both are.
                if found.apply and _options(found).only == "all":
                    await self._verify(found, claim, cast("BinaryIO", file))
                await self._probe(found, claim, cast("BinaryIO", file), asker)
            except BadFile as error:
                place = f"{found.name}, line {error.line}" if error.line else found.name
                raise BadRequest("file", f"{place}: {error.problem}", is_sentence=True) from None
        await of.in_transaction(lambda connection: imports.done(connection, claim, keep_file=not found.apply))

    async def _download(self, found: Import, file: BinaryIO) -> None:
        number = 0
        at = self._database, found.workspace_id, found.import_id
        while (content := await imports.part(*at, number)) is not None:
            await asyncio.to_thread(file.write, content)
            number += 1

    async def _import(self, found: Import, claim: Claim, file: BinaryIO) -> Import:
        """Count or write the records that are not done."""
        of = self._database.of(claim.workspace_id)
        written = 0
        async with aclosing(ahead(await self._batches(found, file, found.records))) as batches:
            async for batch in batches:

                async def work(connection: Connection, batch: Batch = batch) -> Import:
                    now = await imports.claimed(connection, claim)
                    counts = msgspec.convert(now.counts, Counts)
                    do = write if now.apply else count
                    await do(connection, claim, now, batch, counts, self._database.hashes)
                    after = replace(
                        now,
                        records=now.records + batch.records,
                        read_bytes=batch.position,
                        counts=msgspec.to_builtins(counts),
                    )
                    await imports.note(connection, claim, after)
                    return after

                found = await of.in_transaction(work)
                written += 1
                # After the first batch, and each time that twice as many are written.
                if written & (written - 1) == 0:
                    self._database.grew()
        return found

    async def _verify(self, found: Import, claim: Claim, file: BinaryIO) -> None:
        """Compare the file's devices with those that are there."""
        of = self._database.of(claim.workspace_id)
        bare = await self._batches(found, file, found.checked, with_attributes=False)
        async with aclosing(ahead(bare)) as batches:
            async for batch in batches:

                async def work(connection: Connection, batch: Batch = batch) -> Import:
                    now = await imports.claimed(connection, claim)
                    counts = msgspec.convert(now.counts, Counts)
                    counts.verified = counts.verified or Verification()
                    await compare(connection, batch, counts)
                    after = replace(
                        now,
                        checked=now.checked + batch.records,
                        checked_bytes=batch.position,
                        counts=msgspec.to_builtins(counts),
                    )
                    await imports.note(connection, claim, after)
                    return after

                await of.in_transaction(work)

    async def _probe(self, found: Import, claim: Claim, file: BinaryIO, asker: Asker) -> None:
        """Ask about a sample of the file's devices, where that is wanted."""
        size = _options(found).probe
        if not size:
            return
        batches = await self._batches(found, file, 0)
        devices = await asyncio.to_thread(probing.sample, batches, size, found.import_id)
        said = await probing.probe(asker, found.workspace_id, devices)

        async def work(connection: Connection) -> None:
            now = await imports.claimed(connection, claim)
            counts = msgspec.convert(now.counts, Counts)
            counts.probe = said
            await imports.note(connection, claim, replace(now, counts=msgspec.to_builtins(counts)))

        await self._database.of(claim.workspace_id).in_transaction(work)

    async def _batches(
        self, found: Import, file: BinaryIO, done: int, *, with_attributes: bool = True
    ) -> Batches:
        batches = Batches(
            file,
            _reader(found),
            _options(found),
            workspace=found.workspace_id,
            at=found.created_at,
            with_attributes=with_attributes,
        )
        await asyncio.to_thread(batches.skip, done)
        return batches


def _check(wanted: NewImport) -> None:
    """Check what is asked for.

    Raises:
        BadRequest: the source is unknown, or the options or the mapping are wrong.
    """
    _reader(wanted)
    _options(wanted)


def _described(wanted: NewImport) -> str:
    return f"{wanted.source}, {'apply' if wanted.apply else 'dry run'}"


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
