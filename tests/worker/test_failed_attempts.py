"""Which responses are reported as failed attempts: those after which the push is sent again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from pushkeeper.core.delivery.outcome import (
    Accepted,
    Certainty,
    Refused,
    Scope,
    Silence,
    Throttled,
    Unanswered,
    Verdict,
)
from pushkeeper.core.delivery.retry import ACCEPTED, Deferred, End, Held, Hold, Settled
from pushkeeper.core.model import (
    Content,
    DeviceId,
    IdKind,
    PersonId,
    Platform,
    Push,
    RouteId,
    Token,
    WorkspaceId,
)
from pushkeeper.store.delivery.queue import Claim, ClaimedBatch, Target
from pushkeeper.worker.in_hand import Work
from pushkeeper.worker.results import Answered, NotSent, SetAside, failed_attempt

if TYPE_CHECKING:
    from pushkeeper.core.delivery.retry import Decision

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MESSAGE, DEVICE, PERSON = UUID(int=1), DeviceId(b"d" * 16), PersonId(7)
WORK = Work(
    ClaimedBatch(
        claim=Claim(WorkspaceId(1), 1, uuid4()),
        workspace_id=WorkspaceId(1),
        message_id=MESSAGE,
        priority=0,
        attempt=0,
        first_attempt_at=NOW,
        due_at=NOW,
        targets=(),
    )
)
THROTTLED = Verdict(
    code="fcm_quota_exceeded_device",
    outcome=Throttled(scope=Scope.DEVICE),
    status=429,
    reason="QUOTA_EXCEEDED",
)
UNLOOKED_AT = Verdict(code="stream_refused", outcome=Unanswered(silence=Silence.NOT_PROCESSED))
LOST = Verdict(code="stream_not_finished", outcome=Unanswered(silence=Silence.LOST), reason="lost")
REFUSED = Verdict(code="fcm_unregistered", outcome=Refused(certainty=Certainty.DEFINITE), status=404)
TAKEN = Verdict(code="fcm_accepted", outcome=Accepted(provider_id="id"), status=200)
LATER = NOW + timedelta(seconds=60)


def answered(verdict: Verdict, decision: Decision, **more: Any) -> Answered:
    push = Push(
        message_id=MESSAGE,
        person_id=PERSON,
        delivery_id="a delivery",
        device_id=DEVICE,
        generation=1,
        token=Token("a-secret-token"),
        id_kind=IdKind.TOKEN,
        platform=Platform.ANDROID,
        registered_at=NOW,
        content=Content(title="Hello"),
        expires_at=LATER,
        keep_until=LATER,
        attempt=0,
        **more,
    )
    return Answered(WORK, push, None, verdict, decision)  # type: ignore[arg-type]  # not used here


@pytest.mark.parametrize(
    ("verdict", "decision", "told"),
    [
        (THROTTLED, Deferred(due_at=LATER), True),
        (LOST, Deferred(due_at=LATER), True),
        (THROTTLED, Deferred(due_at=LATER, charged=False), True),
        (UNLOOKED_AT, Deferred(due_at=LATER, charged=False), False),
        (THROTTLED, Held(scope=Scope.CREDENTIAL, reason=Hold.CREDENTIALS), True),
        (LOST, Held(scope=Scope.ENDPOINT, reason=Hold.UNTRUSTED), True),
        (REFUSED, Held(scope=Scope.CREDENTIAL, reason=Hold.UNPROVEN), False),
        (REFUSED, Held(scope=Scope.CREDENTIAL, reason=Hold.GUARDED), False),
        (TAKEN, ACCEPTED, False),
        *((REFUSED, Settled(end=end), False) for end in End),
    ],
)
def test_only_what_will_be_sent_again_is_a_failed_attempt(
    verdict: Verdict, decision: Decision, *, told: bool
) -> None:
    found = failed_attempt(answered(verdict, decision))
    assert (found is not None) is told
    if found is not None:
        assert (found.message_id, found.person_id, found.provider_status) == (MESSAGE, PERSON, verdict.status)
    assert failed_attempt(answered(verdict, decision, dry_run=True)) is None


def test_what_never_left_was_no_attempt() -> None:
    target = Target(DEVICE, PERSON, device=None)
    assert failed_attempt(NotSent(WORK, target, End.SKIPPED, "suppressed")) is None
    assert failed_attempt(SetAside(WORK, target, RouteId(1), LATER)) is None
