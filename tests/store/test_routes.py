"""Routes: paused, resumed and throttled for all workers, with their queues and their rejections on hold."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from msgspec import structs

from pushkeeper.core.delivery.refusal_guard import Result
from pushkeeper.core.identity import of_path
from pushkeeper.core.model import (
    Content,
    Environment,
    PersonId,
    Platform,
    Provider,
    Secret,
    Token,
    WorkspaceId,
    uuid7,
)
from pushkeeper.errors import Conflict, NotFound
from pushkeeper.services.people import People
from pushkeeper.services.routes import Routes
from pushkeeper.store import webhooks
from pushkeeper.store.admin import credentials, workspaces
from pushkeeper.store.admin.credentials import NewCredential
from pushkeeper.store.admin.vault import Vault
from pushkeeper.store.db.database import ROUTES_CHANNEL
from pushkeeper.store.delivery import held_refusals, queue, routes
from pushkeeper.store.delivery.held_refusals import HeldVerdict
from pushkeeper.store.delivery.routes import PauseKind
from pushkeeper.store.devices import devices
from pushkeeper.store.devices.devices import Registration
from pushkeeper.store.messages import messages
from pushkeeper.store.people.people import PersonReference
from pushkeeper.store.webhooks import WebhookDefinition
from support.actors import BY

VAULT = Vault(Secret(bytes(32)))
APNS = NewCredential(
    provider=Provider.APNS,
    kind="key",
    app="com.example.app",
    environment=Environment.PRODUCTION,
    facts={},
    secret=Secret(b"key"),
)
FCM = NewCredential(
    provider=Provider.FCM,
    kind="service_account",
    app="my-project",
    environment=Environment.PRODUCTION,
    facts={},
    secret=Secret(b"account"),
)
ANDROID, APPLE_LEG, IOS = "fcm:my-project", "fcm:my-project:apple", "apns:production:com.example.app"
ALL_ROOM = queue.ClaimLimits(devices=1_000, not_urgent=1_000, lanes={})


@dataclass
class Desk:
    """A workspace with routes, and batches and verdicts that are put there by hand."""

    database: Any
    workspace_id: WorkspaceId
    routing: Routes

    async def put(self, new):
        return await credentials.put(self.database, VAULT, self.workspace_id, new)

    async def route(self, name):
        found = await routes.of_workspaces(self.database, [self.workspace_id])
        return next(route for route in found if route.name == name)

    async def facts(self, name):
        return next(f for f in await self.routing.all(self.workspace_id) if f.route.name == name)

    async def pause(self, name, *, whole=False, kind=PauseKind.CREDENTIALS, reason="credentials", probe=None):
        route = await self.route(name)
        return await self.database.in_transaction(
            lambda connection: routes.pause(
                connection,
                route,
                whole=whole,
                kind=kind,
                reason=reason,
                probe_after_s=probe,
            )
        )

    async def message(self):
        """A message for one person, and the only batch of it."""
        now = datetime.now(UTC)
        message_id = uuid7(int(now.timestamp() * 1000), secrets.token_bytes(10))
        message = messages.NewMessage(
            message_id=message_id,
            workspace_id=self.workspace_id,
            person_id=PersonId(1),
            content=Content(title="waits"),
            pick="all",
            send_to_unsubscribed=True,
            send_at=now,
            expires_at=now + timedelta(days=1),
        )
        await self.database.in_transaction(lambda connection: messages.insert(connection, [message]))
        return message_id

    async def in_lane(self, name, devices, *, priority=1, due_in_s=0.0):
        """A batch that waits in a route's lane; "" is for no lane."""
        message_id = await self.message()
        lane = (await self.route(name)).route_id if name else 0
        await self.database.rows(
            "update batches set person_id = null, pick = null, device_ids = $2, person_ids = $3, lane = $4, "
            "priority = $5, due_at = now() + make_interval(secs => $6) where message_id = $1",
            message_id,
            [secrets.token_bytes(16) for _ in range(devices)],
            [1] * devices,
            lane,
            priority,
            due_in_s,
        )
        return message_id

    async def claim(self, room=ALL_ROOM):
        claimed = await queue.claim(self.database, room=room, lease_s=60)
        return [batch.message_id for batch in claimed if batch.workspace_id == self.workspace_id]

    async def register(self, token):
        naming = PersonReference(workspace_id=self.workspace_id, path=of_path(token))
        registration = Registration(
            token=Token(token), platform=Platform.ANDROID, last_used=datetime.now(UTC)
        )
        await People(self.database).register(naming, registration)
        return await devices.read(self.database, self.workspace_id, Token(token))

    async def hold(self, name, token, why=held_refusals.UNPROVEN):
        """A refusal of a push to this device, held."""
        device = await devices.read(self.database, self.workspace_id, Token(token)) or await self.register(
            token
        )
        message_id = await self.message()
        await self.database.rows("delete from batches where message_id = $1", message_id)
        held = HeldVerdict(
            message_id=message_id,
            device_id=device.device_id,
            workspace_id=self.workspace_id,
            route_id=(await self.route(name)).route_id,
            person_id=device.person_id,
            generation=device.generation,
            why=why,
            priority=0,
            attempt=0,
            first_attempt_at=datetime.now(UTC),
            reason="fcm_sender_id_mismatch",
            provider="fcm",
            provider_status=403,
            provider_reason="SENDER_ID_MISMATCH",
            detail=None,
        )
        await self.database.in_transaction(lambda connection: held_refusals.hold(connection, [held]))
        return message_id

    async def status(self, token):
        found = await devices.read(self.database, self.workspace_id, Token(token))
        assert found is not None
        return found.status

    async def endings(self):
        rows = await self.database.rows(
            "select ending, push_reason(ending, provider, reason) as reason from pushes where workspace_id = $1",
            self.workspace_id,
        )
        return [tuple(row.values()) for row in rows]


