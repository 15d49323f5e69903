"""What apps report about their pushes, on paths that need no key: the delivery ID is the credential.

Every report gets 200: nobody reads the error of a phone that sends something invalid, and the phone would retry it.
The exception is a delivery of another cell: the phone retries it until the proxy in front of the cells is fixed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pushkeeper.api.customerio import parse
from pushkeeper.api.customerio.dropped_parts import DroppedParts
from pushkeeper.api.customerio.track_v1 import DONE, render
from pushkeeper.api.style import MAX_KEYLESS_BYTES, ApiStyle, no_auth
from pushkeeper.core import cell, times
from pushkeeper.core.identity import Identifier, IdentifierKind, cio_id
from pushkeeper.errors import BadRequest
from pushkeeper.observability.meters import PROCESS
from pushkeeper.observability.metrics import Metric
from pushkeeper.services import validation
from pushkeeper.services.api_keys import not_here
from pushkeeper.services.people import PersonReference, PersonUpdate
from pushkeeper.services.reports.deliveries import AppMetric, AppReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from pushkeeper.api.context import Context
    from pushkeeper.api.style import Call
    from pushkeeper.web.response import Response

_METRICS = frozenset(AppMetric)


def routes(context: Context) -> Sequence[Route]:
    """The routes that need no key."""
    doors = _Doors(context)
    surface = ApiStyle(
        name="track_v1",
        authenticate=no_auth,
        render=render,
        max_body_bytes=MAX_KEYLESS_BYTES,
        cross_origin=True,
    )
    return [
        surface.route("/api/v1/metrics", POST=doors.metric),
        surface.route("/api/v1/push/events", POST=doors.push_event),
        # As many apps that followed an old guide post it.
        surface.route("/push/events", POST=doors.push_event),
        surface.route("/unsubscribe/{delivery_id}", POST=doors.unsubscribe),
    ]


def report(
    delivery: object,
    metric: object,
    token: object,
    *,
    at: datetime | None,
    href: object = None,
    action: object = None,
) -> AppReport | None:
    """A report with these parts, dated no later than now; None if it names no delivery, or no metric that apps report."""
    if not isinstance(delivery, str) or not isinstance(metric, str) or metric.lower() not in _METRICS:
        return None
    now = datetime.now(UTC)
    return AppReport(
        delivery=delivery,
        metric=AppMetric(metric.lower()),
        reported_at=min(at or now, now),
        token=validation.known_token(token, "recipient")
        if isinstance(token, str) and token.strip()
        else None,
        href=_kept(href, validation.MAX_VALUE_BYTES),
        action=_kept(action, validation.MAX_NAME_BYTES),
    )


def _kept(given: object, max_bytes: int) -> str | None:
    """A text that can be stored, else None: an invalid extra field does not lose the metric."""
    if not isinstance(given, str) or not given or "\0" in given or len(given.encode()) > max_bytes:
        return None
    return given


class _Doors:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def metric(self, call: Call) -> Response:
        return await self._told(call, "metric", "recipient")

    async def push_event(self, call: Call) -> Response:
        return await self._told(call, "event", "device_id")

    async def _told(self, call: Call, metric_field: str, token_field: str) -> Response:
        try:
            body = await call.json()
            found = report(
                body.get("delivery_id"),
                body.get(metric_field),
                body.get(token_field),
                at=times.from_seconds(body.get("timestamp")),
                href=body.get("href"),
                action=body.get("action"),
            )
        except BadRequest as error:
            drops = DroppedParts("metrics", call.request_id)
            drops.add("item", error)
            drops.record()
            return DONE
        if found is None:
            return DONE
        self._check_cell(found.delivery)
        return replace(DONE, delivery_id=await self._context.services.deliveries.report(found))

    def _check_cell(self, delivery_id: str) -> None:
        """Raises Unreachable for an id that names another cell, authentic or not."""
        named = cell.of_delivery_id(delivery_id)
        if named not in {None, self._context.cell}:
            PROCESS.count(Metric.MISROUTED, "delivery_id").value += 1
            raise not_here(f"The delivery belongs to cell {named}, but this is cell {self._context.cell}")

    async def unsubscribe(self, call: Call) -> Response:
        """False subscribes the person again, as Customer.io's Node client documents it."""
        body: dict[str, Any] = await call.json()
        given = body.get("unsubscribe", True)
        unsubscribed = parse.is_true(given)
        if not unsubscribed and not parse.is_false(given):
            raise BadRequest("unsubscribe", "expected true or false", "wrong_type")
        self._check_cell(call.segment("delivery_id"))
        delivery_id = await self._context.services.deliveries.known_by_recipient(call.segment("delivery_id"))
        if delivery_id is None:
            return DONE
        workspace = delivery_id.workspace_id
        path = Identifier(IdentifierKind.CIO_ID, cio_id(delivery_id.person_id))
        naming = PersonReference(workspace_id=workspace, path=path)
        change = parse.change({"unsubscribed": unsubscribed})
        await self._context.services.people.apply(
            PersonUpdate(workspace_id=workspace, naming=naming, change=change)
        )
        return replace(DONE, delivery_id=delivery_id)
