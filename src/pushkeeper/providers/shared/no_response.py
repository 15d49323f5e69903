"""What it means that no answer came, for every provider. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.delivery.outcome import BadCredentials, Scope, Silence, Unanswered, Verdict
from pushkeeper.providers.shared.redact import excerpt

if TYPE_CHECKING:
    from pushkeeper.providers.transport.response import NoResponse

# `stream_not_finished` has no silence of its own: a stream that GOAWAY promised to finish continues to wait, and ends
# with an answer or with `no_response`.
_CODES = {
    Silence.NOT_SENT: "connection_failed",
    Silence.UNTRUSTED: "server_certificate_untrusted",
    Silence.NOT_PROCESSED: "stream_refused",
    Silence.LOST: "no_response",
    Silence.TIMED_OUT: "no_response",
    Silence.GARBLED: "fcm_response_without_name",
    Silence.IDLED_OUT: "apns_idle_timeout",
    Silence.NO_STREAM: "no_stream_available",
}


def read(silence: NoResponse) -> Verdict:
    """The verdict on a request without a response."""
    detail = excerpt(silence.detail)
    if silence.certificate_refused:
        return Verdict(
            code="client_certificate_refused",
            outcome=BadCredentials(scope=Scope.CREDENTIAL),
            reason="certificate_refused",
            detail=detail,
            alert="the provider refused our client certificate",
        )
    untrusted = silence.silence is Silence.UNTRUSTED
    return Verdict(
        code=_CODES[silence.silence],
        outcome=Unanswered(silence=silence.silence),
        reason=silence.silence.value,
        detail=detail,
        alert="the server's certificate is not trusted: interception, or a wrong clock" if untrusted else "",
    )
