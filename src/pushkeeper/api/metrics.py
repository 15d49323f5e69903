"""`/metrics`, for Prometheus: open to this machine, and to others with the token that the settings name."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from math import inf
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pushkeeper.observability.meters import Histogram
from pushkeeper.observability.metrics import Metric
from pushkeeper.web import response
from pushkeeper.web.request import request_id_of
from pushkeeper.web.response import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.metrics_core import Metric as Family
    from starlette.types import Receive, Scope, Send

    from pushkeeper.core.model import Secret
    from pushkeeper.observability.meters import Series
    from pushkeeper.services.metrics_snapshot import MetricsSnapshot

PATH = "/metrics"
_BY_PROXY = frozenset({b"forwarded", b"via", b"x-real-ip"})
_BY_PROXY_TOO = b"x-forwarded-"
_REFUSED = "metrics are for this machine, or for who has the token of the setting metrics_token"


class Prometheus:
    """The answer to a scrape."""

    def __init__(self, snapshot: MetricsSnapshot, token: Secret | None) -> None:
        """With a token configured, everybody needs it; without one, only callers on this machine may read metrics."""
        self._snapshot = snapshot
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        headers = dict(scope["headers"])
        if self._is_authorized(scope, headers):
            said = await self._metrics(headers.get(b"accept", b"").decode("latin-1"))
        else:
            challenge = (b"www-authenticate", b'Bearer realm="Pushkeeper"')
            body = {"error": {"code": "unauthorized", "message": _REFUSED}}
            said = response.of_json(body, 401, challenge)
        await said.send(send, request_id_of(scope))

    def _is_authorized(self, scope: Scope, headers: dict[bytes, bytes]) -> bool:
        if self._token is None:
            return _is_here(scope) and not _is_by_proxy(scope, headers) and _asks_for_here(scope)
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and secrets.compare_digest(given.strip(), self._token.value)

    async def _metrics(self, accept: str) -> Response:
        series = await self._snapshot.gather()
        # In a thread: thousands of lines would block every call meanwhile.
        return await asyncio.to_thread(exposition, series, accept)


def exposition(several: Iterable[Series], accept: str) -> Response:
    """Series as Prometheus' text or as OpenMetrics, whichever the Accept header asks for."""
    # Where it is needed first: it brings an HTTP server of its own along, which takes a tenth of a second to load.
    from prometheus_client.exposition import choose_encoder

    families = _Families(several)
    try:
        encode, content_type = choose_encoder(accept)
        body = encode(families)
    except (TypeError, ValueError):  # it asks for a version that is none
        encode, content_type = choose_encoder("")
        body = encode(families)
    return Response(body, content_type=content_type.encode())


class _Families:
    """What the library writes: every metric of the table, those too of which there is no series now."""

    def __init__(self, several: Iterable[Series]) -> None:
        self._of: dict[Metric, list[Series]] = {metric: [] for metric in Metric}
        for series in several:
            self._of[series.metric].append(series)

    def collect(self) -> Iterator[Family]:
        from prometheus_client.metrics_core import Metric as Family

        for metric, several in self._of.items():
            what = metric.value
            family = Family(what.name, what.help, what.kind.value, what.unit)
            for series in several:
                labels = dict(zip(what.labels, series.labels, strict=True))
                if isinstance(series.value, Histogram):
                    _add_spread(family, labels, series.value)
                else:
                    family.add_sample(what.exposed, labels, series.value)
            yield family


def _add_spread(family: Family, labels: dict[str, str], spread: Histogram) -> None:
    up_to = 0
    for bound, count in zip((*spread.bounds, inf), spread.counts, strict=True):
        up_to += count
        le = "+Inf" if bound == inf else str(bound)
        family.add_sample(f"{family.name}_bucket", {**labels, "le": le}, up_to)
    family.add_sample(f"{family.name}_sum", labels, spread.total)
    family.add_sample(f"{family.name}_count", labels, up_to)


def _is_here(scope: Scope) -> bool:
    """Whether the caller is on this machine."""
    host, _ = scope.get("client") or ("", 0)
    return _is_loopback(host)


def _is_by_proxy(scope: Scope, headers: Iterable[bytes]) -> bool:
    """Whether a proxy on this machine forwards a request from elsewhere: by its headers, or by nginx's protocol version."""
    return scope.get("http_version") == "1.0" or any(
        name in _BY_PROXY or name.startswith(_BY_PROXY_TOO) for name in headers
    )


def _asks_for_here(scope: Scope) -> bool:
    """Whether it is this machine that is called by name: another site's name may lead a browser here, or a proxy keep it."""
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    if len(hosts) != 1:
        return False
    try:
        host = urlsplit(f"//{hosts[0]}").hostname or ""
    except ValueError:
        return False
    return host == "localhost" or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
