"""In hand: the batches that this worker has claimed and not settled yet. Claim adds them, and settle ticks them off."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from pushkeeper.core.model import DeviceId, PersonId, WorkspaceId
    from pushkeeper.store.delivery.queue import Claim, ClaimedBatch


@dataclass(slots=True)
class Work:
    """A claimed batch and which of its devices are not settled yet; its results refer to it all along the row."""

    batch: ClaimedBatch
    unsettled: dict[DeviceId, PersonId] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.unsettled = {target.device_id: target.planned_for for target in self.batch.targets}


class InHand:
    """The works of one worker, by the number of their batch; a batch without an unsettled device is none of them."""

    def __init__(self) -> None:
        self._works: dict[int, Work] = {}

    def __bool__(self) -> bool:
        return bool(self._works)

    @property
    def unsettled(self) -> int:
        """How many pushes are not settled yet."""
        return sum(len(work.unsettled) for work in self._works.values())

    @property
    def claims(self) -> dict[int, Claim]:
        """The claims, by the number of their batch."""
        return {batch_id: work.batch.claim for batch_id, work in self._works.items()}

    @property
    def messages(self) -> set[tuple[WorkspaceId, UUID]]:
        """The messages of which something is under way."""
        return {(work.batch.workspace_id, work.batch.message_id) for work in self._works.values()}

    def add(self, works: Iterable[Work]) -> None:
        """Add claimed batches; except those without any device."""
        self._works |= {work.batch.claim.batch_id: work for work in works if work.unsettled}

    def claimed_again(self, batch: ClaimedBatch) -> bool:
        """Whether a batch was here already, and was claimed again after its lease expired: it continues under the new claim."""
        work = self._works.get(batch.claim.batch_id)
        if work is not None:
            work.batch = replace(work.batch, claim=batch.claim)
        return work is not None

    def remove_settled(self) -> None:
        """Drop batches that are completely settled."""
        self._works = {batch_id: work for batch_id, work in self._works.items() if work.unsettled}