@pytest_asyncio.fixture
async def desk(database, workspace):
    made, _ = workspace
    found = Desk(database, made.workspace_id, Routes(database))
    await found.put(FCM)
    await found.put(APNS)
    return found


async def test_apns_opens_one_route_and_fcm_one_for_each_leg(desk):
    await desk.put(replace(APNS, environment=Environment.SANDBOX))
    found = await desk.routing.all(desk.workspace_id)
    assert {facts.route.name: facts.state for facts in found} == {
        IOS: "unproved",
        "apns:sandbox:com.example.app": "unproved",
        ANDROID: "unproved",
        APPLE_LEG: "unproved",
    }


async def test_routes_are_of_the_workspaces_asked_for(desk):
    other, _ = await workspaces.create(desk.database, secrets.token_hex(8))
    await credentials.put(desk.database, VAULT, other.workspace_id, APNS)
    assert len(await routes.of_workspaces(desk.database, [desk.workspace_id])) == 3
    assert len(await routes.of_workspaces(desk.database, [desk.workspace_id, other.workspace_id])) == 4


async def test_nobody_claims_what_is_in_the_lane_of_a_paused_route(desk):
    await desk.pause(ANDROID)
    await desk.in_lane(ANDROID, devices=2)
    elsewhere = await desk.in_lane(IOS, devices=2)
    unknown = await desk.in_lane("", devices=1)
    assert set(await desk.claim()) == {elsewhere, unknown}
    assert (await desk.facts(ANDROID)).health.waiting == 2


async def test_resuming_a_route_releases_its_queue_and_nothing_else(desk):
    await desk.pause(ANDROID, whole=True)
    on_android = await desk.in_lane(ANDROID, devices=2)
    await desk.in_lane(APPLE_LEG, devices=3)
    assert await desk.routing.resume(BY, desk.workspace_id, ANDROID) == 2
    assert await desk.claim() == [on_android]
    assert (await desk.route(ANDROID)).pause_reason is None
    assert (await desk.route(APPLE_LEG)).pause_reason == "credentials"


