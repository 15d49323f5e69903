"""Settle against the real database: what is written, and what is not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from pushkeeper.core.delivery.outcome import (
    Accepted,
    BadCredentials,
    BadMessage,
    Certainty,
    Refused,
    Scope,
    Silence,
    Throttled,
    Unanswered,
    Verdict,
)
from pushkeeper.core.delivery.retry import Deferred, End, Held, Hold, Settled
from pushkeeper.core.identity import of_path
from pushkeeper.core.model import Content, Environment, Platform, Provider, Push, Secret, Token
from pushkeeper.services.messages.transactional import TransactionalPush, TransactionalPushes
from pushkeeper.services.people import People
from pushkeeper.services.routes import Routes
from pushkeeper.store.admin import credentials, vault
from pushkeeper.store.admin.credentials import NewCredential
from pushkeeper.store.delivery import queue as push_queue
from pushkeeper.store.delivery import routes
from pushkeeper.store.delivery.routes import PauseKind
from pushkeeper.store.devices import devices
from pushkeeper.store.devices.devices import Registration
from pushkeeper.store.people.people import PersonReference
from pushkeeper.worker import slices
from pushkeeper.worker.in_hand import Work
from pushkeeper.worker.lanes import Pause
from pushkeeper.worker.metrics import WorkerMetrics
from pushkeeper.worker.results import Answered, NotSent, SetAside, Slice
from support.actors import BY

ACCEPTED = Verdict(code="fcm_accepted", outcome=Accepted(provider_id="id"), status=200)
REFUSED = Verdict(
    code="fcm_unregistered", outcome=Refused(certainty=Certainty.DEFINITE), status=404, reason="UNREGISTERED"
)


class Desk:
    """A workspace with one route, from which batches are claimed and settled by hand."""

    def __init__(self, database, workspace_id, safe):
        self.database = database
        self.workspace_id = workspace_id
        self.safe = safe
        self.registry = People(database)
        self.sending = TransactionalPushes(database, {})

    async def register(self, person, token):
        await self.registry.register(
            PersonReference(workspace_id=self.workspace_id, path=of_path(person)),
            Registration(token=Token(token), platform=Platform.ANDROID, last_used=datetime.now(UTC)),
        )

    async def queue(self, person):
        push = TransactionalPush(
            naming=PersonReference(workspace_id=self.workspace_id, path=of_path(person)),
            content=Content(title="Hello"),
        )
        return await self.sending.accept(push)

    async def claim(self):
        room = push_queue.ClaimLimits(devices=1_000, not_urgent=1_000, lanes={})
        claimed = await push_queue.claim(self.database, room=room, lease_s=60)
        return [Work(batch) for batch in claimed if batch.workspace_id == self.workspace_id]

    async def route(self):
        [route, _] = await routes.of_workspaces(self.database, [self.workspace_id])
        return route

    async def answered(self, work, verdict, decision, *, which=0):
        target = work.batch.targets[which]
        push = Push(
            message_id=work.batch.message_id,
            person_id=target.planned_for,
            delivery_id="a delivery",
            device_id=target.device_id,
            generation=target.device.generation,
            token=target.device.token,
            id_kind=target.device.id_kind,
            platform=target.device.platform,
            registered_at=target.device.registered_at,
            content=Content(title="Hello"),
            expires_at=datetime.now(UTC) + timedelta(days=1),
            keep_until=datetime.now(UTC) + timedelta(days=1),
            attempt=work.batch.attempt,
        )
        return Answered(work, push, await self.route(), verdict, decision)

    async def write(self, *outcomes, **learned):
        return await slices.write(self.database, Slice(outcomes=outcomes, **learned), WorkerMetrics())

    async def pushes(self):
        rows = await self.database.rows(
            "select ending, push_reason(ending, provider, reason) as reason, provider_status, attempts from pushes where workspace_id = $1 order by settled_at",
            self.workspace_id,
        )
        return [tuple(row.values()) for row in rows]

    async def queued(self):
        rows = await self.database.rows(
            "select attempt, cardinality(device_ids) as devices, lane, claim_id is not null as claimed, due_at "
            "from batches where workspace_id = $1 order by batch_id",
            self.workspace_id,
        )
        return [dict(row) for row in rows]

    async def status(self, token):
        found = await devices.read(self.database, self.workspace_id, Token(token))
        assert found is not None
        return found.status


@pytest_asyncio.fixture
async def desk(database, workspace, tmp_path: Path):
    made, _ = workspace
    safe = vault.Vault(vault.key_of_folder(tmp_path))
    await credentials.put(
        database,
        safe,
        made.workspace_id,
        NewCredential(
            provider=Provider.FCM,
            kind="service_account",
            app="project",
            environment=Environment.PRODUCTION,
            facts={},
            secret=Secret(b"{}"),
        ),
    )
    return Desk(database, made.workspace_id, safe)


async def test_an_accepted_push_is_one_row_a_sent_device_and_a_proved_route(desk):
    await desk.register("ann", "t1")
    await desk.queue("ann")
    [work] = await desk.claim()
    await desk.write(await desk.answered(work, ACCEPTED, Settled(end=End.ACCEPTED)))
    assert await desk.pushes() == [("accepted", "fcm_accepted", 200, 1)]
    assert await desk.status("t1") == "sent"
    assert await desk.queued() == []
    assert (await desk.route()).accepted_at is not None


async def test_a_worker_that_lost_its_claim_writes_nothing(desk):
    await desk.register("ann", "t1")
    await desk.queue("ann")
    [late] = await desk.claim()
    await push_queue.release(desk.database, [late.batch.claim])
    [work] = await desk.claim()
    await desk.write(await desk.answered(late, REFUSED, Settled(end=End.BOUNCED)))
    assert await desk.pushes() == []
    assert await desk.status("t1") == ""
    assert late.unsettled == {}
    await desk.write(await desk.answered(work, ACCEPTED, Settled(end=End.ACCEPTED)))
    assert await desk.pushes() == [("accepted", "fcm_accepted", 200, 1)]


async def test_what_may_have_been_put_back_into_the_queue_already_is_not_put_there_twice(desk):
    for token in ("t1", "t2", "t3"):
        await desk.register("ann", token)
    await desk.queue("ann")
    [work] = await desk.claim()
    verdict = Verdict(code="no_response", outcome=Unanswered(silence=Silence.LOST))
    again = [await desk.answered(work, verdict, Deferred(due_at=datetime.now(UTC)), which=0)]
    await desk.write(*again)
    # The response to this commit was lost, and so was the server that could say whether it took place.
    work.unsettled = {target.device_id: target.planned_for for target in work.batch.targets}
    unknown = [*again, await desk.answered(work, verdict, Deferred(due_at=datetime.now(UTC)), which=1)]
    await slices.Attempt(Slice(outcomes=unknown), WorkerMetrics(), cautious=True).write(desk.database)
    left = [(row["attempt"], row["devices"]) for row in await desk.queued()]
    assert left == [(0, 1), (1, 1), (1, 1)]


async def test_what_is_settled_of_a_batch_is_not_claimed_again(desk):
    await desk.register("ann", "t1")
    await desk.register("ann", "t2")
    await desk.queue("ann")
    [work] = await desk.claim()
    first = work.batch.targets[0].device_id
    await desk.write(await desk.answered(work, ACCEPTED, Settled(end=End.ACCEPTED)))
    assert list(work.unsettled) == [work.batch.targets[1].device_id]
    await push_queue.release(desk.database, [work.batch.claim])
    [again] = await desk.claim()
    assert [target.device_id for target in again.batch.targets] == [
        t.device_id for t in work.batch.targets if t.device_id != first
    ]


async def test_a_deferred_push_is_due_again_later_and_changes_no_device(desk):
    await desk.register("ann", "t1")
    await desk.queue("ann")
    [work] = await desk.claim()
    due_at = datetime.now(UTC) + timedelta(seconds=90)
    verdict = Verdict(
        code="fcm_quota_exceeded_device", outcome=Throttled(scope=Scope.DEVICE, after_s=90), status=429
    )
    await desk.write(await desk.answered(work, verdict, Deferred(due_at=due_at)))
    [waiting] = await desk.queued()
    assert (waiting["attempt"], waiting["devices"], waiting["claimed"]) == (1, 1, False)
    assert due_at <= waiting["due_at"] <= due_at + timedelta(seconds=1)
    assert await desk.claim() == []
    assert await desk.pushes() == []
    assert await desk.status("t1") == ""


async def test_an_attempt_that_nobody_looked_at_is_not_charged(desk):
    await desk.register("ann", "t1")
    await desk.queue("ann")
    [work] = await desk.claim()
    verdict = Verdict(code="stream_refused", outcome=Unanswered(silence=Silence.NOT_PROCESSED))
    again = Deferred(due_at=datetime.now(UTC), charged=False)
    await desk.write(await desk.answered(work, verdict, again))
    [claimed] = await desk.claim()
    assert claimed.batch.attempt == 0


async def test_deferred_pushes_of_one_second_wait_in_one_batch(desk):
    for token in ("t1", "t2", "t3"):
        await desk.register("ann", token)
    await desk.queue("ann")
    [work] = await desk.claim()
    base = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=60)
    verdict = Verdict(code="fcm_internal", outcome=Unanswered(silence=Silence.LOST))
    outcomes = [
        await desk.answered(work, verdict, Deferred(due_at=base + timedelta(milliseconds=100 * n)), which=n)
        for n in (1, 2)
    ]
    outcomes.append(
        await desk.answered(work, verdict, Deferred(due_at=base + timedelta(seconds=30)), which=0)
    )
    await desk.write(*outcomes)
    assert sorted(batch["devices"] for batch in await desk.queued()) == [1, 2]


async def test_bad_credentials_hold_the_push_pause_the_route_and_bounce_nobody(desk):
    await desk.register("ann", "t1")
    await desk.queue("ann")
    [work] = await desk.claim()
    verdict = Verdict(
        code="fcm_permission_denied",
        outcome=BadCredentials(scope=Scope.CREDENTIAL),
        status=403,
        reason="PERMISSION_DENIED",
    )
    held = Held(scope=Scope.CREDENTIAL, reason=Hold.CREDENTIALS)
    route = await desk.route()
    stop = Pause(
        route=route, whole=True, kind=PauseKind.CREDENTIALS, reason="credentials 403", probe_after_s=60.0
    )
    await desk.write(await desk.answered(work, verdict, held), pauses=[stop])
    [waiting] = await desk.queued()
    assert waiting["lane"] == route.route_id
    for paused in await routes.of_workspaces(desk.database, [desk.workspace_id]):
        assert (paused.pause_kind, paused.pause_reason) == ("credentials", "credentials 403")
        assert paused.probe_at is not None
    assert await desk.claim() == []
    assert await desk.status("t1") == ""
    assert await Routes(desk.database).resume(BY, desk.workspace_id, route.name) == 1
    [released] = await desk.claim()
    assert released.batch.attempt == 0


async def test_one_leg_that_is_refused_leaves_the_other_alone(desk):
    await desk.register("ann", "t1")
    await desk.queue("ann")
    [work] = await desk.claim()
    verdict = Verdict(
        code="fcm_third_party_auth_error", outcome=BadCredentials(scope=Scope.APPLE_LEG), status=401
    )
    held = Held(scope=Scope.APPLE_LEG, reason=Hold.CREDENTIALS)
    stop = Pause(
        route=await desk.route(), whole=False, kind=PauseKind.CREDENTIALS, reason="401", probe_after_s=None
    )
    await desk.write(await desk.answered(work, verdict, held), pauses=[stop])
    found = await routes.of_workspaces(desk.database, [desk.workspace_id])
    paused = [route.paused_at is not None for route in found]
    assert paused == [True, False]


async def test_an_unproven_refusal_is_held_and_pauses_nothing(desk):
    await desk.register("ann", "t1")
    await desk.queue("ann")
    [work] = await desk.claim()
    verdict = Verdict(
        code="fcm_sender_id_mismatch",
        outcome=Refused(certainty=Certainty.AMBIGUOUS),
        status=403,
        reason="SENDER_ID_MISMATCH",
    )
    held = Held(scope=Scope.CREDENTIAL, reason=Hold.UNPROVEN)
    await desk.write(await desk.answered(work, verdict, held))
    assert await desk.queued() == []
    [outcomes, _] = await Routes(desk.database).all(desk.workspace_id)
    assert outcomes.health.held_verdicts == 1
    assert outcomes.route.paused_at is None
    assert await desk.status("t1") == ""


async def test_a_bad_message_fails_and_bounces_nobody(desk):
    await desk.register("ann", "t1")
    await desk.queue("ann")
    [work] = await desk.claim()
    verdict = Verdict(
        code="fcm_invalid_argument_message",
        outcome=BadMessage(),
        status=400,
        reason="INVALID_ARGUMENT",
        detail="nul \0 and \ud800",
    )
    await desk.write(await desk.answered(work, verdict, Settled(end=End.FAILED)))
    assert await desk.pushes() == [("failed", "fcm_invalid_argument_message", 400, 1)]
    assert await desk.status("t1") == ""


async def test_an_answer_to_an_old_generation_is_recorded_and_changes_nothing(desk):
    await desk.register("ann", "t1")
    await desk.queue("ann")
    [work] = await desk.claim()
    await desk.register("ann", "t1")
    await desk.write(await desk.answered(work, REFUSED, Settled(end=End.BOUNCED)))
    assert await desk.pushes() == [("bounced", "fcm_unregistered", 404, 1)]
    assert await desk.status("t1") == ""


async def test_a_skip_is_a_row_with_its_reason(desk):
    await desk.register("ann", "t1")
    await desk.queue("ann")
    [work] = await desk.claim()
    await desk.write(NotSent(work, work.batch.targets[0], End.SKIPPED, "moved"))
    assert await desk.pushes() == [("skipped", "moved", None, 0)]
    assert await desk.queued() == []


async def test_what_a_paused_route_would_have_sent_waits_with_it(desk):
    await desk.register("ann", "t1")
    await desk.queue("ann")
    [work] = await desk.claim()
    route = await desk.route()
    await desk.write(SetAside(work, work.batch.targets[0], route.route_id, datetime.now(UTC)))
    [waiting] = await desk.queued()
    assert (waiting["lane"], waiting["attempt"]) == (route.route_id, 0)


@pytest.mark.parametrize("strikes", [1, 2])
async def test_strikes_are_counted_by_pushes_and_not_by_attempts(desk, strikes):
    await desk.register("ann", "t1")
    for _ in range(strikes):
        await desk.queue("ann")
    for work in await desk.claim():
        await desk.write(await desk.answered(work, REFUSED, Settled(end=End.BOUNCED)))
    assert await desk.status("t1") == {1: "bounced", 2: "suppressed"}[strikes]
