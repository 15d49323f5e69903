"""The control API: plain HTTP, for tests and people who drive the simulator from outside."""

from __future__ import annotations

import contextlib
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, TypeVar

import msgspec
import uvicorn
from msgspec import Meta
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from pushkeeper.simulator.browser import Family
from pushkeeper.simulator.fcm_errors import FORMS
from pushkeeper.simulator.script import Step
from pushkeeper.simulator.world import (
    PROJECT,
    TOPIC,
    Environment,
    Kind,
    Origin,
    Platform,
    Provider,
    Trouble,
    UnknownToken,
    World,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from starlette.requests import Request

    from pushkeeper.simulator.listener import Listener
    from pushkeeper.simulator.oauth import OAuth

_MOST_AT_ONCE = 1_000_000
_PAGE = 100
_LARGEST_PAGE = 10_000

T = TypeVar("T")
Service: TypeAlias = Literal["fcm", "oauth", "apns", "apns_sandbox", "webpush"]


class _Wanted(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    platform: Platform
    count: int = 1
    environment: Environment = "production"
    topic: str = TOPIC
    provider: Provider | None = None
    project: str = PROJECT
    kind: Kind = "token"


class _Subscribed(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    family: Family = "google"
    count: Annotated[int, Meta(ge=0, le=_MOST_AT_ONCE)] = 1
    application_server_key: str | None = None


class _Named(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    tokens: list[str]
    at: Annotated[datetime, Meta(tz=True)] | None = None


class _GoAway(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    service: Service
    code: Annotated[int, Meta(ge=0, lt=2**32)] = 0
    debug: str = ""
    last_stream_id: Annotated[int, Meta(ge=0, lt=2**31)] | None = None


class _Streams(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    service: Service
    streams: Annotated[int, Meta(ge=0, lt=2**31)]


class _Days(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    days: Annotated[float, Meta(ge=0, le=10_000)]


class _Troubled(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    service: Literal["fcm", "apns", "apns_sandbox", "webpush"]
    trouble: Trouble | None


class _Script(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    token: str
    answers: list[Step]


class _Certified(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    topic: Annotated[str, Meta(pattern="^[A-Za-z0-9.-]{1,255}$")] = TOPIC


class _Refused(Exception):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True)
class Control:
    """The routes, over one world."""

    world: World
    oauth: OAuth
    doors: Mapping[Service, Listener]
    certify: Callable[[str], bytes]

    def app(self) -> Starlette:
        """The ASGI application."""
        posts = {
            "/tokens": self._mint,
            "/subscriptions": self._subscribe,
            "/uninstall": self._uninstall,
            "/install": self._install,
            "/script": self._script,
            "/revoke": self._revoke,
            "/reset": self._reset,
            "/goaway": self._go_away,
            "/streams": self._streams,
            "/days": self._days,
            "/trouble": self._trouble,
            "/certificate": self._certificate,
        }
        gets = {"/about": self._about, "/journal": self._journal, "/counts": self._counts}
        return Starlette(
            routes=[
                *(Route(path, _answering(does), methods=["POST"]) for path, does in posts.items()),
                *(Route(path, _answering(does), methods=["GET"]) for path, does in gets.items()),
            ]
        )

    async def _mint(self, request: Request) -> object:
        wanted = _read(await request.body(), _Wanted)
        if not 0 <= wanted.count <= _MOST_AT_ONCE:
            raise _Refused("count", f"count must be from 0 to {_MOST_AT_ONCE}.")
        if wanted.platform == "web" or wanted.provider == "webpush":
            raise _Refused("platform", "platform web has subscriptions, which POST /subscriptions makes.")
        provider = wanted.provider or ("apns" if wanted.platform == "ios" else "fcm")
        if provider == "apns" and (wanted.platform != "ios" or wanted.kind != "token"):
            raise _Refused("provider", "provider apns has tokens of platform ios and kind token only.")
        origin = Origin(
            platform=wanted.platform,
            provider=provider,
            environment=wanted.environment,
            topic=wanted.topic,
            project=wanted.project,
            kind=wanted.kind,
        )
        return {"tokens": self.world.mint(wanted.count, origin)}

    async def _subscribe(self, request: Request) -> object:
        wanted = _read(await request.body(), _Subscribed)
        key = wanted.application_server_key
        try:
            vapid_key = None if key is None else urlsafe_b64decode(key + "=" * (-len(key) % 4))
        except ValueError:
            raise _Refused(
                "application_server_key", "application_server_key must be URL-safe base64."
            ) from None
        made = self.world.subscribe(wanted.count, wanted.family, vapid_key=vapid_key)
        return {"subscriptions": [{"endpoint": one.endpoint, "keys": one.keys} for one in made]}

    async def _uninstall(self, request: Request) -> object:
        named = _read(await request.body(), _Named)
        with _known("tokens"):
            self.world.uninstall(named.tokens, named.at.timestamp() if named.at else None)
        return {"uninstalled": len(named.tokens)}

    async def _install(self, request: Request) -> object:
        named = _read(await request.body(), _Named)
        with _known("tokens"):
            self.world.install(named.tokens)
        return {"installed": len(named.tokens)}

    async def _script(self, request: Request) -> object:
        script = _read(await request.body(), _Script)
        installation = self.world.installations.get(script.token)
        for number, step in enumerate(script.answers):
            if step.form and installation is not None and installation.origin.provider == "apns":
                field = f"answers[{number}].form"
                raise _Refused(field, f"{field} is for FCM; a token of APNs takes status and reason.")
            if step.form and step.form not in FORMS:
                field = f"answers[{number}].form"
                raise _Refused(field, f"{field} must be one of {', '.join(FORMS)}.")
        with _known("token"):
            return {"queued": self.world.script(script.token, script.answers)}

    async def _journal(self, request: Request) -> object:
        limit = _number(request, "limit", _PAGE)
        offset = _number(request, "offset", 0)
        if limit > _LARGEST_PAGE:
            raise _Refused("limit", f"limit must be at most {_LARGEST_PAGE}.")
        entries = list(self.world.journal.read(request.query_params.get("token")))
        page = entries[offset : offset + limit]
        return {"requests": [entry.shown() for entry in page], "total": len(entries)}

    async def _counts(self, request: Request) -> object:  # noqa: ARG002 - a route's signature
        journal = self.world.journal
        answers = [
            {"provider": provider, "status": status, "reason": reason, "count": count}
            for (provider, status, reason), count in journal.answers.items()
        ]
        providers: dict[str, int] = {}
        for (provider, _, _), count in journal.answers.items():
            providers[provider] = providers.get(provider, 0) + count
        return {
            "providers": providers,
            "answers": answers,
            "repeated_accepts": journal.repeats,
            "oauth_refreshes": self.world.journal.answers["oauth", 200, ""],
        }

    async def _revoke(self, request: Request) -> object:  # noqa: ARG002 - a route's signature
        self.oauth.revoke()
        return {}

    async def _go_away(self, request: Request) -> object:
        asked = _read(await request.body(), _GoAway)
        connections = list(self.doors[asked.service].connections)
        for connection in connections:
            connection.go_away(asked.code, asked.debug.encode(), asked.last_stream_id)
        return {"connections": len(connections)}

    async def _streams(self, request: Request) -> object:
        asked = _read(await request.body(), _Streams)
        connections = list(self.doors[asked.service].connections)
        for connection in connections:
            connection.limit_streams(asked.streams)
        return {"connections": len(connections)}

    async def _days(self, request: Request) -> object:
        self.world.advance_days(_read(await request.body(), _Days).days)
        return {}

    async def _trouble(self, request: Request) -> object:
        asked = _read(await request.body(), _Troubled)
        self.world.troubles.pop(asked.service, None)
        if asked.trouble is not None:
            self.world.troubles[asked.service] = asked.trouble
        return {"troubles": self.world.troubles}

    async def _certificate(self, request: Request) -> object:
        topic = _read(await request.body() or b"{}", _Certified).topic
        return {"topic": topic, "pem": self.certify(topic).decode()}

    async def _about(self, request: Request) -> object:  # noqa: ARG002 - a route's signature
        services: tuple[Service, ...] = ("fcm", "apns", "apns_sandbox", "webpush")
        return {
            "origins": {name: f"https://localhost:{self.doors[name].port}" for name in services},
            "troubles": self.world.troubles,
            "installed": sum(one.removed_at_s is None for one in self.world.installations.values()),
            "uninstalled": sum(one.removed_at_s is not None for one in self.world.installations.values()),
        }

    async def _reset(self, request: Request) -> object:  # noqa: ARG002 - a route's signature
        self.world.reset()
        return {}


class ControlServer(uvicorn.Server):
    """uvicorn without signal handlers: it runs in another program's event loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the host."""
        yield


def _answering(does: Callable[[Request], Awaitable[object]]) -> Callable[[Request], Awaitable[Response]]:
    async def route(request: Request) -> Response:
        try:
            status, answer = 200, await does(request)
        except _Refused as refused:
            status, answer = 400, {"error": {"field": refused.field, "message": refused.message}}
        return Response(msgspec.json.encode(answer), status, media_type="application/json")

    return route


def _read(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        sentence, _, place = str(error).partition(" - at ")
        unnamed = re.search(r"field `(\w+)`", sentence)
        path = re.search(r"`\$\.?([^`]*)`", place)
        inner = path[1] if path else ""
        field = ".".join(part for part in (inner, unnamed[1] if unnamed else "") if part)
        raise _Refused(field or "body", f"{field or 'body'}: {sentence}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _Refused("body", "The body is not JSON.") from error


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isascii() or not text.isdigit():
        raise _Refused(name, f"{name} must be a whole number, 0 or more.")
    return int(text)


@contextlib.contextmanager
def _known(field: str) -> Iterator[None]:
    try:
        yield
    except UnknownToken as unknown:
        raise _Refused(
            field, f"{field} names a token that was not minted here; nothing was changed."
        ) from unknown
