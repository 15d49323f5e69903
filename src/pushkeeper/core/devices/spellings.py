"""Which device is kept when one phone was registered under several spellings of its token. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from pushkeeper.core.model import DeviceId, PersonId, WorkspaceId

if TYPE_CHECKING:
    from collections.abc import Iterable


class Spelled(msgspec.Struct, frozen=True, kw_only=True):
    """A device as it is registered.

    Attributes:
        key: its key by the canonical token, if it has one owner.
        shared_key: the key of this person's device, if people share the token.
        shared: whether its key includes the person.
    """

    device_id: DeviceId
    workspace_id: WorkspaceId
    person_id: PersonId
    token: str
    key: DeviceId
    shared_key: DeviceId
    shared: bool
    created_at: datetime
    registered_at: datetime
    last_used: datetime


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """Several devices merged into one: `kept` gets the key `key`, the others are deleted."""

    kept: Spelled
    key: DeviceId
    shared: bool
    dropped: tuple[Spelled, ...]

    @property
    def own(self) -> tuple[Spelled, ...]:
        """The devices of the person who keeps the phone, including the kept one."""
        return (self.kept, *(one for one in self.dropped if one.person_id == self.kept.person_id))


def merge(phone: Iterable[Spelled], *, shares: bool) -> list[Merged]:
    """Merge the devices of one phone: the newest registration owns it, or each person's newest where people share tokens."""
    newest_first = sorted(phone, key=_recency, reverse=True)
    groups: dict[PersonId | None, list[Spelled]] = {}
    for one in newest_first:
        groups.setdefault(one.person_id if shares else None, []).append(one)
    kept = [group[0] for group in groups.values()]
    alone = _alone(kept, shares=shares)
    return [
        Merged(
            kept=group[0],
            key=group[0].key if group[0] is alone else group[0].shared_key,
            shared=group[0] is not alone,
            dropped=tuple(group[1:]),
        )
        for group in groups.values()
    ]


def _alone(kept: list[Spelled], *, shares: bool) -> Spelled | None:
    """The device whose key does not include its person: the one that has the shared key where people share tokens, else the newest."""
    if not shares:
        return kept[0]
    had = [one for one in kept if not one.shared]
    return next((one for one in had if one.device_id == one.key), had[0] if had else None)


def _recency(one: Spelled) -> tuple[datetime, datetime, DeviceId]:
    return one.registered_at, one.last_used, one.device_id
