"""What the OAuth token endpoint answered (`fcm_oauth_*` of the decision table). Pure.

Source: RFC 7523 and RFC 6749, 5; retryable statuses as google-auth has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from pushkeeper.core.delivery.outcome import BadCredentials, Scope, Silence, Unavailable, Verdict
from pushkeeper.core.model import Secret
from pushkeeper.providers.shared import no_response
from pushkeeper.providers.shared.redact import excerpt
from pushkeeper.providers.shared.retry_after import retry_after_s
from pushkeeper.providers.transport.response import NoResponse

if TYPE_CHECKING:
    from datetime import datetime

    from pushkeeper.providers.transport.response import Answer

FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 60.0
_PASSING = frozenset({408, 429})
_SERVER_ERRORS = range(500, 600)
_SUCCESSES = range(200, 300)
_CLOCK_WORDS = ("short-lived", "iat", "exp", "clock", "timeframe")


@dataclass(frozen=True, slots=True)
class Grant:
    """An access token and how long Google says that it lives."""

    access_token: Secret
    expires_in_s: float


class _Granted(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float = 3600.0


class _Refused(msgspec.Struct, frozen=True):
    error: str = ""
    error_description: str = ""


def read_grant(answer: Answer, *, now: datetime) -> Grant | Verdict:
    """The grant, or the verdict that every push waiting for it gets: none of them has been sent."""
    if isinstance(answer, NoResponse):
        if answer.silence is Silence.UNTRUSTED:
            return no_response.read(answer)
        return _passing(None, answer.silence.value, answer.detail, None)
    if answer.status in _SUCCESSES:
        return _granted(answer.status, answer.body)
    refused = _parse_refusal(answer.body)
    if answer.status in _PASSING or answer.status in _SERVER_ERRORS:
        after_s = retry_after_s(answer, now)
        return _passing(answer.status, refused.error, refused.error_description or answer.body, after_s)
    return _refused(answer.status, refused, answer.body)


def _granted(status: int, body: bytes) -> Grant | Verdict:
    try:
        granted = msgspec.json.decode(body, type=_Granted, strict=False)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        granted = None
    # Bytes of a failed parse may hold the token all the same, so no detail is kept of them.
    if granted is None or not granted.access_token.isascii() or not granted.access_token.isprintable():
        return _passing(status, Silence.GARBLED.value, "not a grant", None)
    if not granted.access_token or not granted.expires_in > 0:
        return _passing(status, Silence.GARBLED.value, "not a grant", None)
    return Grant(Secret(granted.access_token.encode()), granted.expires_in)


def _parse_refusal(body: bytes) -> _Refused:
    try:
        return msgspec.json.decode(body, type=_Refused)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _Refused()


def _passing(status: int | None, reason: str, detail: str | bytes, after_s: float | None) -> Verdict:
    return Verdict(
        code="fcm_oauth_unavailable",
        outcome=Unavailable(first_wait_s=FIRST_WAIT_S, longest_wait_s=LONGEST_WAIT_S, after_s=after_s),
        status=status,
        reason=excerpt(reason),
        detail=excerpt(detail),
        alert="the token endpoint's success is no grant: a proxy is in the way"
        if reason == Silence.GARBLED.value
        else "",
    )


def _refused(status: int, refused: _Refused, body: bytes) -> Verdict:
    description = refused.error_description.lower()
    clock = refused.error == "invalid_grant" and any(word in description for word in _CLOCK_WORDS)
    return Verdict(
        code="fcm_oauth_refused",
        outcome=BadCredentials(scope=Scope.CREDENTIAL),
        status=status,
        reason=excerpt(refused.error),
        detail=excerpt(refused.error_description or body),
        alert="Google refuses the grant: is this machine's clock right?"
        if clock
        else "Google refuses the service account",
    )
