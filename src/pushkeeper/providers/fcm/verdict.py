"""What FCM answered, read by the decision table. Pure.

Never the HTTP status alone: first the types of the details, then the paths of the fields, then exact known texts.
Never raises, whatever the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from pushkeeper.core.delivery.outcome import (
    Accepted,
    BadCredentials,
    BadMessage,
    Certainty,
    Heal,
    Refused,
    Scope,
    Silence,
    Throttled,
    Unanswered,
    Unavailable,
    Verdict,
)
from pushkeeper.providers.fcm import error as fcm_error
from pushkeeper.providers.shared import apns_reasons, no_response
from pushkeeper.providers.shared.apns_reasons import Meaning
from pushkeeper.providers.shared.redact import excerpt, reason_word
from pushkeeper.providers.shared.retry_after import retry_after_s
from pushkeeper.providers.transport.response import NoResponse

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pushkeeper.core.delivery.outcome import Outcome
    from pushkeeper.core.model import Token
    from pushkeeper.providers.fcm.error import Error
    from pushkeeper.providers.transport.response import Answer, Response

# On Google's page of error codes, and the only text that a verdict rests on.
INVALID_TOKEN_TEXT = "The registration token is not a valid FCM registration token"  # noqa: S105 - a sentence
_TARGET_FIELDS = frozenset({"message.token", "message.fid"})
_THIRD_PARTY_CODES = frozenset({"THIRD_PARTY_AUTH_ERROR", "APNS_AUTH_ERROR"})
_DRY_RUN_NAME = "fake_message_id"
_IAM_SPREADS_IN_S = 60.0
_OUTAGE_FIRST_S = 10.0
_OUTAGE_LONGEST_S = 600.0
_BAD_GATEWAY_S = 30.0
# A stray page of Google's front says nothing of our settings; a wrong address says it to everybody.
_PAGE_BELIEVED_FROM = 5  # devices
# These say nothing about the message: Google's clients retry 408, and the codes are those of 409, 499 and 504.
_PASSING = frozenset({"ABORTED", "CANCELLED", "DEADLINE_EXCEEDED"})
_PASSING_STATUSES = frozenset({408, 425, 499})

_AMBIGUOUS = Refused(certainty=Certainty.AMBIGUOUS)
_DEFINITE = Refused(certainty=Certainty.DEFINITE)


class _Sent(msgspec.Struct, frozen=True):
    name: str


_SENT = msgspec.json.Decoder(_Sent)


def read(answer: Answer, *, token: Token, now: datetime, dry_run: bool = False) -> Verdict:
    """The verdict on one push; `dry_run` when it was sent with `validate_only`."""
    if isinstance(answer, NoResponse):
        return no_response.read(answer)
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return _sent(answer, token, dry_run=dry_run)
    refusal = _Refusal(fcm_error.parse(answer.body), answer, retry_after_s(answer, now))
    meaning = _BY_STATUS.get(answer.status, _other)(refusal)
    return Verdict(
        code=meaning.code,
        outcome=meaning.outcome,
        status=answer.status,
        reason=reason_word(refusal.reason, token),
        detail=excerpt(refusal.sentence or answer.body, token),
        alert=excerpt(meaning.alert, token),
    )


@dataclass(frozen=True, slots=True)
class _Refusal:
    error: Error
    response: Response
    after_s: float | None

    @property
    def reason(self) -> str:
        inner = self.error.apple.reason if self.error.apple else ""
        if self.response.status == 400 and inner:  # noqa: PLR2004 - Apple's answer in FCM's envelope
            return inner
        return self.error.code or self.error.status

    @property
    def sentence(self) -> str:
        violations = [
            f"{violation.field}: {violation.description}" for violation in self.error.violations or ()
        ]
        return " ".join([self.error.message, *violations])


def _sent(response: Response, token: Token, *, dry_run: bool) -> Verdict:
    try:
        name = _SENT.decode(response.body).name if response.status == HTTPStatus.OK else ""
    except (msgspec.MsgspecError, ValueError, RecursionError):
        name = ""
    if not name:
        return Verdict(
            code="fcm_response_without_name",
            outcome=Unanswered(silence=Silence.GARBLED),
            status=response.status,
            reason=Silence.GARBLED.value,
            detail=excerpt(response.body, token),
            alert="a success that is not FCM's: a proxy is in the way",
        )
    if dry_run or name.endswith(_DRY_RUN_NAME):
        return Verdict(
            code="dry_run_accepted", outcome=Accepted(provider_id=excerpt(name), dry_run=True), status=200
        )
    return Verdict(code="fcm_accepted", outcome=Accepted(provider_id=excerpt(name)), status=200)


def _bad_request(refusal: _Refusal) -> Meaning:
    error = refusal.error
    if error.apple is not None:
        return _from_apple(error.apple)
    if error.violations:
        if all(violation.field in _TARGET_FIELDS for violation in error.violations):
            return Meaning("fcm_invalid_argument_token", _AMBIGUOUS)
        return Meaning("fcm_invalid_argument_message", BadMessage())
    if error.violations is None and error.code and error.message == INVALID_TOKEN_TEXT:
        return Meaning("fcm_invalid_argument_token", _AMBIGUOUS)
    return Meaning("fcm_invalid_argument", BadMessage(unclassified=True))


def _from_apple(inner: fcm_error.AppleError) -> Meaning:
    if inner.status_code == 410 and (not inner.reason or inner.reason in apns_reasons.GONE_REASONS):  # noqa: PLR2004 - Gone
        return Meaning("fcm_apns_unregistered", _DEFINITE)
    meaning = apns_reasons.meaning(inner.status_code, inner.reason)
    return Meaning("fcm_apns_error", _on_the_apple_leg(meaning.outcome), meaning.alert)


def _on_the_apple_leg(outcome: Outcome) -> Outcome:
    match outcome:
        case BadCredentials(heal=heal):
            # Only Firebase can renew the key; all we can do is retry once.
            once_more = heal if heal is Heal.BY_OPERATOR else Heal.RECONNECT
            # A made-up token never reaches Apple, so a probe could not tell.
            return replace(outcome, scope=Scope.APPLE_LEG, heal=once_more, probe_after_s=None)
        case Throttled(scope=Scope.CREDENTIAL):
            return replace(outcome, scope=Scope.APPLE_LEG)
        case _:
            return outcome


def _unauthenticated(refusal: _Refusal) -> Meaning:
    code, inner = refusal.error.code, refusal.error.apple
    if not code:
        outcome = BadCredentials(scope=Scope.CREDENTIAL, heal=Heal.RENEW_TOKEN)
        return Meaning("fcm_unauthenticated", _believed(refusal, outcome))
    if code in _THIRD_PARTY_CODES:
        said = f": Apple said {inner.status_code} {inner.reason}" if inner else ""
        alert = f"Firebase's copy of the Apple key is refused{said}"
        return Meaning(
            "fcm_third_party_auth_error", BadCredentials(scope=Scope.APPLE_LEG, probe_after_s=None), alert
        )
    return _other(refusal)


def _believed(refusal: _Refusal, bad: BadCredentials) -> BadCredentials:
    return bad if refusal.error.is_googles else replace(bad, believed_from=_PAGE_BELIEVED_FROM)


def _forbidden(refusal: _Refusal) -> Meaning:
    if not refusal.error.code:
        outcome = BadCredentials(scope=Scope.CREDENTIAL, probe_after_s=_IAM_SPREADS_IN_S)
        return Meaning(
            "fcm_permission_denied",
            _believed(refusal, outcome),
            "the service account may not send for this project",
        )
    if refusal.error.code == "SENDER_ID_MISMATCH":
        return Meaning("fcm_sender_id_mismatch", _AMBIGUOUS)
    return _other(refusal)


def _not_found(refusal: _Refusal) -> Meaning:
    if refusal.error.code == "UNREGISTERED":
        return Meaning("fcm_unregistered", _DEFINITE)
    if not refusal.error.code:
        outcome = _believed(refusal, BadCredentials(scope=Scope.CREDENTIAL))
        return Meaning(
            "fcm_project_not_found", outcome, "there is no such project, or the address is not FCM's"
        )
    return _other(refusal)


def _too_large(_: _Refusal) -> Meaning:
    return Meaning("fcm_payload_too_large", BadMessage())


def _throttled(refusal: _Refusal) -> Meaning:
    error = refusal.error
    apple_names_the_device = error.apple is not None and error.apple.reason == "TooManyRequests"
    quota_names_the_device = any(
        "device" in f"{quota.subject} {quota.description}".lower() for quota in error.quotas
    )
    if apple_names_the_device or quota_names_the_device:
        return Meaning("fcm_quota_exceeded_device", Throttled(scope=Scope.DEVICE, after_s=refusal.after_s))
    return Meaning("fcm_quota_exceeded_project", Throttled(scope=Scope.CREDENTIAL, after_s=refusal.after_s))


def _outage(code: str) -> Callable[[_Refusal], Meaning]:
    def read_outage(refusal: _Refusal) -> Meaning:
        outcome = Unavailable(
            first_wait_s=_OUTAGE_FIRST_S, longest_wait_s=_OUTAGE_LONGEST_S, after_s=refusal.after_s
        )
        return Meaning(code, outcome)

    return read_outage


def _bad_gateway(refusal: _Refusal) -> Meaning:
    outcome = Unavailable(
        first_wait_s=_OUTAGE_FIRST_S,
        longest_wait_s=_OUTAGE_LONGEST_S,
        after_s=refusal.after_s,
        opening_wait_s=_BAD_GATEWAY_S if refusal.after_s is None else None,
    )
    return Meaning("fcm_bad_gateway", outcome)


def _other(refusal: _Refusal) -> Meaning:
    status = refusal.response.status
    alert = f"FCM gave a new error: {status} {refusal.reason or 'without a word'}"
    if _is_passing(refusal):
        return Meaning(
            "fcm_unrecognized_response", _outage("fcm_unrecognized_response")(refusal).outcome, alert
        )
    if not refusal.error.is_googles:
        return Meaning(
            "fcm_unrecognized_response", _believed(refusal, BadCredentials(scope=Scope.CREDENTIAL)), alert
        )
    return Meaning("fcm_unrecognized_response", BadMessage(malformed=False, unclassified=True), alert)


def _is_passing(refusal: _Refusal) -> bool:
    status = refusal.response.status
    passing = refusal.error.status in _PASSING or status in _PASSING_STATUSES
    return passing or status >= HTTPStatus.INTERNAL_SERVER_ERROR


_BY_STATUS: dict[int, Callable[[_Refusal], Meaning]] = {
    400: _bad_request,
    401: _unauthenticated,
    403: _forbidden,
    404: _not_found,
    413: _too_large,
    429: _throttled,
    500: _outage("fcm_internal"),
    502: _bad_gateway,
    503: _outage("fcm_unavailable"),
    504: _outage("fcm_internal"),
}
