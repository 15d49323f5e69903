"""A broadcast as text: its estimate, how far it has come, and its results."""

from __future__ import annotations

from typing import Any

from pushkeeper.cli.broadcast_texts import engagement_text, estimate_text, label
from pushkeeper.cli.common import answer, table
from pushkeeper.cli.times import ago, exactly

WHY_NO_END = {
    "not_started": "not started",
    "paused": "paused",
    "sending_paused": "all sending is paused",
    "route_paused": "waiting for a paused route",
    "nothing_yet": "no pushes processed yet",
}


def tell_draft(found: dict[str, Any], workspace: str, *, json: bool) -> None:
    number = found["id"]
    pending = found["estimate"] is not None and found["estimate"]["state"] == "pending"
    told = "The estimate is not ready yet." if pending else estimate_text(found["preflight"])
    lines = [f"Broadcast {number} is {label(found)}.", "", told]
    if found["state"] == "draft":
        where = f" --workspace {workspace}" if workspace else ""
        lines += ["", f"To send it: pushkeeper broadcast start {number}{where}"]
    answer({"broadcast": found}, "\n".join(lines), json=json)


def tell(found: dict[str, Any], *, json: bool) -> None:
    from pushkeeper.core.delivery.reason_codes import MEANINGS

    done = found["progress"]
    exactly_ = "" if done["exact"] else "~"
    so_far = f"{done['settled']:,} of {exactly_}{done['devices']:,} processed"
    lines = [f"Broadcast {found['id']} is {label(found)}: {so_far}."]
    if done["ends_at"] is not None:
        lines.append(f"ETA {exactly(done['ends_at'])} at {done['per_s']:,.0f}/s.")
    elif str(done["unknown"]) in WHY_NO_END:
        lines.append(f"ETA unknown: {WHY_NO_END[str(done['unknown'])]}.")
    if found["failure"]:
        lines.append(found["failure"])
    if found["retry"] is not None:
        retry = found["retry"]
        lines.append(
            f"Planning failed (attempt {retry['attempts']}): {retry['reason']}. "
            f"Next attempt {ago(retry['next_attempt_at'])}."
        )
    rows = [
        [
            one["platform"] or "-",
            one["ending"],
            one["reason"],
            MEANINGS.get(one["reason"], ""),
            one["provider_reason"],
            f"{one['pushes']:,}",
        ]
        for one in found["results"]
    ]
    if rows:
        lines += ["", table(rows, ["platform", "outcome", "reason", "meaning", "provider code", "pushes"])]
    if found["summary"]["accepted"]:
        lines += ["", engagement_text(found["summary"])]
    if (compared := found["compared"]) is not None:
        foreseen = compared["foreseen"]
        between = f"{foreseen['least']:,}–{foreseen['most']:,}"  # noqa: RUF001 - a dash
        said = "within" if compared["within"] else "outside"
        lines += ["", f"Accepted {compared['accepted']:,} ({said} estimate {between})."]
    answer({"broadcast": found}, "\n".join(lines), json=json)
