"""Scripted answers: what a token answers next, whatever is true of it."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from pushkeeper.simulator.exchange import Answer, Drop, Later, Never, Reply, Reset

Status: TypeAlias = Annotated[int, Meta(ge=200, le=599)]
HeaderName: TypeAlias = Annotated[str, Meta(pattern="^[A-Za-z0-9-]+$")]
HeaderValue: TypeAlias = Annotated[str, Meta(pattern="^[ -~]*$")]


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One scripted answer; with no `status` and no `body` the answer is what is true of the token.

    Attributes:
        status: HTTP status; with `reason` alone the body has the service's own form.
        reason: APNs: the reason. FCM: the FcmError code (`UNREGISTERED`), or "" for an answer without one.
        form: FCM: one of the forms of a 400 (`fcm_errors.FORMS`) in place of status and reason.
        apns_reason: FCM: what Apple said, as an ApnsError among the details, with `apns_status`.
        timestamp: APNs: milliseconds since the epoch, in the body.
        body: the body itself: JSON, or any text (HTML).
        headers: further headers, such as `retry-after`; one that the answer has already is replaced.
        delay_ms: wait before all else.
        reset: RST_STREAM with this code in place of the answer.
        hold: never answer.
        close: close the connection in place of the answer.
        processed: of `reset`, `hold` and `close`: whether the push was taken before the answer was lost.
    """

    status: Status | None = None
    reason: str = ""
    form: str = ""
    apns_reason: str = ""
    apns_status: Status = 400
    timestamp: int | None = None
    body: dict[str, Any] | str | None = None
    headers: dict[HeaderName, HeaderValue] = {}
    delay_ms: Annotated[float, Meta(ge=0)] = 0
    reset: Annotated[int, Meta(ge=0, lt=2**32)] | None = None
    hold: bool = False
    close: bool = False
    processed: bool = False

    @property
    def loses_the_answer(self) -> bool:
        """Whether the client gets no response."""
        return self.reset is not None or self.hold or self.close

    @property
    def decides(self) -> bool:
        """Whether the step says itself what the answer is."""
        return self.status is not None or self.body is not None or bool(self.form)

    def carry_out(self, reply: Reply) -> Answer:
        """Put what the step does to the wire in the way of a reply."""
        answer: Answer = reply
        if self.reset is not None:
            answer = Reset(self.reset)
        elif self.hold:
            answer = Never()
        elif self.close:
            answer = Drop()
        return Later(self.delay_ms / 1000, answer) if self.delay_ms else answer

    def written_body(self) -> bytes:
        """The body that the step spells out."""
        return self.body.encode() if isinstance(self.body, str) else msgspec.json.encode(self.body)

    def with_headers(self, reply: Reply) -> Reply:
        """The reply with the step's own headers over it."""
        own = tuple((name.lower().encode(), value.encode()) for name, value in self.headers.items())
        names = {name for name, _ in own}
        return Reply((*(field for field in reply.headers if field[0] not in names), *own), reply.body)
