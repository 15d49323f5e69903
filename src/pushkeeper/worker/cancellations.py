"""Recalls: pushes in a worker's hands that are not to leave after all, taken back as soon as that is committed.

Their message is cancelled or paused, or their device is gone or somebody else's by now. What has left already cannot be
taken back; what has not goes into the queue again, where the last hop sees what became of it.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from pushkeeper.core.model import DeviceId
from pushkeeper.store.delivery import queue

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from pushkeeper.core.model import Push, WorkspaceId
    from pushkeeper.store.db.database import Database

_REMEMBERED_S = 60.0  # far longer than from a claim to the sender
_MOST_REMEMBERED = 10_000


class Recalls:
    """What is to be taken back, as it is heard of."""

    def __init__(
        self,
        database: Database,
        in_hand: Callable[[], set[tuple[WorkspaceId, UUID]]],
        take_back: Callable[[Callable[[Push], bool]], None],
    ) -> None:
        """`in_hand` are the messages of which something is under way; `take_back` takes pushes that have not left."""
        self._database = database
        self._in_hand = in_hand
        self._take_back = take_back
        self.halted = asyncio.Event()  # some message was halted, or goes on: `obey` is to look
        self._gone: dict[DeviceId, float] = {}
        self._missed_at = float("-inf")
        self.halts = 0  # how often some message was halted, or let go on

    def hear_of_messages(self, _: str) -> None:
        """Some message was halted, or goes on."""
        self.halts += 1
        self.halted.set()

    def hear_of_devices(self, keys: str) -> None:
        """Devices, by their keys in hexadecimal, are gone or moved; empty: any may be, as we did not hear for a while."""
        now = time.monotonic()
        if not keys:
            self._missed_at = now
            self._take_back(lambda _: True)
            return
        gone = {DeviceId(bytes.fromhex(key)) for key in keys.split(",")}
        self._gone |= dict.fromkeys(gone, now)
        if len(self._gone) > _MOST_REMEMBERED:
            self._gone = {key: at for key, at in self._gone.items() if now - at < _REMEMBERED_S}
        self._take_back(lambda push: push.device_id in gone)

    def is_stale(self, device: DeviceId, read_at: float) -> bool:
        """Whether what was read of a device (at this second of the monotonic clock) may not be so any more."""
        return self._missed_at >= read_at or self._gone.get(device, float("-inf")) >= read_at

    async def obey(self) -> None:
        """Take back what is of messages that are halted.

        Raises:
            Unreachable: the database does not answer.
        """
        messages = self._in_hand()
        halted = await queue.halted(self._database, messages) if messages else set()
        if halted:
            self._take_back(lambda push: push.message_id in halted)
