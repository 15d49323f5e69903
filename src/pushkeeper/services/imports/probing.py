"""A sample of a file's Android devices, about which FCM is asked."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Protocol

from pushkeeper.core.model import Platform
from pushkeeper.services.imports.counts import ProbeCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.imports.row import ImportedDevice
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.imports.batch import Batches


class Asker(Protocol):
    """A client of FCM that checks tokens without sending."""

    async def ask(self, workspace: WorkspaceId, devices: Sequence[ImportedDevice]) -> Sequence[str]:
        """What FCM says of each device, as a field of `ProbeCounts`; nothing is sent to any."""


def sample(batches: Batches, size: int, seed: int) -> list[ImportedDevice]:
    """So many Android devices of a file, each as likely as any other; the same ones for the same seed."""
    chosen: list[ImportedDevice] = []
    choice, seen = random.Random(seed), 0  # noqa: S311 - no secret depends on it
    while (batch := batches.next()).records:
        for one in batch.devices.values():
            if one.device.platform is not Platform.ANDROID:
                continue
            seen += 1
            if len(chosen) < size:
                chosen.append(one.device)
            elif (place := choice.randrange(seen)) < size:
                chosen[place] = one.device
    return chosen


async def probe(asker: Asker, workspace: WorkspaceId, devices: Sequence[ImportedDevice]) -> ProbeCounts:
    """What FCM says of some devices, counted."""
    counts = ProbeCounts()
    for said in await asker.ask(workspace, devices):
        setattr(counts, said, getattr(counts, said) + 1)
    return counts
