"""Reports: how far back, and in which format."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from pushkeeper.services.reports.insights import MOST_DAYS
from pushkeeper.services.reports.reach import Span
from pushkeeper.services.schemas.base import Request, Start

_LARGEST_PAGE = 500
Format: TypeAlias = Annotated[Literal["json", "csv"], Meta(description="The response format.")]


class ReportQuery(Request, frozen=True, kw_only=True):
    """A report without any choice but its format."""

    format: Format = "json"


class ReachQuery(ReportQuery, frozen=True, kw_only=True):
    """The reach now and over time."""

    span: Annotated[Span, Meta(description="The period of the report.")] = Span.DAYS_30


class ReportDaysQuery(ReportQuery, frozen=True, kw_only=True):
    """A report of the last days."""

    days: Annotated[int, Meta(ge=1, le=MOST_DAYS, description="Number of days.")] = 30


class ReportPageQuery(ReportQuery, frozen=True, kw_only=True):
    """A report of many rows, a page at a time."""

    start: Start | None = None
    limit: Annotated[int, Meta(ge=1, le=_LARGEST_PAGE, description="Maximum number of items per page.")] = 50
