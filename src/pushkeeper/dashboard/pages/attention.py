"""What needs somebody: each thing in a line, with what to do about it and where."""

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

    from pushkeeper.services.credentials import CredentialFacts
    from pushkeeper.services.jobs import Job
    from pushkeeper.services.routes import Alert, RouteFacts
    from pushkeeper.services.webhooks import Webhook

_ALERT_STANDS = timedelta(days=1)
_FAILED_STANDS = timedelta(days=7)
_OFTEN = 3
_BAD, _WARN = "suppressed", "bounced"

_WHAT_TO_DO = {
    PauseKind.OPERATOR: "Somebody paused it by hand. What is for it waits; resume it when it may go on.",
    PauseKind.CREDENTIALS: "The provider refuses its key, topic or project. Replace the credentials; what waits is then "
    "sent. A probe asks every five minutes whether it is well again.",
    PauseKind.UNTRUSTED: "Whoever answers there is not the provider. Look at the network and its certificates.",
    PauseKind.GUARD: "A wave of refusals that may be a setting's fault was stopped before it reached devices. Look at "
    "environment, topic and project: then apply or discard them.",
}


_ALERTS = {
    "wave": "More devices than usual answer that their app is gone, each for itself. After a long silence that is as it should "
    "be; else look at what was released last, and at the reports' refusals by app version.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionItem:
    """One thing that needs somebody; `where` are the segments of the page where it is dealt with."""

    tone: str
    what: str
    do: str
    where: tuple[str, ...]
    go: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionInput:
    """What is looked at."""

    routes: Sequence[RouteFacts]
    credentials: Sequence[CredentialFacts]
    webhooks: Sequence[Webhook]
    workers: int
    now: datetime
    jobs: Sequence[Job] = ()


def todos(facts: AttentionInput) -> list[AttentionItem]:
    """What needs somebody, the worst first."""
    found = [*_workers(facts), *_routes(facts), *_webhooks(facts), *_jobs(facts), *_certificates(facts)]
    return sorted(found, key=lambda todo: todo.tone != _BAD)


def _workers(facts: AttentionInput) -> Iterator[AttentionItem]:
    if not facts.workers and facts.credentials:
        yield AttentionItem(
            tone=_BAD,
            what="No worker is running: nothing is sent",
            do="Start one with `pushkeeper worker`, or `pushkeeper serve` without `--no-worker`.",
            where=("routes",),
            go="See what waits",
        )


def _routes(facts: AttentionInput) -> Iterator[AttentionItem]:
    for one in facts.routes:
        route, where = one.route, ("routes", one.route.name)
        if route.pause_kind is not None:
            yield AttentionItem(
                tone=_WARN if route.pause_kind is PauseKind.OPERATOR else _BAD,
                what=f"{route.name} is paused: {route.pause_reason}",
                do=_WHAT_TO_DO[route.pause_kind],
                where=where,
                go="Look at the route",
            )
            continue  # its alerts are what it was paused for
        if one.health.held_verdicts:
            yield AttentionItem(
                tone=_WARN,
                what=f"{plural(one.health.held_verdicts, 'refusal')} held on {route.name}",
                do="They may be a setting's fault. They count once the route accepts a push; or say yourself whose fault "
                "they are.",
                where=where,
                go="Decide on them",
            )
        for alert in one.alerts:
            if facts.now - alert.last_at < _ALERT_STANDS:
                yield AttentionItem(
                    tone=_WARN,
                    what=f"{route.name}: {alert.alert}",
                    do=f"{_meant(alert)} Said {plural(alert.times, 'time')}.".strip(),
                    where=where,
                    go="Look at the route",
                )


def _meant(alert: Alert) -> str:
    """What an alert is about: as it was told, or as the decision table has it."""
    if alert.reason in _ALERTS:
        return _ALERTS[alert.reason]
    meaning = MEANINGS.get(alert.reason, "")
    return alert.detail or (f"{meaning[:1].upper()}{meaning[1:]}." if meaning else "")


def _webhooks(facts: AttentionInput) -> Iterator[AttentionItem]:
    for webhook in facts.webhooks:
        if webhook.failing_since is None:
            continue
        given_up = webhook.disabled
        yield AttentionItem(
            tone=_BAD if given_up else _WARN,
            what=f"Webhook {webhook.name!r} {'was given up' if given_up else 'is failing'}: {webhook.failure}",
            do=f"{plural(webhook.waiting, 'call')} {'waits' if webhook.waiting == 1 else 'wait'}. "
            + ("Mend the endpoint and enable it again." if given_up else "It is tried again for seven days."),
            where=("webhooks", str(webhook.webhook_id)),
            go="Look at the webhook",
        )


def _jobs(facts: AttentionInput) -> Iterator[AttentionItem]:
    """Those that failed in the last week, or failed several times; webhooks have lines of their own."""
    for job in facts.jobs:
        has_failed = job.state == "failed"
        stands = facts.now - job.created_at < _FAILED_STANDS if has_failed else job.attempts >= _OFTEN
        if job.kind != "webhook" and job.reason is not None and stands:
            yield AttentionItem(
                tone=_BAD if has_failed else _WARN,
                what=f"{job.kind.capitalize()} {job.item_id} {'failed' if has_failed else 'is put off'}: {job.reason}",
                do="Retry it when the reason is gone."
                if has_failed
                else f"It failed {plural(job.attempts, 'time')} in a row and is tried again. Cancel it if it is not wanted.",
                where=("jobs",),
                go="Look at the jobs",
            )


def _certificates(facts: AttentionInput) -> Iterator[AttentionItem]:
    for credential in facts.credentials:
        ends_at = expires_at(credential)
        if ends_at is None or ends_at - facts.now > EXPIRES_SOON:
            continue
        over = ends_at <= facts.now
        yield AttentionItem(
            tone=_BAD if over else _WARN,
            what=f"The certificate of {credential.app} {'has expired' if over else 'expires'} on {ends_at:%Y-%m-%d}",
            do="Upload a new one in its place, or a .p8 signing key, which does not expire.",
            where=("routes", "credentials", str(credential.credential_id)),
            go="Replace it",
        )


def expires_at(credential: CredentialFacts) -> datetime | None:
    """When a certificate ends; None of a key, which does not."""
    said = credential.facts.get("expires_at")
    return datetime.fromisoformat(said) if isinstance(said, str) else None
