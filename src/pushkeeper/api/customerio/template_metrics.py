"""Metrics of a template's deliveries over time, as Customer.io's API shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pushkeeper.core.messages.links import link_id
from pushkeeper.services import validation
from pushkeeper.services.reports.deliveries import PERIODS, Metric
from pushkeeper.web import response

if TYPE_CHECKING:
    from pushkeeper.api.style import Call
    from pushkeeper.services.messages.templates import Template
    from pushkeeper.services.reports.deliveries import DeliveryReports
    from pushkeeper.web.response import Response

_FEWEST_STEPS = 2
_USUAL_MONTHS = 12


class Window(NamedTuple):
    """How many periods up to now, and how long each is."""

    period: str
    steps: int


async def metrics(call: Call, reporting: DeliveryReports, template: Template) -> Response:
    """Each metric of the template's deliveries, period by period, the oldest first.

    Raises:
        BadRequest: the period or the steps are invalid.
    """
    window = _window(call)
    series = (
        await reporting.series(call.workspace_id, template, *window)
        if _is_push(call)
        else {metric: [0] * window.steps for metric in Metric}
    )
    return response.of_json({"metric": {"series": series}})


async def links(call: Call, reporting: DeliveryReports, template: Template) -> Response:
    """Clicks on each link in the template's deliveries, by period; with `unique`, only each person's first click.

    Raises:
        BadRequest: the period or the steps are invalid.
    """
    window = _window(call)
    unique = (call.query("unique") or "").lower() == "true"
    found = (
        await reporting.link_series(call.workspace_id, template, *window, unique=unique)
        if _is_push(call)
        else {}
    )
    return response.of_json(
        {
            "links": [
                {
                    "link": {"id": link_id(href), "href": href},
                    "metric": {"series": {"clicked": clicks}},
                }
                for href, clicks in found.items()
            ]
        }
    )


def _window(call: Call) -> Window:
    """`period` and `steps`, as Customer.io reads them: 0 means the maximum, and 1 means two."""
    period = validation.one_of(call.query("period") or "days", "period", tuple(PERIODS))
    most = PERIODS[period]
    text = call.query("steps")
    if not text:
        return Window(period, _USUAL_MONTHS if period == "months" else most)
    if text == "0":
        return Window(period, most)
    return Window(period, max(validation.number(text, "steps", most=most), _FEWEST_STEPS))


def _is_push(call: Call) -> bool:
    """Whether the requested channel is push, the only one."""
    return (call.query("type") or "push").lower() == "push"
