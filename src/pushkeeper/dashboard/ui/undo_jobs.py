"""Reverts in the background: tasks of this process; every finished page is committed."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from pushkeeper.observability.logs import logger

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.strikes import Strikes, UndoResult

ANSWERED_WITHIN_S = 2.0

log = logger("dashboard")


class UndoJobs:
    """The running reverts of this process; one that ends with it can be continued by a user."""

    def __init__(self, strikes: Strikes) -> None:
        self._strikes = strikes
        self._tasks: dict[tuple[WorkspaceId, int], asyncio.Task[UndoResult]] = {}

    async def go_on(self, workspace: WorkspaceId, undo_id: int) -> UndoResult | None:
        """Continue a revert; None if it takes longer than a response may wait.

        Raises:
            NotFound: the revert does not exist, or its route or credential was deleted.
        """
        key = workspace, undo_id
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(self._strikes.go_on(workspace, undo_id))
            task.add_done_callback(partial(self._over, key))
        done, _ = await asyncio.wait({task}, timeout=ANSWERED_WITHIN_S)
        return task.result() if done else None

    def _over(self, key: tuple[WorkspaceId, int], task: asyncio.Task[UndoResult]) -> None:
        del self._tasks[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("undo_cut_short", undo=key[1], error=type(error).__name__)
