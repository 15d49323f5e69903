"""How pages are written: Jinja templates in which nothing is trusted, and nothing that is missing is overlooked."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from pushkeeper import __version__
from pushkeeper.core.identity import cio_id
from pushkeeper.core.roles import Role
from pushkeeper.dashboard.ui import assets, labels
from pushkeeper.dashboard.ui.page_request import path_of, said_of
from pushkeeper.web.response import HTML, Response

if TYPE_CHECKING:
    from pushkeeper.dashboard.ui.page_request import PageRequest

FOLDER = Path(__file__).parents[1] / "templates"


@cache
def environment() -> Environment:
    """The templates, each compiled once."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "number": number,
        "when": when,
        "ago": ago,
        "json": pretty_json,
        "data": compact_json,
        "cio_id": cio_id,
        "said": said_of,
        "share": labels.share,
        "parts": labels.parts,
        "unix": lambda at: int(at.timestamp()),
        "rounded": labels.rounded,
        "ticks": ticks,
    }
    made.globals |= {
        "asset": assets.address,
        "path_of": path_of,
        "Role": Role,
        "words": labels,
        "version": __version__,
    }
    return made


def page(request: PageRequest, template: str, /, **facts: Any) -> Response:  # noqa: ANN401 - what a template shows
    """A page, for this request."""
    text = environment().get_template(template).render(request=request, form=request.form, **facts)
    return Response(text.encode(), content_type=HTML)


def data(value: object) -> Response:
    """What a script asks for."""
    return Response(msgspec.json.encode(value))


def number(value: float) -> str:
    """A number as people read it."""
    return f"{value:,}"


def when(at: datetime | None, *, ago: bool = False) -> Markup:
    """A time element, which a script shows in the viewer's time zone."""
    if at is None:
        return Markup('<span class="nothing">never</span>')
    at = at.astimezone(UTC)
    kind = "ago" if ago else "at"
    return Markup('<time datetime="{}" data-time="{}">{} UTC</time>').format(
        at.isoformat(timespec="milliseconds"), kind, f"{at:%Y-%m-%d %H:%M:%S}"
    )


def ago(at: datetime | None) -> Markup:
    """The same, told by how long ago it is."""
    return when(at, ago=True)


def ticks(text: str) -> Markup:
    """A sentence with `code` between backticks."""
    parts = [
        Markup("<code>{}</code>").format(part) if n % 2 else escape(part)
        for n, part in enumerate(text.split("`"))
    ]
    return Markup("").join(parts)


def pretty_json(value: object) -> str:
    """A value as JSON, for people; what is in it stays text."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def compact_json(value: object) -> Markup:
    """A value as JSON in an attribute, for a script."""
    return escape(msgspec.json.encode(value).decode())
