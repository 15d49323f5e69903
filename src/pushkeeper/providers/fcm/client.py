"""A sender to one Firebase project: its connections, its access token, and what the answers mean."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

from msgspec.structs import replace

from pushkeeper.core.delivery.outcome import (
    BadCredentials,
    Heal,
    Scope,
    Silence,
    Unanswered,
    Verdict,
    our_fault,
)
from pushkeeper.core.model import Content, DeviceId, IdKind, PersonId, Platform, Push, Token
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.providers.credentials import utc_now
from pushkeeper.providers.fcm import message, verdict
from pushkeeper.providers.fcm.access_tokens import AccessTokens
from pushkeeper.providers.judging import judged
from pushkeeper.providers.shared.retry_after import said_at
from pushkeeper.providers.transport.address import Address
from pushkeeper.providers.transport.limits import Limits
from pushkeeper.providers.transport.pool import Endpoint, Pool, tls_context
from pushkeeper.providers.transport.response import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushkeeper.providers.credentials import Clock, ServiceAccount
    from pushkeeper.providers.fcm.access_tokens import AccessToken
    from pushkeeper.providers.transport.response import Answer

    OnVerdicts: TypeAlias = Callable[[Sequence[tuple[Push, Verdict]]], None]

log = logger("providers")

ENDPOINT_URL = "https://fcm.googleapis.com"
_CLOSED = Verdict(
    code="stream_refused",
    outcome=Unanswered(silence=Silence.NOT_PROCESSED),
    reason=Silence.NOT_PROCESSED.value,
    detail="The sender was closed before the push was sent.",
)
_WITHDRAWN = replace(_CLOSED, detail="The push was withdrawn before it was sent.")
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_NOBODYS = Push(
    message_id=UUID(int=0),
    person_id=PersonId(0),
    delivery_id="",
    device_id=DeviceId(bytes(16)),
    generation=0,
    token=Token("nobodys:" + "0" * 140),
    id_kind=IdKind.TOKEN,
    platform=Platform.ANDROID,
    registered_at=_LONG_AGO,
    content=Content(title="probe"),
    expires_at=_LONG_AGO,
    keep_until=_LONG_AGO,
    dry_run=True,
)
# Google: a hundred streams, at least ten seconds for an answer, an end after four idle minutes or an hour in all.
_SENDING = Limits(max_streams=100, request_timeout_s=15.0, idle_s=180.0, max_age_s=3300.0)
_ASKING = Limits(max_connections=1, request_timeout_s=15.0, idle_s=30.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Sent:
    """A push under way, and the access token that it went with."""

    push: Push
    token: AccessToken


class FcmClient:
    """Sends pushes to the devices of one project; each is answered exactly once, in batches."""

    def __init__(
        self,
        account: ServiceAccount,
        on_verdicts: OnVerdicts,
        *,
        endpoint_url: str | None = None,
        ca_pem: str | None = None,
        clock: Clock = utc_now,
    ) -> None:
        """Open nothing yet; `endpoint_url` and `ca_pem` override where FCM is and who vouches for it.

        Raises:
            BadRequest: one of the addresses is no HTTPS URL, or the CA is no certificate.
        """
        fcm = Address.parse(endpoint_url or ENDPOINT_URL, "endpoint_url")
        oauth = Address.parse(account.token_uri, "service_account.token_uri")
        tls = tls_context(ca_pem)
        self._on_verdicts = on_verdicts
        self._clock = clock
        self._composer = message.Composer(authority=fcm.authority, project_id=account.project_id)
        self._pool: Pool[_Sent] = Pool(Endpoint(fcm.host, fcm.port, tls), _SENDING, self._read)
        self._token_endpoint: Pool[None] = Pool(
            Endpoint(oauth.host, oauth.port, tls), _ASKING, lambda _: None
        )
        self._access = AccessTokens(account, self._token_endpoint.fetch, clock, self._send_waiting)
        self._waiting: list[Push] = []
        self._unsent: list[tuple[Push, Verdict]] = []

    @property
    def pending(self) -> int:
        """Pushes that were handed in and are not answered yet."""
        return len(self._waiting) + len(self._unsent) + self._pool.pending

    def send(self, pushes: Sequence[Push]) -> None:
        """Take these pushes; each outcome is reported later, never from inside this call."""
        token = self._access.current()
        if token is not None:
            self._submit(pushes, token)
            return
        failure = self._access.ask()
        if failure is None:
            # What cannot be composed is to raise here, and not when the token comes.
            for push in pushes:
                self._composer.request(push, b"", self._clock())
            self._waiting.extend(pushes)
        else:
            self._answer_soon([(push, failure) for push in pushes])

    async def aclose(self, drain_s: float) -> None:
        """Wait up to `drain_s` seconds for responses in flight, then close; pushes that were never sent are reported as such."""
        loop = asyncio.get_running_loop()
        closed_at = loop.time() + drain_s
        try:
            async with asyncio.timeout_at(closed_at):
                await self._access.settled()
        except TimeoutError:
            await self._access.aclose()
        await self._token_endpoint.aclose(0.0)
        await self._pool.aclose(max(closed_at - loop.time(), 0.0))
        self._answer_soon([(push, _CLOSED) for push in self._take_waiting()])
        self._report_unsent()

    def withdraw(self, unwanted: Callable[[Push], bool]) -> int:
        """Withdraw pushes that are on no stream yet; each is answered as not processed. Returns how many."""
        taken: list[Push] = []
        kept: list[Push] = []
        for push in self._waiting:
            (taken if unwanted(push) else kept).append(push)
        self._waiting = kept
        self._answer_soon([(push, _WITHDRAWN) for push in taken])
        return len(taken) + self._pool.withdraw(lambda sent: unwanted(sent.push))

    async def probe(self) -> Verdict:
        """Check the credential by a dry run to a token that nobody has: a rejected token means that everything else is right.

        Only the caller gets the response.
        """
        token = self._access.current()
        if token is None:
            failure = self._access.ask()
            await self._access.settled()
            token = self._access.current()
            if token is None:
                return failure or self._access.failure or _CLOSED
        request = self._composer.request(_NOBODYS, token.header.value, self._clock())
        answer = await self._pool.fetch(request)
        found = verdict.read(answer, token=_NOBODYS.token, now=self._clock(), dry_run=True)
        return replace(found, said_at=said_at(answer)) if isinstance(answer, Response) else found

    def _submit(self, pushes: Sequence[Push], token: AccessToken) -> None:
        now, header = self._clock(), token.header.value
        # All are composed before the first is taken: one that cannot be leaves nothing half done.
        requests = [self._composer.request(push, header, now) for push in pushes]
        for push, request in zip(pushes, requests, strict=True):
            self._pool.submit(_Sent(push, token), request, urgent=push.urgent)

    def _send_waiting(self) -> None:
        token, failure = self._access.current(), self._access.failure
        if token is not None:
            for push in self._take_waiting():
                with isolated(log, "push_cannot_be_sent", delivery_id=push.delivery_id) as tried:
                    self._submit([push], token)
                if tried.error is not None:
                    self._answer_soon([(push, our_fault("unsendable", tried.error))])
        elif failure is not None:
            self._answer_soon([(push, failure) for push in self._take_waiting()])

    def _take_waiting(self) -> list[Push]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _answer_soon(self, verdicts: list[tuple[Push, Verdict]]) -> None:
        if verdicts and not self._unsent:
            asyncio.get_running_loop().call_soon(self._report_unsent)
        self._unsent += verdicts

    def _report_unsent(self) -> None:
        unsent, self._unsent = self._unsent, []
        if unsent:
            self._on_verdicts(unsent)

    def _read(self, answers: Sequence[tuple[_Sent, Answer]]) -> None:
        now = self._clock()
        self._on_verdicts(judged(answers, lambda sent, answer: self._verdict(sent, answer, now)))

    def _verdict(self, sent: _Sent, answer: Answer, now: datetime) -> Verdict:
        push = sent.push
        found = verdict.read(answer, token=push.token, now=now, dry_run=push.dry_run)
        match found.outcome:
            case BadCredentials(scope=Scope.CREDENTIAL, heal=Heal.RENEW_TOKEN) if not self._access.drop(
                sent.token
            ):
                held = replace(found.outcome, heal=Heal.BY_OPERATOR)
                return replace(found, outcome=held, alert="FCM refuses an access token that was just granted")
            case _:
                return found
