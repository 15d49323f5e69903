"""Asks FCM about devices by `validate_only`, which sends nothing."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from pushkeeper.core.delivery.outcome import Accepted, Certainty, Refused
from pushkeeper.core.devices.tokens import token_of
from pushkeeper.core.model import Content, DeviceId, PersonId, Platform, Provider, Push, id_kind_of
from pushkeeper.errors import BadRequest, Misconfigured, NotFound
from pushkeeper.store.admin import credentials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.delivery.outcome import Verdict
    from pushkeeper.core.imports.row import ImportedDevice
    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database
    from pushkeeper.worker.provider_clients import OpenClient

# A thousandth of what a project may ask: pushes to others are not to notice.
PER_S = 100
_WITHIN_S = 60.0
_NOT_USABLE = (BadRequest, Misconfigured, NotFound)


class FcmAsker:
    """Asks with the credentials of the devices' workspace."""

    def __init__(
        self, database: Database, vault: Vault, open_client: OpenClient, *, per_s: int = PER_S
    ) -> None:
        self._database = database
        self._vault = vault
        self._open_client = open_client
        self._per_s = per_s

    async def ask(self, workspace: WorkspaceId, devices: Sequence[ImportedDevice]) -> Sequence[str]:
        """What FCM says of each device: `accepted`, `unregistered`, `other_sender`, `refused`, `unanswered` or `no_credentials`."""
        found = await credentials.of_workspace(self._database, workspace)
        known = {one.app: one.credential_id for one in found if one.provider is Provider.FCM}
        only = next(iter(known.values())) if len(known) == 1 else None
        by_credential: dict[int | None, list[int]] = defaultdict(list)
        for place, device in enumerate(devices):
            by_credential[known.get(device.app or "", only)].append(place)
        said = ["no_credentials"] * len(devices)
        for credential_id, places in by_credential.items():
            if credential_id is None:
                continue
            answers = await self._ask(workspace, credential_id, [devices[place] for place in places])
            for place, answer in zip(places, answers, strict=True):
                said[place] = answer
        return said

    async def _ask(
        self, workspace: WorkspaceId, credential_id: int, devices: Sequence[ImportedDevice]
    ) -> Sequence[str]:
        said = ["unanswered"] * len(devices)
        answered = asyncio.Event()
        left = len(devices)

        def on_verdicts(verdicts: Sequence[tuple[Push, Verdict]]) -> None:
            nonlocal left
            for push, verdict in verdicts:
                said[push.generation] = _in_a_word(verdict)
            left -= len(verdicts)
            if left <= 0:
                answered.set()

        try:
            credential = await credentials.read(self._database, self._vault, workspace, credential_id)
            client = self._open_client(credential, on_verdicts)
        except _NOT_USABLE:
            return ["no_credentials"] * len(devices)
        try:
            async with asyncio.timeout(_WITHIN_S + len(devices) / self._per_s):
                for begin in range(0, len(devices), self._per_s):
                    if begin:
                        await asyncio.sleep(1.0)
                    group = devices[begin : begin + self._per_s]
                    client.send([_question(device, begin + place) for place, device in enumerate(group)])
                await answered.wait()
        except TimeoutError:
            pass  # no answer says nothing about the rest
        finally:
            await client.aclose(0.0)
        return said


def _question(device: ImportedDevice, place: int) -> Push:
    """A push that is not sent; its place stands where its generation would."""
    token, now = token_of(device.token), datetime.now(UTC)
    return Push(
        message_id=UUID(int=0),
        person_id=PersonId(0),
        delivery_id="",
        device_id=DeviceId(bytes(16)),
        generation=place,
        token=token,
        id_kind=id_kind_of(token),
        platform=Platform.ANDROID,
        registered_at=now,
        content=Content(title="probe"),
        expires_at=now + timedelta(hours=1),
        keep_until=now + timedelta(hours=1),
        dry_run=True,
    )


def _in_a_word(verdict: Verdict) -> str:
    match verdict.outcome:
        case Accepted():
            return "accepted"
        case Refused(certainty=Certainty.AMBIGUOUS) if verdict.code == "fcm_sender_id_mismatch":
            return "other_sender"
        case Refused(certainty=Certainty.AMBIGUOUS):
            return "refused"
        case Refused():
            return "unregistered"
        case _:
            return "unanswered"
