"""A workspace with as many devices as wanted, half Android and half iPhones, and a simulator that knows them."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import processes
from pushkeeper import config, wiring
from pushkeeper.core.actor import job
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import Environment, Platform, Token
from pushkeeper.store.admin import credentials, workspaces
from pushkeeper.store.devices import registration
from pushkeeper.store.devices.devices import Registration
from pushkeeper.store.people import resolution
from pushkeeper.store.people.people import PersonReference

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.admin.workspaces import NewKeys
    from pushkeeper.store.db.driver import Connection

BY = job("benchmark")  # who makes the changes that benchmarks make past the surfaces
_PAGE = 2_000
_LOOK_S = 0.1
_MINTED_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class Fleet:
    """What a benchmark works on."""

    store: wiring.Store
    workspace_id: WorkspaceId
    keys: NewKeys
    simulator: dict[str, Any]
    data_dir: Path


@asynccontextmanager
async def fleet(folder: Path, *, count: int) -> AsyncIterator[Fleet]:
    """Everything but a worker, on new folders, gone at the end; routes go at full rate from the start."""
    with processes.pushkeeper("simulate", "--data", str(folder / "simulator")) as simulator:
        settings = config.load({"data_dir": folder / "data"})
        async with wiring.store(settings) as store:
            made, keys = await workspaces.create(store.database, "bench")
            await workspaces.choose(store.database, made.workspace_id, {"ramp_s": 0})
            found = Fleet(store, made.workspace_id, keys, simulator, settings.data_dir)
            await add_credentials(store, made.workspace_id, simulator)
            for platform in (Platform.ANDROID, Platform.IOS):
                await register(found, platform, count // 2)
            if count:
                await store.database.owned.rows("vacuum analyze devices")
                await store.database.owned.rows("vacuum analyze people")
            yield found


async def call(url: str, body: Any = None) -> Any:  # noqa: ANN401 - JSON
    """One call to the simulator's control."""
    data = None if body is None else json.dumps(body).encode()

    def exchange() -> Any:  # noqa: ANN401 - JSON
        request = urllib.request.Request(url, data, {"content-type": "application/json"})  # noqa: S310 - the loopback
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - the same
            return json.load(answer)

    return await asyncio.to_thread(exchange)


async def queue_is_empty(found: Fleet, each_time: Callable[[], None] = lambda: None) -> None:
    """Wait until nothing is left to plan or to send, looking ten times a second."""
    while await found.store.database.value(
        "select exists (select from batches) "
        "or exists (select from broadcasts where state in ('scheduled', 'fetching', 'planning'))"
    ):
        each_time()
        await asyncio.sleep(_LOOK_S)


def person_of(token: str) -> str:
    """The id of the person whose device has this token."""
    return token[-32:]


async def mint(found: Fleet, platform: Platform, count: int) -> list[str]:
    """Tokens that the simulator takes pushes to."""
    url = f"{found.simulator['control_url']}/tokens"
    tokens: list[str] = (await call(url, {"platform": platform.value, "count": count}))["tokens"]
    return tokens


async def add_credentials(store: wiring.Store, workspace: WorkspaceId, facts: dict[str, Any]) -> None:
    """Let a workspace send through a simulator, or through what has its keys and addresses."""
    ca_pem, account, key = await asyncio.to_thread(_files, facts)
    app = wiring.AppleApp(
        topic=facts["apns_topic"],
        environment=Environment.PRODUCTION,
        endpoint_url=facts["apns_url"],
        ca_pem=ca_pem,
    )
    for new in (
        wiring.fcm_credential(account, endpoint_url=facts["fcm_url"], ca_pem=ca_pem),
        wiring.apns_key(key, key_id=facts["apns_key_id"], team_id=facts["apns_team_id"], app=app),
    ):
        await credentials.put(store.database, store.vault, workspace, new)


def _files(facts: dict[str, Any]) -> tuple[str, bytes, bytes]:
    return (
        Path(facts["ca_file"]).read_text(encoding="ascii"),
        Path(facts["service_account_file"]).read_bytes(),
        Path(facts["apns_key_file"]).read_bytes(),
    )


async def register(found: Fleet, platform: Platform, count: int) -> None:
    """One person for each device, in pages."""
    made = 0
    while made < count:
        tokens = await mint(found, platform, min(_MINTED_AT_ONCE, count - made))
        made += len(tokens)
        for start in range(0, len(tokens), _PAGE):
            await _register_page(found, platform, tokens[start : start + _PAGE])


async def _register_page(found: Fleet, platform: Platform, tokens: Sequence[str]) -> None:
    now = await found.store.database.value("select now()")
    namings = [
        PersonReference(workspace_id=found.workspace_id, path=Identifier(IdentifierKind.ID, person_of(token)))
        for token in tokens
    ]

    async def work(connection: Connection) -> None:
        owners = await resolution.resolve(connection, namings, found.store.database.hashes)
        await registration.register(
            connection,
            [
                (
                    found.workspace_id,
                    owner,
                    Registration(token=Token(token), platform=platform, last_used=now),
                )
                for owner, token in zip(owners, tokens, strict=True)
                if owner is not None
            ],
        )

    await found.store.database.in_transaction(work)