async def test_nobody_decides_on_the_routes_of_another_workspace(desk):
    other, _ = await workspaces.create(desk.database, secrets.token_hex(8))
    await desk.pause(ANDROID)
    for decide in (
        desk.routing.pause,
        desk.routing.resume,
        desk.routing.apply,
        desk.routing.discard,
    ):
        with pytest.raises(NotFound, match="fcm:my-project"):
            await decide(BY, other.workspace_id, ANDROID)
    assert (await desk.route(ANDROID)).paused_at is not None


async def test_an_operator_pauses_once_and_says_why(desk):
    await desk.routing.pause(BY, desk.workspace_id, ANDROID, reason="maintenance")
    paused = await desk.route(ANDROID)
    assert (paused.pause_kind, paused.pause_reason, paused.probe_at) == ("operator", "maintenance", None)
    with pytest.raises(Conflict, match="already paused"):
        await desk.routing.pause(BY, desk.workspace_id, ANDROID)


async def test_a_paused_route_keeps_its_first_reason(desk):
    assert len(await desk.pause(IOS)) == 1
    paused = await desk.route(IOS)
    assert await desk.pause(IOS, reason="something else") == []
    assert await desk.route(IOS) == paused


async def test_one_leg_is_paused_without_the_other(desk):
    await desk.pause(APPLE_LEG)
    assert (await desk.route(APPLE_LEG)).paused_at is not None
    assert (await desk.route(ANDROID)).paused_at is None


async def test_new_credentials_release_the_queue_and_have_to_be_verified(desk):
    route = await desk.route(IOS)
    await desk.database.in_transaction(lambda connection: routes.mark_accepted(connection, [route.key]))
    assert (await desk.route(IOS)).accepted_at is not None
    await desk.pause(IOS)
    waiting = await desk.in_lane(IOS, devices=1)
    await desk.hold(IOS, "held-token", held_refusals.GUARD)
    await desk.put(replace(APNS, secret=Secret(b"a new key")))
    after = await desk.route(IOS)
    assert after.route_id == route.route_id
    assert (after.accepted_at, after.paused_at, after.pause_kind) == (None, None, None)
    claimed = await desk.claim()
    assert waiting in claimed
    assert len(claimed) == 2, "the push whose refusal was held is sent again"
    assert await desk.status("held-token") == ""


async def test_every_worker_is_notified_of_a_change_at_its_commit(desk):
    heard = asyncio.Event()
    async with desk.database.listening([(ROUTES_CHANNEL, lambda _: heard.set())]):
        await desk.routing.pause(BY, desk.workspace_id, IOS)
        await asyncio.wait_for(heard.wait(), 10)


async def test_a_throttled_route_rests_and_then_goes_on_slowly(desk):
    route = await desk.route(ANDROID)
    waiting = await desk.in_lane(ANDROID, devices=1)

    async def throttle(rest_s):
        await desk.database.in_transaction(
            lambda connection: routes.throttle(
                connection, route, whole=True, rest_s=rest_s, slowed_to_per_s=40.0
            )
        )

    await throttle(60.0)
    assert await desk.claim() == []
    assert (await desk.facts(APPLE_LEG)).state == "slowed"
    longer = (await desk.route(ANDROID)).throttled_until
    await throttle(1.0)
    assert (await desk.route(ANDROID)).throttled_until == longer, "a longer rest that is under way stands"
    await desk.database.rows("update routes set throttled_until = now() where route_id = $1", route.route_id)
    assert await desk.claim() == [waiting]


async def test_a_probe_is_due_once_for_all_workers(desk):
    await desk.database.rows("update routes set probe_at = null")
    await desk.pause(IOS, probe=0.0)
    await desk.pause(APPLE_LEG, probe=None)
    due = await routes.due_probes(desk.database, again_after_s=300.0)
    assert [route.name for route in due if route.workspace_id == desk.workspace_id] == [IOS]
    assert await routes.due_probes(desk.database, again_after_s=300.0) == []


