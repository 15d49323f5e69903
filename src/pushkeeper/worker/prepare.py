"""Prepare, the second stage: checks every target again, and renders messages for those to send to."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, assert_never

from pushkeeper.core.delivery.retry import End
from pushkeeper.core.delivery.route_choice import RouteTable
from pushkeeper.core.model import Push, RouteId
from pushkeeper.observability.isolation import each
from pushkeeper.observability.logs import logger
from pushkeeper.store.delivery import queue
from pushkeeper.store.devices import browser_keys
from pushkeeper.worker import final_check
from pushkeeper.worker.in_hand import Work
from pushkeeper.worker.rendering import NotYet, Rendering, Unrenderable
from pushkeeper.worker.results import NotSent, SetAside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from pushkeeper.core.model import Browser, Content, Provider, WorkspaceId
    from pushkeeper.rendering.renderer import Renderer
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.delivery.queue import ClaimedBatch, ClaimedDevice, MessageToSend, Target
    from pushkeeper.store.delivery.routes import Route
    from pushkeeper.worker.cancellations import Cancellations
    from pushkeeper.worker.claim import Claimed
    from pushkeeper.worker.lanes import Lanes
    from pushkeeper.worker.provider_clients import Check
    from pushkeeper.worker.results import PushResult

log = logger("worker")

NO_SENDER_S = 30.0
NOT_YET_S = 1.0
NO_LANE = RouteId(0)
_NO_WAYS: RouteTable[Route] = RouteTable(())


class Moment(NamedTuple):
    """Now, by both clocks, and when what is looked at was read, by the monotonic one."""

    wall: datetime
    monotonic: float
    read_at: float


class ClaimedPush(Push, frozen=True, kw_only=True, gc=False):
    """A push with where it came from, so that its verdict finds the way back; handed over at this monotonic second."""

    work: Work
    route: Route
    handed_at: float


@dataclass(frozen=True, slots=True)
class Prepared:
    """What claimed batches became: pushes that may leave now, which their lanes count, and results of all other targets."""

    works: Sequence[Work]
    pushes: Sequence[ClaimedPush]
    results: Sequence[PushResult]


class PrepareStage:
    """Takes claimed batches and the routes for them; gives on pushes and results; owns what it has rendered."""

    def __init__(
        self,
        database: Database,
        lanes: Lanes,
        cancellations: Cancellations,
        checks: Mapping[Provider, Check],
        renderer: Renderer,
        vault: Vault,
    ) -> None:
        """`checks` are what each provider has to say against a content."""
        self._database = database
        self._vault = vault
        self._lanes = lanes
        self._cancellations = cancellations
        self._rendering = Rendering(checks, renderer)

    async def prepare(self, claimed: Claimed, ways: Mapping[WorkspaceId, RouteTable[Route]]) -> Prepared:
        """Look at every target. Whatever is raised, nothing was counted in a lane."""
        works = [Work(batch) for batch in claimed.batches]
        await self._drop_empty(works)
        messages = await self._read(claimed.batches)
        looked_at = [(work, messages[work.batch.message_id]) for work in works]
        # Nothing awaits from here on: later notifications about a device or a message find these pushes at the next
        # stage.
        moment = Moment(datetime.now(UTC), time.monotonic(), claimed.read_at)
        results: list[PushResult] = []
        pushes: list[ClaimedPush] = []
        for work, message in looked_at:
            of_workspace = ways.get(work.batch.workspace_id, _NO_WAYS)
            for one in self._look_at_all(work, message, of_workspace, moment):
                if isinstance(one, ClaimedPush):
                    pushes.append(one)
                else:
                    results.append(one)
        return Prepared(works, pushes, results)

    async def _drop_empty(self, works: Sequence[Work]) -> None:
        """A batch without targets (a person without devices) is settled at once."""
        if empty := [work.batch.claim for work in works if not work.unsettled]:
            await queue.drop_empty(self._database, empty)

    async def _read(self, claimed: Sequence[ClaimedBatch]) -> dict[UUID, MessageToSend]:
        """The messages to render; queried again when some are halted meanwhile."""
        while True:
            halts = self._cancellations.halts
            messages = await queue.messages(
                self._database, {(batch.workspace_id, batch.message_id) for batch in claimed}
            )
            await self._rendering.prepare(self._database, claimed, messages)
            if halts == self._cancellations.halts:
                return messages

    def _look_at_all(
        self, work: Work, message: MessageToSend, ways: RouteTable[Route], moment: Moment
    ) -> list[PushResult | ClaimedPush]:
        def look(target: Target) -> PushResult | ClaimedPush:
            return self._look(work, target, message, ways, moment)

        def failed(target: Target, error: Exception) -> PushResult | ClaimedPush:
            log.error("target_not_looked_at", device_id=target.device_id.hex(), exc_info=error)
            return NotSent(work, target, End.FAILED, "unsendable", type(error).__name__)

        return each(work.batch.targets, look, failed)

    def _look(
        self, work: Work, target: Target, message: MessageToSend, ways: RouteTable[Route], moment: Moment
    ) -> PushResult | ClaimedPush:
        """The outcome for one target: a push that may leave now, which its lane counts, or a result already."""
        if self._cancellations.is_stale(target.device_id, moment.read_at):
            return SetAside(work, target, NO_LANE, moment.wall, takes_new_slot=True)
        fate = final_check.decide(target, message, ways, moment.wall)
        match fate:
            case final_check.Go(_, route):
                again = work.batch.attempt > 0
                wait_s = self._lanes.wait_s(
                    route.route_id, target.device_id, again=again, now=moment.monotonic
                )
                if wait_s:
                    return SetAside(work, target, route.route_id, moment.wall + timedelta(seconds=wait_s))
                try:
                    return self._written_for(work, target, message, fate, moment)
                except BaseException:
                    self._lanes.settled(route.route_id)
                    raise
            case final_check.Wait(route):
                rest_s = 0.0 if route.paused_at else NO_SENDER_S
                return SetAside(work, target, route.route_id, moment.wall + timedelta(seconds=rest_s))
            case final_check.Later(at):
                return SetAside(work, target, NO_LANE, at, takes_new_slot=True)
        return NotSent(work, target, *_end(fate))

    def _written_for(
        self, work: Work, target: Target, message: MessageToSend, go: final_check.Go, moment: Moment
    ) -> NotSent | SetAside | ClaimedPush:
        device, route = go.device, go.route
        content = self._rendering.content(message, target, device, route.provider)
        if isinstance(content, Unrenderable):
            self._lanes.settled(route.route_id)
            return NotSent(work, target, End.FAILED, content.reason, content.detail)
        if isinstance(content, NotYet):
            self._lanes.settled(route.route_id)
            return SetAside(
                work, target, NO_LANE, moment.wall + timedelta(seconds=NOT_YET_S), takes_new_slot=True
            )
        return ClaimedPush(
            message_id=message.message_id,
            person_id=device.person_id,
            delivery_id=self._database.delivery_ids.text(
                route.workspace_id, message.message_id, device.person_id
            ),
            device_id=target.device_id,
            generation=device.generation,
            token=device.token,
            id_kind=device.id_kind,
            platform=device.platform,
            registered_at=device.registered_at,
            content=content,
            expires_at=message.expires_at,
            keep_until=_kept_until(message, content, moment.wall),
            dry_run=message.dry_run,
            attempt=work.batch.attempt,
            urgent=work.batch.priority == 0,
            browser=self._browser(route.workspace_id, device),
            work=work,
            route=route,
            handed_at=moment.monotonic,
        )

    def _browser(self, workspace: WorkspaceId, device: ClaimedDevice) -> Browser | None:
        if device.browser_keys is None:
            return None
        return browser_keys.unseal(
            self._vault, workspace, device.token, device.browser_keys, device.vapid_key
        )


def _end(fate: final_check.Skip | final_check.Expire | final_check.Stop) -> tuple[End, str, str | None]:
    match fate:
        case final_check.Skip(reason):
            return End.SKIPPED, reason.value, None
        case final_check.Expire():
            return End.EXPIRED, "expired", None
        case final_check.Stop(reason, detail):
            return End.FAILED, reason, detail
        case unknown:
            assert_never(unknown)


def _kept_until(message: MessageToSend, content: Content, now: datetime) -> datetime:
    """Until when the push service keeps it for a phone that is off."""
    if content.ttl_s is None:
        return message.expires_at
    return min(message.expires_at, now + timedelta(seconds=content.ttl_s))
