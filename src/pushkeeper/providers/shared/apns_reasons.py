"""What Apple's reasons mean, whoever brings them: APNs itself, or FCM's `ApnsError` (row F8). Pure.

Source: Apple, "Handling notification responses from APNs"; rows P1 to P21 of the decision table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from pushkeeper.core.delivery.outcome import (
    BadCredentials,
    BadMessage,
    Certainty,
    Heal,
    Jitter,
    Refused,
    Scope,
    Silence,
    Throttled,
    Unanswered,
    Unavailable,
)

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.core.delivery.outcome import Outcome

OUTAGE_WAIT_S = 900.0
_DOUBTFUL_BELIEVED_FROM = 5  # devices
_SAYS_ENOUGH = frozenset({HTTPStatus.REQUEST_ENTITY_TOO_LARGE})  # from whichever server
GONE_REASONS = frozenset({"Unregistered", "ExpiredToken"})


@dataclass(frozen=True, slots=True)
class Meaning:
    """The row that an error falls under, its outcome, and why an operator should look, or ""."""

    row: str
    outcome: Outcome
    alert: str = ""


def _outage(row: str, *, at_once_first: bool = False) -> Meaning:
    outcome = Unavailable(
        first_wait_s=OUTAGE_WAIT_S,
        longest_wait_s=math.inf,
        at_once_first=at_once_first,
        jitter=Jitter.FIFTH,
    )
    return Meaning(row, outcome)


def _credentials(row: str, scope: Scope, alert: str, heal: Heal = Heal.BY_OPERATOR) -> Meaning:
    return Meaning(row, BadCredentials(scope=scope, heal=heal), alert)


_AMBIGUOUS = Refused(certainty=Certainty.AMBIGUOUS)
_OUR_BUG = "APNs calls the request itself malformed"

_MEANINGS: dict[tuple[int, str], Meaning] = {
    (400, "BadDeviceToken"): Meaning("P5", _AMBIGUOUS),
    (400, "InvalidToken"): Meaning("P5", _AMBIGUOUS),
    (400, "DeviceTokenNotForTopic"): Meaning("P6", _AMBIGUOUS),
    (400, "TopicDisallowed"): _credentials("P7", Scope.TOPIC, "the key may not push to this topic"),
    (400, "BadTopic"): _credentials("P7", Scope.TOPIC, "the topic is not valid"),
    (400, "MissingTopic"): _credentials("P7", Scope.TOPIC, "the certificate needs a topic to be named"),
    (400, "BadCollapseId"): Meaning("P8", BadMessage()),
    (400, "BadExpirationDate"): Meaning("P8", BadMessage()),
    (400, "BadMessageId"): Meaning("P8", BadMessage()),
    (400, "BadPriority"): Meaning("P8", BadMessage()),
    (400, "InvalidPushType"): Meaning("P8", BadMessage()),
    (400, "PayloadEmpty"): Meaning("P8", BadMessage()),
    (400, "DuplicateHeaders"): Meaning("P8", BadMessage()),
    (400, "MissingDeviceToken"): Meaning("P9", BadMessage(malformed=False), _OUR_BUG),
    (404, "BadPath"): Meaning("P9", BadMessage(malformed=False), _OUR_BUG),
    (405, "MethodNotAllowed"): Meaning("P9", BadMessage(malformed=False), _OUR_BUG),
    (413, "PayloadTooLarge"): Meaning("P10", BadMessage()),
    (400, "IdleTimeout"): Meaning("P11", Unanswered(silence=Silence.IDLED_OUT)),
    (403, "ExpiredProviderToken"): _credentials("P12", Scope.CREDENTIAL, "", Heal.RENEW_TOKEN),
    (403, "InvalidProviderToken"): _credentials("P13", Scope.CREDENTIAL, "Apple refuses the key"),
    (403, "MissingProviderToken"): _credentials("P13", Scope.CREDENTIAL, "Apple got no provider token"),
    (403, "BadCertificate"): _credentials("P13", Scope.CREDENTIAL, "Apple refuses the certificate"),
    (403, "BadCertificateEnvironment"): _credentials(
        "P13", Scope.CREDENTIAL, "the certificate is for the other environment"
    ),
    # Apple's page says one, captures of the wire the other.
    (403, "BadEnvironmentKeyInToken"): _credentials(
        "P13", Scope.CREDENTIAL, "the key is for the other environment"
    ),
    (403, "BadEnvironmentKeyIdInToken"): _credentials(
        "P13", Scope.CREDENTIAL, "the key is for the other environment"
    ),
    (403, "UnrelatedKeyIdInToken"): _credentials(
        "P14", Scope.CREDENTIAL, "keys were mixed on one connection", Heal.RECONNECT
    ),
    (403, "Forbidden"): _credentials("P15", Scope.TOPIC, "Apple forbids the key this topic"),
    (429, "TooManyRequests"): Meaning("P16", Throttled(scope=Scope.DEVICE)),
    (429, "TooManyProviderTokenUpdates"): Meaning("P17", Throttled(scope=Scope.CREDENTIAL)),
    (500, "InternalServerError"): _outage("P18"),
    (503, "ServiceUnavailable"): _outage("P19"),
    (503, "Shutdown"): _outage("P20", at_once_first=True),
}


def meaning(
    status: int, reason: str, *, since: datetime | None = None, registered_at: datetime | None = None
) -> Meaning:
    """What an error means; `since` is when Apple settled that a token was dead (a 410's own word for it).

    `registered_at` is when the app last gave us the token: a death before that was overtaken by the registration.
    """
    if status == HTTPStatus.GONE and reason in GONE_REASONS:
        return _gone(since, registered_at)
    return _MEANINGS.get((status, reason)) or _unknown(status, reason, since, registered_at)


def _gone(since: datetime | None, registered_at: datetime | None) -> Meaning:
    if since is None:
        return Meaning("P4", Refused(certainty=Certainty.DEFINITE))
    if registered_at is None or since >= registered_at:
        return Meaning("P2", Refused(certainty=Certainty.DEFINITE, since=since))
    # Within a minute our clocks may disagree, so the benefit of the doubt is the same, in a row of its own.
    near = (registered_at - since).total_seconds() <= 60  # noqa: PLR2004 - the minute of rows P3 and P4
    return Meaning("P4" if near else "P3", Refused(certainty=Certainty.STALE, since=since))


def _unknown(status: int, reason: str, since: datetime | None, registered_at: datetime | None) -> Meaning:
    alert = f"APNs gave a new reason: {status} {reason or 'without a word'}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Meaning("P21", Throttled(scope=Scope.DEVICE), alert)
    # APNs always gives a reason: without one, a proxy answered, or the address is not that of APNs.
    is_page = not reason and status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _SAYS_ENOUGH
    if status == HTTPStatus.FORBIDDEN or is_page:
        outcome = BadCredentials(scope=Scope.CREDENTIAL, believed_from=_DOUBTFUL_BELIEVED_FROM)
        return Meaning("P21", outcome, alert)
    if status == HTTPStatus.GONE and since is not None:
        return Meaning("P21", _gone(since, registered_at).outcome, alert)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Meaning("P21", _outage("P21").outcome, alert)
    return Meaning("P21", BadMessage(malformed=False, unclassified=True), alert)
