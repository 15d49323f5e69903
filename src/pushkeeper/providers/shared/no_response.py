"""What it means that no answer came: rows N1 to N7 of the decision table, for every provider. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushkeeper.core.delivery.outcome import BadCredentials, Scope, Silence, Unanswered, Verdict
from pushkeeper.providers.shared.redact import excerpt

if TYPE_CHECKING:
    from pushkeeper.providers.transport.response import NoResponse

# N5 has no silence of its own: a stream that GOAWAY promised to finish goes on waiting, and ends with an answer or as N6.
_ROWS = {
    Silence.NOT_SENT: "N1",
    Silence.UNTRUSTED: "N2",
    Silence.NOT_PROCESSED: "N4",
    Silence.LOST: "N6",
    Silence.TIMED_OUT: "N6",
    Silence.GARBLED: "F3",
    Silence.IDLED_OUT: "P11",
    Silence.NO_STREAM: "N7",
}


def read(silence: NoResponse) -> Verdict:
    """The verdict on a request without a response."""
    detail = excerpt(silence.detail)
    if silence.certificate_refused:
        return Verdict(
            row="N3",
            outcome=BadCredentials(scope=Scope.CREDENTIAL),
            reason="certificate_refused",
            detail=detail,
            alert="the provider refused our client certificate",
        )
    untrusted = silence.silence is Silence.UNTRUSTED
    return Verdict(
        row=_ROWS[silence.silence],
        outcome=Unanswered(silence=silence.silence),
        reason=silence.silence.value,
        detail=detail,
        alert="the server's certificate is not trusted: interception, or a wrong clock" if untrusted else "",
    )
