"""The demo's story: a fleet is registered and pushed to in rounds, while apps go and people come back."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

from pushkeeper.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")

CALLERS = 8
BROADCAST_LASTS_S = 600.0
_LONGEST_WORD = 30
PATIENCE_S = 120.0
_TAKEN = (http.client.OK, http.client.CREATED)
_IDLE_S = 2.0  # a server may close a connection that was quiet for longer

STATUSES = ("unused", "sent", "bounced", "suppressed")


class Http:
    """Calls to one origin over connections that stay open, one a thread."""

    def __init__(self, origin: str, authorization: str = "") -> None:
        self._netloc = urlsplit(origin).netloc
        self._headers = {"content-type": "application/json"}
        if authorization:
            self._headers["authorization"] = authorization
        self._of_thread = threading.local()

    def __call__(self, method: str, path: str, body: object = None) -> Any:
        """The JSON of a 200 or 201.

        Raises:
            Unreachable: any other answer.
        """
        try:
            status, data = self._exchange(method, path, None if body is None else json.dumps(body))
        except (OSError, http.client.HTTPException) as error:
            self._of_thread.connection = None
            raise Unreachable(
                f"{method} {_shown(path)}: {self._netloc} does not answer ({error!r})"
            ) from error
        if status not in _TAKEN:
            raise Unreachable(f"{method} {_shown(path)}: {self._netloc} answered {status}")
        return json.loads(data)

    def _exchange(self, method: str, path: str, body: str | None) -> tuple[int, bytes]:
        connection, used_at = getattr(self._of_thread, "connection", None) or (None, 0.0)
        if connection is None or time.monotonic() - used_at > _IDLE_S:
            connection = http.client.HTTPConnection(self._netloc, timeout=30)
        connection.request(method, path, body, self._headers)
        response = connection.getresponse()
        data = response.read()
        self._of_thread.connection = (connection, time.monotonic())
        return response.status, data


def _shown(path: str) -> str:
    """A path without what may be in it of a token."""
    return "/".join(part for part in path.partition("?")[0].split("/") if len(part) <= _LONGEST_WORD)


# What phones are, and their people: as many of each as there are, roughly, in an app's second year.
MODELS = {
    "ios": (("iPhone 13", "17.5"), ("iPhone 15", "18.2"), ("iPhone 15", "18.1"), ("iPhone SE", "16.7")),
    "android": (("Pixel 8", "15"), ("Galaxy S23", "14"), ("Galaxy A54", "14"), ("Redmi Note 12", "13")),
}
APP_VERSIONS = ("4.2.1", "4.2.1", "4.2.1", "4.2.0", "4.1.3", "4.1.3", "4.0.0", "3.9.5")
FIRST_NAMES = (
    "Ann",
    "Ben",
    "Chloe",
    "David",
    "Eva",
    "Farid",
    "Grace",
    "Hugo",
    "Ines",
    "Jonas",
    "Kira",
    "Liam",
)
PLANS = ("free", "free", "free", "plus", "pro")


@dataclass(frozen=True, slots=True)
class Phone:
    person: str
    token: str
    platform: str
    model: str
    os_version: str
    app_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What happened, and how many devices had each last status before and after it."""

    name: str
    what: str
    before: dict[str, int]
    after: dict[str, int]
    answers: list[dict[str, Any]]


