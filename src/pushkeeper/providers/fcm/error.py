"""FCM's error body, and the typed details in it. Pure.

Source: FCM REST v1 `ErrorCode`, `google.rpc.Status`. The order of the details varies, and a 502 may be HTML.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

_T = TypeVar("_T")

# google.rpc.Code
_CODES = frozenset(
    [
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
    ]
)


class Violation(msgspec.Struct, frozen=True):
    """One field that FCM does not take; `field` is a path from `message` on."""

    field: str = ""
    description: str = ""


class QuotaViolation(msgspec.Struct, frozen=True):
    """One quota that was passed; what `subject` holds is not documented."""

    subject: str = ""
    description: str = ""


class AppleError(msgspec.Struct, frozen=True, rename={"status_code": "statusCode"}):
    """What APNs told FCM."""

    status_code: int = 0
    reason: str = ""


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """The error as far as it could be read: everything is empty for a body that is not Google's.

    Attributes:
        status: the canonical code (`INVALID_ARGUMENT`).
        code: `FcmError.errorCode`, the word that says most.
        violations: of `BadRequest`, None when there is no such detail.
        quotas: of `QuotaFailure`.
    """

    message: str = ""
    status: str = ""
    code: str = ""
    apple: AppleError | None = None
    violations: tuple[Violation, ...] | None = None
    quotas: tuple[QuotaViolation, ...] = ()

    @property
    def is_googles(self) -> bool:
        """Whether Google's API answered, and not a page of its front or of a proxy."""
        return self.status in _CODES or bool(self.code)


class _Status(msgspec.Struct, frozen=True):
    message: str = ""
    status: str = ""
    details: msgspec.Raw = msgspec.Raw(b"[]")


class _Envelope(msgspec.Struct, frozen=True):
    error: _Status


class _Typed(msgspec.Struct, frozen=True):
    type: str = msgspec.field(name="@type", default="")


class _FcmError(msgspec.Struct, frozen=True):
    code: str = msgspec.field(name="errorCode", default="")


class _BadRequest(msgspec.Struct, frozen=True):
    violations: tuple[Violation, ...] = msgspec.field(name="fieldViolations", default=())


class _QuotaFailure(msgspec.Struct, frozen=True):
    violations: tuple[QuotaViolation, ...] = ()


def parse(body: bytes) -> Error:
    """Read the body; whatever in it is malformed counts as absent."""
    envelope = _tolerant(body, _Envelope)
    if envelope is None:
        # As Google's batch and streaming answers are written.
        [envelope] = _tolerant(body, tuple[_Envelope]) or (None,)
    if envelope is None:
        return Error()
    code = ""
    apple: AppleError | None = None
    violations: tuple[Violation, ...] | None = None
    quotas: tuple[QuotaViolation, ...] = ()
    for raw in _tolerant(envelope.error.details, list[msgspec.Raw]) or ():
        typed = _tolerant(raw, _Typed)
        match typed.type.rpartition("/")[2] if typed else "":
            case "google.firebase.fcm.v1.FcmError":
                found = _tolerant(raw, _FcmError)
                code = code or (found.code if found else "")
            case "google.firebase.fcm.v1.ApnsError":
                apple = apple or _tolerant(raw, AppleError)
            case "google.rpc.BadRequest":
                bad = _tolerant(raw, _BadRequest)
                violations = (violations or ()) + (bad.violations if bad else ())
            case "google.rpc.QuotaFailure":
                failure = _tolerant(raw, _QuotaFailure)
                quotas += failure.violations if failure else ()
    return Error(
        message=envelope.error.message,
        status=envelope.error.status,
        code=code,
        apple=apple,
        violations=violations,
        quotas=quotas,
    )


def _tolerant(data: bytes | msgspec.Raw, shape: type[_T]) -> _T | None:
    try:
        return msgspec.json.decode(data, type=shape, strict=False)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
