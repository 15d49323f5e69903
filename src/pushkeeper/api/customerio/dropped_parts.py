"""Parts of a request that were dropped while the rest was stored: counted, logged, and listed in the response."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pushkeeper.core.delivery.rate_limit import Bucket
from pushkeeper.errors import BadRequest, PushkeeperError, TooLarge, Unauthorized, Unreachable
from pushkeeper.observability.logs import logger, masked
from pushkeeper.observability.meters import PROCESS
from pushkeeper.observability.metrics import Metric

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId

Kind: TypeAlias = Literal["body", "item", "attribute"]

log = logger("api")

MAX_SHOWN = 100  # in one answer
LINES_PER_S = 10  # of the log, for each workspace
_MOST_BUCKETS = 10_000

_buckets: dict[int, Bucket] = {}
_unlogged: dict[int, int] = {}


def reason_of(error: PushkeeperError) -> str:
    """One of `unauthorized`, `too_large`, `parse_error`, `unavailable`, `required` and `invalid`."""
    field = error.field if isinstance(error, BadRequest) else ""
    if isinstance(error, Unauthorized):
        return "unauthorized"
    if isinstance(error, TooLarge):
        return "too_large"
    if field == "body":
        return "parse_error"
    if isinstance(error, Unreachable):
        return "unavailable"
    return "required" if error.code == "missing" else "invalid"


def problem(error: PushkeeperError, index: int | None = None) -> dict[str, Any]:
    """An error as Customer.io's Track API v2 words it; `index` is its item's place in a batch."""
    field = error.field if isinstance(error, BadRequest) else ""
    place = {} if index is None else {"batch_index": index}
    return {**place, "reason": reason_of(error), "field": field, "message": error.message}


class DroppedParts:
    """What was dropped from one request; `surface` is the name of the API."""

    def __init__(self, surface: str, request_id: str, workspace: WorkspaceId | None = None) -> None:
        self._surface = surface
        self._request_id = request_id
        self._found: list[tuple[Kind, int | None, PushkeeperError]] = []
        self.workspace = workspace

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, kind: Kind, error: PushkeeperError, index: int | None = None) -> None:
        """Record a dropped part, with its item's position in the batch."""
        self._found.append((kind, index, error))

    @property
    def first(self) -> PushkeeperError:
        """The error of the first item from which something was dropped."""
        return min(self._found, key=_place)[2]

    def shown(self) -> list[dict[str, Any]]:
        """The first hundred, in the order of their items."""
        return [problem(error, index) for _, index, error in sorted(self._found, key=_place)[:MAX_SHOWN]]

    def record(self) -> None:
        """Count everything, and log as much as the workspace's log limit allows."""
        workspace, now = self.workspace or 0, time.monotonic()
        if len(_buckets) >= _MOST_BUCKETS:
            _buckets.clear()
            _unlogged.clear()
        bucket = _buckets.setdefault(workspace, Bucket())
        bucket.fill(LINES_PER_S, now)
        for kind, index, error in self._found:
            reason = reason_of(error)
            PROCESS.count(Metric.INGEST_DROPPED, self._surface, kind, reason).value += 1
            if not bucket.take():
                _unlogged[workspace] = _unlogged.get(workspace, 0) + 1
                continue
            log.warning(
                "ingest_dropped",
                surface=self._surface,
                workspace=workspace or None,
                kind=kind,
                reason=reason,
                error=masked(error.message),
                batch_index=index,
                request_id=self._request_id,
                unlogged=_unlogged.pop(workspace, 0),
            )


def _place(drop: tuple[Kind, int | None, PushkeeperError]) -> int:
    return -1 if drop[1] is None else drop[1]
