"""What every importer reads a record into, and why a record or a device of it is left out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.model import Environment, Platform

Record: TypeAlias = Mapping[str, Any]

MOST_PROBED = 1_000  # devices of one import: a few seconds of a project's quota


class SkipReason(StrEnum):
    """Why something is left out."""

    MALFORMED = "malformed"  # not a record of this vendor, or not one at all
    NO_TOKEN = "no_token"  # noqa: S105 - the name of a reason
    BAD_TOKEN = "bad_token"  # noqa: S105 - the name of a reason
    NO_PERSON = "no_person"
    BAD_IDENTIFIER = "bad_identifier"
    BAD_ATTRIBUTE = "bad_attribute"  # the rest of the record is imported
    PERSON_KNOWN = "person_known"  # only new people are imported
    PERSON_UNKNOWN = "person_unknown"  # only people who are there are
    BLOCKED = "blocked"  # the person was erased or suppressed, and may not be made again
    OWNED_BY_ANOTHER = "owned_by_another"
    DUPLICATE = "duplicate"  # the file has the device more than once, of which the newest counts
    INVALID_AT_SOURCE = "invalid_at_source"
    ENVIRONMENT_UNKNOWN = "environment_unknown"
    PLATFORM_NOT_SUPPORTED = "platform_not_supported"
    CHANNEL_NOT_SUPPORTED = "channel_not_supported"
    WEB_NOT_SUPPORTED = "web_not_supported"


class Skip(Exception):
    """A record, or one of its devices, that is skipped.

    Attributes:
        field: the invalid field of the record; "" for the whole record.
        detail: the value that was found; never a whole token.
    """

    def __init__(self, reason: SkipReason, field: str = "", detail: str = "") -> None:
        super().__init__(reason, field, detail)
        self.reason = reason
        self.field = field
        self.detail = detail


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An operator's options for an import.

    Attributes:
        app: the bundle id or FCM project of devices whose record does not name one.
        environment: that of iPhones whose record does not name one.
        keep_status: import last statuses; without it devices are unused, and those that the vendor no longer sent to left out.
        person_from: where SNS's `CustomUserData` names the person: "" for nowhere, `text` for all of it, else a dotted path
            into its JSON.
        probe: of so many Android devices FCM is asked whether it would take a push.
        identifier: which identifier every person must have; "" for any.
        only: which people are imported, with their devices: `all`, those who are `new`, or those who are there, `existing`.
    """

    app: str | None = None
    environment: Environment | None = None
    keep_status: bool = False
    person_from: str = ""
    probe: Annotated[int, msgspec.Meta(ge=0, le=MOST_PROBED)] = 0
    identifier: Literal["", "id", "email"] = ""
    only: Literal["all", "new", "existing"] = "all"


class ImportedPerson(msgspec.Struct, frozen=True, kw_only=True):
    """A person by at least one identifier; `attributes` are as the vendor had them, not checked yet.

    Attributes:
        anonymous_id: that of somebody who never logged in, made of the vendor's name and its id.
        created_at: when they were made, if the vendor says so.
    """

    id: str | None = None
    email: str | None = None
    anonymous_id: str | None = None
    attributes: dict[str, Any] = {}
    unsubscribed: bool | None = None
    created_at: datetime | None = None


class ImportedDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device; its token as the vendor wrote it, its attributes not validated yet.

    Attributes:
        last_used: None where the vendor does not say.
        registered_at: when its app last gave the token; None for when it was last used.
        failure_reason: why the push service last refused it.
        status: suppressed if the vendor no longer sent to it.
    """

    token: str
    platform: Platform
    app: str | None = None
    environment: Environment | None = None
    last_used: datetime | None = None
    registered_at: datetime | None = None
    status: LastStatus = LastStatus.UNUSED
    failure_reason: str | None = None
    attributes: dict[str, Any] = {}


class ImportedRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one record says: of a person, of some of their devices, and of those that are left out."""

    person: ImportedPerson
    devices: tuple[ImportedDevice, ...] = ()
    skipped: tuple[Skip, ...] = ()


Reader: TypeAlias = Callable[[Record, ImportOptions], ImportedRow]
"""Reads one record.

`Skip` where nothing of it can be imported.
"""
