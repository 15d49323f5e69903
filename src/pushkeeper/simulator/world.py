"""The state of tokens, shared by all services: created, installed, uninstalled, installed again."""

from __future__ import annotations

import hashlib
import re
import time
from base64 import urlsafe_b64encode
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from pushkeeper.simulator.browser import Browser, Family
from pushkeeper.simulator.journal import JOURNAL_SIZE, Entry, Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pushkeeper.simulator.exchange import Headers
    from pushkeeper.simulator.quota import Window
    from pushkeeper.simulator.script import Step

PROJECT = "simulated-project"
TOPIC = "com.example.app"
_DAY_S = 86_400

Platform: TypeAlias = Literal["ios", "android", "web"]
Provider: TypeAlias = Literal["fcm", "apns", "webpush"]
Environment: TypeAlias = Literal["production", "sandbox"]
Kind: TypeAlias = Literal["token", "fid"]
# The whole service rejects the key, is throttled, or is out of order.
Trouble: TypeAlias = Literal["key", "throttle", "outage"]

FID_SHAPE = re.compile(r"[A-Za-z0-9_-]{22}")
FCM_TOKEN_SHAPE = re.compile(FID_SHAPE.pattern + r"(:APA91b[A-Za-z0-9_-]{134})?")  # a FID may replace it


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where tokens come from: the app, and the service that it is reached by."""

    platform: Platform = "android"
    provider: Provider = "fcm"
    environment: Environment = "production"
    topic: str = TOPIC
    project: str = PROJECT
    kind: Kind = "token"


@dataclass(slots=True)
class Installation:
    """One token and its state.

    Attributes:
        removed_at_s: when it was uninstalled (seconds since the epoch), or None.
        accepted: accepted pushes.
        seen_at_s: when the phone was last seen, by the calendar.
        windows: its quota windows.
        topics: its FCM topic subscriptions, each with its start in seconds since the epoch.
    """

    token: str
    origin: Origin
    removed_at_s: float | None = None
    accepted: int = 0
    seen_at_s: float = 0.0
    windows: tuple[Window, ...] = ()
    topics: dict[str, float] = field(default_factory=dict)


class UnknownToken(Exception):
    """A token was named that was not minted here."""


class World:
    """The tokens, the journal and the clock that all services share.

    The nth token of a kind depends on the seed alone, so two simulators of one seed mint the same.
    """

    def __init__(
        self, seed: int = 0, clock: Callable[[], float] = time.time, journal_size: int = JOURNAL_SIZE
    ) -> None:
        self.seed = seed
        self.clock = clock
        self._days_ahead = 0.0
        self.journal = Journal(journal_size)
        self.installations: dict[str, Installation] = {}
        self.troubles: dict[str, Trouble] = {}
        # Apple's broadcast channels with how they store, by service and app.
        self.channels: dict[tuple[str, str], dict[str, int]] = {}
        self.browsers: dict[str, Browser] = {}
        self._scripts: dict[str, deque[Step]] = {}
        self._minted: dict[str, int] = {}
        self._last_id = int.from_bytes(hashlib.shake_256(f"{seed}:answers".encode()).digest(8), "big") << 64

    def mint(self, count: int = 1, origin: Origin | None = None) -> list[str]:
        """Install an app `count` times and return the tokens, in the order of minting."""
        origin = origin or Origin()
        shape = "apns" if origin.provider == "apns" else origin.kind
        tokens = [self._token(shape) for _ in range(count)]
        now_s = self.calendar_s()
        self.installations.update((token, Installation(token, origin, seen_at_s=now_s)) for token in tokens)
        return tokens

    def subscribe(
        self,
        count: int = 1,
        family: Family = "google",
        *,
        vapid_key: bytes | None = None,
        origin: str | None = None,
    ) -> list[Browser]:
        """Let so many browsers subscribe; their endpoints are their tokens.

        `vapid_key` is the sender's public key (65 bytes), from whom alone they take pushes; None for any. `origin` takes the
        place of the real origin of their push service.
        """
        made = [
            Browser.subscribe(family, self._next_number("browser"), self.seed, vapid_key, origin)
            for _ in range(count)
        ]
        now_s = self.calendar_s()
        for browser in made:
            self.browsers[browser.endpoint] = browser
            where = Origin(platform="web", provider="webpush", topic=family)
            self.installations[browser.endpoint] = Installation(browser.endpoint, where, seen_at_s=now_s)
        return made

    def uninstall(self, tokens: Iterable[str], at_s: float | None = None) -> None:
        """Refuse these tokens from now on, as gone since `at_s` (now).

        Raises:
            UnknownToken: one was not minted here; nothing was changed.
        """
        removed_at_s = self.clock() if at_s is None else at_s
        for installation in self._known(tokens):
            installation.removed_at_s = removed_at_s

    def install(self, tokens: Iterable[str]) -> None:
        """Make the same tokens good again.

        Raises:
            UnknownToken: one was not minted here; nothing was changed.
        """
        for installation in self._known(tokens):
            installation.removed_at_s = None
            installation.seen_at_s = self.calendar_s()

    def calendar_s(self) -> float:
        """Seconds since the epoch as phones count them: keys and access tokens keep to the real clock."""
        return self.clock() + self._days_ahead * _DAY_S

    def advance_days(self, days: float) -> None:
        """Keep phones silent for a number of days."""
        self._days_ahead += days

    def days_silent(self, installation: Installation) -> float:
        """How long the phone has been silent."""
        return (self.calendar_s() - installation.seen_at_s) / _DAY_S

    def script(self, token: str, steps: Iterable[Step]) -> int:
        """Queue answers that come before the truth, each once, and return how many are waiting.

        Raises:
            UnknownToken: it was not minted here.
        """
        self._known([token])
        queue = self._scripts.setdefault(token, deque())
        queue.extend(steps)
        return len(queue)

    def next_step(self, token: str) -> Step | None:
        """Take the scripted answer whose turn it is, if there is one."""
        queue = self._scripts.get(token)
        return queue.popleft() if queue else None

    def reset(self) -> None:
        """Forget all tokens, channels, scripts, troubles and the journal; minting begins again with the same tokens."""
        self.installations.clear()
        self.troubles.clear()
        self.channels.clear()
        self.browsers.clear()
        self._scripts.clear()
        self.journal.clear()
        self._minted.clear()
        self._days_ahead = 0.0

    def record(
        self, target: str, provider: str, asked: tuple[Headers, bytes], answer: tuple[int | None, str]
    ) -> None:
        """Log one request (headers, body) and its result (status, reason)."""
        self.journal.write(Entry(self.clock(), provider, target, *answer, *asked))

    def count_accepted(self, installation: Installation) -> None:
        """Count a push that was taken."""
        if installation.accepted:
            self.journal.repeats += 1
        installation.accepted += 1

    def next_id(self) -> int:
        """A number of 128 bits that no answer had before."""
        self._last_id += 1
        return self._last_id

    def _known(self, tokens: Iterable[str]) -> list[Installation]:
        try:
            return [self.installations[token] for token in tokens]
        except KeyError as unknown:
            raise UnknownToken from unknown

    def _next_number(self, shape: str) -> int:
        number = self._minted[shape] = self._minted.get(shape, 0) + 1
        return number

    def _token(self, shape: str) -> str:
        number = self._next_number(shape)
        source = hashlib.shake_256(f"{self.seed}:{shape}:{number}".encode())
        if shape == "apns":
            return source.hexdigest(32)
        letters = urlsafe_b64encode(source.digest(117)).decode()
        return letters[:22] if shape == "fid" else f"{letters[:22]}:APA91b{letters[22:156]}"
