"""Imports as our API and command line show them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from pushkeeper.services.imports.counts import Counts, DeviceCounts, PeopleCount, SkipExample, Verification
from pushkeeper.services.schemas.base import View

if TYPE_CHECKING:
    from typing import Self

    from pushkeeper.store.imports import Import


class ImportView(View, frozen=True, kw_only=True):
    """An import and its result so far; that of a dry run is what applying the file would change.

    Attributes:
        rows: records of the file that are done.
        progress: the share of the file that is read, from 0 to 1.
        platforms: devices by platform.
        skipped: what was left out, by reason; `examples` are the first of each.
        verified: the devices of the file compared with those that are there, after an import was applied.
    """

    id: int = msgspec.field(name="import")
    source: str
    name: str
    apply: bool
    state: Literal["uploading", "pending", "done", "failed", "cancelled"]
    progress: float
    rows: int
    people: PeopleCount
    devices: DeviceCounts
    platforms: dict[str, int]
    skipped: dict[str, int]
    examples: list[SkipExample]
    verified: Verification | None
    failure: str | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, found: Import) -> Self:
        counts = msgspec.convert(found.counts, Counts)
        done = found.state == "done"
        return cls(
            id=found.import_id,
            source=found.source,
            name=found.name,
            apply=found.apply,
            state=found.state,  # type: ignore[arg-type]  # the statement's words
            progress=1.0 if done else round(found.read_bytes / max(found.bytes, 1), 3),
            rows=counts.rows,
            people=counts.people,
            devices=counts.devices,
            platforms=counts.platforms,
            skipped=counts.skipped,
            examples=counts.examples,
            verified=counts.verified,
            failure=found.failure or found.last_error,
            created_at=found.created_at,
            updated_at=found.updated_at,
        )


class ImportListView(View, frozen=True, kw_only=True):
    """The last hundred imports, the newest first."""

    imports: list[ImportView]
