"""Pushes and credentials that provider tests share."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pushkeeper.core.delivery import delivery_id
from pushkeeper.core.model import (
    Content,
    DeviceId,
    IdKind,
    PersonId,
    Platform,
    Push,
    Token,
    WorkspaceId,
    device_id,
)
from pushkeeper.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.delivery.outcome import Verdict

MESSAGE_ID = UUID("0193548a-7d00-7000-8000-000000000001")


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 12, 7, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **duration: float) -> None:
        self.now += timedelta(**duration)


DELIVERY_ID = "d" * delivery_id.CHARACTERS


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="session")
def make_push():
    def make(
        token: str,
        content: Content | None = None,
        *,
        platform: Platform = Platform.IOS,
        id_kind: IdKind = IdKind.TOKEN,
        person: int = 7,
        dry_run: bool = False,
        expires_at: datetime | None = None,
        keep_until: datetime | None = None,
    ) -> Push:
        now = datetime.now(UTC)
        found: DeviceId = device_id(WorkspaceId(1), Token(token))
        return Push(
            message_id=MESSAGE_ID,
            person_id=PersonId(person),
            delivery_id=DELIVERY_ID,
            device_id=found,
            generation=1,
            token=Token(token),
            id_kind=id_kind,
            platform=platform,
            registered_at=now - timedelta(days=1),
            content=content or Content(title="T", message="B"),
            expires_at=expires_at or now + timedelta(hours=1),
            keep_until=keep_until or expires_at or now + timedelta(hours=1),
            dry_run=dry_run,
        )

    return make


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture(scope="session")
def p256_pem():
    return _pem(ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture(scope="session")
def p384_pem():
    return _pem(ec.generate_private_key(ec.SECP384R1()))


@pytest.fixture(scope="session")
def rsa_pem():
    return _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))


class Verdicts:
    """Takes verdicts as a worker does, and lets a test wait until there are enough."""

    def __init__(self) -> None:
        self.batches: list[Sequence[tuple[Push, Verdict]]] = []
        self._came = asyncio.Event()

    def __call__(self, verdicts: Sequence[tuple[Push, Verdict]]) -> None:
        self.batches.append(verdicts)
        self._came.set()

    @property
    def all(self) -> list[tuple[Push, Verdict]]:
        return [answered for batch in self.batches for answered in batch]

    async def of(self, pushes: Sequence[Push]) -> list[Verdict]:
        """The verdicts on these pushes, in their order; each must have exactly one."""
        async with asyncio.timeout(60):
            while not {id(push) for push in pushes} <= {id(push) for push, _ in self.all}:
                self._came.clear()
                await self._came.wait()
        found: dict[int, list[Verdict]] = {}
        for push, verdict in self.all:
            found.setdefault(id(push), []).append(verdict)
        assert all(len(verdicts) == 1 for verdicts in found.values())
        return [found[id(push)][0] for push in pushes]


@pytest.fixture
def verdicts():
    return Verdicts()


@pytest.fixture(scope="session")
def keys_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("simulator")


@pytest.fixture
async def simulator(keys_folder):
    async with Simulator(keys_folder) as running:
        yield running


@pytest.fixture
def ca_pem(simulator):
    return Path(simulator.ca_file).read_text()