async def test_what_is_held_until_a_route_proves_itself_is_believed_then(desk):
    await desk.hold(ANDROID, "held-token")
    assert (await desk.facts(ANDROID)).health.held_verdicts == 1
    assert await desk.endings() == []
    route = await desk.route(ANDROID)
    await desk.database.in_transaction(lambda connection: routes.mark_accepted(connection, [route.key]))
    await desk.hold(ANDROID, "another-token")
    assert await desk.status("another-token") == "bounced", "by then it has proved itself"
    assert await desk.endings() == [("bounced", "fcm_sender_id_mismatch")] * 2


async def test_applied_refusals_are_strikes_and_the_guard_believes_such_for_a_while(desk):
    await desk.hold(ANDROID, "held-token", held_refusals.GUARD)
    await desk.hold(ANDROID, "held-token", held_refusals.GUARD)
    await desk.pause(ANDROID, kind=PauseKind.GUARD)
    assert await desk.routing.apply(BY, desk.workspace_id, ANDROID) == 2
    assert await desk.status("held-token") == "suppressed"
    route = await desk.route(ANDROID)
    assert route.paused_at is None
    assert route.believed_until is not None


async def test_discarded_refusals_change_no_device_and_their_pushes_go_again(desk):
    first = await desk.hold(ANDROID, "held-token", held_refusals.GUARD)
    second = await desk.hold(ANDROID, "held-token", held_refusals.UNPROVEN)
    await desk.pause(ANDROID, kind=PauseKind.GUARD)
    wanted = WebhookDefinition(
        name="ours", endpoint="https://example.com/", events=("push_attempted", "push_bounced")
    )
    hook = await webhooks.insert(desk.database, desk.workspace_id, wanted, Secret(b"sealed"), most=10)
    assert hook is not None
    assert await desk.routing.discard(BY, desk.workspace_id, ANDROID) == 2
    assert await desk.status("held-token") == ""
    assert await desk.endings() == []
    told = await webhooks.waiting(desk.database, desk.workspace_id, hook, most=10)
    assert {(one.metric, one.message_id) for one in told} == {("attempted", first), ("attempted", second)}
    assert set(await desk.claim()) == {first, second}


async def test_a_refusal_that_is_held_counts_for_its_generation_alone(desk):
    await desk.hold(ANDROID, "held-token")
    await desk.register("held-token")
    await desk.routing.apply(BY, desk.workspace_id, ANDROID)
    assert await desk.status("held-token") == ""
    assert await desk.endings() == [("bounced", "fcm_sender_id_mismatch")]


async def test_applying_to_a_route_that_was_paused_for_another_reason_leaves_it_paused(desk):
    await desk.pause(ANDROID, kind=PauseKind.CREDENTIALS)
    await desk.routing.apply(BY, desk.workspace_id, ANDROID)
    assert (await desk.route(ANDROID)).paused_at is not None


async def test_results_are_added_up_by_the_hour_and_make_the_norm_of_the_hours_before(desk):
    route = await desk.route(ANDROID)
    results = {route.key: {Result.ACCEPTED: 90, Result.AMBIGUOUS: 10}}
    for _ in range(2):
        await desk.database.in_transaction(lambda connection: routes.count(connection, results))
    facts = await desk.facts(ANDROID)
    assert (facts.health.accepted, facts.health.ambiguous) == (180, 20)
    assert facts.route.norm == 0.0, "a wave that is under way is not its own norm"
    await desk.database.rows(
        "update route_hours set hour = hour - interval '2 hours' where route_id = $1", route.route_id
    )
    assert (await desk.route(ANDROID)).norm == pytest.approx(0.1)


