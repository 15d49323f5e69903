"""What a provider's answer means, in our words.

A provider's answer is a value, never an exception. Each provider's `verdict.py` reads (status, reason, shape) into one
of these; `retry.py` turns it into what to do next, `status.py` into what the device's last status becomes.

They are structs and not dataclasses, as is all that is made for each push: making one costs a tenth.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

import msgspec


class Certainty(StrEnum):
    """How certain a rejection is about the device."""

    DEFINITE = "definite"  # the provider names the device as gone: a strike
    AMBIGUOUS = (
        "ambiguous"  # "this token is wrong" or "your setting is wrong": a strike only with self-evidence
    )
    STALE = (
        "stale"  # settled before the registration we hold: a strike only if the same generation gets it twice
    )


class Scope(StrEnum):
    """What a provider refuses, or slows, as a whole."""

    DEVICE = "device"
    CREDENTIAL = "credential"
    TOPIC = "topic"
    APPLE_LEG = "apple_leg"  # FCM's copy of the Apple key: Android continues
    ENDPOINT = "endpoint"


class Heal(StrEnum):
    """What the sender itself may do about bad credentials, once, before the push is held."""

    BY_OPERATOR = "by_operator"
    RENEW_TOKEN = "renew_token"  # noqa: S105 - the name of a remedy, not a secret
    RECONNECT = "reconnect"


class Silence(StrEnum):
    """How a request stayed without a usable answer."""

    NOT_SENT = "not_sent"  # DNS, TCP or TLS failed before a byte of the request left
    UNTRUSTED = "untrusted"  # the server's certificate is not trusted or has another name
    NOT_PROCESSED = "not_processed"  # REFUSED_STREAM, or above GOAWAY's last stream: safe to send again
    LOST = "lost"  # connection lost or stream reset after the request was sent: may have arrived
    TIMED_OUT = "timed_out"  # no answer by the deadline after the request was sent: may have arrived
    GARBLED = "garbled"  # a success that isn't the provider's: a proxy in the way
    IDLED_OUT = "idled_out"  # APNs closed an idle connection under the request
    NO_STREAM = "no_stream"  # our own limit of streams: the request never left its queue


class Jitter(StrEnum):
    """How far a wait may stray, so that those who failed together do not come back together."""

    FULL = "full"  # anywhere from the first wait to the grown one
    FIFTH = "fifth"  # a fifth to either side of the grown one: Apple names its wait


class Accepted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The provider accepted the push. It counts as delivered only when the app reports so."""

    provider_id: str = ""
    dry_run: bool = False


class Refused(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The provider finally refused the push because of this device."""

    certainty: Certainty
    since: datetime | None = None


class BadMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The fault is the message's, or our own: no device changes.

    Attributes:
        malformed: it is the message's, so that the provider would say it of every device (three of them stop the message).
        unclassified: nobody has seen such an answer before.
    """

    malformed: bool = True
    unclassified: bool = False


class BadCredentials(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A key, a topic or a project is at fault: no device changes, the push is held.

    Attributes:
        scope: what is refused.
        heal: what the sender can do about it, once, before the push is held.
        probe_after_s: how long the route rests before a probe may check whether it works again; None when a probe can't tell.
        believed_from: rejections of distinct devices needed before the route pauses, where a single response may not
            be the provider's; until then each push waits a minute, uncharged.
    """

    scope: Scope
    heal: Heal = Heal.BY_OPERATOR
    probe_after_s: float | None = 300.0
    believed_from: int = 1


class Throttled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Too fast, for this device or for the whole scope; `after_s` is the provider's Retry-After, if it gave one."""

    scope: Scope
    after_s: float | None = None


class Unavailable(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The provider is in trouble: wait `first_wait_s`·2ⁿ up to `longest_wait_s`, never less than its Retry-After.

    Attributes:
        first_wait_s: what the wait grows from, and its least.
        longest_wait_s: what it never grows past (`inf`: the deadline alone ends it).
        after_s: the provider's own Retry-After, a lower bound.
        at_once_first: the first retry waits for nothing, as one host is leaving and not the service.
        opening_wait_s: the least wait of the first retry alone, where the provider asks for more than of the rest.
        jitter: how far the wait may stray.
    """

    first_wait_s: float
    longest_wait_s: float
    after_s: float | None = None
    at_once_first: bool = False
    opening_wait_s: float | None = None
    jitter: Jitter = Jitter.FULL


class Unanswered(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """No usable answer."""

    silence: Silence


Outcome: TypeAlias = Accepted | Refused | BadMessage | BadCredentials | Throttled | Unavailable | Unanswered


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Our reading of one provider response, beside the raw response: a provider's vocabulary grows.

    Attributes:
        code: the reason code of the row in the decision table (`apns_unregistered`).
        status: HTTP status, or None without a response.
        reason: the provider's reason (`UNREGISTERED`, `BadDeviceToken`), or ours without a response.
        detail: the provider's message or body, cut to 300 characters, tokens masked.
        alert: why an operator should look, or "".
        said_at: the provider's clock, where a probe's response has it.
    """

    code: str
    outcome: Outcome
    status: int | None = None
    reason: str = ""
    detail: str = ""
    alert: str = ""
    said_at: datetime | None = None


def our_fault(code: str, error: Exception) -> Verdict:
    """The verdict on a push that failed because of an internal error: it fails alone, and no device changes.

    `code` is `unsendable` for a push that was not sent, `not_understood` for a response that could not be read.
    """
    outcome = BadMessage(malformed=False, unclassified=True)
    return Verdict(code=code, outcome=outcome, reason=code, detail=type(error).__name__)
