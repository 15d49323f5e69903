"""The "Needs attention" list: problems, with what to do about each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pushkeeper.core.delivery.reason_codes import MEANINGS
from pushkeeper.dashboard.ui.labels import plural
from pushkeeper.services.credentials import EXPIRES_SOON
from pushkeeper.services.routes import PauseKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pushkeeper.services.credentials import CredentialRecord
    from pushkeeper.services.jobs import Job
    from pushkeeper.services.routes import Alert, RouteRecord
    from pushkeeper.services.webhooks import Webhook

_ALERT_STANDS = timedelta(days=1)
_FAILED_STANDS = timedelta(days=7)
_OFTEN = 3
_BAD, _WARN = "suppressed", "bounced"

_WHAT_TO_DO = {
    PauseKind.OPERATOR: "Paused manually. Pushes are queued until you resume.",
    PauseKind.CREDENTIALS: "The provider rejected the key, topic or project. Replace the credentials; queued pushes "
    "are sent automatically. We retry every 5 minutes.",
    PauseKind.UNTRUSTED: "The endpoint's TLS certificate is not the provider's. Check the network, proxy and CA settings.",
    PauseKind.GUARD: "A spike in rejections was held before it affected devices; a configuration error is possible. "
    "Check environment, topic and project, then apply or discard.",
}


_ALERTS = {
    "wave": "More devices than usual report the app uninstalled. This is expected after a long pause in sending; "
    "otherwise check your latest release, and the bounces report by app version.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionItem:
    """One problem; `where` are the path segments of the page to fix it on."""

    tone: str
    what: str
    do: str
    where: tuple[str, ...]
    go: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionInput:
    """The state that problems are derived from."""

    routes: Sequence[RouteRecord]
    credentials: Sequence[CredentialRecord]
    webhooks: Sequence[Webhook]
    workers: int
    now: datetime
    jobs: Sequence[Job] = ()


def todos(inputs: AttentionInput) -> list[AttentionItem]:
    """All problems, worst first."""
    found = [*_workers(inputs), *_routes(inputs), *_webhooks(inputs), *_jobs(inputs), *_certificates(inputs)]
    return sorted(found, key=lambda todo: todo.tone != _BAD)


def _workers(inputs: AttentionInput) -> Iterator[AttentionItem]:
    if not inputs.workers and inputs.credentials:
        yield AttentionItem(
            tone=_BAD,
            what="No worker is running. Nothing is being sent.",
            do="Start one with `pushkeeper worker`, or `pushkeeper serve` without `--no-worker`.",
            where=("routes",),
            go="View queue",
        )


def _routes(inputs: AttentionInput) -> Iterator[AttentionItem]:
    for one in inputs.routes:
        route, where = one.route, ("routes", one.route.name)
        if route.pause_kind is not None:
            yield AttentionItem(
                tone=_WARN if route.pause_kind is PauseKind.OPERATOR else _BAD,
                what=f"{route.name} is paused: {route.pause_reason}",
                do=_WHAT_TO_DO[route.pause_kind],
                where=where,
                go="View route",
            )
            continue  # its alerts are what it was paused for
        if one.health.held_verdicts:
            yield AttentionItem(
                tone=_WARN,
                what=f"{plural(one.health.held_verdicts, 'rejection')} on hold on {route.name}",
                do="A configuration error is possible. They are applied once the route accepts a push, or when you apply "
                "or discard them.",
                where=where,
                go="Review",
            )
        for alert in one.alerts:
            if inputs.now - alert.last_at < _ALERT_STANDS:
                yield AttentionItem(
                    tone=_WARN,
                    what=f"{route.name}: {alert.alert}",
                    do=f"{_meant(alert)} Seen {plural(alert.times, 'time')}.".strip(),
                    where=where,
                    go="View route",
                )


def _meant(alert: Alert) -> str:
    """The explanation of an alert: its own detail, else the decision table's."""
    if alert.reason in _ALERTS:
        return _ALERTS[alert.reason]
    meaning = MEANINGS.get(alert.reason, "")
    return alert.detail or (f"{meaning[:1].upper()}{meaning[1:]}." if meaning else "")


def _webhooks(inputs: AttentionInput) -> Iterator[AttentionItem]:
    for webhook in inputs.webhooks:
        if webhook.failing_since is None:
            continue
        given_up = webhook.disabled
        yield AttentionItem(
            tone=_BAD if given_up else _WARN,
            what=f"Webhook {webhook.webhook_id} “{webhook.name}” {'was disabled after 7 days of failures' if given_up else 'is failing'}: "
            f"{webhook.failure}",
            do=f"{plural(webhook.waiting, 'event')} queued. "
            + ("Fix the endpoint, then enable the webhook." if given_up else "Retrying for 7 days."),
            where=("webhooks", str(webhook.webhook_id)),
            go="View webhook",
        )


def _jobs(inputs: AttentionInput) -> Iterator[AttentionItem]:
    """Jobs that failed in the last week, or several times; webhooks are listed separately."""
    for job in inputs.jobs:
        has_failed = job.state == "failed"
        stands = inputs.now - job.created_at < _FAILED_STANDS if has_failed else job.attempts >= _OFTEN
        if job.kind != "webhook" and job.reason is not None and stands:
            yield AttentionItem(
                tone=_BAD if has_failed else _WARN,
                what=f"{job.kind.capitalize()} {job.item_id} {'failed' if has_failed else 'is being retried'}: {job.reason}",
                do="Fix the cause, then retry the job."
                if has_failed
                else f"Failed {plural(job.attempts, 'time')} in a row; it will be retried. Cancel it if it is no longer needed.",
                where=("jobs",),
                go="View jobs",
            )


def _certificates(inputs: AttentionInput) -> Iterator[AttentionItem]:
    for credential in inputs.credentials:
        ends_at = expires_at(credential)
        if ends_at is None or ends_at - inputs.now > EXPIRES_SOON:
            continue
        over = ends_at <= inputs.now
        yield AttentionItem(
            tone=_BAD if over else _WARN,
            what=f"The certificate of {credential.app} {'has expired' if over else 'expires'} on {ends_at:%Y-%m-%d}",
            do="Upload a new one in its place, or a .p8 signing key, which does not expire.",
            where=("routes", "credentials", str(credential.credential_id)),
            go="Replace certificate",
        )


def expires_at(credential: CredentialRecord) -> datetime | None:
    """When a certificate expires; None for a key, which doesn't."""
    said = credential.facts.get("expires_at")
    return datetime.fromisoformat(said) if isinstance(said, str) else None
