"""Bounces of devices: check last statuses against their history, and revert bounces that devices did not cause."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Any

from pushkeeper.core.delivery.reason_codes import STRIKES, similar
from pushkeeper.core.delivery.status_replay import ReplayedStatus, StrikeFilter, fold
from pushkeeper.errors import BadRequest, NotFound
from pushkeeper.services.audit import audited
from pushkeeper.store import strikes as strike_store
from pushkeeper.store.admin import workspaces
from pushkeeper.store.db import patience
from pushkeeper.store.db.pagination import Page
from pushkeeper.store.delivery import routes
from pushkeeper.store.strikes import CheckResult, Selection, Undo

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushkeeper.core.model import DeviceId, WorkspaceId
    from pushkeeper.services.audit import Actor, AuditEntry
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.strikes import StoredDevice, StrikeLine

__all__ = ["MOST_BACK", "Example", "StrikeSelector", "Strikes", "Undo", "UndoResult"]

_PAGE = 500
_PARTS = 16
_KEYS = 1 << 16  # the first two bytes of a device's key, which is a hash
_EXAMPLES = 10
MOST_BACK = timedelta(days=400)
# What is a reason code by its form, or the number by which earlier releases named a reason: no push service writes either.
_NO_WORD = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*|[FNP][0-9]{1,2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StrikeSelector:
    """Which strikes an operator means, by the names of things.

    Attributes:
        route: of this route alone.
        credential: of all routes of this credential (`apns:production:com.example.app`, `fcm:my-project`).
        reason: a reason code (`apns_bad_device_token`), or a provider code (`BadDeviceToken`).
    """

    since: datetime
    until: datetime
    route: str | None = None
    credential: str | None = None
    reason: str | None = None
    only: StrikeFilter = StrikeFilter.ALL

    def shown(self) -> dict[str, Any]:
        """The stored form."""
        named = {"route": self.route, "credential": self.credential, "reason": self.reason}
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "only": self.only.value,
            **{name: value for name, value in named.items() if value is not None},
        }

    @classmethod
    def kept(cls, shown: dict[str, Any]) -> StrikeSelector:
        """The selector in its stored form."""
        return cls(
            since=datetime.fromisoformat(shown["since"]),
            until=datetime.fromisoformat(shown["until"]),
            route=shown.get("route"),
            credential=shown.get("credential"),
            reason=shown.get("reason"),
            only=StrikeFilter(shown["only"]),
        )


@dataclass(frozen=True, slots=True)
class Example:
    """A device that changes: its state before and after."""

    before: StoredDevice
    after: ReplayedStatus


@dataclass(slots=True, kw_only=True)
class UndoResult:
    """The effect of reverting bounces.

    Attributes:
        strikes: how many bounces are selected, on how many `devices`.
        changed: devices by their status before and after.
        unchanged: devices that keep their status: they returned since, or have other bounces.
        gone: deleted devices.
        examples: some of those that change.
        undo_id: the ID of the revert; None of a dry run.
    """

    strikes: int = 0
    devices: int = 0
    changed: Counter[tuple[str, str]] = field(default_factory=Counter)
    unchanged: int = 0
    gone: int = 0
    examples: list[Example] = field(default_factory=list)
    undo_id: int | None = None


class Strikes:
    """The history of all workspaces' devices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def verify(
        self, workspace: WorkspaceId, *, parts: int = _PARTS, within_s: float = inf
    ) -> CheckResult:
        """Check that each device's history replays to its status; as many as possible in the time.

        With up to 65,536 `parts`, each takes less time; their order is random, so that some are a sample of all.

        Raises:
            TooSlow: a part takes longer than a minute.
        """
        devices = unchecked = wrong = seen = 0
        examples: list[dict[str, Any]] = []
        began = time.monotonic()
        for part in random.sample(range(parts), parts):
            if seen and time.monotonic() - began > within_s:
                break
            seen += 1
            first = (part * _KEYS // parts).to_bytes(2)
            end = None if part + 1 == parts else ((part + 1) * _KEYS // parts).to_bytes(2)
            found = await strike_store.check(
                self._database, workspace, first, end, examples=_EXAMPLES - len(examples)
            )
            devices, wrong = devices + found.devices, wrong + found.wrong
            unchecked += found.unchecked
            examples += found.examples
        share = seen / parts
        return CheckResult(devices=devices, unchecked=unchecked, wrong=wrong, examples=examples, share=share)

    async def all(self, workspace: WorkspaceId, *, limit: int) -> list[Undo]:
        """Past reverts, newest first."""
        return await strike_store.of_workspace(self._database, workspace, limit=limit)

    async def preview(
        self,
        workspace: WorkspaceId,
        meant: StrikeSelector,
        progress: Callable[[int, int], None] = lambda _, __: None,
    ) -> UndoResult:
        """The result that reverting these bounces would have; nothing is changed.

        Raises:
            BadRequest: the time range is invalid.
            NotFound: the route or credential does not exist.
        """
        _check(meant)
        return await self._go_through(workspace, meant, None, progress)

    async def undo(
        self,
        by: Actor,
        workspace: WorkspaceId,
        meant: StrikeSelector,
        *,
        why: str,
        progress: Callable[[int, int], None] = lambda _, __: None,
    ) -> UndoResult:
        """Revert bounces: each device gets the state that its history has without them, with a line that says so.

        Devices that returned since, or have other bounces, keep their status; deleted ones stay deleted.
        Page by page, so that no lock is long; every finished page is complete, and `go_on` continues an interrupted
        revert. `progress` is called with the devices done and their total.

        Raises:
            BadRequest: the time range or the reason code is invalid.
            NotFound: the route or credential does not exist.
        """
        return await self.go_on(workspace, await self.begin(by, workspace, meant, why=why), progress)

    @audited("strikes.undo")
    async def begin(
        self, entry: AuditEntry, workspace: WorkspaceId, meant: StrikeSelector, *, why: str
    ) -> int:
        """Create a revert of these bounces, and return its number for `go_on`.

        Future bounces are excluded: it may continue much later.

        Raises:
            BadRequest: the time range or the reason code is invalid.
            NotFound: the route or credential does not exist.
        """
        _check(meant)
        meant = replace(meant, until=min(meant.until, datetime.now(UTC)))
        _, devices = await strike_store.meant(
            self._database, workspace, await self._selection(workspace, meant)
        )

        async def work(connection: Connection) -> int:
            await entry.done_with(connection)
            return await strike_store.insert(
                connection, workspace, meant.shown(), why=entry.by.signed(why), devices=devices
            )

        number = await self._database.of(workspace).in_transaction(work)
        entry.target = f"undo {number}"
        times = {"since": f"{meant.since:%Y-%m-%d %H:%M} UTC", "until": f"{meant.until:%Y-%m-%d %H:%M} UTC"}
        entry.changes += [f"{name}: {value}" for name, value in {**meant.shown(), **times}.items()]
        entry.detail = f"{devices:,} devices; {why}"
        return number

    @audited("strikes.resume", "undo_id")
    async def resume(self, entry: AuditEntry, workspace: WorkspaceId, undo_id: int) -> None:
        """Record who continues an interrupted revert; `go_on` continues it.

        Raises:
            NotFound: the revert does not exist.
        """
        if await strike_store.one(self._database, workspace, undo_id) is None:
            raise NotFound("Undo not found")
        entry.target = f"undo {undo_id}"

    async def go_on(
        self,
        workspace: WorkspaceId,
        undo_id: int,
        progress: Callable[[int, int], None] = lambda _, __: None,
    ) -> UndoResult:
        """Revert the remaining bounces; running it twice at the same time is safe.

        Raises:
            NotFound: the revert does not exist, or its route or credential was deleted.
        """
        found = await strike_store.one(self._database, workspace, undo_id)
        if found is None:
            raise NotFound("Undo not found")
        outcome = await self._go_through(workspace, StrikeSelector.kept(found.selection), undo_id, progress)
        await self._database.of(workspace).in_transaction(
            lambda connection: strike_store.finish(connection, workspace, undo_id)
        )
        return outcome

    async def changes(
        self, workspace: WorkspaceId, meant: StrikeSelector, *, after: bytes = b""
    ) -> Page[Example, bytes]:
        """The devices after a key that would change, a page of them.

        Raises:
            BadRequest: the time range or the reason code is invalid.
            NotFound: the route or credential does not exist.
        """
        _check(meant)
        found = await self._page(workspace, await self._selection(workspace, meant), after, None)
        if found is None:
            return Page([], None, whole=True)
        return Page(found.changes, found.keys[-1], whole=True)

    async def _go_through(
        self,
        workspace: WorkspaceId,
        meant: StrikeSelector,
        undo_id: int | None,
        progress: Callable[[int, int], None],
    ) -> UndoResult:
        selection = await self._selection(workspace, meant)
        strikes, devices = await strike_store.meant(self._database, workspace, selection)
        outcome = UndoResult(strikes=strikes, devices=devices, undo_id=undo_id)
        after, done = b"", 0
        while page := await self._page(workspace, selection, after, undo_id):
            page.add_to(outcome)
            after, done = page.keys[-1], done + len(page.keys)
            patience.renew()
            progress(done, devices)
        return outcome

    async def _page(
        self, workspace: WorkspaceId, selection: Selection, after: bytes, undo_id: int | None
    ) -> _Page | None:
        """The next devices after a key, done; None after the last."""
        keys = await strike_store.struck(self._database, workspace, selection, after=after, limit=_PAGE)
        if not keys:
            return None
        options = await workspaces.options(self._database, workspace)
        page = _Page(workspace, keys, selection, suppress_after=options.suppress_after, undo_id=undo_id)
        await self._database.of(workspace).in_transaction(page.undo)
        return page

    async def _selection(self, workspace: WorkspaceId, meant: StrikeSelector) -> Selection:
        return Selection(
            since=meant.since,
            until=meant.until,
            routes=await self._routes(workspace, meant),
            answers=STRIKES.get(meant.reason or ""),
            reason=None if meant.reason in STRIKES else meant.reason,
            only=meant.only,
        )

    async def _routes(self, workspace: WorkspaceId, meant: StrikeSelector) -> tuple[Any, ...] | None:
        if meant.route is None and meant.credential is None:
            return None
        found = await routes.of_workspaces(self._database, [workspace])
        chosen = [
            one.route_id
            for one in found
            if one.name == meant.route
            or (meant.credential is not None and one.of_credential == meant.credential)
        ]
        if not chosen:
            raise NotFound(f"Route {meant.route or meant.credential!r} not found")
        return tuple(chosen)


class _Page:
    """Some devices, undone in one transaction, which may have to be run again from its start."""

    def __init__(
        self,
        workspace: WorkspaceId,
        keys: list[DeviceId],
        selection: Selection,
        *,
        suppress_after: int,
        undo_id: int | None,
    ) -> None:
        self.keys = keys
        self.changes: list[Example] = []
        self._workspace = workspace
        self._selection = selection
        self._suppress_after = suppress_after
        self._undo_id = undo_id
        self._unchanged = self._gone = 0

    async def undo(self, connection: Connection) -> None:
        self.changes, self._unchanged, self._gone = [], 0, 0
        there = await strike_store.lock(connection, self._workspace, self.keys)
        history = await strike_store.lines(connection, self._workspace, self.keys, self._selection)
        for key in self.keys:
            standing = there.get(key)
            if standing is None:
                self._gone += 1
                continue
            balance = self._without(history[key])
            if balance is None or (balance.status, balance.strikes) == (standing.status, standing.strikes):
                self._unchanged += 1
                continue
            self.changes.append(Example(standing, balance))
        if self._undo_id is not None:
            await self._write(connection, self._undo_id, there, history)

    def _without(self, told: list[StrikeLine]) -> ReplayedStatus | None:
        meant = frozenset(one.line.number for one in told if one.meant)
        return fold((one.line for one in told), suppress_after=self._suppress_after, without=meant)

    async def _write(
        self,
        connection: Connection,
        undo_id: int,
        there: dict[DeviceId, StoredDevice],
        history: dict[DeviceId, list[StrikeLine]],
    ) -> None:
        numbers = [one.line.number for told in history.values() for one in told if one.meant]
        await strike_store.mark(connection, self._workspace, undo_id, list(history), numbers)
        if self.changes:
            balances = [(one.before.device_id, one.after) for one in self.changes]
            await strike_store.restore(connection, self._workspace, undo_id, balances)
        # A concurrent run of the same revert may have done some of them first.
        struck = [key for key in there if any(one.meant for one in history[key])]
        await strike_store.count(
            connection, self._workspace, undo_id, strikes=len(numbers), devices=len(struck)
        )

    def add_to(self, outcome: UndoResult) -> None:
        """Add this page, which is committed, to all."""
        outcome.changed.update((one.before.status.value, one.after.status.value) for one in self.changes)
        outcome.unchanged += self._unchanged
        outcome.gone += self._gone
        outcome.examples += self.changes[: _EXAMPLES - len(outcome.examples)]


def _check(meant: StrikeSelector) -> None:
    if meant.until <= meant.since:
        raise BadRequest("until", "must be after since")
    if meant.since < datetime.now(UTC) - MOST_BACK:
        raise BadRequest("since", f"must be at most {MOST_BACK.days} days ago")
    if meant.reason is not None and _NO_WORD.fullmatch(meant.reason) and meant.reason not in STRIKES:
        known = similar(meant.reason)
        advice = (
            f"did you mean {known!r}?"
            if known
            else f"expected one of {', '.join(STRIKES)}, or a provider code"
        )
        raise BadRequest("reason", f"no bounces have the reason {meant.reason[:40]!r}; {advice}")
