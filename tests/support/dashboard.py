"""The dashboard on a real socket and a database of its own, and a browser without a screen to look at it with."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pushkeeper import config, wiring
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Environment, Platform, Provider, Secret, Token, minted_at
from pushkeeper.core.roles import Role
from pushkeeper.store.admin import credentials, workspaces
from pushkeeper.store.admin.credentials import NewCredential
from pushkeeper.store.admin.vault import Vault, key_of_folder
from pushkeeper.store.delivery.pushes import PushRow
from pushkeeper.store.delivery.pushes import insert as insert_pushes
from pushkeeper.store.devices.devices import Registration, SettleEvent, Settlement, settle
from pushkeeper.store.messages.messages import new_id
from pushkeeper.store.people.people import AttributeChange, PersonReference
from support.actors import BY
from support.serving import bound, exchange, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from pathlib import Path

    from pushkeeper.store.admin.workspaces import NewKeys, Workspace
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.devices.devices import Device

PASSWORD = "correct horse battery"
_FORM = "application/x-www-form-urlencoded"


@asynccontextmanager
async def served(database: Database, folder: Path, **settings: Any) -> AsyncIterator[Site]:
    """The APIs and the dashboard, with one user of each role."""
    store = wiring.Store(database, Vault(key_of_folder(folder)), None, ())
    listener, port = bound()
    url = settings.pop("url", f"http://127.0.0.1:{port}")
    ending = asyncio.Event()
    app = wiring.api(store, url, config.Settings(data_dir=folder, **settings), ending)
    async with aclosing(store.renderer), serving(app, listener, stopping=ending):
        yield await Site(store, port, url).with_users()


class Site:
    """A served dashboard, and what tests put into it."""

    def __init__(self, store: wiring.Store, port: int, url: str) -> None:
        self.store = store
        self.database = store.database
        self.port = port
        self.url = url
        self.registry = store.services.people
        self.users = store.services.accounts
        self._tokens: dict[Role, str] = {}

    async def with_users(self) -> Site:
        for role in Role:
            _, entry = await self.users.add(BY, f"{role.value}@example.com", role)
            self._tokens[role] = await self.users.follow(entry.token, PASSWORD)
        return self

    def browser(self, role: Role | None = None) -> Browser:
        """A browser in which a user of this role is logged in; of None nobody is."""
        held = {} if role is None else {self.cookie: self._tokens[role]}
        return Browser(self.port, dict(held))

    @property
    def cookie(self) -> str:
        return "__Host-pushkeeper_session" if self.url.startswith("https") else "pushkeeper_session"

    async def workspace(self, name: str | None = None) -> Place:
        made, keys = await workspaces.create(self.database, name or f"shop-{secrets.token_hex(4)}")
        return Place(self, made, keys)


@dataclass
class Place:
    """A workspace, and what is put into it past the APIs."""

    site: Site
    workspace: Workspace
    keys: NewKeys

    @property
    def name(self) -> str:
        return self.workspace.name

    def path(self, rest: str = "") -> str:
        return f"/w/{self.name}{rest}"

    async def credential(self, app: str = "project") -> None:
        """Something to send with, so that broadcasts can be made; nothing is ever sent with it."""
        new = NewCredential(
            provider=Provider.FCM,
            kind="service_account",
            app=app,
            environment=Environment.PRODUCTION,
            facts={},
            secret=Secret(b"{}"),
        )
        await credentials.put(self.site.database, self.site.store.vault, self.workspace.workspace_id, new)

    async def person(self, name: str, **attributes: Any) -> None:
        await self.site.registry.identify(
            self._naming(name), AttributeChange(attributes=attributes, changed_at=0)
        )

    async def device(
        self, person: str, *, platform: Platform = Platform.IOS, token: str | None = None, **attributes: Any
    ) -> Device:
        made = Token(token or secrets.token_hex(32))
        registration = Registration(
            token=made, platform=platform, last_used=datetime.now(UTC), attributes=attributes
        )
        await self.site.registry.register(self._naming(person), registration)
        return await self.site.registry.device(self.workspace.workspace_id, made)

    async def devices(self, count: int, **attributes: Any) -> list[Device]:
        return list(
            await asyncio.gather(*(self.device(f"person-{n:04d}", **attributes) for n in range(count)))
        )

    async def pushed(self, device: Device, ending: str) -> None:
        """A message to this device alone, with its outcome."""
        message = new_id()

        async def work(connection: Connection) -> None:
            await connection.execute(
                "insert into messages (message_id, workspace_id, kind, person_id, content, created_at, expires_at) "
                "values ($1, $2, 'transactional', $3, $4, $5, now() + interval '1 day')",
                message,
                self.workspace.workspace_id,
                device.person_id,
                {"title": f"It {ending}"},
                minted_at(message),
            )
            row = PushRow(
                message_id=message,
                device_id=device.device_id,
                workspace_id=self.workspace.workspace_id,
                person_id=device.person_id,
                generation=device.generation,
                ending=ending,
                reason="apns_unregistered",
                attempts=1,
            )
            await insert_pushes(connection, [row])

        await self.site.database.in_transaction(work)

    async def settled(self, device: Device, *events: SettleEvent, reason: str = "Unregistered") -> None:
        """What a push service answered to pushes, one after the other."""

        async def work(connection: Connection) -> None:
            for event in events:
                message = new_id()
                accepted = event is SettleEvent.ACCEPTED
                settlement = Settlement(
                    workspace_id=device.workspace_id,
                    device_id=device.device_id,
                    generation=device.generation,
                    event=event,
                    message_id=message,
                    provider="apns",
                    provider_status=200 if accepted else 410,
                    provider_reason="" if accepted else reason,
                )
                row = PushRow(
                    message_id=message,
                    device_id=device.device_id,
                    workspace_id=self.workspace.workspace_id,
                    person_id=device.person_id,
                    generation=device.generation,
                    ending="accepted" if accepted else "bounced",
                    reason="apns_accepted" if accepted else "apns_unregistered",
                    provider="apns",
                    provider_status=settlement.provider_status,
                    provider_reason=settlement.provider_reason,
                    attempts=1,
                )
                await insert_pushes(connection, [row])
                await settle(connection, [settlement])

        await self.site.database.in_transaction(work)

    def _naming(self, name: str) -> PersonReference:
        return PersonReference(
            workspace_id=self.workspace.workspace_id, path=Identifier(IdentifierKind.ID, name)
        )


@dataclass
class Seen:
    """An answer, as a browser has it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def location(self) -> str:
        return self.headers.get("location", "")

    @property
    def page(self) -> Page:
        return Page.of(self.text)


def joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by their names in lower case; cookies, of which there may be several, one a line."""
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        found[key] = f"{found[key]}\n{value}" if key in found else value
    return found


@dataclass
class Browser:
    """Keeps cookies, and brings a form's token along; follows nothing by itself."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> Seen:
        return await self._exchange("GET", path, None, headers)

    async def post(self, path: str, data: dict[str, Any] | None = None, **headers: str) -> Seen:
        """Send a form as a page of this site does."""
        sent = urlencode(data or {}, doseq=True)
        headers = {
            "content-type": _FORM,
            "origin": f"http://127.0.0.1:{self.port}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return await self._exchange("POST", path, sent.encode(), headers)

    async def upload(self, path: str, data: dict[str, str], files: dict[str, bytes]) -> Seen:
        """Send a form with files."""
        border = secrets.token_hex(12)
        parts = [
            (f'--{border}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n').encode()
            for name, value in data.items()
        ]
        parts += [
            (
                f'--{border}\r\ncontent-disposition: form-data; name="{name}"; filename="{name}"\r\n'
                "content-type: application/octet-stream\r\n\r\n"
            ).encode()
            + content
            + b"\r\n"
            for name, content in files.items()
        ]
        body = b"".join([*parts, f"--{border}--\r\n".encode()])
        headers = {
            "content-type": f"multipart/form-data; boundary={border}",
            "origin": f"http://127.0.0.1:{self.port}",
        }
        return await self._exchange("POST", path, body, headers)

    async def _exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Seen:
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())

        status, data, said = await asyncio.to_thread(exchange, self.port, method, path, body, headers)
        for name, value in said:
            if name.lower() == "set-cookie":
                self._keep(value)
        return Seen(status, joined(said), data)

    def _keep(self, header: str) -> None:
        name, _, rest = header.partition("=")
        value, _, attributes = rest.partition(";")
        if "max-age=0" in attributes.lower():
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    @classmethod
    def of(cls, text: str) -> Page:
        page = cls()
        page.feed(text)
        return page

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(self.texts)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.tags if found == tag]

    def links(self) -> list[str]:
        return [link["href"] or "" for link in self.all("a") if link.get("href")]


def plain(sentence: str) -> str:
    """A sentence as it was raised: without the capital, the full stop and the words for its field."""
    sentence = sentence.removeprefix("This field ").removesuffix(".")
    return sentence[:1].lower() + sentence[1:]
