"""A sender to browsers: its keys, the connections to their push services, and what the answers mean."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pushkeeper.core.delivery.outcome import Accepted, BadCredentials, Verdict
from pushkeeper.core.model import Platform, token_shape
from pushkeeper.providers.credentials import utc_now
from pushkeeper.providers.judging import judged
from pushkeeper.providers.transport.response import NoResponse
from pushkeeper.providers.webpush import message, verdict
from pushkeeper.providers.webpush.origins import Origins, Where
from pushkeeper.providers.webpush.vapid import KeyRing, VapidTokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from pushkeeper.core.model import Push
    from pushkeeper.providers.credentials import Clock
    from pushkeeper.providers.transport.response import Answer, Request

    OnVerdicts: TypeAlias = Callable[[Sequence[tuple[Push, Verdict]]], None]

_DRY_RUN = Verdict(
    code="dry_run_accepted",
    outcome=Accepted(dry_run=True),
    reason="dry_run",
    detail="Web Push has no dry run: the request was composed and not sent.",
)
_NOT_PERMITTED = "The endpoint's host resolves to an address that is not public."


@dataclass(frozen=True, slots=True, eq=False)
class _Sent:
    """A push under way: by which key, and to which service's origin."""

    push: Push
    key_id: str
    origin: str


class WebPushClient:
    """Sends pushes to browsers; each is answered exactly once, in batches."""

    def __init__(
        self, keys: KeyRing, on_verdicts: OnVerdicts, *, subject: str, where: Where, clock: Clock = utc_now
    ) -> None:
        """Open nothing yet; `subject` is how the push services can reach us.

        Raises:
            BadRequest: the address that is called in the place of all is no HTTPS URL, or the CA is no certificate.
        """
        self._keys = keys
        self._on_verdicts = on_verdicts
        self._clock = clock
        self._composer = message.Composer()
        self._tokens = {key.key_id: VapidTokens(key, subject) for key in keys.keys}
        # With which keys an origin has accepted a push: what it refuses then is the subscription, and not the key.
        self._proven: set[tuple[str, str]] = set()
        self._origins: Origins[_Sent] = Origins(where, self._read)
        self._answers: list[tuple[Push, Verdict]] = []

    @property
    def pending(self) -> int:
        """Pushes that were handed in and are not answered yet."""
        return len(self._answers) + self._origins.pending

    def send(self, pushes: Sequence[Push]) -> None:
        """Accept these pushes; each is answered later, never from within this call."""
        now = self._clock()
        # All are composed before the first is taken: one that cannot be leaves nothing half done.
        composed = [self._composed(push, now) for push in pushes]
        for push, one in zip(pushes, composed, strict=True):
            if isinstance(one, Verdict):
                self._answer_soon(push, one)
            else:
                sent, to, request = one
                self._origins.submit(sent, to, request, urgent=push.urgent)

    def _composed(self, push: Push, now: datetime) -> tuple[_Sent, message.Address, Request] | Verdict:
        to = message.Address.of(push.token.value)
        if refusal := self._origins.refusal(to):
            return verdict.not_allowed(refusal)
        key = self._keys.of(push.browser.vapid_key if push.browser is not None else "")
        if key is None:
            return verdict.not_ours(push.token)
        token = self._tokens[key.key_id].current(to.origin, now)
        request = self._composer.request(push, to, token.header.value, now)
        return _DRY_RUN if push.dry_run else (_Sent(push, key.key_id, to.origin), to, request)

    def withdraw(self, unwanted: Callable[[Push], bool]) -> int:
        """Withdraw pushes that are on no stream yet; each is answered as not processed. Returns how many."""
        return self._origins.withdraw(lambda sent: unwanted(sent.push))

    async def probe(self) -> Verdict:
        """Say that nothing can be asked: no endpoint is nobody's, so that a paused route waits for an operator."""
        return Verdict(
            code="webpush_invalid_credentials",
            outcome=BadCredentials(scope=verdict.REFUSED_SCOPE, probe_after_s=None),
            reason="no_probe",
            detail="A VAPID key can only be tried with a push to a browser.",
        )

    async def aclose(self, drain_s: float) -> None:
        """Wait up to `drain_s` seconds for the answers under way, then close."""
        self._tell()
        await self._origins.aclose(drain_s)

    def _answer_soon(self, push: Push, found: Verdict) -> None:
        if not self._answers:
            asyncio.get_running_loop().call_soon(self._tell)
        self._answers.append((push, found))

    def _tell(self) -> None:
        answers, self._answers = self._answers, []
        if answers:
            self._on_verdicts(answers)

    def _read(self, answers: Sequence[tuple[_Sent, Answer]]) -> None:
        now = self._clock()
        self._on_verdicts(judged(answers, lambda sent, answer: self._verdict(sent, answer, now)))

    def _verdict(self, sent: _Sent, answer: Answer, now: datetime) -> Verdict:
        if isinstance(answer, NoResponse) and answer.not_permitted:
            return verdict.not_allowed(_NOT_PERMITTED)
        by = (sent.key_id, sent.origin)
        found = verdict.read(
            answer,
            endpoint=sent.push.token,
            service=token_shape(Platform.WEB, sent.push.token),
            proven=by in self._proven,
            now=now,
        )
        if isinstance(found.outcome, Accepted):
            self._proven.add(by)
        return found
