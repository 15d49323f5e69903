"""Firebase: registration tokens or installation ids, as apps keep them: one a line, or with whose they are. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pushkeeper.core.imports import values
from pushkeeper.core.imports.devices import checked
from pushkeeper.core.imports.row import ImportedDevice, ImportedPerson, ImportedRow, Skip, SkipReason
from pushkeeper.core.model import Platform

if TYPE_CHECKING:
    from pushkeeper.core.imports.row import ImportOptions, Record

_PHONES = {"android": Platform.ANDROID, "ios": Platform.IOS}


def read(record: Record, options: ImportOptions) -> ImportedRow:
    """One token, with `user_id`, `platform` and `timestamp` where the file has them; without a platform it is Android's.

    `Skip` where nothing of it can be imported.
    """
    token = values.text(record, "token") or ""
    kind = (values.text(record, "platform") or "android").lower()
    if kind == Platform.WEB:
        raise Skip(SkipReason.WEB_NOT_SUPPORTED, "platform")
    if kind not in _PHONES:
        raise Skip(SkipReason.MALFORMED, "platform", "is not android or ios")
    user = values.text(record, "user_id")
    anonymous = f"firebase:{hashlib.sha256(token.encode()).hexdigest()[:32]}"
    return ImportedRow(
        person=ImportedPerson(id=user, anonymous_id=None if user else anonymous),
        devices=(
            checked(
                ImportedDevice(
                    token=token, platform=_PHONES[kind], last_used=values.time(record, "timestamp")
                ),
                options,
                field="token",
            ),
        ),
    )
