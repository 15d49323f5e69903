"""The decision table in words: every answer that a push service gives, and what we make of it.

The verdicts (`providers/*/verdict.py`), the retries (`core/delivery/retry.py`) and the lanes (`worker/lanes.py`) are the rules; this
is what they come to, row by row, for whoever reads a push's `reason`. Each row is held by a test from end to end.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """What an answer does to its device."""

    SENT = "sent"  # the last status becomes `sent`
    STRIKE = "a strike"  # `bounced`, and `suppressed` at the second in a row
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the answer, what it means, what it does to the device, what becomes of the push, and what we do."""

    row: str
    answer: str
    meaning: str
    device: Effect
    push: str
    then: str


_S, _X, _N = Effect.SENT, Effect.STRIKE, Effect.NONE
_HOLDS = "held: sent again once the cause is mended"
_GUARDED = "a strike, or held while the route is not proved or a wave of such refusals is under way"
_OPERATOR = "the route pauses and somebody is told; a probe each five minutes asks whether it is well again"

TABLE: tuple[Row, ...] = (
    Row("F1", "FCM 200 with a name", "FCM took the push", _S, "accepted", ""),
    Row("F2", "FCM 200 to a dry run", "the request is good", _N, "accepted (dry run)", "a paused route's probe resumes it"),
    Row("F3", "FCM 2xx without a name", "not FCM's answer: a proxy in the way", _N, "tried once more, then unknown", "somebody is told"),
    Row("F4", "FCM 404 UNREGISTERED", "the app is gone from the device", _X, "bounced", ""),
    Row("F5", "FCM 404 without a code, or a page", "no such project or address", _N, _HOLDS, f"{_OPERATOR}; a page counts once five devices hear it, and until then their pushes wait a minute"),
    Row("F6", "FCM 400 that names the token", "no token, or not one of this project's", _X, "bounced", _GUARDED),
    Row("F7", "FCM 400 with Apple's 410", "the app is gone, as Apple told Google", _X, "bounced", ""),
    Row("F8", "FCM 400 with another answer of Apple's", "what that answer means, on the Apple leg", _N, "as that answer's row", "the Apple leg alone is concerned"),
    Row("F9", "FCM 400 that names another field", "the message is malformed", _N, "failed", "at three devices the message stops for the rest"),
    Row("F10", "FCM 400 without details", "the message is malformed, by all we know", _N, "failed", "as F9"),
    Row("F11", "FCM 401 without a code", "the access token is refused", _N, "sent again with a new token; then held", f"{_OPERATOR}; a page as in F5"),
    Row("F12", "FCM 401 THIRD_PARTY_AUTH_ERROR", "Firebase's copy of the Apple key is refused", _N, _HOLDS, "the Apple leg pauses and Android goes on; nothing can be asked in its place"),
    Row("F13", "FCM 403 SENDER_ID_MISMATCH", "the token is another project's", _X, "bounced", _GUARDED),
    Row("F14", "FCM 403 without a code", "the service account may not send", _N, _HOLDS, "as F5, and asked again after a minute: a role takes that long to spread; a page as in F5"),
    Row("F15", "FCM 413", "the message is too large", _N, "failed", "as F9"),
    Row("F16", "FCM 429 that names the device", "too fast for this device", _N, "sent again after Retry-After, else a minute and more", ""),
    Row("F17", "FCM 429", "too fast for the project, if three devices hear it in ten seconds", _N, "as F16", "the project rests, and goes on at half its rate, 5 % more each ten seconds"),
    Row("F18", "FCM 500, 504", "FCM is in trouble", _N, "sent again after 10 s and more", "half of the answers so: the route is left alone for a while"),
    Row("F19", "FCM 502", "FCM's front is in trouble", _N, "sent again after Retry-After, else 30 s and more", "as F18"),
    Row("F20", "FCM 503", "FCM is overloaded", _N, "sent again after Retry-After, 10 s at least", "as F18"),
    Row("F21", "FCM, any other answer", "nobody has seen it before", _N, "408, 409 ABORTED, 499 and 5xx: as F18; a page: as in F5; else failed (unclassified)", "somebody is told; the answer is kept"),
    Row("F22", "Google's token endpoint refuses", "the service account, or our clock, is refused", _N, _HOLDS, _OPERATOR),
    Row("F23", "Google's token endpoint is in trouble", "no access token can be had", _N, "sent again after 2 s and more", "a token that still lives is used on"),
    Row("P1", "APNs 200", "APNs took the push", _S, "accepted", ""),
    Row("P2", "APNs 410, after the registration", "the app is gone from the device", _X, "bounced", ""),
    Row("P3", "APNs 410, before the registration", "the app came back meanwhile; a second such answer is a strike", _N, "failed", ""),
    Row("P4", "APNs 410, without a time or within a minute before the registration", "as P2, or as P3", _X, "bounced, or failed", ""),
    Row("P5", "APNs 400 BadDeviceToken", "no token, or one of the other environment", _X, "bounced", _GUARDED),
    Row("P6", "APNs 400 DeviceTokenNotForTopic", "the token is another app's", _X, "bounced", _GUARDED),
    Row("P7", "APNs 400 TopicDisallowed, BadTopic, MissingTopic", "the key may not push to this topic", _N, _HOLDS, _OPERATOR),
    Row("P8", "APNs 400 for a header or an empty payload", "the message is malformed", _N, "failed", "as F9"),
    Row("P9", "APNs 400 MissingDeviceToken, 404, 405", "our own request is malformed", _N, "failed", "somebody is told"),
    Row("P10", "APNs 413", "the message is too large", _N, "failed", "as F9"),
    Row("P11", "APNs 400 IdleTimeout", "the connection had idled out", _N, "sent again at once", ""),
    Row("P12", "APNs 403 ExpiredProviderToken", "the provider token is too old, or our clock is off", _N, "sent again with a new token; held if it was young", _OPERATOR),
    Row("P13", "APNs 403 for the key or the certificate", "the credential is refused", _N, _HOLDS, _OPERATOR),
    Row("P14", "APNs 403 UnrelatedKeyIdInToken", "the connection belongs to another key", _N, "sent again on a new connection; then held", _OPERATOR),
    Row("P15", "APNs 403 Forbidden", "the key may not push to this topic", _N, _HOLDS, _OPERATOR),
    Row("P16", "APNs 429 TooManyRequests", "too fast for this device", _N, "sent again after a minute and more", ""),
    Row("P17", "APNs 429 TooManyProviderTokenUpdates", "we changed provider tokens too often", _N, "sent again after a minute and more", "the former token is used on, on a new connection"),
    Row("P18", "APNs 500", "APNs is in trouble", _N, "sent again after a quarter of an hour", "as F18"),
    Row("P19", "APNs 503 ServiceUnavailable", "APNs is in trouble", _N, "sent again after a quarter of an hour", "as F18"),
    Row("P20", "APNs 503 Shutdown", "one host is leaving", _N, "sent again at once on a new connection", ""),
    Row("P21", "APNs, any other answer", "nobody has seen it before, or it is not APNs' own", _N, "429: as P16; 5xx: as P18; a 2xx that is not APNs': as F3; without a reason, and a new 403: waits a minute; else failed (unclassified)", "somebody is told; five devices that hear a new 403, or an answer without a reason, pause the route"),
    Row("N1", "no connection", "nothing was sent", _N, "sent again after a second and more", "as F18"),
    Row("N2", "the server's certificate is not trusted", "interception, or a clock far off", _N, _HOLDS, _OPERATOR),
    Row("N3", "our client certificate is refused", "the credential is refused", _N, _HOLDS, _OPERATOR),
    Row("N4", "the stream is refused", "the service did not look at it", _N, "sent again at once, not charged", ""),
    Row("N5", "GOAWAY that covers our stream", "the service will still answer", _N, "waits for its answer", "new work goes on a new connection"),
    Row("N6", "the connection is lost, or no answer in time", "the push may have arrived", _N, "sent again with the same identity", ""),
    Row("N7", "no stream is free", "the push did not leave", _N, "waits in its queue", ""),
)  # fmt: skip
