"""The access tokens of one service account: requested once for all waiting callers, renewed before they expire."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from secrets import SystemRandom
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlencode, urlsplit

from msgspec.structs import replace

from pushkeeper.core.delivery.outcome import Silence, Unavailable
from pushkeeper.core.model import Secret
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.providers.fcm.oauth import FIRST_WAIT_S, LONGEST_WAIT_S, Grant, read_grant
from pushkeeper.providers.transport.response import NoResponse, Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from pushkeeper.core.delivery.outcome import Verdict
    from pushkeeper.providers.credentials import Clock, ServiceAccount
    from pushkeeper.providers.transport.response import Answer

    Fetch: TypeAlias = Callable[[Request], Awaitable[Answer]]

log = logger("providers")

RENEW_BEFORE = timedelta(minutes=5)
# A request under way must not outlive its token.
USELESS_BEFORE = timedelta(seconds=10)
# After a refusal nothing new is known until somebody changed something at Google.
ASK_AGAIN = timedelta(seconds=60)
_LONGEST_LIFE_S = 86_400.0
_GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_DOUBLINGS = 10

_jitter = SystemRandom().random


@dataclass(frozen=True, slots=True)
class AccessToken:
    """One token, as the value of the `authorization` header, with the times from which it is renewed and not used."""

    header: Secret
    renew_at: datetime
    useless_at: datetime

    @classmethod
    def granted(cls, grant: Grant, now: datetime) -> AccessToken:
        """A token that lives shorter than our margins is renewed and used by halves of its life."""
        life = timedelta(seconds=min(grant.expires_in_s, _LONGEST_LIFE_S))
        return cls(
            Secret(b"Bearer " + grant.access_token.value),
            renew_at=now + max(life - RENEW_BEFORE, life / 2),
            useless_at=now + max(life - USELESS_BEFORE, life / 2),
        )


class AccessTokens:
    """Keeps the current token; at most one request to the token endpoint is under way at any time."""

    def __init__(
        self, account: ServiceAccount, fetch: Fetch, clock: Clock, on_result: Callable[[], None]
    ) -> None:
        """`on_result` is called after every answer of the token endpoint, good or bad."""
        self._account = account
        self._fetch = fetch
        self._clock = clock
        self._on_result = on_result
        self._token: AccessToken | None = None
        self._asking: asyncio.Task[None] | None = None
        self._failures = 0
        self._failure: Verdict | None = None
        self._ask_from: datetime | None = None
        self._dropped_at: datetime | None = None

    def current(self) -> AccessToken | None:
        """The current token, renewed in the background before it expires; None without one."""
        token, now = self._token, self._clock()
        if token is None or now >= token.useless_at:
            return None
        if now >= token.renew_at:
            self.ask()
        return token

    def ask(self) -> Verdict | None:
        """Ask for a token unless that is under way; the last failure while it is too soon to ask again."""
        if self._asking is not None:
            return None
        now = self._clock()
        if self._failure is not None and self._ask_from is not None and now < self._ask_from:
            return _not_sooner(self._failure, (self._ask_from - now).total_seconds())
        self._asking = asyncio.get_running_loop().create_task(self._grant())
        return None

    @property
    def failure(self) -> Verdict | None:
        """Why the last request for a token failed, None after a success."""
        return self._failure

    def drop(self, refused: AccessToken) -> bool:
        """FCM does not know this token: forget it, so that the next is a new one.

        True when a retry may succeed; False when the refused token was itself the remedy for such a refusal.
        """
        if self._token is not refused:
            return True
        now = self._clock()
        if self._dropped_at is not None and now - self._dropped_at < ASK_AGAIN:
            return False
        self._token, self._dropped_at = None, now
        return True

    async def settled(self) -> None:
        """Wait for the request under way, if there is one."""
        if self._asking is not None:
            await asyncio.shield(self._asking)

    async def aclose(self) -> None:
        """Stop asking."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _grant(self) -> None:
        # Signing takes a millisecond of RSA: not on the loop that sends.
        with isolated(log, "access_token_not_asked_for") as tried:
            assertion = await asyncio.to_thread(self._account.assertion, self._clock())
            answer = await self._fetch(_request(self._account.token_uri, assertion))
            result = read_grant(answer, now=self._clock())
        if tried.error is not None:
            # Out of threads, say. Waiting callers are answered all the same, and retry.
            result = read_grant(NoResponse(Silence.NOT_SENT, type(tried.error).__name__), now=self._clock())
        self._asking = None
        self._take(result)
        self._on_result()

    def _take(self, result: Grant | Verdict) -> None:
        now = self._clock()
        if isinstance(result, Grant):
            self._token = AccessToken.granted(result, now)
            self._failures, self._failure, self._ask_from = 0, None, None
            return
        self._failures += 1
        self._failure = result
        self._ask_from = now + (
            self._backoff(result.outcome) if isinstance(result.outcome, Unavailable) else ASK_AGAIN
        )

    def _backoff(self, outcome: Unavailable) -> timedelta:
        grown_s = min(FIRST_WAIT_S * 2 ** min(self._failures, _DOUBLINGS), LONGEST_WAIT_S)
        wait_s = FIRST_WAIT_S + _jitter() * (grown_s - FIRST_WAIT_S)
        return timedelta(seconds=min(max(wait_s, outcome.after_s or 0.0), _LONGEST_LIFE_S))


def _not_sooner(failure: Verdict, wait_s: float) -> Verdict:
    if not isinstance(failure.outcome, Unavailable):
        return failure
    after_s = max(failure.outcome.after_s or 0.0, wait_s)
    return replace(failure, outcome=replace(failure.outcome, after_s=after_s))


def _request(token_uri: str, assertion: bytes) -> Request:
    parts = urlsplit(token_uri)
    path = parts.path or "/"
    body = urlencode({"grant_type": _GRANT_TYPE, "assertion": assertion.decode()}).encode()
    return Request(
        (
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", parts.netloc.encode()),
            (b":path", f"{path}?{parts.query}".encode() if parts.query else path.encode()),
            (b"content-type", b"application/x-www-form-urlencoded"),
        ),
        body,
    )
