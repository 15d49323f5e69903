"""What a service and its connections tell each other: requests, answers of every kind, and how connections behave."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - switches are set by their types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

_LARGEST_BODY_BYTES = 65_536  # what is kept of a body; the rest is read and forgotten


@dataclass(slots=True)
class Request:
    """A whole request; of a header that came twice, `fields` has the last.

    Over HTTP/1.1 too the method, path and host are `:method`, `:path` and `:authority`; its `stream_id` is 0.
    """

    stream_id: int
    headers: Headers
    fields: dict[bytes, bytes]
    body: bytes = b""

    def extend(self, data: bytes) -> None:
        """Take more of the body."""
        if len(self.body) < _LARGEST_BODY_BYTES:
            self.body += data


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, ready for the wire: `headers` opens with `:status`."""

    headers: Headers
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Later:
    """An answer that comes after a wait."""

    after_s: float
    answer: Answer


@dataclass(frozen=True, slots=True)
class Reset:
    """RST_STREAM in place of an answer."""

    code: int


@dataclass(frozen=True, slots=True)
class Drop:
    """The end of the connection in place of an answer; answers of the same turn that came earlier still leave."""


@dataclass(frozen=True, slots=True)
class Never:
    """No answer at all: the stream stays open."""


Answer: TypeAlias = Reply | Later | Reset | Drop | Never


class Session(Protocol):
    """What a service knows of one connection."""

    def handle(self, request: Request) -> Answer: ...


class Link(Protocol):
    """A connection as a service, a fault or the control API sees it, whichever HTTP it speaks."""

    profile: Profile

    @property
    def client_certificate(self) -> dict[str, object]: ...

    def limit_streams(self, streams: int) -> None: ...

    def go_away(self, code: int = 0, debug: bytes = b"", last_stream_id: int | None = None) -> None: ...

    def abort(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How a service's connections behave.

    Attributes:
        http1: HTTP/1.1 is spoken too, to clients that don't request HTTP/2; `streams`, `settings`, `data_frames`, pings and
            refused streams have no meaning there.
        scheme_with_colon: a `:scheme` of `https:` is taken for `https`, as Google's front end does (its own SDK for Node
            sends it).
        streams: the MAX_CONCURRENT_STREAMS that is announced, and held.
        opening_streams: the same until the session raises it, if that differs.
        settings: the other SETTINGS of the first frame.
        excess_debug: a stream too many ends the connection with GOAWAY (PROTOCOL_ERROR) and these words; None: the
            stream alone is refused (REFUSED_STREAM).
        needs_authority: a request with `host` alone gets 400.
        data_frames: how many DATA frames a body of some length comes in (1 or 2).
        idle_timeout_s, idle_debug: GOAWAY after so long without a byte from the client.
        max_age_s, age_debug: GOAWAY at this age.
        idle_pings, pings_debug: GOAWAY (ENHANCE_YOUR_CALM) at one PING more than these without a request in between.
        max_requests: GOAWAY after so many requests of a connection.
        refused_share: the share of requests that are refused (REFUSED_STREAM) before they are processed; 0.01 is one
            in a hundred.
        lost_share: the share whose response is lost (INTERNAL_ERROR), after they were processed.
        latency_ms: the latency of each response.
    """

    streams: int
    http1: bool = False
    scheme_with_colon: bool = False
    opening_streams: int | None = None
    settings: Mapping[int, int] = field(default_factory=dict)
    excess_debug: bytes | None = None
    needs_authority: bool = False
    data_frames: int = 1
    idle_timeout_s: float | None = None
    idle_debug: bytes = b""
    max_age_s: float | None = None
    age_debug: bytes = b""
    idle_pings: int | None = None
    pings_debug: bytes = b""
    max_requests: int | None = None
    refused_share: float = 0.0
    lost_share: float = 0.0
    latency_ms: float = 0.0


class Owner(Protocol):
    """What a connection uses of the listener that it came through."""

    profile: Profile
    service: Callable[[Link], Session]

    def joined(self, connection: Link) -> None: ...
    def left(self, connection: Link) -> None: ...
    def answer(self, session: Session, request: Request) -> Answer: ...
    def struck(self, fault: str, share: float) -> bool: ...
