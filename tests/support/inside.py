"""A browser of an app in this very event loop: without a socket, so that thousands of requests take seconds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from pushkeeper import config, wiring
from pushkeeper.api.style import ApiStyle
from pushkeeper.web.endpoint import Endpoint
from support.dashboard import Browser, Seen, joined

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from pushkeeper.core.roles import Role
    from support.dashboard import Site

# Nobody answers there; so the dashboard has all of its doors.
SIMULATOR_URL = "http://127.0.0.1:9"


def app_of(site: Site) -> ASGIApp:
    """The APIs and the dashboard of a site once more, with the simulator's panel."""
    settings = config.Settings(data_dir=Path(), simulator_url=SIMULATOR_URL)
    return wiring.api(site.store, site.url, settings)


def routes_of(app: Any) -> list[tuple[str, str]]:
    """Method and path of everything that the APIs answer, without the dashboard."""
    endpoints = [(route.path, route.app) for route in app.routes if isinstance(route.app, Endpoint)]
    return sorted(
        (method, path)
        for path, endpoint in endpoints
        if isinstance(endpoint.style, ApiStyle)
        for method in endpoint.handlers
    )


@dataclass
class Inside(Browser):  # type: ignore[misc]  # mypy knows tests.support, pytest finds support
    """Says what a browser or a client would, to an app."""

    app: Any = field(kw_only=True)

    @classmethod
    def of(cls, site: Site, app: ASGIApp, role: Role | None) -> Inside:
        """The browser of a user of this role, or of nobody."""
        return cls(site.port, site.browser(role).cookies, app=app)

    async def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Seen:
        """Exactly this, without cookies."""
        where, _, query = path.partition("?")
        given = {"host": f"127.0.0.1:{self.port}", "content-length": str(len(body or b"")), **(headers or {})}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote_to_bytes(where).decode("utf-8", "replace"),
            "raw_path": where.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", self.port),
        }
        sent, heard = False, Seen(0, {}, b"")

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if sent:
                await asyncio.Event().wait()  # who asks does not leave
            sent = True
            return {"type": "http.request", "body": body or b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                heard.status = message["status"]
                said = [(name.decode(), value.decode("latin-1")) for name, value in message["headers"]]
                heard.headers.update(joined(said))
                for name, value in said:
                    if name.lower() == "set-cookie":
                        self._keep(value)
            else:
                heard.body += message.get("body", b"")

        await self.app(scope, receive, send)
        return heard

    async def _exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Seen:
        if self.cookies:
            cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            headers = {**headers, "cookie": cookies}
        return await self.ask(method, path, body, headers)
