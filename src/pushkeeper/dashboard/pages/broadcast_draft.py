"""A draft in the form: the input reconstructed from the stored broadcast."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

import msgspec

from pushkeeper.core.model import Content
from pushkeeper.dashboard.ui import labels
from pushkeeper.errors import NotFound

if TYPE_CHECKING:
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.dashboard.context import Context
    from pushkeeper.services.broadcasts.service import Broadcast
    from pushkeeper.services.messages.templates import Template

_HOUR_S = 3_600
_SAYS = ("title", "message", "link", "image_url")
_DELIVERED = ("collapse_id", "ttl_s", "priority")
_OTHERWISE = ("ios", "android")
_TICKS = ("send_to_unsubscribed", "skip_without_permission", "one_per_phone", "dry_run")


async def template_of(context: Context, workspace: WorkspaceId, broadcast: Broadcast) -> Template | None:
    """The template that a broadcast was written over; none where that is gone."""
    if broadcast.template_id is None:
        return None
    try:
        return await context.services.templates.one(workspace, broadcast.template_id)
    except NotFound:
        return None


def written_of(broadcast: Broadcast, template: Template | None) -> dict[str, str]:
    """The form values of a broadcast: all but its schedule, and people it lists by name."""
    found = {
        "name": broadcast.name,
        "template": None if template is None else template.template_id,
        **_said_of(broadcast, template),
        **_way_of(broadcast),
        "filter": labels.audience(broadcast) if broadcast.audience is not None else None,
        "unit": broadcast.unit.value,
    }
    return {name: str(value) for name, value in found.items() if value not in {None, ""}}


def can_be_typed(broadcast: Broadcast, template: Template | None) -> bool:
    """Whether the form can represent the broadcast's content and audience completely."""
    own, window = _own(broadcast, template), broadcast.schedule.window
    translated = broadcast.wording is not None and bool(broadcast.wording.translations)
    return (
        broadcast.audience is not None
        and not (translated and template is None)
        and own.keys() <= {*_SAYS, *_DELIVERED, "custom_data", "platforms"}
        and all(platform in _OTHERWISE for platform in own.get("platforms", {}))
        and all(one.keys() <= {"title", "message"} for one in own.get("platforms", {}).values())
        and (window is None or window.time_zone is None)
    )


def _own(broadcast: Broadcast, template: Template | None) -> dict[str, Any]:
    """Its content, where a template does not have it."""
    said = msgspec.structs.asdict(broadcast.content)
    before = msgspec.structs.asdict(Content() if template is None else template.content)
    return {name: value for name, value in said.items() if value != before[name]}


def _said_of(broadcast: Broadcast, template: Template | None) -> dict[str, Any]:
    own, wording = _own(broadcast, template), broadcast.wording
    found: dict[str, Any] = {name: own.get(name) for name in (*_SAYS, *_DELIVERED)}
    for platform in _OTHERWISE:
        otherwise = own.get("platforms", {}).get(platform, {})
        found |= {f"{platform}_{name}": otherwise.get(name) for name in ("title", "message")}
    if "custom_data" in own:
        found["custom_data"] = msgspec.json.encode(own["custom_data"]).decode()
    if wording is None:
        return found
    data = msgspec.json.encode(wording.data).decode() if wording.data else None
    return {**found, "data": data, "event": wording.event, "when_undefined": wording.when_undefined}


def _way_of(broadcast: Broadcast) -> dict[str, Any]:
    window, life_s = broadcast.schedule.window, broadcast.schedule.expires_after_s
    return {
        **_rate_of(broadcast.per_s),
        "opens": window and f"{window.opens:%H:%M}",
        "closes": window and f"{window.closes:%H:%M}",
        "expires_after_h": None if life_s is None else _plain(life_s / _HOUR_S),
        **{name: "yes" for name in _TICKS if getattr(broadcast, name)},
    }


def _rate_of(per_s: float | None) -> dict[str, str]:
    """A rate for the form: per minute, if that is a whole number and per second it is not."""
    if per_s is None:
        return {}
    in_a_minute = round(per_s * 60)
    if not per_s.is_integer() and in_a_minute / 60 == per_s:
        return {"rate": str(in_a_minute), "rate_per": "minute"}
    return {"rate": _plain(per_s)}


def _plain(number: float) -> str:
    """A number with all of its digits: what is typed again is the same."""
    return str(int(number)) if number.is_integer() else repr(number)


def when_of(broadcast: Broadcast) -> dict[str, str]:
    """Its schedule for the form, in UTC."""
    asked = broadcast.schedule
    if asked.at is not None:
        return {"when": "at", "at": f"{asked.at.astimezone(UTC):%Y-%m-%dT%H:%M}"}
    if asked.local_time is not None:
        return {
            "when": "local",
            "local_time": f"{asked.local_time:%Y-%m-%dT%H:%M}",
            "time_zone": asked.time_zone,
        }
    return {}
