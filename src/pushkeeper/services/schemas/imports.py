"""Imports as our API and command line show them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from pushkeeper.core.imports.row import MOST_PROBED, ImportOptions
from pushkeeper.core.model import Environment
from pushkeeper.services.imports.counts import (
    Counts,
    DeviceCounts,
    PeopleCount,
    ProbeCounts,
    SkipExample,
    Verification,
)
from pushkeeper.services.imports.estimate import progress_of, remaining_s
from pushkeeper.services.imports.fetching import CUSTOMERIO_API, CustomerioPeople
from pushkeeper.services.schemas.base import MAX_DESCRIPTION_BYTES, MAX_NAME_BYTES, Request, View
from pushkeeper.store.imports import NewImport

if TYPE_CHECKING:
    from typing import Self

    from pushkeeper.store.imports import Import

_MAX_MAPPING_CHARACTERS = 100_000
_MAX_URL_CHARACTERS = 2_000


class CustomerioRequest(Request, frozen=True, kw_only=True):
    """A workspace of Customer.io whose people are imported.

    Attributes:
        app_api_key: of that workspace; stored encrypted until all people are fetched.
        region: where the workspace is.
        api_url: of its App API, in the place of the region's.
    """

    app_api_key: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_BYTES)]
    region: Literal["us", "eu"] = "us"
    api_url: Annotated[str, msgspec.Meta(min_length=1, max_length=_MAX_URL_CHARACTERS)] | None = None

    @property
    def fetch(self) -> CustomerioPeople:
        """Where the people are fetched from."""
        return CustomerioPeople(
            app_api_key=self.app_api_key, api_url=self.api_url or CUSTOMERIO_API[self.region]
        )


class ImportRequest(Request, frozen=True, kw_only=True):
    """What is imported and how, beside the file.

    Attributes:
        source: whose export the file is.
        url: where the file is; without it, it is in the request.
        customerio: whose people are fetched, in the place of a file; the source is `customerio`.
        name: of the file, for people; without it, as it was uploaded or the last segment of the URL.
        apply: import; without it, only what would change is counted.
        move: move devices of other people, where the file's last use is newer.
        environment: the APNs environment of iPhones, if their row does not have one.
        app: the bundle ID or Firebase project of devices, if their row does not have one.
        status: `keep` imports last statuses; with `unused`, devices start without one and those that the service no longer sent
            to are skipped.
        mapping: TOML with the column names of a file of the generic source.
        probe: how many of the file's Android devices to check with FCM; no push is sent.
        person_from: where `CustomUserData` of SNS has the person's ID: `text` for all of it, or a dotted path into its JSON.
    """

    source: str
    url: Annotated[str, msgspec.Meta(min_length=1, max_length=_MAX_URL_CHARACTERS)] | None = None
    customerio: CustomerioRequest | None = None
    name: Annotated[str, msgspec.Meta(max_length=MAX_NAME_BYTES)] = ""
    description: Annotated[str, msgspec.Meta(max_length=MAX_DESCRIPTION_BYTES)] = ""
    apply: bool = False
    move: bool = False
    environment: Environment | None = None
    app: Annotated[str, msgspec.Meta(max_length=MAX_NAME_BYTES)] | None = None
    status: Literal["unused", "keep"] = "unused"
    mapping: Annotated[str, msgspec.Meta(max_length=_MAX_MAPPING_CHARACTERS)] | None = None
    probe: Annotated[int, msgspec.Meta(ge=0, le=MOST_PROBED)] = 0
    person_from: Annotated[str, msgspec.Meta(max_length=MAX_NAME_BYTES)] = ""

    def wanted(self, name: str) -> NewImport:
        """The same for the service; `name` is that of the file, where the request has none."""
        options = ImportOptions(
            app=self.app or None,
            environment=self.environment,
            keep_status=self.status == "keep",
            person_from=self.person_from,
            probe=self.probe,
        )
        return NewImport(
            source=self.source,
            name=self.name or name[-MAX_NAME_BYTES:] or "file",
            description=self.description,
            options=msgspec.to_builtins(options),
            mapping=self.mapping,
            move=self.move,
            apply=self.apply,
        )


class ImportView(View, frozen=True, kw_only=True):
    """An import and its result so far; of a dry run, what applying the file would change.

    Attributes:
        rows: records of the file that are done.
        progress: the share of the work that is done, from 0 to 1: reading the file, and comparing it once it is applied.
        remaining_s: how many seconds the rest takes at the speed so far; null while that is not known.
        has_file: the file is stored, so that a dry run can be applied.
        platforms: devices by platform.
        skipped: what was left out, by reason; `examples` are the first of each.
        verified: the devices of the file compared with those that are there, after an import was applied.
        probe: what FCM said of a sample, where that was asked for.
    """

    id: int = msgspec.field(name="import")
    source: str
    name: str
    apply: bool
    state: Literal["uploading", "pending", "done", "failed", "cancelled"]
    progress: float
    remaining_s: float | None
    has_file: bool
    rows: int
    people: PeopleCount
    devices: DeviceCounts
    platforms: dict[str, int]
    skipped: dict[str, int]
    examples: list[SkipExample]
    verified: Verification | None
    probe: ProbeCounts | None
    failure: str | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, found: Import) -> Self:
        counts = msgspec.convert(found.counts, Counts)
        return cls(
            id=found.import_id,
            source=found.source,
            name=found.name,
            apply=found.apply,
            state=found.state,  # type: ignore[arg-type]  # the statement's words
            progress=round(progress_of(found), 3),
            remaining_s=remaining_s(found),
            has_file=found.has_file,
            rows=counts.rows,
            people=counts.people,
            devices=counts.devices,
            platforms=counts.platforms,
            skipped=counts.skipped,
            examples=counts.examples,
            verified=counts.verified,
            probe=counts.probe,
            failure=found.failure or found.last_error,
            created_at=found.created_at,
            updated_at=found.updated_at,
        )


class ImportListView(View, frozen=True, kw_only=True):
    """The last hundred imports, the newest first."""

    imports: list[ImportView]
