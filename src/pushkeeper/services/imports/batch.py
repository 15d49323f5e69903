"""Some records of a file, checked by the limits of our API, ready to be counted or written together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pushkeeper.core.devices.tokens import token_of
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.imports.records import records
from pushkeeper.core.imports.row import Skip, SkipReason
from pushkeeper.core.model import device_id
from pushkeeper.errors import BadRequest
from pushkeeper.services import validation
from pushkeeper.services.validation import MAX_TOKEN_BYTES, checked_identifier
from pushkeeper.store.people.people import AttributeChange, PersonReference

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime
    from typing import BinaryIO

    from pushkeeper.core.imports.records import Numbered
    from pushkeeper.core.imports.row import (
        ImportedDevice,
        ImportedPerson,
        ImportedRow,
        ImportOptions,
        Reader,
    )
    from pushkeeper.core.model import DeviceId, WorkspaceId

MOST_RECORDS = 1_000


@dataclass(slots=True, kw_only=True)
class PersonInBatch:
    """A person that records of the batch share by identifiers, with the newest values."""

    line: int
    naming: PersonReference
    change: AttributeChange | None = None
    created_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class DeviceInBatch:
    """A device, with the newest values in the batch.

    Attributes:
        attributes: the valid ones.
        owner: None for an anonymous person's device.
    """

    line: int
    key: DeviceId
    device: ImportedDevice
    attributes: dict[str, Any]
    owner: PersonInBatch | None
    anonymous_id: str | None = None
    last_used: datetime
    registered_at: datetime


@dataclass(slots=True, kw_only=True)
class Batch:
    """Records that are written in one transaction.

    Attributes:
        at: when a record is taken to be from that does not say.
        records: read, of whichever use they were; `position` is up to where that is in the file.
        with_attributes: what is compared needs none.
        skipped: what was left out, by line.
    """

    workspace: WorkspaceId
    at: datetime
    with_attributes: bool = True
    records: int = 0
    position: int = 0
    people: dict[tuple[tuple[str, str], ...], PersonInBatch] = field(default_factory=dict)
    devices: dict[DeviceId, DeviceInBatch] = field(default_factory=dict)
    skipped: list[tuple[int, Skip]] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    _named: dict[tuple[str, str], tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def add(self, line: int, row: ImportedRow) -> bool:
        """Add a row; False, and nothing is added, if its person conflicts with another one in the batch."""
        identifiers = _identifiers(row.person)
        keys = tuple(one.key for one in identifiers)
        if any(self._named.get(key, keys) != keys for key in keys):
            return False
        person = self._person(line, keys, identifiers, row.person, self._time(row)) if keys else None
        for skip in row.skipped:
            self.skipped.append((line, skip))
        for device in row.devices:
            self._add_device(line, device, person, row.person.anonymous_id)
        return True

    def _time(self, row: ImportedRow) -> datetime:
        used = [device.last_used for device in row.devices if device.last_used is not None]
        return min(max(used, default=self.at), self.at)

    def _person(
        self,
        line: int,
        keys: tuple[tuple[str, str], ...],
        identifiers: tuple[Identifier, ...],
        given: ImportedPerson,
        at: datetime,
    ) -> PersonInBatch:
        self._named.update(dict.fromkeys(keys, keys))
        found = self.people.get(keys)
        if found is None:
            path, *others = identifiers
            naming = PersonReference(workspace_id=self.workspace, path=path, others=tuple(others))
            found = self.people[keys] = PersonInBatch(line=line, naming=naming)
        if self.with_attributes and given.created_at is not None:
            found.created_at = min(given.created_at, found.created_at or self.at)
        if self.with_attributes and (given.attributes or given.unsubscribed is not None):
            attributes = self._attributes(line, given.attributes, "person")
            found.change = _newest(found.change, attributes, at.timestamp(), unsubscribed=given.unsubscribed)
        return found

    def _add_device(
        self, line: int, given: ImportedDevice, owner: PersonInBatch | None, anonymous_id: str | None
    ) -> None:
        if len(given.token.encode()) > MAX_TOKEN_BYTES:
            detail = f"is over {MAX_TOKEN_BYTES} bytes"
            self.skipped.append((line, Skip(SkipReason.BAD_TOKEN, "token", detail)))
            return
        key = device_id(self.workspace, token_of(given.token))
        last_used = min(given.last_used or self.at, self.at)
        there = self.devices.get(key)
        if there is not None:
            self.duplicates.append(line)
            if there.last_used >= last_used:
                return
        self.devices[key] = DeviceInBatch(
            line=line,
            key=key,
            device=given,
            attributes=self._attributes(line, given.attributes, "device"),
            owner=owner,
            anonymous_id=None if owner else anonymous_id,
            last_used=last_used,
            registered_at=min(given.registered_at or last_used, self.at),
        )

    def _attributes(self, line: int, given: dict[str, Any], of: str) -> dict[str, Any]:
        """Those that can be kept; each of the others costs itself."""
        if not self.with_attributes:
            return {}

        def drop(error: BadRequest) -> None:
            self.skipped.append((line, Skip(SkipReason.BAD_ATTRIBUTE, error.field, error.message)))

        return validation.attributes(given, of, drop)[0]


def _identifiers(person: ImportedPerson) -> tuple[Identifier, ...]:
    """The identifiers of a person that can be kept.

    `Skip` where one can't be.
    """
    named = ((IdentifierKind.ID, person.id), (IdentifierKind.EMAIL, person.email))
    try:
        return tuple(
            checked_identifier(Identifier(kind, value), kind.value) for kind, value in named if value
        )
    except BadRequest as error:
        raise Skip(SkipReason.BAD_IDENTIFIER, error.field, error.message) from None


def _newest(
    former: AttributeChange | None, attributes: dict[str, Any], at: float, *, unsubscribed: bool | None
) -> AttributeChange:
    """Two changes of one person as one: what both say is as the later one says."""
    if former is None:
        return AttributeChange(attributes=attributes, unsubscribed=unsubscribed, changed_at=at)
    older, newer = (
        (former.attributes, attributes) if at >= former.changed_at else (attributes, former.attributes)
    )
    said = unsubscribed if at >= former.changed_at and unsubscribed is not None else former.unsubscribed
    return AttributeChange(
        attributes={**older, **newer},
        unsubscribed=unsubscribed if said is None else said,
        changed_at=max(at, former.changed_at),
    )


class Batches:
    """The batches of a file's records, one after the other."""

    def __init__(
        self,
        file: BinaryIO,
        read: Reader,
        options: ImportOptions,
        *,
        workspace: WorkspaceId,
        at: datetime,
        with_attributes: bool = True,
    ) -> None:
        self._file = file
        self._records = records(file)
        self._read = read
        self._options = options
        self._workspace = workspace
        self._at = at
        self._with_attributes = with_attributes
        self._left: tuple[int, ImportedRow] | None = None

    def skip(self, count: int) -> None:
        """Skip this many records, which were done before."""
        for _ in range(count):
            next(self._records, None)

    def next(self) -> Batch:
        """The next batch; one without records after the last.

        `BadFile` where the file can't be read on.
        """
        batch = Batch(workspace=self._workspace, at=self._at, with_attributes=self._with_attributes)
        if self._left is not None:
            batch.records += 1
            batch.add(*self._left)
            self._left = None
        while batch.records < MOST_RECORDS and (numbered := next(self._records, None)) is not None:
            if not self._add(batch, numbered):
                break
            batch.records += 1
        batch.position = self._file.tell()
        return batch

    def _add(self, batch: Batch, numbered: Numbered) -> bool:
        """Add a record to the batch; False when it is left for the next one."""
        if isinstance(numbered.record, Skip):
            batch.skipped.append((numbered.line, numbered.record))
            return True
        try:
            row = self._read(numbered.record, self._options)
            added = batch.add(numbered.line, row)
        except Skip as skip:
            batch.skipped.append((numbered.line, skip))
            return True
        if not added:
            self._left = (numbered.line, row)
        return added


async def ahead(batches: Batches) -> AsyncGenerator[Batch, None]:
    """All batches; each is read in a thread while the caller writes the one before it to the database."""
    loop = asyncio.get_running_loop()
    reading = loop.run_in_executor(None, batches.next)
    try:
        while (batch := await reading).records:
            reading = loop.run_in_executor(None, batches.next)
            yield batch
    finally:
        # The file is closed next: nobody is to read it any more.
        await asyncio.gather(asyncio.shield(reading), return_exceptions=True)
