"""Guards: what a broadcast must be for a change of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.errors import Conflict
from pushkeeper.store.broadcasts import broadcasts
from pushkeeper.store.broadcasts.broadcasts import TO_BE_PLANNED, BroadcastState

if TYPE_CHECKING:
    from pushkeeper.store.broadcasts.broadcasts import Broadcast
    from pushkeeper.store.db.driver import Connection

_UNDER_WAY = TO_BE_PLANNED | {BroadcastState.PLANNED}


def require_version(broadcast: Broadcast, version: int | None) -> None:
    """Refuse to start or replace what somebody else has changed meanwhile.

    Raises:
        Conflict: it has another version.
    """
    if version is not None and broadcast.version != version:
        raise Conflict(
            f"Broadcast {broadcast.broadcast_id} was changed by someone else: it has version {broadcast.version}, "
            f"not {version}. Read it again, and repeat the request with the current version"
        )


async def require_under_way(connection: Connection, broadcast: Broadcast) -> None:
    """Whether something of it is left, told by the connection that holds it: another may never come.

    Raises:
        Conflict: there is not, or it was not started.
    """
    if broadcast.state not in _UNDER_WAY:
        raise Conflict(f"Broadcast {broadcast.broadcast_id} is {broadcast.shown_state}")
    if broadcast.state is BroadcastState.PLANNED and not await broadcasts.is_waiting(connection, broadcast):
        raise Conflict("Broadcast is already sent")


def same(known: tuple[int, bytes], asked: bytes) -> int:
    """The broadcast of an idempotency key.

    Raises:
        Conflict: it was another that was asked for by the same key.
    """
    number, before = known
    if before != asked:
        raise Conflict("This idempotency_key was already used for another broadcast")
    return number
