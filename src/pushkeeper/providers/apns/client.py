"""A sender to one app in one of Apple's environments: its connections, its signing, and what the answers mean."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias, assert_never
from uuid import UUID

from msgspec.structs import replace

from pushkeeper.core.delivery.outcome import Accepted, BadCredentials, Heal, Scope, Throttled, Verdict
from pushkeeper.core.model import Content, DeviceId, Environment, IdKind, PersonId, Platform, Push, Token
from pushkeeper.providers.apns import message, verdict
from pushkeeper.providers.credentials import AppleCertificate, AppleKey, ProviderTokens, utc_now
from pushkeeper.providers.judging import judged
from pushkeeper.providers.shared.apns_reasons import OUTAGE_WAIT_S
from pushkeeper.providers.shared.retry_after import said_at
from pushkeeper.providers.transport.address import Address
from pushkeeper.providers.transport.limits import Limits
from pushkeeper.providers.transport.pool import Endpoint, Pool, tls_context
from pushkeeper.providers.transport.response import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushkeeper.providers.credentials import ProviderToken
    from pushkeeper.providers.transport.response import Answer

    OnVerdicts: TypeAlias = Callable[[Sequence[tuple[Push, Verdict]]], None]


ENDPOINT_URLS = {
    Environment.PRODUCTION: "https://api.push.apple.com",
    Environment.SANDBOX: "https://api.sandbox.push.apple.com",
}
# Apple: one stream until a valid token was seen, connections that live for hours, a ping after an hour without work.
_LIMITS = Limits(
    first_streams=1,
    max_streams=500,
    request_timeout_s=30.0,
    idle_s=None,
    max_age_s=86_400.0,
    ping_after_idle_s=3600.0,
)
_DRY_RUN = Verdict(
    code="dry_run_accepted",
    outcome=Accepted(dry_run=True),
    reason="dry_run",
    detail="APNs has no dry run: the request was composed and not sent.",
)

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_NOBODYS = Push(
    message_id=UUID(int=0),
    person_id=PersonId(0),
    delivery_id="",
    device_id=DeviceId(bytes(16)),
    generation=0,
    token=Token("0" * 64),
    id_kind=IdKind.TOKEN,
    platform=Platform.IOS,
    registered_at=_LONG_AGO,
    content=Content(title="probe"),
    expires_at=_LONG_AGO,
    keep_until=_LONG_AGO,
)


@dataclass(frozen=True, slots=True, eq=False)
class _Sent:
    """A push under way, and the provider token that it went with; None with a certificate."""

    push: Push
    token: ProviderToken | None


class ApnsClient:
    """Sends pushes to the devices of one app; each is answered exactly once, in batches."""

    def __init__(  # noqa: PLR0913 - one for each thing that a credential says
        self,
        credential: AppleKey | AppleCertificate | ProviderTokens,
        on_verdicts: OnVerdicts,
        *,
        topic: str,
        environment: Environment,
        endpoint_url: str | None = None,
        ca_pem: str | None = None,
        outage_wait_s: float = OUTAGE_WAIT_S,
    ) -> None:
        """Open nothing yet; `endpoint_url` and `ca_pem` override where APNs is and who vouches for it.

        `outage_wait_s` is how long a push waits after an outage of APNs.

        `ProviderTokens` instead of a key are shared by several clients.

        Raises:
            BadRequest: the address is no HTTPS URL, or the CA is no certificate.
        """
        certificate = credential.pem if isinstance(credential, AppleCertificate) else None
        apns = Address.parse(endpoint_url or ENDPOINT_URLS[environment], "endpoint_url")
        endpoint = Endpoint(apns.host, apns.port, tls_context(ca_pem, certificate))
        self._on_verdicts = on_verdicts
        self._tokens = _tokens_of(credential)
        self._composer = message.Composer(authority=apns.authority, topic=topic)
        self._pool: Pool[_Sent] = Pool(endpoint, _LIMITS, self._read)
        self._outage_wait_s = outage_wait_s
        self._connections_proven = True
        self._leave = False  # the connections, as an answer says that they are of no more use
        self._dry_runs: list[tuple[Push, Verdict]] = []

    @property
    def pending(self) -> int:
        """Pushes that were handed in and are not answered yet."""
        return len(self._dry_runs) + self._pool.pending

    def send(self, pushes: Sequence[Push]) -> None:
        """Take these pushes; each outcome is reported later, never from inside this call."""
        token = self._tokens.current() if self._tokens is not None else None
        header = token.header.value if token is not None else None
        # All are composed before the first is taken: one that cannot be leaves nothing half done.
        requests = [self._composer.request(push, header) for push in pushes]
        for push, request in zip(pushes, requests, strict=True):
            if push.dry_run:
                self._answer_dry(push)
            else:
                self._pool.submit(_Sent(push, token), request, urgent=push.urgent)

    def withdraw(self, unwanted: Callable[[Push], bool]) -> int:
        """Withdraw pushes that are on no stream yet; each is answered as not processed. Returns how many."""
        return self._pool.withdraw(lambda sent: unwanted(sent.push))

    async def probe(self) -> Verdict:
        """Check the credential, with a token that nobody has: BadDeviceToken means that everything else is right.

        Only the caller gets the response.
        """
        token = self._tokens.current() if self._tokens is not None else None
        request = self._composer.request(_NOBODYS, token.header.value if token is not None else None)
        answer = await self._pool.fetch(request)
        found = verdict.read(
            answer, token=_NOBODYS.token, registered_at=_NOBODYS.registered_at, now=utc_now()
        )
        if isinstance(found.outcome, BadCredentials):
            # A connection that was refused once may give nothing else, whatever is right by then: the next probe has its own.
            self._pool.close_connections()
        return replace(found, said_at=said_at(answer)) if isinstance(answer, Response) else found

    async def aclose(self, drain_s: float) -> None:
        """Wait up to `drain_s` seconds for the answers under way, then close."""
        self._report_dry_runs()
        await self._pool.aclose(drain_s)

    def _answer_dry(self, push: Push) -> None:
        if not self._dry_runs:
            asyncio.get_running_loop().call_soon(self._report_dry_runs)
        self._dry_runs.append((push, _DRY_RUN))

    def _report_dry_runs(self) -> None:
        dry_runs, self._dry_runs = self._dry_runs, []
        if dry_runs:
            self._on_verdicts(dry_runs)

    def _read(self, answers: Sequence[tuple[_Sent, Answer]]) -> None:
        now = utc_now()
        verdicts = judged(answers, lambda sent, answer: self._verdict(sent, answer, now))
        if self._leave and self._connections_proven:
            # Once only until something is accepted: opening and closing fast looks like an attack.
            self._connections_proven = False
            self._pool.close_connections()
        self._leave = False
        self._on_verdicts(verdicts)

    def _verdict(self, sent: _Sent, answer: Answer, now: datetime) -> Verdict:
        found = verdict.read(
            answer,
            token=sent.push.token,
            registered_at=sent.push.registered_at,
            now=now,
            outage_wait_s=self._outage_wait_s,
        )
        match found.outcome:
            case Accepted():
                self._connections_proven = True
            case BadCredentials(scope=Scope.CREDENTIAL):
                self._leave = True
                found = self._healed(found, found.outcome, sent.token)
            case Throttled(scope=Scope.CREDENTIAL) if self._tokens is not None:
                self._leave = True
                self._tokens.fall_back()
        return found

    def _healed(self, found: Verdict, outcome: BadCredentials, token: ProviderToken | None) -> Verdict:
        if outcome.heal is not Heal.RENEW_TOKEN:
            return found
        if self._tokens is not None and token is not None and self._tokens.renew_expired(token):
            return found
        held = replace(outcome, heal=Heal.BY_OPERATOR)
        return replace(
            found, outcome=held, alert="Apple calls a young token expired: is this machine's clock right?"
        )


def _tokens_of(credential: AppleKey | AppleCertificate | ProviderTokens) -> ProviderTokens | None:
    match credential:
        case ProviderTokens():
            return credential
        case AppleKey():
            return ProviderTokens(credential, utc_now)
        case AppleCertificate():
            return None
        case _:
            assert_never(credential)
