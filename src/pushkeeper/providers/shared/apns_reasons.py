"""Apple's reasons, from APNs itself or in FCM's `ApnsError`. Pure.

Source: Apple, "Handling notification responses from APNs".
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
    """The reason code of an error, its outcome, and why an operator should look, or ""."""

    code: str
    outcome: Outcome
    alert: str = ""


def _outage(code: str, *, at_once_first: bool = False) -> Meaning:
    outcome = Unavailable(
        first_wait_s=OUTAGE_WAIT_S,
        longest_wait_s=math.inf,
        at_once_first=at_once_first,
        jitter=Jitter.FIFTH,
    )
    return Meaning(code, outcome)


def _credentials(code: str, scope: Scope, alert: str, heal: Heal = Heal.BY_OPERATOR) -> Meaning:
    return Meaning(code, BadCredentials(scope=scope, heal=heal), alert)


_AMBIGUOUS = Refused(certainty=Certainty.AMBIGUOUS)
_OUR_BUG = "APNs calls the request itself malformed"

_MEANINGS: dict[tuple[int, str], Meaning] = {
    (400, "BadDeviceToken"): Meaning("apns_bad_device_token", _AMBIGUOUS),
    (400, "InvalidToken"): Meaning("apns_bad_device_token", _AMBIGUOUS),
    (400, "DeviceTokenNotForTopic"): Meaning("apns_device_token_not_for_topic", _AMBIGUOUS),
    (400, "TopicDisallowed"): _credentials(
        "apns_topic_refused", Scope.TOPIC, "the key may not push to this topic"
    ),
    (400, "BadTopic"): _credentials("apns_topic_refused", Scope.TOPIC, "the topic is not valid"),
    (400, "MissingTopic"): _credentials(
        "apns_topic_refused", Scope.TOPIC, "the certificate needs a topic to be named"
    ),
    (400, "BadCollapseId"): Meaning("apns_invalid_message", BadMessage()),
    (400, "BadExpirationDate"): Meaning("apns_invalid_message", BadMessage()),
    (400, "BadMessageId"): Meaning("apns_invalid_message", BadMessage()),
    (400, "BadPriority"): Meaning("apns_invalid_message", BadMessage()),
    (400, "InvalidPushType"): Meaning("apns_invalid_message", BadMessage()),
    (400, "PayloadEmpty"): Meaning("apns_invalid_message", BadMessage()),
    (400, "DuplicateHeaders"): Meaning("apns_invalid_message", BadMessage()),
    (400, "MissingDeviceToken"): Meaning("apns_invalid_request", BadMessage(malformed=False), _OUR_BUG),
    (404, "BadPath"): Meaning("apns_invalid_request", BadMessage(malformed=False), _OUR_BUG),
    (405, "MethodNotAllowed"): Meaning("apns_invalid_request", BadMessage(malformed=False), _OUR_BUG),
    (413, "PayloadTooLarge"): Meaning("apns_payload_too_large", BadMessage()),
    (400, "IdleTimeout"): Meaning("apns_idle_timeout", Unanswered(silence=Silence.IDLED_OUT)),
    (403, "ExpiredProviderToken"): _credentials(
        "apns_expired_provider_token", Scope.CREDENTIAL, "", Heal.RENEW_TOKEN
    ),
    (403, "InvalidProviderToken"): _credentials(
        "apns_invalid_credentials", Scope.CREDENTIAL, "Apple refuses the key"
    ),
    (403, "MissingProviderToken"): _credentials(
        "apns_invalid_credentials", Scope.CREDENTIAL, "Apple got no provider token"
    ),
    (403, "BadCertificate"): _credentials(
        "apns_invalid_credentials", Scope.CREDENTIAL, "Apple refuses the certificate"
    ),
    (403, "BadCertificateEnvironment"): _credentials(
        "apns_invalid_credentials", Scope.CREDENTIAL, "the certificate is for the other environment"
    ),
    # Apple's page says one, captures of the wire the other.
    (403, "BadEnvironmentKeyInToken"): _credentials(
        "apns_invalid_credentials", Scope.CREDENTIAL, "the key is for the other environment"
    ),
    (403, "BadEnvironmentKeyIdInToken"): _credentials(
        "apns_invalid_credentials", Scope.CREDENTIAL, "the key is for the other environment"
    ),
    (403, "UnrelatedKeyIdInToken"): _credentials(
        "apns_unrelated_key_id_in_token",
        Scope.CREDENTIAL,
        "keys were mixed on one connection",
        Heal.RECONNECT,
    ),
    (403, "Forbidden"): _credentials("apns_forbidden", Scope.TOPIC, "Apple forbids the key this topic"),
    (429, "TooManyRequests"): Meaning("apns_too_many_requests", Throttled(scope=Scope.DEVICE)),
    (429, "TooManyProviderTokenUpdates"): Meaning(
        "apns_too_many_provider_token_updates", Throttled(scope=Scope.CREDENTIAL)
    ),
    (500, "InternalServerError"): _outage("apns_internal_server_error"),
    (503, "ServiceUnavailable"): _outage("apns_service_unavailable"),
    (503, "Shutdown"): _outage("apns_shutdown", at_once_first=True),
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
        return Meaning("apns_unregistered_unclear", Refused(certainty=Certainty.DEFINITE))
    if registered_at is None or since >= registered_at:
        return Meaning("apns_unregistered", Refused(certainty=Certainty.DEFINITE, since=since))
    # Within a minute our clocks may disagree, so the benefit of the doubt is the same, with a code of its own.
    near = (registered_at - since).total_seconds() <= 60  # noqa: PLR2004 - a minute
    return Meaning(
        "apns_unregistered_unclear" if near else "apns_unregistered_stale",
        Refused(certainty=Certainty.STALE, since=since),
    )


def _unknown(status: int, reason: str, since: datetime | None, registered_at: datetime | None) -> Meaning:
    alert = f"APNs gave a new reason: {status} {reason or 'without a word'}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Meaning("apns_unrecognized_response", Throttled(scope=Scope.DEVICE), alert)
    # APNs always gives a reason: without one, a proxy answered, or the address is not that of APNs.
    is_page = not reason and status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _SAYS_ENOUGH
    if status == HTTPStatus.FORBIDDEN or is_page:
        outcome = BadCredentials(scope=Scope.CREDENTIAL, believed_from=_DOUBTFUL_BELIEVED_FROM)
        return Meaning("apns_unrecognized_response", outcome, alert)
    if status == HTTPStatus.GONE and since is not None:
        return Meaning("apns_unrecognized_response", _gone(since, registered_at).outcome, alert)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Meaning("apns_unrecognized_response", _outage("apns_unrecognized_response").outcome, alert)
    return Meaning("apns_unrecognized_response", BadMessage(malformed=False, unclassified=True), alert)