@dataclass(slots=True)
class DemoDevices:
    """The demo's devices, and the doors through which it does things to them."""

    track: Http
    app: Http
    simulator: Http
    told: Callable[[str, int, Iterable[None]], None]
    phones: list[Phone] = field(default_factory=list)
    pushes: int = 0

    def mint(self, count: int, *, seed: int) -> None:
        """Install the app on so many phones, of which about half are iPhones; some people have two."""
        chance = random.Random(seed)  # noqa: S311 - a story, not a secret
        iphones = count // 2
        tokens = [
            ("ios", token)
            for token in self.simulator("POST", "/tokens", {"platform": "ios", "count": iphones})["tokens"]
        ] + [
            ("android", token)
            for token in self.simulator("POST", "/tokens", {"platform": "android", "count": count - iphones})[
                "tokens"
            ]
        ]
        chance.shuffle(tokens)
        people = max(1, int(count * 0.8))
        self.phones = [
            Phone(
                f"person-{n % people:05d}",
                token,
                platform,
                *chance.choice(MODELS[platform]),
                chance.choice(APP_VERSIONS),
            )
            for n, (platform, token) in enumerate(tokens)
        ]

    def introduce(self, label: str, *, seed: int) -> None:
        """The backend says who people are."""
        chance = random.Random(seed)  # noqa: S311 - a story, not a secret
        who = [
            (person, chance.choice(FIRST_NAMES), chance.choice(PLANS))
            for person in dict.fromkeys(phone.person for phone in self.phones)
        ]

        def call(one: tuple[str, str, str]) -> None:
            person, name, plan = one
            self.track("PUT", f"/api/v1/customers/{quote(person)}", {"first_name": name, "plan": plan})

        self._all(call, who, label)

    def register(self, phones: Sequence[Phone], label: str) -> None:
        """Each app tells the service whose phone it is on."""

        def call(phone: Phone) -> None:
            device = {
                "id": phone.token,
                "platform": phone.platform,
                "last_used": int(time.time()),
                "attributes": {
                    "app_version": phone.app_version,
                    "device_model": phone.model,
                    "device_os": phone.os_version,
                },
            }
            self.track("PUT", f"/api/v1/customers/{quote(phone.person)}/devices", {"device": device})

        self._all(call, phones, label)

    def push(self, title: str, label: str) -> None:
        """Send one push to every phone, and wait until the service has every outcome."""

        def call(phone: Phone) -> None:
            body = {
                "identifiers": {"id": phone.person},
                "to": phone.token,
                "title": title,
                "message": "Pushkeeper's demo says hello.",
            }
            self.app("POST", "/v1/send/push", body)

        self._all(call, self.phones, label)
        self.pushes += len(self.phones)
        give_up_at = time.monotonic() + PATIENCE_S
        while sum(count["pushes"] for count in self.answers()) < self.pushes:
            if time.monotonic() > give_up_at:
                raise Unreachable(f"pushes: not all {self.pushes:,} are settled after {PATIENCE_S:.0f} s")
            time.sleep(0.05)

    def broadcast(self) -> int:
        """Start a broadcast that takes ten minutes, and return its number."""
        asked = {
            "name": "The summer sale",
            "content": {
                "title": "The summer sale begins, {{ person.first_name | default: 'friend' }}",
                "message": "Everything half price until Sunday{% if person.plan == 'pro' %}, and for pros today{% endif %}.",
                "link": "shop://sale",
            },
            "audience": {"filter": "everybody"},
            "throttle": {"per_second": max(0.1, len(self.phones) / BROADCAST_LASTS_S)},
            "start": True,
        }
        number: int = self.app("POST", "/api/v1/broadcasts", asked)["broadcast"]["id"]
        return number

    def uninstall(self, phones: Sequence[Phone]) -> None:
        self.simulator("POST", "/uninstall", {"tokens": [phone.token for phone in phones]})

    def install(self, phones: Sequence[Phone]) -> None:
        self.simulator("POST", "/install", {"tokens": [phone.token for phone in phones]})

    def by_status(self) -> dict[str, int]:
        counted: Counter[str] = Counter(dict.fromkeys(STATUSES, 0))
        for count in self.by_platform():
            counted[count["last_status"] or "unused"] += count["devices"]
        return dict(counted)

    def by_platform(self) -> list[dict[str, Any]]:
        counts: list[dict[str, Any]] = self.app("GET", "/api/v1/stats/devices")["counts"]
        return counts

    def answers(self) -> list[dict[str, Any]]:
        counts: list[dict[str, Any]] = self.app("GET", "/api/v1/stats/pushes")["counts"]
        return counts

    def _all(self, call: Callable[[T], None], whom: Sequence[T], label: str) -> None:
        with ThreadPoolExecutor(CALLERS) as pool:
            self.told(label, len(whom), pool.map(call, whom))


def tell(fleet: DemoDevices, devices: int, *, seed: int = 7) -> list[Round]:
    """Play the story and return its rounds."""
    rounds: list[Round] = []

    def play(name: str, what: str, *acts: Callable[[], None]) -> None:
        before = fleet.by_status()
        for act in acts:
            act()
        rounds.append(
            Round(name=name, what=what, before=before, after=fleet.by_status(), answers=fleet.answers())
        )

    fleet.mint(devices, seed=seed)
    gone = fleet.phones[: devices // 5]
    back = gone[: len(gone) // 2]
    play(
        "registered",
        f"{devices:,} devices register",
        lambda: fleet.introduce("Creating people", seed=seed),
        lambda: fleet.register(fleet.phones, "Registering devices"),
    )
    play("first push", "all devices get a push", lambda: fleet.push("Welcome", "First push"))
    play(
        "uninstalled",
        f"{len(gone):,} apps are uninstalled, then all get a push",
        lambda: fleet.uninstall(gone),
        lambda: fleet.push("News", "Push after uninstalls"),
    )
    play(
        "still gone",
        "all devices get a push again",
        lambda: fleet.push("More news", "Second push after uninstalls"),
    )
    play(
        "left alone",
        "suppressed devices are skipped",
        lambda: fleet.push("Sale", "Third push"),
    )
    play(
        "back again",
        f"{len(back):,} people reinstall and log in, then all get a push",
        lambda: fleet.install(back),
        lambda: fleet.register(back, "Logging in again"),
        lambda: fleet.push("Welcome back", "Last push"),
    )
    return rounds
