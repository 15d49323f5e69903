"""Every request, from its head to its response: timed, given an id, logged and counted; what is raised becomes a response."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from starlette.requests import ClientDisconnect

from pushkeeper.errors import MethodNotAllowed, PushkeeperError, TooManyRequests, Unreachable, http_status
from pushkeeper.observability.logs import logger, write_request
from pushkeeper.observability.meters import PROCESS
from pushkeeper.observability.metrics import Metric
from pushkeeper.web.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send

    from pushkeeper.observability.meters import Counter, Histogram
    from pushkeeper.web.response import Headers, Response

HandlerT = TypeVar("HandlerT")
HandlerT_contra = TypeVar("HandlerT_contra", contravariant=True)

log = logger("api")

_CLIENT_LEFT = 499  # nginx's number for it; nobody is there to be sent it


class Style(Protocol[HandlerT_contra]):
    """What an API, or the dashboard, has of its own: who may call it, what a handler is given, and how it says no.

    Attributes:
        name: the label of its metrics; an empty one is not counted.
        headers: that all of its responses have.
        for_browsers: its responses may be zipped.
    """

    @property
    def name(self) -> str: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def for_browsers(self) -> bool: ...

    async def respond(self, request: Request, handler: HandlerT_contra) -> Response:
        """Authenticate, read and handle a request.

        Raises:
            PushkeeperError: any.
        """

    def refusal(self, request: Request, error: PushkeeperError, status: int) -> Response:
        """How it says that error."""


class Endpoint(Generic[HandlerT]):
    """One path with a handler for each method, as an ASGI application."""

    def __init__(self, style: Style[HandlerT], path: str, handlers: Mapping[str, HandlerT]) -> None:
        self.style = style
        self.handlers = {**handlers, **({"HEAD": handlers["GET"]} if "GET" in handlers else {})}
        self._path = path
        self._meters: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request = Request(scope, receive)
        status, delivery_id = _CLIENT_LEFT, None
        try:
            response = await self.respond(request)
            if self.style.for_browsers:
                response = response.zipped(accepted=request.accepts_gzip)
            sending = response.send(
                send, request.request_id, self.style.headers, head=request.method == "HEAD"
            )
            if response.parts is not None:
                status = response.status if await request.unless_gone(sending) else status
            else:
                await sending
                status, delivery_id = response.status, response.delivery_id
        except ClientDisconnect:
            pass
        took_s = time.perf_counter() - started
        if self.style.name:
            calls, durations = self._meters.get((request.method, status)) or self._meter(
                request.method, status
            )
            calls.value += 1
            durations.observe(took_s)
        write_request(
            method=request.method,
            route=self._path,
            status=status,
            ms=round(took_s * 1000, 1),
            request_id=request.request_id,
            delivery_id=None if delivery_id is None else str(delivery_id),
        )

    async def respond(self, request: Request) -> Response:
        """The response to a request, which may be how an error is said."""
        handler = self.handlers.get(request.method)
        if handler is None:
            error = MethodNotAllowed(f"{request.method} is not supported for this path")
            refused = self.style.refusal(request, error, http_status(error))
            return refused.with_headers((b"allow", ", ".join(self.handlers).encode()))
        try:
            return await self.style.respond(request, handler)
        except PushkeeperError as error:
            refused = self.style.refusal(request, error, http_status(error))
            if isinstance(error, TooManyRequests | Unreachable):
                refused = refused.with_headers((b"retry-after", b"%d" % error.retry_after_s))
            return refused
        except ClientDisconnect:
            raise
        except Exception:
            # The last handler: the client learns that it was our fault, the log why.
            log.exception("request_failed", route=self._path, request_id=request.request_id)
            fault = PushkeeperError("internal error")
            return self.style.refusal(request, fault, http_status(fault))

    def _meter(self, method: str, status: int) -> tuple[Counter, Histogram]:
        """The metrics of such calls; unknown methods share one label, since clients can invent any number of them."""
        if method not in self.handlers:
            return meters_of(self.style.name, self._path, "other", status)
        found = meters_of(self.style.name, self._path, method, status)
        self._meters[method, status] = found
        return found


def meters_of(surface: str, path: str, method: str, status: int) -> tuple[Counter, Histogram]:
    """What counts the calls of this kind, and how long they took."""
    calls = PROCESS.count(Metric.HTTP_REQUESTS, surface, path, method, str(status))
    return calls, PROCESS.spread(Metric.HTTP_DURATION, surface, f"{status // 100}xx")
