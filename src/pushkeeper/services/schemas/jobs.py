"""Jobs that are not done."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pushkeeper.services.schemas.base import View

if TYPE_CHECKING:
    from typing import Self

    from pushkeeper.store.jobs import Job


class JobView(View, frozen=True, kw_only=True):
    """An unfinished job."""

    kind: str
    id: int
    name: str
    state: Literal["waiting", "running", "put_off", "failed"]
    attempts: int
    reason: str | None
    next_attempt_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls.from_attributes(
            job,
            id=job.item_id,
            next_attempt_at=None if job.state == "failed" else job.next_attempt_at,
        )


class JobListView(View, frozen=True, kw_only=True):
    """All unfinished jobs."""

    jobs: list[JobView]
