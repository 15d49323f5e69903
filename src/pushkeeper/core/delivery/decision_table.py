"""The decision table in words: every answer that a push service gives, and what we make of it.

The verdicts (`providers/*/verdict.py`), the retries (`core/delivery/retry.py`) and the lanes (`worker/lanes.py`) are the rules; this
is what they come to, for whoever reads a push's `reason`: each row has a code, which is what is stored, counted and shown
(`core/delivery/reason_codes.py`). Each row is held by a test from end to end.
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
    """One row.

    Attributes:
        code: the stable reason code: the provider and its own reason in snake_case, and what differs where several rows
            share a reason. It is stored and counted, so it never changes.
        answer: what the provider answered.
        meaning: what that means, as part of a sentence.
        device: what it does to the device.
        push: what becomes of the push.
        then: what else is done.
    """

    code: str
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
    Row("fcm_accepted", "FCM 200 with a name", "FCM took the push", _S, "accepted", ""),
    Row("dry_run_accepted", "FCM 200 to a dry run", "the request is good", _N, "accepted (dry run)", "a paused route's probe resumes it"),
    Row("fcm_response_without_name", "FCM 2xx without a name", "not FCM's answer: a proxy in the way", _N, "tried once more, then unknown", "somebody is told"),
    Row("fcm_unregistered", "FCM 404 UNREGISTERED", "the app is gone from the device", _X, "bounced", ""),
    Row("fcm_project_not_found", "FCM 404 without a code, or a page", "no such project or address", _N, _HOLDS, f"{_OPERATOR}; a page counts once five devices hear it, and until then their pushes wait a minute"),
    Row("fcm_invalid_argument_token", "FCM 400 that names the token", "no token, or not one of this project's", _X, "bounced", _GUARDED),
    Row("fcm_apns_unregistered", "FCM 400 with Apple's 410", "the app is gone, as Apple told Google", _X, "bounced", ""),
    Row("fcm_apns_error", "FCM 400 with another answer of Apple's", "what that answer means, on the Apple leg", _N, "as for that answer", "the Apple leg alone is concerned"),
    Row("fcm_invalid_argument_message", "FCM 400 that names another field", "the message is malformed", _N, "failed", "at three devices the message stops for the rest"),
    Row("fcm_invalid_argument", "FCM 400 without details", "the message is malformed, by all we know", _N, "failed", "as `fcm_invalid_argument_message`"),
    Row("fcm_unauthenticated", "FCM 401 without a code", "the access token is refused", _N, "sent again with a new token; then held", f"{_OPERATOR}; a page as in `fcm_project_not_found`"),
    Row("fcm_third_party_auth_error", "FCM 401 THIRD_PARTY_AUTH_ERROR", "Firebase's copy of the Apple key is refused", _N, _HOLDS, "the Apple leg pauses and Android goes on; nothing can be asked in its place"),
    Row("fcm_sender_id_mismatch", "FCM 403 SENDER_ID_MISMATCH", "the token is another project's", _X, "bounced", _GUARDED),
    Row("fcm_permission_denied", "FCM 403 without a code", "the service account may not send", _N, _HOLDS, "as `fcm_project_not_found`, and asked again after a minute: a role takes that long to spread; a page as in `fcm_project_not_found`"),
    Row("fcm_payload_too_large", "FCM 413", "the message is too large", _N, "failed", "as `fcm_invalid_argument_message`"),
    Row("fcm_quota_exceeded_device", "FCM 429 that names the device", "too fast for this device", _N, "sent again after Retry-After, else a minute and more", ""),
    Row("fcm_quota_exceeded_project", "FCM 429", "too fast for the project, if three devices hear it in ten seconds", _N, "as `fcm_quota_exceeded_device`", "the project rests, and goes on at half its rate, 5 % more each ten seconds"),
    Row("fcm_internal", "FCM 500, 504", "FCM is in trouble", _N, "sent again after 10 s and more", "half of the answers so: the route is left alone for a while"),
    Row("fcm_bad_gateway", "FCM 502", "FCM's front is in trouble", _N, "sent again after Retry-After, else 30 s and more", "as `fcm_internal`"),
    Row("fcm_unavailable", "FCM 503", "FCM is overloaded", _N, "sent again after Retry-After, 10 s at least", "as `fcm_internal`"),
    Row("fcm_unrecognized_response", "FCM, any other answer", "nobody has seen it before", _N, "408, 409 ABORTED, 499 and 5xx: as `fcm_internal`; a page: as in `fcm_project_not_found`; else failed (unclassified)", "somebody is told; the answer is kept"),
    Row("fcm_oauth_refused", "Google's token endpoint refuses", "the service account, or our clock, is refused", _N, _HOLDS, _OPERATOR),
    Row("fcm_oauth_unavailable", "Google's token endpoint is in trouble", "no access token can be had", _N, "sent again after 2 s and more", "a token that still lives is used on"),
    Row("apns_accepted", "APNs 200", "APNs took the push", _S, "accepted", ""),
    Row("apns_unregistered", "APNs 410, after the registration", "the app is gone from the device", _X, "bounced", ""),
    Row("apns_unregistered_stale", "APNs 410, before the registration", "the app came back meanwhile; a second such answer is a strike", _N, "failed", ""),
    Row("apns_unregistered_unclear", "APNs 410, without a time or within a minute before the registration", "as `apns_unregistered`, or as `apns_unregistered_stale`", _X, "bounced, or failed", ""),
    Row("apns_bad_device_token", "APNs 400 BadDeviceToken", "no token, or one of the other environment", _X, "bounced", _GUARDED),
    Row("apns_device_token_not_for_topic", "APNs 400 DeviceTokenNotForTopic", "the token is another app's", _X, "bounced", _GUARDED),
    Row("apns_topic_refused", "APNs 400 TopicDisallowed, BadTopic, MissingTopic", "the key may not push to this topic", _N, _HOLDS, _OPERATOR),
    Row("apns_invalid_message", "APNs 400 for a header or an empty payload", "the message is malformed", _N, "failed", "as `fcm_invalid_argument_message`"),
    Row("apns_invalid_request", "APNs 400 MissingDeviceToken, 404, 405", "our own request is malformed", _N, "failed", "somebody is told"),
    Row("apns_payload_too_large", "APNs 413", "the message is too large", _N, "failed", "as `fcm_invalid_argument_message`"),
    Row("apns_idle_timeout", "APNs 400 IdleTimeout", "the connection had idled out", _N, "sent again at once", ""),
    Row("apns_expired_provider_token", "APNs 403 ExpiredProviderToken", "the provider token is too old, or our clock is off", _N, "sent again with a new token; held if it was young", _OPERATOR),
    Row("apns_invalid_credentials", "APNs 403 for the key or the certificate", "the credential is refused", _N, _HOLDS, _OPERATOR),
    Row("apns_unrelated_key_id_in_token", "APNs 403 UnrelatedKeyIdInToken", "the connection belongs to another key", _N, "sent again on a new connection; then held", _OPERATOR),
    Row("apns_forbidden", "APNs 403 Forbidden", "the key may not push to this topic", _N, _HOLDS, _OPERATOR),
    Row("apns_too_many_requests", "APNs 429 TooManyRequests", "too fast for this device", _N, "sent again after a minute and more", ""),
    Row("apns_too_many_provider_token_updates", "APNs 429 TooManyProviderTokenUpdates", "we changed provider tokens too often", _N, "sent again after a minute and more", "the former token is used on, on a new connection"),
    Row("apns_internal_server_error", "APNs 500", "APNs is in trouble", _N, "sent again after a quarter of an hour", "as `fcm_internal`"),
    Row("apns_service_unavailable", "APNs 503 ServiceUnavailable", "APNs is in trouble", _N, "sent again after a quarter of an hour", "as `fcm_internal`"),
    Row("apns_shutdown", "APNs 503 Shutdown", "one host is leaving", _N, "sent again at once on a new connection", ""),
    Row("apns_unrecognized_response", "APNs, any other answer", "nobody has seen it before, or it is not APNs' own", _N, "429: as `apns_too_many_requests`; 5xx: as `apns_internal_server_error`; a 2xx that is not APNs': as `fcm_response_without_name`; without a reason, and a new 403: waits a minute; else failed (unclassified)", "somebody is told; five devices that hear a new 403, or an answer without a reason, pause the route"),
    Row("connection_failed", "no connection", "nothing was sent", _N, "sent again after a second and more", "as `fcm_internal`"),
    Row("server_certificate_untrusted", "the server's certificate is not trusted", "interception, or a clock far off", _N, _HOLDS, _OPERATOR),
    Row("client_certificate_refused", "our client certificate is refused", "the credential is refused", _N, _HOLDS, _OPERATOR),
    Row("stream_refused", "the stream is refused", "the service did not look at it", _N, "sent again at once, not charged", ""),
    Row("stream_not_finished", "GOAWAY that covers our stream", "the service will still answer", _N, "waits for its answer", "new work goes on a new connection"),
    Row("no_response", "the connection is lost, or no answer in time", "the push may have arrived", _N, "sent again with the same identity", ""),
    Row("no_stream_available", "no stream is free", "the push did not leave", _N, "waits in its queue", ""),
)  # fmt: skip