async def test_alerts_are_counted_and_listed_with_their_route(desk):
    route = await desk.route(ANDROID)
    for text in ("first", "again"):
        await desk.database.in_transaction(
            lambda connection, text=text: routes.alert(
                connection, route, "fcm_unrecognized_response", text, "raw \0 answer"
            )
        )
    [alert] = (await desk.facts(ANDROID)).alerts
    assert (alert.reason, alert.alert, alert.detail, alert.times) == (
        "fcm_unrecognized_response",
        "again",
        "raw  answer",
        2,
    )


async def test_what_expires_in_a_paused_lane_is_claimed_to_be_settled_as_that(desk):
    await desk.pause(ANDROID)
    waiting = await desk.in_lane(ANDROID, devices=1)
    await desk.in_lane(ANDROID, devices=1)
    await desk.database.rows("update messages set expires_at = now() where message_id = $1", waiting)
    await queue.take_expired_out_of_lanes(desk.database)
    assert await desk.claim() == [waiting]


async def test_a_lane_is_claimed_from_as_far_as_it_has_room(desk):
    route = await desk.route(ANDROID)
    first = [await desk.in_lane(ANDROID, devices=10) for _ in range(3)]
    on_ios = await desk.in_lane(IOS, devices=10)
    room = queue.ClaimLimits(devices=1_000, not_urgent=1_000, lanes={route.route_id: 15})
    assert set(await desk.claim(room)) == {first[0], first[1], on_ios}
    closed = queue.ClaimLimits(devices=1_000, not_urgent=1_000, lanes={route.route_id: 0})
    assert await desk.claim(closed) == []
    assert await desk.claim() == [first[2]]


async def test_a_broadcast_leaves_room_for_what_is_urgent(desk):
    await desk.database.rows("delete from batches")
    for _ in range(3):
        await desk.in_lane(IOS, devices=10, priority=1)
    urgent = [await desk.in_lane("", devices=1, priority=0) for _ in range(3)]
    claimed = await desk.claim(queue.ClaimLimits(devices=10, not_urgent=2, lanes={}))
    assert set(urgent) < set(claimed)
    assert len(claimed) == 4
    assert await desk.claim(queue.ClaimLimits(devices=10, not_urgent=0, lanes={})) == []


async def test_workspaces_take_turns_however_much_one_has_queued(desk):
    await desk.database.rows("delete from batches")
    other, _ = await workspaces.create(desk.database, secrets.token_hex(8))
    theirs = replace(desk, workspace_id=other.workspace_id)
    await theirs.put(APNS)
    for _ in range(20):
        await desk.in_lane(IOS, devices=10)
    late = await theirs.in_lane(IOS, devices=10)
    claimed = await queue.claim(
        desk.database, room=queue.ClaimLimits(devices=20, not_urgent=20, lanes={}), lease_s=60
    )
    assert late in [batch.message_id for batch in claimed]


async def test_the_next_that_is_due_is_not_looked_for_in_a_lane_that_is_closed(desk):
    await desk.database.rows("delete from batches")
    route = await desk.route(ANDROID)
    await desk.in_lane(ANDROID, devices=1, due_in_s=100.0)
    due_s = await queue.next_due_s(desk.database, closed=[])
    assert due_s is not None
    assert 90 < due_s <= 100
    assert await queue.next_due_s(desk.database, closed=[route.route_id]) is None
    await desk.pause(ANDROID)
    assert await queue.next_due_s(desk.database, closed=[]) is None


async def test_what_a_workspace_chooses_is_kept_and_known_to_its_routes(desk):
    changes = {"suppress_after": 3, "max_pushes_per_s": 50, "ramp_s": 0}
    before = await workspaces.options(desk.database, desk.workspace_id)
    chosen = await workspaces.choose(desk.database, desk.workspace_id, changes)
    assert chosen == structs.replace(before, **changes)
    assert await workspaces.options(desk.database, desk.workspace_id) == chosen
    route = await desk.route(IOS)
    assert (route.max_pushes_per_s, route.ramp_s) == (50, 0)
    await workspaces.choose(desk.database, desk.workspace_id, {"max_pushes_per_s": None})
    assert (await desk.route(IOS)).max_pushes_per_s is None
