"""What a browser's push service answered, read by the decision table. Pure.

Sources: RFC 8030, 8292; autopush's errors (Mozilla), Apple's "Sending web push notifications", Google's and Microsoft's
answers as senders have captured them. Never raises, whatever the bytes.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core.delivery.outcome import (
    Accepted,
    BadCredentials,
    BadMessage,
    Certainty,
    Refused,
    Scope,
    Throttled,
    Unavailable,
    Verdict,
)
from pushkeeper.core.model import TokenShape
from pushkeeper.providers.shared import no_response
from pushkeeper.providers.shared.apns_reasons import Meaning
from pushkeeper.providers.shared.redact import excerpt, reason_word
from pushkeeper.providers.shared.retry_after import retry_after_s
from pushkeeper.providers.transport.response import NoResponse

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.core.model import Token
    from pushkeeper.providers.transport.response import Answer, Response

_OUTAGE_FIRST_S = 10.0
_OUTAGE_LONGEST_S = 600.0
# One subscription that was made with another key is told from a refused key by the others that are accepted.
REFUSED_SCOPE = Scope.TOPIC  # the key at one service
_REFUSED_KEY_BELIEVED_FROM = 5  # devices
_ACCEPTED = frozenset({200, 201, 202, 204})
_GONE = frozenset({404, 410})
_REFUSED_KEY = frozenset({401, 403})
_SLOWED = frozenset({406, 429})  # Microsoft's service says 406
_PASSING = frozenset({408, 425, 499})
# Mozilla's numbers for a subscription whose keys are of no use (autopush, "Error codes").
_MOZILLA_BAD_KEYS = frozenset({110})
_BAD_KEY_WORDS = ("p256dh", "crypto key", "crypto-key", "invalid key", "public key of the subscription")
_MISMATCH_WORDS = ("vapidpkhashmismatch", "do not correspond to the credentials used to create the")


def read(answer: Answer, *, endpoint: Token, service: TokenShape, proven: bool, now: datetime) -> Verdict:
    """The verdict on one push.

    `proven` says that the service has accepted a push with the same key before: a refusal of the key is the device's then,
    which subscribed with another.
    """
    if isinstance(answer, NoResponse):
        # We show no client certificate: an alert about one says nothing of our credentials.
        return no_response.read(replace(answer, certificate_refused=False))
    if answer.status in _ACCEPTED:
        return Verdict(
            code="webpush_accepted", outcome=Accepted(provider_id=_message_id(answer)), status=answer.status
        )
    error = _error(answer.body)
    meaning = _meaning(answer, error, service, proven=proven, now=now)
    return Verdict(
        code=meaning.code,
        outcome=meaning.outcome,
        status=answer.status,
        reason=reason_word(_reason(error), endpoint),
        detail=excerpt(_sentence(error) or answer.body, endpoint),
        alert=excerpt(meaning.alert, endpoint),
    )


def not_ours(endpoint: Token) -> Verdict:
    """The verdict on a push to a subscription that was made with a key which is gone."""
    return Verdict(
        code="webpush_key_mismatch",
        outcome=BadMessage(malformed=False),
        reason="key_mismatch",
        detail=excerpt("The subscription was made with a VAPID key that is not stored any more.", endpoint),
    )


def not_allowed(why: str) -> Verdict:
    """The verdict on a push whose endpoint may not be called."""
    return Verdict(
        code="webpush_endpoint_not_allowed",
        outcome=BadMessage(malformed=False),
        reason="endpoint_not_allowed",
        detail=why,
    )


def _meaning(
    response: Response, error: dict[str, Any], service: TokenShape, *, proven: bool, now: datetime
) -> Meaning:
    status = response.status
    # Anybody can run an unlisted service: its answer must not stop the message for other devices.
    malformed = BadMessage(malformed=service is not TokenShape.OTHER)
    after_s = retry_after_s(response, now)
    if status in _GONE:
        meaning = Meaning("webpush_unregistered", Refused(certainty=Certainty.DEFINITE))
    elif status in _REFUSED_KEY:
        meaning = _refused_key(response, proven=proven)
    elif status == HTTPStatus.BAD_REQUEST and _names_the_keys(response.body, error):
        meaning = Meaning("webpush_bad_keys", Refused(certainty=Certainty.AMBIGUOUS))
    elif status == HTTPStatus.BAD_REQUEST:
        meaning = Meaning("webpush_invalid_message", malformed)
    elif status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        meaning = Meaning("webpush_payload_too_large", malformed)
    elif status in _SLOWED:
        meaning = Meaning("webpush_too_many_requests", Throttled(scope=Scope.ENDPOINT, after_s=after_s))
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING:
        outage = Unavailable(first_wait_s=_OUTAGE_FIRST_S, longest_wait_s=_OUTAGE_LONGEST_S, after_s=after_s)
        meaning = Meaning("webpush_unavailable", outage)
    else:
        unclassified = BadMessage(malformed=False, unclassified=True)
        alert = f"a push service gave a new answer: {status} {_reason(error) or 'without a word'}"
        meaning = Meaning("webpush_unrecognized_response", unclassified, alert)
    return meaning


def _refused_key(response: Response, *, proven: bool) -> Meaning:
    words = response.body.decode(errors="replace").lower()
    if proven or any(word in words for word in _MISMATCH_WORDS):
        return Meaning("webpush_key_mismatch", BadMessage(malformed=False))
    # There is no endpoint that is nobody's, so that no probe could ask.
    outcome = BadCredentials(
        scope=REFUSED_SCOPE, probe_after_s=None, believed_from=_REFUSED_KEY_BELIEVED_FROM
    )
    return Meaning(
        "webpush_invalid_credentials", outcome, "the push service refuses the VAPID key or its subject"
    )


def _names_the_keys(body: bytes, error: dict[str, Any]) -> bool:
    words = body.decode(errors="replace").lower()
    return error.get("errno") in _MOZILLA_BAD_KEYS or any(word in words for word in _BAD_KEY_WORDS)


def _error(body: bytes) -> dict[str, Any]:
    """Mozilla's and Apple's errors are objects; others answer with a text, or with nothing."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _reason(error: dict[str, Any]) -> str:
    """Apple's word, or Mozilla's number."""
    if isinstance(word := error.get("reason"), str):
        return word
    number = error.get("errno")
    return f"errno {number}" if isinstance(number, int) else ""


def _sentence(error: dict[str, Any]) -> str:
    said = error.get("message")
    return said if isinstance(said, str) else ""


def _message_id(response: Response) -> str:
    """The name of the message at the push service (RFC 8030, 5), without the device's own part of it."""
    named = response.header(b"apns-id") or response.header(b"x-wns-msg-id") or b""
    return excerpt(named)
