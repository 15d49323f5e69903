"""What sending depends on: keys, routes and providers, workers, the queue, webhooks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from pushkeeper.core.delivery.outcome import (
    Accepted,
    BadCredentials,
    Refused,
    Throttled,
    Unanswered,
    Unavailable,
)
from pushkeeper.errors import BadRequest, Misconfigured, NotFound, Unreachable
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.metrics import Metric
from pushkeeper.services.doctor.finding import attention, ok, span, wrong
from pushkeeper.services.doctor.platform import skewed
from pushkeeper.store.admin import credentials, diagnostics
from pushkeeper.store.delivery import routes, workers
from pushkeeper.store.delivery import sending as sending_pauses
from pushkeeper.store.delivery.routes import PauseKind
from pushkeeper.store.reports import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pushkeeper.core.delivery.outcome import Verdict
    from pushkeeper.services.doctor.finding import Finding
    from pushkeeper.store.admin.credentials import Credential
    from pushkeeper.store.admin.diagnostics import FailingHook, RouteAlert
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.delivery.routes import Route

PROBE_WITHIN_S = 20.0
_OLD_DUE_S = (60.0, 600.0)
_MUCH_WAITS = 100_000
_REPLACE = "pushkeeper credentials update"
_SEALED_OTHERWISE = f"restore the secret key that was in use, or {_REPLACE}"
# Google rejects what was signed more than five minutes from now; Apple, an hour.
_PROVIDER_SKEW_S = (60.0, 240.0)


class Prober(Protocol):
    """A provider's client, reduced to its check."""

    async def probe(self) -> Verdict: ...
    async def aclose(self, drain_s: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Key:
    """A credential that can be sent with, or why it cannot: a client where `trouble` is empty."""

    credential_id: int
    workspace: str
    credential: Credential | None
    prober: Prober | None
    trouble: str
    remedy: str = ""


async def keys(database: Database, vault: Vault, open_prober: Callable[[Credential], Prober]) -> list[Key]:
    """Every credential, opened and read."""
    found = []
    for workspace_id, credential_id, workspace in await diagnostics.credentials(database):
        with isolated(passing=Unreachable) as tried:  # the other credentials are still to be checked
            credential = await credentials.read(database, vault, workspace_id, credential_id)
            found.append(Key(credential_id, workspace, credential, open_prober(credential), ""))
        match tried.error:
            case None:
                continue
            case BadRequest() | Misconfigured() | NotFound() as error:
                trouble = error.message
            case error:
                trouble = f"cannot be read ({type(error).__name__})"
        remedy = _SEALED_OTHERWISE if isinstance(tried.error, Misconfigured) else _REPLACE
        found.append(Key(credential_id, workspace, None, None, trouble, remedy))
    return found


def of_keys(opened: list[Key], now: datetime) -> list[Finding]:
    """Whether the keys can be read, and until when they are good."""
    if not opened:
        todo = "pushkeeper credentials add fcm (or apns)"
        return [attention("keys", "none: nothing can be sent", todo)]
    return [_of_key(key, now) for key in opened]


def _of_key(key: Key, now: datetime) -> Finding:
    if key.credential is None:
        return wrong("keys", key.trouble, key.remedy, about=key.workspace)
    credential = key.credential
    about = f"{key.workspace}: {credential.provider.value} {credential.app}"
    if (text := credential.facts.get("expires_at")) is None:
        return ok("keys", f"a {credential.kind.replace('_', ' ')} (does not expire)", about=about)
    ends_at = datetime.fromisoformat(text)
    todo = "pushkeeper credentials update apns --certificate …"
    if ends_at <= now:
        return wrong("keys", f"the certificate expired on {ends_at:%Y-%m-%d}", todo, about=about)
    if ends_at - now < credentials.EXPIRES_SOON:
        return attention("keys", f"the certificate expires on {ends_at:%Y-%m-%d}", todo, about=about)
    return ok("keys", f"certificate, valid until {ends_at:%Y-%m-%d}", about=about)


async def of_routes(database: Database) -> list[Finding]:
    """The state of routes, as workers and operators set it."""
    names = await metrics.workspace_names(database)
    held = await metrics.held(database)
    alerts = await diagnostics.alerts(database)
    found: list[Finding] = []
    for route in await routes.of_workspaces(database, list(names)):
        about = f"{names[route.workspace_id]}: {route.name}"
        waiting = sum(count for (route_id, _), count in held.items() if route_id == route.route_id)
        own = [alert for alert in alerts if alert.route_id == route.route_id]
        found.extend(_of_route(route, about, waiting, own))
    return found


def _of_route(route: Route, about: str, held: int, alerts: list[RouteAlert]) -> Iterator[Finding]:
    if route.pause_kind is not None:
        said = f"paused since {route.paused_at:%Y-%m-%d %H:%M} UTC: {route.pause_reason}"
        make = attention if route.pause_kind is PauseKind.OPERATOR else wrong
        yield make("routes", said, _REMEDIES[route.pause_kind], about=about)
    elif route.throttled_until is not None and route.throttled_until > datetime.now(UTC):
        yield attention(
            "routes", "rate-limited by the provider", "wait; it resumes automatically", about=about
        )
    elif route.accepted_at is None:
        yield ok("routes", "not verified: no push accepted yet", about=about)
    else:
        yield ok("routes", f"verified on {route.accepted_at:%Y-%m-%d}", about=about)
    if held:
        todo = "pushkeeper routes apply (the apps were uninstalled) or discard (configuration error)"
        yield attention("held rejections", f"{held:,}", todo, about=about)
    for alert in alerts:
        todo = "look up the reason code in the documentation: docs/reference/verdicts.md"
        yield attention("alerts", f"{alert.reason}, {alert.times:,} times: {alert.alert}", todo, about=about)


_REMEDIES = {
    PauseKind.OPERATOR: "run pushkeeper routes resume when sending may continue",
    PauseKind.CREDENTIALS: "pushkeeper credentials update; it is also retried every 5 minutes",
    PauseKind.UNTRUSTED: "check for an intercepting proxy, a wrong clock or a wrong CA",
    PauseKind.GUARD: "pushkeeper routes apply (the apps were uninstalled) or discard (configuration error)",
}


async def of_pauses(database: Database) -> list[Finding]:
    """Workspaces whose sending is paused."""
    return [
        attention(
            "sending",
            f"paused since {pause.paused_at:%Y-%m-%d %H:%M} UTC by {pause.by}{f': {pause.reason}' if pause.reason else ''}",
            f"pushkeeper sending resume --workspace {workspace}, when sending may continue",
            about=workspace,
        )
        for workspace, pause in (await sending_pauses.everywhere(database)).items()
    ]


async def of_probes(opened: list[Key]) -> list[Finding]:
    """What each provider answers to a push for nobody, and what its clock says; no device is touched."""
    asked = [key for key in opened if key.prober is not None]
    return [finding for some in await asyncio.gather(*map(_probe, asked)) for finding in some]


async def _probe(key: Key) -> list[Finding]:
    credential, prober = key.credential, key.prober
    assert credential is not None  # noqa: S101 - a key with a prober has one
    assert prober is not None  # noqa: S101 - the others have no probe
    about = f"{key.workspace}: {credential.provider.value} {credential.app}"
    try:
        async with asyncio.timeout(PROBE_WITHIN_S):
            verdict = await prober.probe()
    except TimeoutError:
        return [wrong("probe", f"no response in {PROBE_WITHIN_S:.0f} s", _UNREACHED, about=about)]
    finally:
        await prober.aclose(0.0)
    found = [_probed(verdict, about)]
    if verdict.said_at is not None:
        skew_s = (verdict.said_at - datetime.now(UTC)).total_seconds()
        # A Date header has whole seconds, and was written a moment ago.
        found.append(skewed(about, skew_s if abs(skew_s) > 1 + 1 else 0.0, *_PROVIDER_SKEW_S))
    return found


_UNREACHED = "check that this host can reach the provider (DNS, firewall, proxy)"


def _probed(verdict: Verdict, about: str) -> Finding:
    said = " ".join(filter(None, [f"{verdict.code}:", str(verdict.status or ""), verdict.reason]))
    match verdict.outcome:
        case Accepted() | Refused():
            return ok("probe", f"test push OK (invalid token rejected as expected: {said})", about=about)
        case BadCredentials():
            return wrong("probe", said, "pushkeeper credentials update", about=about)
        case Throttled():
            return attention("probe", said, "retry later", about=about)
        case Unanswered() | Unavailable():
            return wrong("probe", f"{said} {verdict.detail}".strip(), _UNREACHED, about=about)
        case other:
            return attention(
                "probe",
                f"{said} ({type(other).__name__})",
                "look up the reason code in the documentation: docs/reference/verdicts.md",
                about=about,
            )


async def of_work(database: Database) -> list[Finding]:
    """Whether anybody sends, and whether what is due leaves."""
    alive = await workers.alive(database)
    waiting = await metrics.queue(database)
    due = sum(line.devices for line in waiting if line.state == "due")
    oldest_s = max((line.oldest_due_s or 0.0 for line in waiting), default=0.0)
    told = metrics.read(await workers.totals(database))
    polling = sum(one.value for one in told if one.metric is Metric.POLLING and isinstance(one.value, float))
    return [_of_workers(alive, due, int(polling)), _of_queue(due, oldest_s)]


def _of_workers(alive: int, due: int, polling: int) -> Finding:
    todo = "pushkeeper serve, or pushkeeper worker"
    if polling:
        return attention(
            "workers",
            f"{alive} running; {polling} receive no notifications and poll every 2 seconds",
            "check their logs; notifications need a direct connection to PostgreSQL, not a pooler",
        )
    if alive:
        return ok("workers", f"{alive} running")
    if due:
        return wrong("workers", f"none running, and {due:,} pushes are due", todo)
    return attention("workers", "none running", todo)


def _of_queue(due: int, oldest_s: float) -> Finding:
    if not due:
        return ok("queue", "queue is empty")
    said = f"{due:,} pushes are due, the oldest since {span(oldest_s)}"
    if oldest_s > _OLD_DUE_S[1]:
        return wrong("queue", said, "check the workers' logs; start more workers")
    if oldest_s > _OLD_DUE_S[0]:
        return attention("queue", said, "start more workers if the queue keeps growing")
    return ok("queue", said)


async def of_webhooks(database: Database) -> list[Finding]:
    """Webhooks that do not take what they are sent."""
    failing = await diagnostics.failing_hooks(database)
    if not failing:
        return [ok("webhooks", "no failing webhooks")]
    return [_of_webhook(hook) for hook in failing]


def _of_webhook(hook: FailingHook) -> Finding:
    about = f"{hook.workspace}: {hook.webhook_id} {hook.name}".rstrip()
    said = f"failing since {hook.failing_since:%Y-%m-%d %H:%M} UTC: {hook.failure}; {hook.waiting:,} events queued"
    if hook.disabled:
        return wrong(
            "webhooks", f"{said}; it is disabled", "fix the endpoint, then enable the webhook", about=about
        )
    if hook.waiting > _MUCH_WAITS:
        return wrong("webhooks", said, "fix the endpoint; later events are queued", about=about)
    return attention("webhooks", said, "fix the endpoint; retrying for 7 days", about=about)
