"""The decision table: every provider response, and how Pushkeeper handles it.

The verdicts (`providers/*/verdict.py`), the retries (`core/delivery/retry.py`) and the lanes (`worker/lanes.py`) are
the rules; the table documents their results for readers of a push's `reason`: each row has a code, which is stored,
counted and shown (`core/delivery/reason_codes.py`), and an end-to-end test.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """The effect of a response on the device."""

    SENT = "sent"  # the last status becomes `sent`
    STRIKE = "bounce"  # `bounced`, and `suppressed` at the second in a row
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        code: the stable reason code: the provider and its own reason in snake_case, and what differs where several rows
            share a reason. It is stored and counted, so it never changes.
        answer: what the provider answered.
        meaning: what that means, as a phrase.
        device: what it does to the device.
        push: the outcome of the push.
        then: what else is done.
    """

    code: str
    answer: str
    meaning: str
    device: Effect
    push: str
    then: str


_S, _X, _N = Effect.SENT, Effect.STRIKE, Effect.NONE
_HOLDS = "on hold: resent once the cause is fixed"
_GUARDED = "counted as a bounce, or held while the route is not verified or such rejections spike"
_OPERATOR = "the route pauses and an alert is raised; it is retried every 5 minutes"

TABLE: tuple[Row, ...] = (
    Row("fcm_accepted", "FCM 200 with a name", "FCM accepted the push", _S, "accepted", ""),
    Row("dry_run_accepted", "FCM 200 to a dry run", "the request is good", _N, "accepted (dry run)", "a paused route's probe resumes it"),
    Row("fcm_response_without_name", "FCM 2xx without a name", "the response is not from FCM; a proxy intercepts the connection", _N, "tried once more, then unknown", "an alert is raised"),
    Row("fcm_unregistered", "FCM 404 UNREGISTERED", "the app was uninstalled", _X, "bounced", ""),
    Row("fcm_project_not_found", "FCM 404 without a code, or a page", "the project or address does not exist", _N, _HOLDS, f"{_OPERATOR}; an HTML page counts once five devices receive it; until then their pushes wait a minute"),
    Row("fcm_invalid_argument_token", "FCM 400 that names the token", "the token is invalid, or belongs to another project", _X, "bounced", _GUARDED),
    Row("fcm_apns_unregistered", "FCM 400 with Apple's 410", "the app was uninstalled (reported by Apple to Google)", _X, "bounced", ""),
    Row("fcm_apns_error", "FCM 400 with another answer of Apple's", "an APNs error on the FCM-to-Apple path", _N, "as for that APNs response", "only the FCM-to-Apple path is affected"),
    Row("fcm_invalid_argument_message", "FCM 400 that names another field", "the message is malformed", _N, "failed", "after three devices the message stops for all others"),
    Row("fcm_invalid_argument", "FCM 400 without details", "the message is probably malformed", _N, "failed", "as `fcm_invalid_argument_message`"),
    Row("fcm_unauthenticated", "FCM 401 without a code", "the access token is rejected", _N, "resent with a new access token, then held", f"{_OPERATOR}; an HTML page as in `fcm_project_not_found`"),
    Row("fcm_third_party_auth_error", "FCM 401 THIRD_PARTY_AUTH_ERROR", "the APNs key stored in Firebase is rejected", _N, _HOLDS, "the FCM-to-Apple path pauses and Android continues; there is no automatic check"),
    Row("fcm_sender_id_mismatch", "FCM 403 SENDER_ID_MISMATCH", "the token belongs to another project", _X, "bounced", _GUARDED),
    Row("fcm_permission_denied", "FCM 403 without a code", "the service account is not allowed to send", _N, _HOLDS, "as `fcm_project_not_found`, and retried after a minute, as a role takes that long to take effect; an HTML page as in `fcm_project_not_found`"),
    Row("fcm_payload_too_large", "FCM 413", "the message is too large", _N, "failed", "as `fcm_invalid_argument_message`"),
    Row("fcm_quota_exceeded_device", "FCM 429 that names the device", "rate limit for this device exceeded", _N, "resent after Retry-After, else after a minute or more", ""),
    Row("fcm_quota_exceeded_project", "FCM 429", "rate limit for the project exceeded, if three devices receive it within 10 seconds", _N, "as `fcm_quota_exceeded_device`", "the project pauses, then resumes at half its rate, plus 5% every 10 seconds"),
    Row("fcm_internal", "FCM 500, 504", "FCM has an internal error", _N, "resent after 10 s or more", "if half of the responses are errors, the route pauses for a while"),
    Row("fcm_bad_gateway", "FCM 502", "FCM's front end has an error", _N, "resent after Retry-After, else after 30 s or more", "as `fcm_internal`"),
    Row("fcm_unavailable", "FCM 503", "FCM is overloaded", _N, "resent after Retry-After, at least 10 s", "as `fcm_internal`"),
    Row("fcm_unrecognized_response", "FCM, any other response", "an unknown response", _N, "408, 409 ABORTED, 499 and 5xx: as `fcm_internal`; an HTML page: as in `fcm_project_not_found`; else failed (unclassified)", "an alert is raised; the response is stored"),
    Row("fcm_oauth_refused", "Google's token endpoint rejects the request", "the service account is rejected, or the server's clock is wrong", _N, _HOLDS, _OPERATOR),
    Row("fcm_oauth_unavailable", "Google's token endpoint has an error", "no access token is available", _N, "resent after 2 s or more", "a token that is still valid is used"),
    Row("apns_accepted", "APNs 200", "APNs accepted the push", _S, "accepted", ""),
    Row("apns_unregistered", "APNs 410, after the registration", "the app was uninstalled", _X, "bounced", ""),
    Row("apns_unregistered_stale", "APNs 410, before the registration", "the app was reinstalled since; a second such response is a bounce", _N, "failed", ""),
    Row("apns_unregistered_unclear", "APNs 410, without a time or within a minute before the registration", "as `apns_unregistered`, or as `apns_unregistered_stale`", _X, "bounced, or failed", ""),
    Row("apns_bad_device_token", "APNs 400 BadDeviceToken", "the token is invalid, or belongs to the other environment", _X, "bounced", _GUARDED),
    Row("apns_device_token_not_for_topic", "APNs 400 DeviceTokenNotForTopic", "the token belongs to another app", _X, "bounced", _GUARDED),
    Row("apns_topic_refused", "APNs 400 TopicDisallowed, BadTopic, MissingTopic", "the key is not allowed for this topic", _N, _HOLDS, _OPERATOR),
    Row("apns_invalid_message", "APNs 400 for a header or an empty payload", "the message is malformed", _N, "failed", "as `fcm_invalid_argument_message`"),
    Row("apns_invalid_request", "APNs 400 MissingDeviceToken, 404, 405", "Pushkeeper's request is malformed", _N, "failed", "an alert is raised"),
    Row("apns_payload_too_large", "APNs 413", "the message is too large", _N, "failed", "as `fcm_invalid_argument_message`"),
    Row("apns_idle_timeout", "APNs 400 IdleTimeout", "the connection timed out while idle", _N, "resent immediately", ""),
    Row("apns_expired_provider_token", "APNs 403 ExpiredProviderToken", "the provider token expired, or the server's clock is wrong", _N, "resent with a new provider token; held if the old one was recent", _OPERATOR),
    Row("apns_invalid_credentials", "APNs 403 for the key or the certificate", "the credential is rejected", _N, _HOLDS, _OPERATOR),
    Row("apns_unrelated_key_id_in_token", "APNs 403 UnrelatedKeyIdInToken", "the connection belongs to another key", _N, "resent on a new connection, then held", _OPERATOR),
    Row("apns_forbidden", "APNs 403 Forbidden", "the key is not allowed for this topic", _N, _HOLDS, _OPERATOR),
    Row("apns_too_many_requests", "APNs 429 TooManyRequests", "rate limit for this device exceeded", _N, "resent after a minute or more", ""),
    Row("apns_too_many_provider_token_updates", "APNs 429 TooManyProviderTokenUpdates", "provider tokens were changed too often", _N, "resent after a minute or more", "the previous token is used on a new connection"),
    Row("apns_internal_server_error", "APNs 500", "APNs has an internal error", _N, "resent after 15 minutes", "as `fcm_internal`"),
    Row("apns_service_unavailable", "APNs 503 ServiceUnavailable", "APNs has an internal error", _N, "resent after 15 minutes", "as `fcm_internal`"),
    Row("apns_shutdown", "APNs 503 Shutdown", "a host is shutting down", _N, "resent immediately on a new connection", ""),
    Row("apns_unrecognized_response", "APNs, any other response", "an unknown response, or one that is not from APNs", _N, "429: as `apns_too_many_requests`; 5xx: as `apns_internal_server_error`; a 2xx that is not APNs': as `fcm_response_without_name`; without a reason, and a new 403: waits a minute; else failed (unclassified)", "an alert is raised; a new 403, or a response without a reason, to five devices pauses the route"),
    Row("webpush_accepted", "Web Push 200, 201, 202, 204", "the push service accepted the push", _S, "accepted", ""),
    Row("webpush_unregistered", "Web Push 404, 410", "the subscription ended: the permission was revoked, or the site's data deleted", _X, "bounced", ""),
    Row("webpush_bad_keys", "Web Push 400 for the keys of the subscription", "the keys of the subscription are invalid", _X, "bounced", _GUARDED),
    Row("webpush_invalid_message", "Web Push 400", "the message is malformed", _N, "failed", "as `fcm_invalid_argument_message`, unless the push service is not a browser vendor's"),
    Row("webpush_invalid_credentials", "Web Push 401, 403", "the VAPID key or its subject is rejected", _N, "waits a minute", "an alert is raised; with five devices the route pauses, until it is resumed or the credentials are replaced"),
    Row("webpush_key_mismatch", "Web Push 401, 403 for one subscription, or its VAPID key is no longer stored", "the subscription was made with another VAPID key; the browser must subscribe again", _N, "failed", ""),
    Row("webpush_payload_too_large", "Web Push 413", "the message is too large", _N, "failed", "as `webpush_invalid_message`"),
    Row("webpush_too_many_requests", "Web Push 406, 429", "rate limit exceeded", _N, "resent after Retry-After, else after a minute or more", "if three devices receive it within 10 seconds, the route pauses, then resumes as for `fcm_quota_exceeded_project`"),
    Row("webpush_unavailable", "Web Push 408, 5xx", "the push service has an error", _N, "resent after Retry-After, at least 10 s", "as `fcm_internal`"),
    Row("webpush_unrecognized_response", "Web Push, any other response", "an unknown response", _N, "failed (unclassified)", "an alert is raised; the response is stored; redirects are not followed"),
    Row("webpush_endpoint_not_allowed", "Web Push, not sent: the host of the endpoint is unknown, or its address is not public", "the endpoint is not a known push service", _N, "failed", "hosts are allowed by `PUSHKEEPER_WEBPUSH_HOSTS`"),
    Row("connection_failed", "no connection", "the push was not sent", _N, "resent after a second or more", "as `fcm_internal`"),
    Row("server_certificate_untrusted", "the server's certificate is not trusted", "the connection is intercepted, or the clock is wrong", _N, _HOLDS, _OPERATOR),
    Row("client_certificate_refused", "the client certificate is rejected", "the credential is rejected", _N, _HOLDS, _OPERATOR),
    Row("stream_refused", "the stream is rejected", "the service did not process the push", _N, "resent immediately, not counted as an attempt", ""),
    Row("stream_not_finished", "GOAWAY that covers our stream", "the service will still respond", _N, "waits for the response", "new pushes use a new connection"),
    Row("no_response", "the connection is lost, or no response in time", "the push may have been delivered", _N, "resent with the same identity", ""),
    Row("no_stream_available", "no stream is free", "the push was not sent", _N, "stays queued", ""),
)  # fmt: skip
