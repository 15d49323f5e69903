"""The registry of people and their devices: identify, register, move, forget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pushkeeper.core.model import device_id
from pushkeeper.errors import BadRequest, NotFound
from pushkeeper.store import devices, people
from pushkeeper.store.combine import Combiner
from pushkeeper.store.devices import Registration
from pushkeeper.store.people import AttributeChange, Naming

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from pushkeeper.core.identity import Identifier
    from pushkeeper.core.model import DeviceId, PersonId, Token, WorkspaceId
    from pushkeeper.store.database import Connection, Database
    from pushkeeper.store.devices import Device, HistoryLine
    from pushkeeper.store.people import Person


class Identify(msgspec.Struct, frozen=True, kw_only=True):
    """One call that tells of a person, or of a person's device, or of both."""

    naming: Naming
    change: AttributeChange | None = None
    registration: Registration | None = None


class Registry:
    """The people and devices of all workspaces.

    Writes return after their commit. Concurrent ones are committed together; calls that concern the same person or the
    same token keep their order.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._identify = Combiner(self._commit, _keys)

    async def identify(self, naming: Naming, change: AttributeChange) -> PersonId | None:
        """Create or update a person; None when nobody is meant and nobody may be created.

        Raises:
            BadRequest: the person would have more than 300 attributes.
        """
        return await self._written(Identify(naming=naming, change=change))

    async def register(self, naming: Naming, registration: Registration) -> PersonId | None:
        """Give a person a device, creating the person if need be.

        A token that another person has moves to this one; the same token again revives a bounced or suppressed device.
        None when a cio_id names nobody: then nothing was registered.

        Raises:
            BadRequest: the device would have more than 300 attributes.
        """
        return await self._written(Identify(naming=naming, registration=registration))

    async def forget_device(
        self, workspace: WorkspaceId, identifier: Identifier, token: Token, *, request_id: str = ""
    ) -> bool:
        """Delete this device of this person, and say whether they had it; another person's is left alone."""
        person = await people.find(self._database, workspace, identifier)
        if person is None:
            return False
        only = device_id(workspace, token)

        async def work(connection: Connection) -> int:
            return await devices.delete(connection, workspace, person, only=only, request_id=request_id)

        return await self._database.in_transaction(work) > 0

    async def forget_person(
        self, workspace: WorkspaceId, identifier: Identifier, *, request_id: str = ""
    ) -> bool:
        """Delete a person with all their devices, and say whether there was one."""
        person = await people.find(self._database, workspace, identifier)
        if person is None:
            return False

        async def work(connection: Connection) -> bool:
            if not await people.lock(connection, workspace, person):
                return False
            await devices.delete(connection, workspace, person, request_id=request_id)
            await people.delete(connection, person)
            return True

        return await self._database.in_transaction(work)

    async def person(self, workspace: WorkspaceId, identifier: Identifier) -> Person:
        """The person of this identifier.

        Raises:
            NotFound: nobody has it.
        """
        person_id = await people.find(self._database, workspace, identifier)
        person = None if person_id is None else await people.read(self._database, workspace, person_id)
        if person is None:
            raise NotFound(f"{identifier.kind}: nobody has this identifier")
        return person

    async def devices_of(self, person: Person, workspace: WorkspaceId) -> list[Device]:
        """A person's devices, the last used first."""
        return await devices.of_person(self._database, workspace, person.person_id)

    async def device(self, workspace: WorkspaceId, token: Token) -> Device:
        """The device of this token.

        Raises:
            NotFound: there is none.
        """
        device = await devices.read(self._database, workspace, token)
        if device is None:
            raise NotFound("token: no device has it")
        return device

    async def history(self, workspace: WorkspaceId, token: Token, *, limit: int = 100) -> list[HistoryLine]:
        """What happened to the device of this token, the newest first; it outlives the device.

        Raises:
            NotFound: no device ever had it.
        """
        lines = await devices.history(self._database, workspace, token, limit=limit)
        if not lines:
            raise NotFound("token: no device ever had it")
        return lines

    async def drain(self) -> None:
        """Wait until all that was called is committed."""
        await self._identify.drain()

    async def _written(self, call: Identify) -> PersonId | None:
        answer = await self._identify(call)
        if isinstance(answer, BadRequest):
            raise answer
        return answer

    async def _commit(self, calls: Sequence[Identify]) -> Sequence[PersonId | BadRequest | None]:
        async def work(connection: Connection) -> list[PersonId | BadRequest | None]:
            return await _write(connection, calls)

        return await self._database.in_transaction(work)


async def _write(connection: Connection, calls: Sequence[Identify]) -> list[PersonId | BadRequest | None]:
    found = await people.resolve(connection, [call.naming for call in calls])
    answers: list[PersonId | BadRequest | None] = list(found)
    meant = [(place, person) for place, person in enumerate(found) if person is not None]
    changing = [
        (place, person, change) for place, person in meant if (change := calls[place].change) is not None
    ]
    for at in await people.update(connection, [(person, change) for _, person, change in changing]):
        place = changing[at][0]
        answers[place] = _refusal(people.too_much(), calls[place], calls[place].registration)
    telling = [
        (place, person, told) for place, person in meant if (told := calls[place].registration) is not None
    ]
    refused = await devices.register(
        connection, [(calls[place].naming.workspace_id, person, told) for place, person, told in telling]
    )
    if refused:
        for place, _, _ in telling:
            if _device(calls[place]) in refused:
                answers[place] = _refusal(devices.too_much(), calls[place], calls[place].change)
    return answers


def _refusal(error: BadRequest, call: Identify, other_half: object) -> BadRequest:
    """What is said of a call that asks for too much.

    One that did nothing else has written nothing, and its neighbours need not be written again without it. Any other
    is, by raising.
    """
    if other_half is not None or call.naming.others:
        raise error
    return error


def _device(call: Identify) -> DeviceId | None:
    if call.registration is None:
        return None
    return device_id(call.naming.workspace_id, call.registration.token)


def _keys(call: Identify) -> Iterable[Hashable]:
    workspace = call.naming.workspace_id
    for identifier in call.naming.identifiers:
        yield (workspace, *identifier.key)
    device = _device(call)
    if device is not None:
        yield device
