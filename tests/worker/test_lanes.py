"""Lanes: what a worker may send on a route now, and what the answers make of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pushkeeper.core.delivery.outcome import (
    BadCredentials,
    Certainty,
    Refused,
    Scope,
    Silence,
    Throttled,
    Unanswered,
    Unavailable,
    Verdict,
)
from pushkeeper.core.delivery.retry import Held, Hold
from pushkeeper.core.model import DeviceId, Environment, Provider, RouteId, WorkspaceId
from pushkeeper.store.delivery.routes import PauseKind, Route
from pushkeeper.worker.lanes import LEAST_UNSETTLED, URGENT_BESIDES, Lanes

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
APNS, FCM = RouteId(1), RouteId(2)
AMBIGUOUS = Verdict(
    code="apns_bad_device_token",
    outcome=Refused(certainty=Certainty.AMBIGUOUS),
    status=400,
    reason="BadDeviceToken",
)
DOWN = Verdict(code="fcm_internal", outcome=Unavailable(first_wait_s=10.0, longest_wait_s=600.0), status=500)
TOO_FAST = Verdict(
    code="fcm_quota_exceeded_project", outcome=Throttled(scope=Scope.CREDENTIAL, after_s=120.0), status=429
)


def route(route_id, provider, **more):
    return Route(
        **{
            "route_id": route_id,
            "credential_id": int(route_id),
            "workspace_id": WorkspaceId(1),
            "provider": provider,
            "app": "app",
            "environment": Environment.PRODUCTION,
            "leg": "",
            "changed_at": NOON,
            "accepted_at": NOON,
            **more,
        }
    )


def device(number):
    return DeviceId(number.to_bytes(3, "big") + bytes(13))


@pytest.fixture
def lanes():
    found = Lanes(wall=NOON.timestamp)
    found.refresh([route(APNS, Provider.APNS), route(FCM, Provider.FCM)])
    return found


def send(lanes, which, count, now=0.0, *, again=False):
    """How many of so many pushes may go, each to another device."""
    return sum(lanes.wait_s(which, device(number), again=again, now=now) == 0.0 for number in range(count))


def test_a_lane_holds_a_bounded_number_of_pushes_until_it_answers(lanes):
    assert send(lanes, APNS, 5_000) == LEAST_UNSETTLED + URGENT_BESIDES
    assert lanes.rooms(0.0)[APNS] == 0
    for _ in range(800):
        lanes.settled(APNS)
    lanes.on_accepted(APNS, 4_000, now=0.5)
    assert lanes.rooms(0.5)[APNS] == 4_000 // 2 - 200
    assert lanes.rooms(9.0)[APNS] == LEAST_UNSETTLED - 200, "what it answered long ago counts for nothing"


def test_a_cold_fcm_project_begins_slowly_and_is_faster_a_minute_later(lanes):
    first = send(lanes, FCM, 5_000)
    assert first == 10, "a tenth of a second at the floor of the ramp"
    for second in range(1, 62):
        lanes.on_accepted(FCM, 5_000, now=float(second))
        for _ in range(send(lanes, FCM, 1, float(second))):
            lanes.settled(FCM)
    assert send(lanes, FCM, 5_000, 62.0) > 500


def test_what_a_workspace_allows_is_shared_by_the_workers_there_are(lanes):
    lanes.refresh([route(APNS, Provider.APNS, max_pushes_per_s=100, ramp_s=0)])
    lanes.workers = 4
    send(lanes, APNS, 1_000)
    sent = sum(send(lanes, APNS, 1_000, float(second)) for second in range(1, 11))
    assert sent == pytest.approx(250, abs=3)


def test_retries_have_a_budget_and_wait_half_a_minute_at_most(lanes):
    assert send(lanes, APNS, 100, again=True) == 1
    waits = [lanes.wait_s(APNS, device(n), again=True, now=0.0) for n in range(50)]
    assert all(1.0 <= wait <= 30.0 for wait in waits)


def test_a_lane_that_is_paused_for_all_workers_has_no_room_and_says_that_it_stopped(lanes):
    paused = route(
        APNS, Provider.APNS, paused_at=NOON, pause_reason="maintenance", pause_kind=PauseKind.OPERATOR
    )
    assert lanes.refresh([paused]) == [paused]
    assert lanes.refresh([paused]) == []
    assert lanes.rooms(0.0)[APNS] == 0
    assert lanes.refresh([route(APNS, Provider.APNS)]) == []
    assert lanes.rooms(0.0)[APNS] == LEAST_UNSETTLED


def test_a_held_push_closes_its_lane_before_the_pause_is_written_and_pauses_once(lanes):
    refused = Verdict(
        code="apns_invalid_credentials",
        outcome=BadCredentials(scope=Scope.CREDENTIAL),
        status=403,
        reason="BadKey",
    )
    held = Held(scope=Scope.CREDENTIAL, reason=Hold.CREDENTIALS, probe_after_s=300.0)
    for number in range(3):
        lanes.on_verdict(APNS, device(number), refused, now=0.0)
        lanes.stop(APNS, held, refused, 0.0)
    assert lanes.rooms(0.1)[APNS] == 0
    [pause], rests, _ = lanes.take_changes()
    assert (pause.whole, pause.kind, pause.reason, rests) == (
        True,
        "credentials",
        "credentials 403 BadKey",
        [],
    )
    assert len(lanes.take_closed()) == 1
    assert lanes.take_changes() == ([], [], [])
    assert lanes.rooms(5.1)[APNS] > 0, "a pause that was never written does not close it for good"


def test_a_wave_of_ambiguous_refusals_trips_the_guard_until_an_operator_has_answered(lanes):
    for number in range(19):
        lanes.on_verdict(APNS, device(number), AMBIGUOUS, now=0.0)
    assert not lanes[APNS].guarded
    lanes.on_verdict(APNS, device(20), AMBIGUOUS, now=0.0)
    [pause], _, alarms = lanes.take_changes()
    assert (pause.kind, pause.whole, pause.probe_after_s) == (PauseKind.GUARD, False, None)
    assert [alarm.reason for alarm in alarms] == ["guard"]
    assert lanes[APNS].guarded
    paused = route(APNS, Provider.APNS, paused_at=NOON, pause_reason="guard", pause_kind=PauseKind.GUARD)
    lanes.refresh([paused])
    assert lanes[APNS].guarded
    lanes.refresh([replace(paused, paused_at=None, pause_reason=None, pause_kind=None)])
    assert not lanes[APNS].guarded


def test_a_wave_that_an_operator_vouches_for_is_believed(lanes):
    lanes.refresh([route(APNS, Provider.APNS, believed_until=NOON.replace(hour=13))])
    for number in range(50):
        lanes.on_verdict(APNS, device(number), AMBIGUOUS, now=0.0)
    assert not lanes[APNS].guarded


def test_three_devices_that_are_throttled_let_the_project_rest_and_go_on_at_half_its_rate(lanes):
    lanes.refresh([route(FCM, Provider.FCM, ramp_s=0)])
    sent = send(lanes, FCM, 200)
    for number in (1, 1, 2):
        lanes.on_verdict(FCM, device(number), TOO_FAST, now=1.0)
    assert lanes.take_changes()[1] == []
    lanes.on_verdict(FCM, device(3), TOO_FAST, now=2.0)
    [rest] = lanes.take_changes()[1]
    assert (rest.whole, rest.rest_s) == (True, 120.0)
    assert rest.slowed_to_per_s == sent / 5 / 2
    assert lanes.rooms(2.0)[FCM] == 0


def test_throttled_devices_far_apart_are_not_the_project(lanes):
    for number in range(10):
        lanes.on_verdict(FCM, device(number), TOO_FAST, now=10.1 * number)
    assert lanes.take_changes()[1] == []


def test_a_route_rests_until_its_time_and_then_keeps_to_the_rate_it_was_slowed_to():
    clock = [NOON.timestamp()]
    lanes = Lanes(wall=lambda: clock[0])
    until = NOON.replace(minute=1)
    lanes.refresh([route(APNS, Provider.APNS, throttled_until=until, slowed_to_per_s=20.0, ramp_s=0)])
    assert lanes.rooms(0.0)[APNS] == 0
    assert lanes.opens_in_s(0.0) == 60.0
    clock[0] += 60.0
    send(lanes, APNS, 1_000, 60.0)
    clock[0] += 1.0
    assert 19 <= send(lanes, APNS, 1_000, 61.0) <= 21


def test_a_host_in_trouble_is_left_alone_and_then_asked_with_one_push(lanes):
    assert send(lanes, APNS, 30) == 30
    for number in range(30):
        lanes.on_verdict(APNS, device(number), DOWN, now=1.0)
        lanes.settled(APNS)
    assert lanes.rooms(1.0)[APNS] == 0
    assert lanes.opens_in_s(1.0) == 10.0
    assert [alarm.reason for alarm in lanes.take_changes()[2]] == ["breaker"]
    assert lanes.rooms(11.0)[APNS] == 1
    assert send(lanes, APNS, 30, 11.0) == 1
    lanes.settled(APNS)
    lanes.on_accepted(APNS, 1, now=12.0)
    assert lanes.rooms(12.0)[APNS] == LEAST_UNSETTLED


def test_what_was_not_processed_or_lost_says_nothing_of_the_host(lanes):
    for silence in (Silence.NOT_PROCESSED, Silence.LOST, Silence.TIMED_OUT):
        for number in range(30):
            verdict = Verdict(code="stream_refused", outcome=Unanswered(silence=silence))
            lanes.on_verdict(APNS, device(number), verdict, now=1.0)
    assert lanes.rooms(1.0)[APNS] > 0


def test_a_new_refusal_of_credentials_is_believed_at_the_fifth_device(lanes):
    doubted = BadCredentials(scope=Scope.CREDENTIAL, believed_from=5)
    verdict = Verdict(
        code="apns_unrecognized_response", outcome=doubted, status=403, reason="NewWord", alert="a new reason"
    )
    believed = [lanes.on_verdict(APNS, device(n), verdict, now=0.0) for n in (1, 2, 2, 3, 4, 5, 6)]
    assert believed == [False, False, False, False, False, True, True]


def test_results_are_handed_over_once(lanes):
    lanes.on_accepted(APNS, 3, now=0.0)
    lanes.on_verdict(APNS, device(1), AMBIGUOUS, now=0.0)
    assert lanes.take_results() == {(WorkspaceId(1), APNS): {"accepted": 3, "ambiguous": 1}}
    assert lanes.take_results() == {}
