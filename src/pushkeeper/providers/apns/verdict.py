"""What APNs answered, read by the decision table. Pure.

Never raises, whatever the bytes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from pushkeeper.core.delivery.outcome import Accepted, Silence, Throttled, Unanswered, Unavailable, Verdict
from pushkeeper.providers.shared import apns_reasons, no_response
from pushkeeper.providers.shared.redact import excerpt, reason_word
from pushkeeper.providers.shared.retry_after import retry_after_s
from pushkeeper.providers.transport.response import NoResponse

if TYPE_CHECKING:
    from pushkeeper.core.delivery.outcome import Outcome
    from pushkeeper.core.model import Token
    from pushkeeper.providers.transport.response import Answer, Response

_SHORTEST_OUTAGE_WAIT_S = 60.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Error(msgspec.Struct, frozen=True):
    reason: str = ""
    timestamp: msgspec.Raw = msgspec.Raw(b"null")


_ERRORS = msgspec.json.Decoder(_Error)
_NUMBERS = msgspec.json.Decoder(float | None)


def read(
    answer: Answer,
    *,
    token: Token,
    registered_at: datetime,
    now: datetime,
    outage_wait_s: float = apns_reasons.OUTAGE_WAIT_S,
) -> Verdict:
    """The verdict on one push.

    `registered_at` is when the device last registered this token; `outage_wait_s` the first wait after a 5xx, which an
    operator may shorten to a minute, no further.
    """
    if isinstance(answer, NoResponse):
        return no_response.read(answer)
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return _taken(answer, token)
    error = _parse(answer.body)
    meaning = apns_reasons.meaning(
        answer.status, error.reason, since=_since(error), registered_at=registered_at
    )
    return Verdict(
        code=meaning.code,
        outcome=_paced(meaning.outcome, answer, now, outage_wait_s),
        status=answer.status,
        reason=reason_word(error.reason, token),
        detail=excerpt(answer.body, token),
        alert=excerpt(meaning.alert, token),
    )


def _taken(answer: Response, token: Token) -> Verdict:
    """Whether a success is from APNs: it has Apple's id, or at least no body."""
    apns_id = answer.header(b"apns-id") or b""
    if answer.status == HTTPStatus.OK and (apns_id or not answer.body):
        return Verdict(code="apns_accepted", outcome=Accepted(provider_id=excerpt(apns_id)), status=200)
    return Verdict(
        code="apns_unrecognized_response",
        outcome=Unanswered(silence=Silence.GARBLED),
        status=answer.status,
        reason=Silence.GARBLED.value,
        detail=excerpt(answer.body, token),
        alert="a 2xx response that is not from APNs: a proxy is in the way",
    )


def _parse(body: bytes) -> _Error:
    try:
        return _ERRORS.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _Error()


def _since(error: _Error) -> datetime | None:
    """Apple's timestamp in milliseconds, which means something beside a 410 with a reason (`apns_reasons.meaning`)."""
    try:
        milliseconds = _NUMBERS.decode(error.timestamp)
        return None if milliseconds is None else _EPOCH + timedelta(milliseconds=milliseconds)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return None


def _paced(outcome: Outcome, response: Response, now: datetime, outage_wait_s: float) -> Outcome:
    match outcome:
        case Throttled():
            return replace(outcome, after_s=retry_after_s(response, now))
        case Unavailable():
            first_wait_s = max(outage_wait_s, _SHORTEST_OUTAGE_WAIT_S)
            return replace(outcome, first_wait_s=first_wait_s, after_s=retry_after_s(response, now))
        case _:
            return outcome
