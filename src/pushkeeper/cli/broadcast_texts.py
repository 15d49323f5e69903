"""Broadcasts as text: a list, an estimate, and what apps reported."""

from __future__ import annotations

from typing import Any

from pushkeeper.cli.common import table

_LONGEST_TITLE = 30


def label(found: dict[str, Any]) -> str:
    """The status of a broadcast in words."""
    status: str = found["status"]
    return status.replace("_", " ")


def list_text(several: list[dict[str, Any]]) -> str:
    """A list of broadcasts as a table."""
    if not several:
        return "No broadcasts yet."
    rows = []
    for one in several:
        results, rates = one["summary"], one["summary"]["rates"]
        title = one["name"] or one["content"].get("title", "-")
        rows.append(
            [
                str(one["id"]),
                title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 1]}…",
                label(one),
                f"{one['audience_devices']:,}",
                *(_percent(rates[share]) for share in ("accepted", "bounced", "failed")),
                f"{results['skipped']:,}",
                *(_percent(rates[share]) for share in ("delivered", "opened", "clicked")),
            ]
        )
    headings = ["id", "name", "status", "devices", "accepted", "bounced", "failed", "skipped"]
    return table(rows, [*headings, "delivered", "opened", "clicked"])


def engagement_text(results: dict[str, Any]) -> str:
    """What the app reported, as text."""
    rows = [
        [name, f"{results[name]:,}", _percent(results["rates"][name])]
        for name in ("delivered", "opened", "clicked", "converted")
    ]
    return table(rows, ["reported by the app", "devices", "of accepted"])


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}%"


def estimate_text(found: dict[str, Any] | None) -> str:
    """The estimate as text."""
    if found is None:
        return "No estimate: counting the audience timed out."
    rows = [
        ["devices in audience", f"{found['devices']:,}"],
        ["people in audience", f"{found['people']:,}"],
        ["estimated reach", f"{found['reachable']:,}"],
    ]
    rows += [[f"excluded: {reason}", f"{count:,}"] for reason, count in found["left_out"].items()]
    rendering = found.get("rendering")
    if rendering is not None and rendering["failed"]:
        about = "" if rendering["whole"] else "~"
        rows.append(["content cannot be rendered", f"{about}{rendering['devices']:,}"])
        rows += [[f"  {problem}", f"{count:,}"] for problem, count in rendering["problems"].items()]
    rows += [[f"no content for: {name}", f"{count:,}"] for name, count in found["no_content"].items()]
    rows += [
        [f"suppressed by: {why or 'unknown'}", f"{count:,}"] for why, count in found["suppressed"].items()
    ]
    rows += [
        [f"not used for {name.replace('_', ' ')}", f"{count:,}"]
        for name, count in found["stale"].items()
        if count
    ]
    if found["without_permission"]:
        rows.append(["notifications disabled", f"{found['without_permission']:,}"])
    if zones := found.get("zones"):
        said = f" ({', '.join(zones['names'])})" if zones["names"] else ""
        for what, count in (
            (f"unknown time zone{said}", zones["unknown"]),
            ("no time zone", zones["missing"]),
        ):
            if count:
                rows.append([f"{what}: treated as {zones['treated_as']}", f"{count:,}"])
    rows += [
        [f"queued for paused route {one['route']}: {one['reason']}", f"{one['devices']:,}"]
        for one in found["paused"]
    ]
    lines = [table(rows, ["estimate", "count"])]
    accepted = found["accepted"]
    if accepted is None:
        lines.append("Not enough history to estimate how many will be accepted.")
    else:
        lines.append(
            f"Estimated accepted: {accepted['likely']:,} ({accepted['least']:,}–{accepted['most']:,}, 95% confidence)."  # noqa: RUF001 - a dash
        )
    if found["takes_s"] is not None:
        lines.append(f"Estimated duration: {found['takes_s']:,.0f} s at {found['per_s']:,.0f}/s.")
    return "\n".join(lines)
