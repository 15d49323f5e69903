"""FCM's error bodies, word for word in the shapes that Google's page and captures show (providers.md 1.3 and 1.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

_GENERIC = "Request contains an invalid argument."

_SENTENCES = {
    "INVALID_ARGUMENT": _GENERIC,
    "INTERNAL": "Internal error encountered.",
    "QUOTA_EXCEEDED": "Resource has been exhausted (e.g. check quota).",
    "SENDER_ID_MISMATCH": "SenderId mismatch",
    "THIRD_PARTY_AUTH_ERROR": "Auth error from APNS or Web Push Service",
    "UNAVAILABLE": "The service is currently unavailable.",
    "UNREGISTERED": "Requested entity was not found.",
}

_NOT_FOUND_PAGE = b"""<!DOCTYPE html>
<html lang=en>
  <meta charset=utf-8>
  <title>Error 404 (Not Found)!!1</title>
  <p><b>404.</b> <ins>That\xe2\x80\x99s an error.</ins>
  <p>The requested URL was not found on this server.  <ins>That\xe2\x80\x99s all we know.</ins>
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is answered: `reason` is the FcmError code or, without one, Google's status; "" with a success."""

    http: int
    reason: str
    body: bytes
    html: bool = False


def fcm_error(code: str) -> dict[str, Any]:
    """The detail that names FCM's own code."""
    return {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}


def bad_request(violations: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The detail that names fields, as (path, description)."""
    return {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": path, "description": description} for path, description in violations],
    }


def apns_error(http: int, reason: str) -> dict[str, Any]:
    """The detail that says what Apple answered Google."""
    return {
        "@type": "type.googleapis.com/google.firebase.fcm.v1.ApnsError",
        "statusCode": http,
        "reason": reason,
    }


def refuse(http: int, message: str, *details: dict[str, Any]) -> Decision:
    """An error in Google's form."""
    status = _STATUSES.get(http, "UNKNOWN")
    error: dict[str, Any] = {"code": http, "message": message, "status": status}
    if details:
        error["details"] = list(details)
    codes = [detail["errorCode"] for detail in details if "errorCode" in detail]
    return Decision(http, codes[0] if codes else status, msgspec.json.encode({"error": error}))


def by_code(http: int, code: str, apns: dict[str, Any] | None = None) -> Decision:
    """The error of an FcmError code with the sentence that goes with it; code "" has no FcmError."""
    details = ([fcm_error(code)] if code else []) + ([apns] if apns else [])
    sentence = _SENTENCES.get(code or _STATUSES.get(http, ""), "The request was refused.")
    return refuse(http, sentence, *details)


def malformed(violations: list[tuple[str, str]]) -> Decision:
    """1.4 e, from the JSON reader: no FcmError."""
    return refuse(400, "\n".join(description for _, description in violations), bad_request(violations))


def invalid(path: str, description: str) -> Decision:
    """1.4 e, from FCM itself."""
    return refuse(400, description, bad_request([(path, description)]), fcm_error("INVALID_ARGUMENT"))


def over_quota(violation: dict[str, str] | None) -> Decision:
    """429, with a QuotaFailure if it names the exhausted quota."""
    failure = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}
    return refuse(
        429, _SENTENCES["QUOTA_EXCEEDED"], fcm_error("QUOTA_EXCEEDED"), *([failure] if violation else [])
    )


PAGE_NOT_FOUND = Decision(404, "NOT_FOUND", _NOT_FOUND_PAGE, html=True)

UNAUTHENTICATED = refuse(
    401,
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid"
    " authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
)

SCOPE_INSUFFICIENT = refuse(
    403,
    "Request had insufficient authentication scopes.",
    {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "domain": "googleapis.com",
        "metadata": {"service": "fcm.googleapis.com"},
    },
)

UNREGISTERED = by_code(404, "UNREGISTERED")

SENDER_ID_MISMATCH = by_code(403, "SENDER_ID_MISMATCH")

# The forms of a 400, by what they say; the letters are those of providers.md 1.4.
FORMS = {
    "token_field": refuse(  # a
        400,
        _GENERIC,
        fcm_error("INVALID_ARGUMENT"),
        bad_request([("message.token", "Invalid registration token")]),
    ),
    "token_text": refuse(  # b
        400,
        "The registration token is not a valid FCM registration token",
        fcm_error("INVALID_ARGUMENT"),
    ),
    "apple_gone": refuse(  # c
        400,
        "APNs device token is disabled.",
        fcm_error("INVALID_ARGUMENT"),
        apns_error(410, "Unregistered"),
    ),
    "payload_field": malformed(  # e
        [("message.data[0].value", "Invalid value at 'message.data[0].value' (TYPE_STRING), 12")]
    ),
    "no_recipient": refuse(  # f
        400,
        "Recipient of the message is not set.",
        bad_request([("message", "Recipient of the message is not set.")]),
        fcm_error("INVALID_ARGUMENT"),
    ),
    "bare": refuse(400, _GENERIC),  # g
}


def apple_refused(http: int, reason: str) -> Decision:
    """1.4 d: Apple's answer to Google inside a 400."""
    return refuse(400, _GENERIC, fcm_error("INVALID_ARGUMENT"), apns_error(http, reason))


def permission_denied(project: str) -> Decision:
    """The answer for a project that the service account has nothing to do with."""
    resource = f"//cloudresourcemanager.googleapis.com/projects/{project}"
    permission = "cloudmessaging.messages.create"
    return refuse(
        403,
        f"Permission '{permission}' denied on resource '{resource}' (or it may not exist).",
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "IAM_PERMISSION_DENIED",
            "domain": "cloudresourcemanager.googleapis.com",
            "metadata": {"permission": permission, "resource": f"projects/{project}"},
        },
    )
