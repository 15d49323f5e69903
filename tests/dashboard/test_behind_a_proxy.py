"""Behind a proxy: whose attempts are counted, who is in the audit log, and what a stranger's header is worth."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from starlette.routing import Route

from pushkeeper import config, wiring
from pushkeeper.core.client_address import networks_of
from pushkeeper.core.roles import Role
from pushkeeper.store.admin import sessions
from pushkeeper.web.router import PathRouter
from support.actors import BY
from support.dashboard import PASSWORD, served
from support.databases import own_database
from support.inside import Inside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pushkeeper.store.db.database import Database
    from support.dashboard import Seen, Site

OURS = "viewer@example.com"


@dataclass
class Behind(Inside):  # type: ignore[misc]  # mypy knows tests.support, pytest finds support
    """A browser whose requests come by proxies of this machine, each of which appends its caller."""

    client: str = ""
    made_up: str = ""

    async def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Seen:
        hops = [hop for hop in (self.made_up, self.client) if hop]
        said = {"x-forwarded-for": ", ".join(hops)} if hops else {}
        return await Inside.ask(self, method, path, body, {**(headers or {}), **said})

    async def log_in(self, name: str, password: str) -> int:
        return int((await self.post("/login", {"name": name, "password": password})).status)


@asynccontextmanager
async def behind(database: Database, folder: Path, *trusted: str) -> AsyncIterator[tuple[Site, Any]]:
    async with own_database(database) as own, served(own, folder) as site:
        settings = config.Settings(data_dir=folder, trusted_proxies=trusted)
        yield (
            site,
            lambda **about: Behind(site.port, {}, app=wiring.api(site.store, site.url, settings), **about),
        )


async def test_strangers_use_up_their_own_attempts_and_nobody_elses(database: Database, folder: Path) -> None:
    async with behind(database, folder, "127.0.0.0/8") as (site, browser):
        assert await browser(client="203.0.113.66").log_in("nobody", "wrong") == 401
        for number in range(59):  # each is a tenth of a second of hashing
            await sessions.note_failure(site.database, bytes([number] * 32), "203.0.113.66")
        assert await browser(client="203.0.113.66").log_in(OURS, PASSWORD) == 429
        # They say that they are somebody else, who has not guessed, or is to be locked out.
        assert await browser(client="203.0.113.66", made_up="203.0.113.7").log_in(OURS, PASSWORD) == 429
        assert await browser(client="203.0.113.7").log_in(OURS, PASSWORD) == 303
        audited = await site.database.rows(
            "select address, outcome from audit_log where action = 'user.log_in'"
        )
        assert {row["address"] for row in audited} == {"203.0.113.66", "203.0.113.7"}
        entered = await site.database.rows("select address from sessions where address <> ''")
        assert [row["address"] for row in entered] == ["203.0.113.7"]


async def test_without_proxies_that_are_trusted_nobodys_header_is_believed(
    database: Database, folder: Path
) -> None:
    async with behind(database, folder) as (site, browser):
        for number in range(5):
            assert await browser(client=f"203.0.113.{number}").log_in(OURS, "wrong") == 401
        assert await browser(client="203.0.113.99").log_in(OURS, PASSWORD) == 429
        audited = await site.database.rows("select address from audit_log where action = 'user.log_in'")
        assert {row["address"] for row in audited} == {"127.0.0.1"}


async def test_a_browser_in_which_somebody_logged_in_stays_open_to_them(
    database: Database, folder: Path
) -> None:
    async with behind(database, folder) as (site, browser):
        hers = browser()
        assert await hers.log_in(OURS, PASSWORD) == 303
        assert (await hers.post("/logout")).status == 303
        assert "pushkeeper_device" in hers.cookies
        for _ in range(6):
            await browser().log_in(OURS, "wrong")
        assert await browser().log_in(OURS, PASSWORD) == 429
        assert await hers.log_in(OURS, PASSWORD) == 303
        # Where a link was followed it is known too.
        _, entry = await site.users.add(BY, "new@example.com", Role.VIEWER)
        new = browser()
        done = await new.post(f"/link/{entry.token}", {"password": PASSWORD, "again": PASSWORD})
        assert done.status == 303
        assert "pushkeeper_device" in new.cookies


class Heard:
    """A route that keeps what a request says of who sent it."""

    seen: tuple[str, str]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del receive, send
        self.seen = (scope["client"][0], scope["scheme"])


@pytest.mark.parametrize(
    ("peer", "said", "client", "scheme"),
    [
        (
            "10.0.0.1",
            {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https"},
            "203.0.113.7",
            "https",
        ),
        ("10.0.0.1", {"x-forwarded-proto": "http, https"}, "10.0.0.1", "https"),
        ("10.0.0.1", {"x-forwarded-proto": "https, javascript"}, "10.0.0.1", "http"),
        ("10.0.0.1", {}, "10.0.0.1", "http"),
        (
            "203.0.113.9",
            {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https"},
            "203.0.113.9",
            "http",
        ),
    ],
)
async def test_what_a_proxy_says_is_in_the_request_that_all_handlers_see(
    peer: str, said: dict[str, str], client: str, scheme: str
) -> None:
    heard = Heard()
    doors = PathRouter([Route("/x", heard)], trusted_proxies=networks_of(["10.0.0.0/8"]))
    scope: Any = {
        "type": "http",
        "method": "GET",
        "path": "/x",
        "raw_path": b"/x",
        "scheme": "http",
        "client": (peer, 1),
        "headers": [(name.encode(), value.encode()) for name, value in said.items()],
    }
    await doors(scope, None, None)  # type: ignore[arg-type]  # neither is called
    assert heard.seen == (client, scheme)
