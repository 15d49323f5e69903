"""A worker at its work in this very event loop, with a push service that answers when it is told to."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pushkeeper import config, wiring
from pushkeeper.core.delivery.outcome import Accepted, Verdict
from pushkeeper.core.identity import of_path
from pushkeeper.core.model import Content, Environment, Platform, Provider, Secret, Token
from pushkeeper.rendering.renderer import Renderer
from pushkeeper.services.messages.transactional import TransactionalPush, TransactionalPushes
from pushkeeper.services.people import People
from pushkeeper.store.admin import credentials, workspaces
from pushkeeper.store.admin.credentials import NewCredential
from pushkeeper.store.admin.vault import Vault
from pushkeeper.store.devices.devices import Registration
from pushkeeper.store.people.people import PersonReference
from pushkeeper.worker.metrics import WorkerMetrics
from pushkeeper.worker.provider_clients import Providers
from pushkeeper.worker.worker import Worker
from support.engine import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from pushkeeper.core.model import Push
    from pushkeeper.store.admin.credentials import Credential
    from pushkeeper.store.db.database import Database
    from pushkeeper.worker.provider_clients import OnVerdicts

ACCEPTED = Verdict(code="fcm_accepted", outcome=Accepted(provider_id="id"), status=200)


class Service:
    """A push service that holds what it was sent, and accepts it when it is told to.

    Attributes:
        sent: all that it was sent so far.
    """

    def __init__(self) -> None:
        self.sent: list[Push] = []
        self.cannot_be_closed = False
        self._held: list[tuple[OnVerdicts, Push]] = []

    def open(self, _: Credential, on_verdicts: OnVerdicts) -> _Sender:
        return _Sender(self, on_verdicts)

    def take(self, on_verdicts: OnVerdicts, pushes: Sequence[Push]) -> None:
        self.sent += pushes
        self._held += [(on_verdicts, push) for push in pushes]

    def accept(self) -> None:
        """Accept all that is held."""
        self.answer(ACCEPTED)

    def answer(self, verdict: Verdict, *tokens: str) -> None:
        """Answer so what is held for these tokens; without any, all that is held."""
        held, self._held = self._held, []
        for on_verdicts, push in held:
            if not tokens or push.token.value in tokens:
                on_verdicts([(push, verdict)])
            else:
                self._held.append((on_verdicts, push))


class _Sender:
    def __init__(self, service: Service, on_verdicts: OnVerdicts) -> None:
        self._service = service
        self._on_verdicts = on_verdicts

    def send(self, pushes: Sequence[Push]) -> None:
        self._service.take(self._on_verdicts, pushes)

    def withdraw(self, unwanted: Callable[[Push], bool]) -> int:
        """Nothing waits here: all has left."""
        del unwanted
        return 0

    async def probe(self) -> Verdict:
        return ACCEPTED

    async def aclose(self, drain_s: float) -> None:
        del drain_s
        self._service.accept()
        if self._service.cannot_be_closed:
            raise KeyError


class Shift:
    """One worker with all its periodic tasks, a workspace with a route, and people with a phone each."""

    def __init__(self, database: Database, service: Service, worker: Worker, vault: Vault) -> None:
        self.database = database
        self.service = service
        self.worker = worker
        self._vault = vault
        self._running: asyncio.Task[None] | None = None

    async def prepare(self, people: int) -> None:
        made, _ = await workspaces.create(self.database, "shift")
        self.workspace_id = made.workspace_id
        await credentials.put(
            self.database,
            self._vault,
            made.workspace_id,
            NewCredential(
                provider=Provider.FCM,
                kind="service_account",
                app="project",
                environment=Environment.PRODUCTION,
                facts={},
                secret=Secret(b"{}"),
            ),
        )
        registry = People(self.database)
        await asyncio.gather(
            *(
                registry.register(
                    self._naming(number),
                    Registration(
                        token=Token(f"token-{number}"), platform=Platform.ANDROID, last_used=datetime.now(UTC)
                    ),
                )
                for number in range(people)
            )
        )
        self.people = people

    async def register(self, number: int, token: str) -> None:
        """Another phone of a person."""
        registration = Registration(
            token=Token(token), platform=Platform.ANDROID, last_used=datetime.now(UTC)
        )
        await People(self.database).register(self._naming(number), registration)

    def _naming(self, number: int) -> PersonReference:
        return PersonReference(workspace_id=self.workspace_id, path=of_path(f"person-{number}"))

    async def push(self) -> None:
        """A push to everybody."""
        sending = TransactionalPushes(self.database, {})
        content = Content(title="Hello")
        await asyncio.gather(
            *(
                sending.accept(TransactionalPush(naming=self._naming(number), content=content))
                for number in range(self.people)
            )
        )

    async def until(self, ask: Callable[[], bool]) -> None:
        """Until something is so, which it is to be while the worker lives."""

        async def asked() -> bool:
            assert self._running is not None
            if self._running.done():
                self._running.result()
                raise AssertionError("the worker ended")
            return ask()

        await eventually(asked)

    async def until_sent(self, count: int) -> None:
        await self.until(lambda: len(self.service.sent) >= count)

    async def endings(self) -> dict[tuple[str, str], int]:
        """How many push records there are, by ending and reason."""
        rows = await self.database.rows(
            "select ending, push_reason(ending, provider, reason) as reason, count(*) as n from pushes group by 1, 2"
        )
        return {(row["ending"], row["reason"]): row["n"] for row in rows}

    async def until_ended(self, endings: dict[tuple[str, str], int]) -> None:
        """Until these are the push records, and nothing waits."""

        async def asked() -> bool:
            await self.until(lambda: True)
            waiting: int = await self.database.value("select count(*) from batches")
            return not waiting and await self.endings() == endings

        await eventually(asked)

    def start(self) -> None:
        self._running = asyncio.create_task(self.worker.run(), name="worker")

    async def stop(self) -> None:
        """End it, as a signal would."""
        assert self._running is not None
        self.worker.stop()
        await self._running
        self._running = None


@asynccontextmanager
async def shift(database: Database, *, people: int = 1, lease_s: float = 15.0) -> AsyncIterator[Shift]:
    """A worker that is not started yet; stopped in the end."""
    service, vault, metrics = Service(), Vault(Secret(bytes(32))), WorkerMetrics()
    renderer = Renderer()
    store = wiring.Store(database, vault, None, (), renderer=renderer)
    periodic_tasks = wiring.periodic_tasks(store, config.Settings(data_dir=Path()), metrics)
    providers = Providers(service.open, {})
    worker = Worker(
        database, vault, providers, renderer, periodic_tasks=periodic_tasks, metrics=metrics, lease_s=lease_s
    )
    made = Shift(database, service, worker, vault)
    await made.prepare(people)
    try:
        yield made
    finally:
        if made._running is not None:
            await made.stop()
        await renderer.aclose()


@asynccontextmanager
async def sending(database: Database, *, people: int, lease_s: float = 15.0) -> AsyncIterator[Shift]:
    """A worker that has sent everybody a push, and was not answered yet."""
    async with shift(database, people=people, lease_s=lease_s) as made:
        made.start()
        await made.push()
        await made.until_sent(people)
        yield made
