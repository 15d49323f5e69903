"""Where browsers' push services are: a pool of connections for each origin, over HTTP/2 or else HTTP/1.1."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import psutil

from pushkeeper.core.delivery.outcome import Silence
from pushkeeper.core.destination import Destinations
from pushkeeper.core.devices import browser_services
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.providers.transport.address import Address
from pushkeeper.providers.transport.http1 import HTTP1, Http1
from pushkeeper.providers.transport.limits import Limits
from pushkeeper.providers.transport.pool import Pool
from pushkeeper.providers.transport.response import NoResponse
from pushkeeper.providers.transport.tls import HTTP2, Endpoint, tls_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushkeeper.providers.transport.response import Answer, Request
    from pushkeeper.providers.webpush.message import Address as To

Key = TypeVar("Key")
log = logger("providers")
_CLOSED_UNDER_WAY = NoResponse(Silence.LOST, "closed before the answer came")

_LIMITS = Limits(max_streams=100, request_timeout_s=15.0, idle_s=180.0, max_age_s=3300.0)
# Microsoft's service has a host for each of its clusters; of others, whose pools do nothing, the oldest are closed.
_MOST_ORIGINS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which endpoints may be called, and where they really are.

    Attributes:
        destinations: which addresses may be called besides public ones.
        hosts: push services besides those of the browsers' vendors; a leading dot stands for all names below it.
        endpoint_url: what is called in the place of all of them: the simulator, or a proxy.
        ca_pem: who vouches for them, in the place of the system's CAs.
    """

    destinations: Destinations = field(default_factory=Destinations)
    hosts: tuple[str, ...] = ()
    endpoint_url: str | None = None
    ca_pem: str | None = None


class _Origin(Generic[Key]):
    def __init__(self, pool: Pool[tuple[Key, Request]]) -> None:
        self.pool = pool
        self.http1: Http1 | None = None


class Origins(Generic[Key]):
    """Sends requests to many origins; each is answered exactly once, in groups."""

    def __init__(self, where: Where, on_answers: Callable[[list[tuple[Key, Answer]]], None]) -> None:
        """Open nothing yet.

        Raises:
            BadRequest: the address in the place of all is no HTTPS URL, or the CA is no certificate.
        """
        self._where = where
        self._on_answers = on_answers
        self._instead = (
            None if where.endpoint_url is None else Address.parse(where.endpoint_url, "endpoint_url")
        )
        self._tls = tls_context(where.ca_pem, protocols=(HTTP2, HTTP1))
        self._origins: OrderedDict[tuple[str, int], _Origin[Key]] = OrderedDict()
        self._own = frozenset(one.address for several in psutil.net_if_addrs().values() for one in several)
        self._asking: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def pending(self) -> int:
        """Requests that were submitted and are not answered yet."""
        return len(self._asking) + sum(origin.pool.pending for origin in self._origins.values())

    def refusal(self, to: To) -> str:
        """Why an endpoint may not be called, as a sentence; "" if it may."""
        if browser_services.is_allowed(to.host, to.port, self._where.hosts):
            return ""
        return "The endpoint's host is not a known push service; PUSHKEEPER_WEBPUSH_HOSTS lists others."

    def submit(self, key: Key, to: To, request: Request, *, urgent: bool) -> None:
        """Take a request to an endpoint that may be called; its answer is told later, together with others."""
        at = (self._instead.host, self._instead.port) if self._instead else (to.host, to.port)
        origin = self._origins.get(at) or self._open(at)
        if origin.http1 is None:
            origin.pool.submit((key, request), request, urgent=urgent)
        else:
            self._ask(origin.http1, key, request)

    def withdraw(self, unwanted: Callable[[Key], bool]) -> int:
        """Withdraw requests that are on no stream yet; each is answered as not processed. Returns how many."""
        return sum(origin.pool.withdraw(lambda one: unwanted(one[0])) for origin in self._origins.values())

    async def aclose(self, drain_s: float) -> None:
        """Wait up to `drain_s` seconds for what was submitted, answer the rest and close."""
        loop = asyncio.get_running_loop()
        closed_at = loop.time() + drain_s
        await asyncio.gather(*(one.pool.aclose(drain_s) for one in self._origins.values()), *self._closing)
        if self._asking:
            _, late = await asyncio.wait(self._asking, timeout=max(closed_at - loop.time(), 0.0))
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for one in self._origins.values():
            if one.http1 is not None:
                one.http1.close()

    def _open(self, at: tuple[str, int]) -> _Origin[Key]:
        host, port = at
        permits = (
            None if self._instead else (lambda text: self._where.destinations.permit(host, text, self._own))
        )
        endpoint = Endpoint(host, port, self._tls, permits)
        origin: _Origin[Key] = _Origin(
            Pool(endpoint, _LIMITS, lambda answers: self._answered(origin, endpoint, answers))
        )
        self._origins[at] = origin
        self._close_oldest()
        return origin

    def _close_oldest(self) -> None:
        for at in list(self._origins)[: max(len(self._origins) - _MOST_ORIGINS, 0)]:
            if not self._origins[at].pool.pending:
                task = asyncio.get_running_loop().create_task(self._origins.pop(at).pool.aclose(0.0))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

    def _answered(
        self, origin: _Origin[Key], endpoint: Endpoint, answers: list[tuple[tuple[Key, Request], Answer]]
    ) -> None:
        told: list[tuple[Key, Answer]] = []
        for (key, request), answer in answers:
            if isinstance(answer, NoResponse) and answer.no_http2:
                if origin.http1 is None:
                    tls = tls_context(self._where.ca_pem, protocols=(HTTP1,))
                    origin.http1 = Http1(
                        Endpoint(endpoint.host, endpoint.port, tls, endpoint.permits), _LIMITS
                    )
                self._ask(origin.http1, key, request)
            else:
                told.append((key, answer))
        if told:
            self._on_answers(told)

    def _ask(self, http1: Http1, key: Key, request: Request) -> None:
        async def ask() -> None:
            answer: Answer = _CLOSED_UNDER_WAY
            try:
                with isolated(log, "request_not_sent"):
                    answer = await http1.fetch(request)
            finally:
                self._on_answers([(key, answer)])

        task = asyncio.get_running_loop().create_task(ask())
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
