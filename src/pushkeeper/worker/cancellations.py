"""Cancellations: notifications that make a worker's unsent pushes unwanted.

Their message is cancelled or paused, or their device was deleted or moved. Sent pushes cannot be withdrawn; unsent
ones go back into the queue, where the prepare stage checks them again.
"""

from __future__ import annotations

import asyncio
import time

from pushkeeper.core.model import DeviceId

REMEMBERED_S = 60.0  # far longer than from a claim to the sender
MOST_REMEMBERED = 10_000


class Cancellations:
    """Notifications, remembered for as long as older reads may be in progress.

    Attributes:
        halted: a message was halted or resumed, and the worker has not checked yet which.
        halts: how often that happened.
    """

    def __init__(self, *, most: int = MOST_REMEMBERED, remembered_s: float = REMEMBERED_S) -> None:
        """From `most` devices on, notifications older than `remembered_s` are forgotten."""
        self._most = most
        self._remembered_s = remembered_s
        self.halted = asyncio.Event()
        self.halts = 0
        self._gone: dict[DeviceId, float] = {}
        self._missed_at = float("-inf")

    def on_halted(self, _: str) -> None:
        """A message was halted or resumed."""
        self.halts += 1
        self.halted.set()

    def on_devices_gone(self, keys: str) -> set[DeviceId] | None:
        """Devices, by their keys in hexadecimal, are gone or moved; returns them.

        Without keys any may be, as we did not hear for a while; None then.
        """
        now = time.monotonic()
        if not keys:
            self._missed_at = now
            return None
        gone = {DeviceId(bytes.fromhex(key)) for key in keys.split(",")}
        self._gone |= dict.fromkeys(gone, now)
        if len(self._gone) > self._most:
            self._gone = {key: at for key, at in self._gone.items() if now - at < self._remembered_s}
        return gone

    def is_stale(self, device: DeviceId, read_at: float) -> bool:
        """Whether a device, read at this second of the monotonic clock, may have changed since."""
        return self._missed_at >= read_at or self._gone.get(device, float("-inf")) >= read_at
