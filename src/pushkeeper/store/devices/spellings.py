"""Merging of devices that are one phone, registered under several spellings of its token: page by page, in short transactions."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from pushkeeper.core.devices.spellings import Spelled, merge
from pushkeeper.store.db.database import columns
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.devices import devices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.devices.spellings import Merged
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

SQL = load_queries(__name__)

_PAGE = 500


async def merge_all(database: Database, *, page: int = _PAGE) -> None:
    """Merge devices that older releases registered under other spellings, `page` phones per transaction.

    If the process stops, the next one continues.
    """

    async def work(connection: Connection) -> int:
        phones = [tuple(row.values()) for row in await connection.fetch(SQL["page"], page)]
        if phones:
            await _merge(connection, phones)
        return len(phones)

    while await database.in_transaction(work):
        pass


async def _merge(connection: Connection, phones: Sequence[tuple[object, ...]]) -> None:
    rows = [dict(row) for row in await connection.fetch(SQL["lock"], *columns(phones, 2))]
    rows.sort(key=lambda row: (row["workspace_id"], row["key"]))
    merged = [
        one
        for _, group in groupby(rows, key=lambda row: (row["workspace_id"], row["key"]))
        for one in _of_phone(list(group))
    ]
    await _write(connection, merged)


def _of_phone(rows: Sequence[dict[str, object]]) -> list[Merged]:
    phone = [msgspec.convert({n: v for n, v in row.items() if n != "shares"}, Spelled) for row in rows]
    return merge(phone, shares=bool(rows[0]["shares"]))


async def _write(connection: Connection, merged: Sequence[Merged]) -> None:
    dropped = {(each.workspace_id, each.device_id) for one in merged for each in one.dropped}
    takers = {
        (one.kept.workspace_id, one.key): one.kept.device_id
        for one in merged
        if one.kept.device_id != one.key
    }
    taken = [(*key, former, key in dropped) for key, former in takers.items()]
    # The history of the device that had the key is now under the former key of the device that has it.
    gone = [(*each, takers.get(each, each[1])) for each in sorted(dropped)]
    respelled = [
        (
            one.kept.workspace_id,
            one.kept.device_id,
            one.key,
            one.kept.token,
            one.shared,
            min(each.created_at for each in one.own),
            max(each.last_used for each in one.own),
        )
        for one in merged
    ]
    # Of all former owners; then only of the person who keeps the phone.
    of_all = [
        (each.workspace_id, each.device_id, one.key, each.person_id)
        for one in merged
        for each in (one.kept, *one.dropped)
        if each.device_id != one.key
    ]
    of_owner = [
        (each.workspace_id, each.device_id, one.key, each.person_id)
        for one in merged
        for each in one.own
        if each.device_id != one.key
    ]
    owned = [(one.kept.workspace_id, one.key, one.kept.registered_at) for one in merged]
    told = [(d.workspace_id, one.key, d.person_id) for one in merged for d in one.dropped]
    await connection.execute(SQL["take_keys"], *columns(taken, 4))
    await connection.execute(SQL["drop"], *columns(gone, 3))
    await connection.execute(SQL["respell"], *columns(respelled, 7))
    await connection.execute(SQL["tell"], *columns(told, 3))
    await connection.execute(SQL["pushes"], *columns(of_all, 4))
    await connection.execute(SQL["reports"], *columns(of_all, 4))
    await connection.execute(SQL["held_verdicts"], *columns(of_owner, 4))
    await connection.execute(SQL["batches"], *columns(of_owner, 4))
    await connection.execute(SQL["broadcasts"], *columns([row[:3] for row in of_all], 3))
    await connection.execute(SQL["forget_anonymous"], *columns(owned, 3))
    await devices.recall(connection, [device for _, device, _ in gone])
