"""What an explanation comes to, for each way in which a push can end or wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from pushkeeper.core.delivery.device_status import LastStatus
from pushkeeper.core.delivery.eligibility import SkipReason
from pushkeeper.core.explain.explain import explain
from pushkeeper.core.explain.facts import (
    Broadcast,
    Device,
    DeviceEvidence,
    Evidence,
    Message,
    NoRoute,
    Person,
    Push,
    QueuedPush,
    Route,
)
from pushkeeper.core.explain.obstacles import REMEDIES
from pushkeeper.core.model import Content, PersonId, Platform, Token

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
ANN = Person(
    person_id=PersonId(1), known_by={"id": "ann"}, unsubscribed=False, channel_off=False, created_at=NOW
)
PHONE = Device(
    token=Token("t" * 64),
    person_id=PersonId(1),
    platform=Platform.IOS,
    app="",
    environment="",
    status=LastStatus.SENT,
    strikes=0,
    failure_reason=None,
    registered_at=NOW,
    last_used=NOW,
    no_permission=False,
    same_phone=False,
)
ROUTE = Route(name="apns:production:app", accepted_at=NOW, paused_at=None, pause_reason=None)
ONE = DeviceEvidence(key="00" * 16, device=PHONE, route=ROUTE)
PUSH = Push(
    ending="accepted",
    reason="apns_accepted",
    provider="apns",
    provider_status=200,
    provider_reason="",
    provider_id="id",
    detail=None,
    attempts=1,
    settled_at=NOW,
)
SENT = Broadcast(
    number=7,
    state="planned",
    named=False,
    due_at=NOW,
    started_at=NOW,
    planned_at=NOW,
    paused_at=None,
    cancelled_at=None,
)
MESSAGE = Message(
    message_id="m",
    kind="broadcast",
    created_at=NOW,
    expires_at=NOW + timedelta(days=1),
    content=Content(title="Hello"),
    send_to_unsubscribed=False,
    platforms=None,
    stop_reason=None,
    broadcast=SENT,
)


def asked(*devices, message=MESSAGE, person=ANN):
    return explain(Evidence(now=NOW, person=person, message=message, devices=devices or (ONE,)))


@pytest.mark.parametrize(
    ("ended", "said", "change"),
    [
        (
            {"ending": "bounced", "provider_status": 410, "provider_reason": "Unregistered"},
            "bounced",
            "reinstall the app",
        ),
        ({"ending": "expired", "provider": None}, "expired before it could be sent", "increase the TTL"),
        ({"ending": "unknown"}, "response was lost", "resend"),
        (
            {"ending": "failed", "reason": "apns_payload_too_large", "provider_reason": "PayloadTooLarge"},
            "failed: apns_payload_too_large",
            "PayloadTooLarge",
        ),
        (
            {"ending": "failed", "reason": "too_large", "provider": None},
            "failed: too_large",
            "shorten the message",
        ),
        ({"ending": "skipped", "reason": "dry_run"}, "skipped: dry_run", "without dry_run"),
        *(
            (
                {"ending": "skipped", "reason": reason.value, "provider": None},
                f"skipped: {reason.value}",
                change,
            )
            for reason, change in REMEDIES.items()
        ),
    ],
)
def test_each_end_says_what_would_have_helped(ended, said, change):
    found = asked(replace(ONE, push=replace(PUSH, **ended)))
    assert found.got is False
    assert said in found.said
    assert found.change is not None
    assert change in found.change


def test_every_reason_to_skip_has_a_remedy():
    assert REMEDIES.keys() == set(SkipReason)


def test_a_held_refusal_is_open():
    found = asked(replace(ONE, held="guard apns 400 BadDeviceToken"))
    assert (found.got, found.change) == (None, None)
    assert "until an operator applies or discards it" in found.said


@pytest.mark.parametrize(
    ("waiting", "got"),
    [
        ({}, None),
        ({"claimed": True}, None),
        ({"due_at": NOW + timedelta(hours=1)}, None),
        ({"parked": True}, False),
    ],
)
def test_a_queued_push_is_open_unless_something_holds_it(waiting, got):
    usual = {"due_at": NOW, "parked": False, "claimed": False, "attempt": 0}
    assert asked(replace(ONE, waiting=QueuedPush(**{**usual, **waiting}))).got is got


@pytest.mark.parametrize(
    ("broadcast", "change"),
    [
        (replace(SENT, paused_at=NOW), "resume the broadcast"),
        (replace(SENT, started_at=None, planned_at=None, state="scheduled"), "start the broadcast, or wait"),
        (replace(SENT, planned_at=None, state="planning"), "wait until it does"),
        (replace(SENT, named=True), "add it to the list"),
        (SENT, "send the broadcast again"),
        (replace(SENT, cancelled_at=NOW, state="cancelled"), "send the message again"),
    ],
)
def test_who_was_not_planned_for_is_told_why(broadcast, change):
    found = asked(message=replace(MESSAGE, broadcast=broadcast))
    assert found.got is False
    assert change in (found.change or "")


def test_the_device_that_lacks_least_says_what_would_have_helped():
    far = replace(
        ONE,
        device=replace(PHONE, status=LastStatus.SUPPRESSED, failure_reason="Unregistered"),
        route=NoRoute("there are no credentials"),
    )
    near = replace(ONE, route=replace(ROUTE, paused_at=NOW, pause_reason="the key is wrong"))
    found = asked(far, near, message=None)
    assert (found.got, found.change) == (False, "fix the cause, then resume apns:production:app")
    assert (
        found.said
        == "not delivered to any of 2 devices. Closest: apns:production:app is paused: the key is wrong"
    )
    assert asked(far, near, ONE, message=None).got is True


def test_a_stopped_message_is_named():
    found = asked(message=replace(MESSAGE, stop_reason="malformed: apns 400 BadTopic"))
    assert "fix the message" in (found.change or "")
