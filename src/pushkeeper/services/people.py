"""People and their devices: identify, register, move, forget, merge, suppress, erase; and what they did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pushkeeper.core.model import device_id
from pushkeeper.errors import NotFound
from pushkeeper.services.audit import audited
from pushkeeper.store.devices import devices
from pushkeeper.store.devices.devices import Device, HistoryLine, PushLine, Registration, Search
from pushkeeper.store.people import blocklist, erasures, events, ingest, people, topics
from pushkeeper.store.people.erasures import Receipt, RequestedBy
from pushkeeper.store.people.events import EventKind, NewEvent
from pushkeeper.store.people.ingest import Call, Command, PersonUpdate, anonymous_keys
from pushkeeper.store.people.people import AttributeChange, Member, Person, PersonReference
from pushkeeper.store.people.placeholders import refusal as placeholder_refusal
from pushkeeper.store.people.sealing import sealed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushkeeper.core.identity import Identifier
    from pushkeeper.core.model import PersonId, Token, WorkspaceId
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.store.admin.vault import Vault
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection

__all__ = [
    "AttributeChange",
    "Call",
    "Command",
    "Device",
    "EventKind",
    "HistoryLine",
    "Member",
    "NewEvent",
    "People",
    "Person",
    "PersonReference",
    "PersonUpdate",
    "PushLine",
    "Receipt",
    "Registration",
    "RequestedBy",
    "Search",
    "placeholder_refusal",
]


class People:
    """The people and devices of all workspaces.

    Writes return after their commit. Concurrent ones are committed together; calls that concern the same person or the
    same token keep their order.
    """

    def __init__(self, database: Database, vault: Vault | None = None) -> None:
        """`vault` seals the keys of browsers, which are refused without one."""
        self._database = database
        self._vault = vault
        self._calls = ingest.combined(database)

    async def identify(self, naming: PersonReference, change: AttributeChange) -> PersonId | None:
        """Create or update a person; None when nobody matches and nobody may be created.

        Raises:
            BadRequest: the person would have more than 300 attributes.
        """
        return await self.apply(PersonUpdate(workspace_id=naming.workspace_id, naming=naming, change=change))

    async def register(self, naming: PersonReference, registration: Registration) -> PersonId | None:
        """Give a person a device, creating the person if need be.

        A token that another person has moves to this one; the same token again revives a bounced or suppressed device.
        None when a cio_id names nobody: then nothing was registered.

        Raises:
            BadRequest: the device would have more than 300 attributes.
        """
        return await self.apply(
            PersonUpdate(workspace_id=naming.workspace_id, naming=naming, registration=registration)
        )

    async def apply(self, update: PersonUpdate) -> PersonId | None:
        """Apply an update, and return its person.

        Raises:
            BadRequest: a person or a device would have more than 300 attributes.
        """
        return cast("PersonId | None", await self.do(update))

    async def do(self, call: Call) -> object:
        """Write one call, and return its answer.

        Raises:
            BadRequest: it asks for what cannot be.
        """
        answer = await self._calls(sealed(self._vault, call))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def do_all(self, calls: Sequence[Call]) -> list[object]:
        """Write a workspace's calls, in their order where they concern the same; each is answered, one that fails by its error.

        Raises:
            TooManyRequests: too many of the workspace wait already; none of these was taken.
        """
        return await self._calls.all([sealed(self._vault, call) for call in calls])

    async def forget_device(
        self, workspace: WorkspaceId, identifier: Identifier, token: Token, *, request_id: str = ""
    ) -> bool:
        """Delete this device of this person, and say whether they had it; another person's is left alone."""
        return bool(
            await self.do(self.forgetting_device(workspace, identifier, token, request_id=request_id))
        )

    async def forget_person(
        self, workspace: WorkspaceId, identifier: Identifier, *, request_id: str = ""
    ) -> bool:
        """Delete a person with all their devices and have the rest erased; whether there was one."""
        return bool(await self.do(self.forgetting_person(workspace, identifier, request_id=request_id)))

    @audited("person.erase")
    async def erase(
        self,
        entry: AuditEntry,
        workspace: WorkspaceId,
        identifier: Identifier,
        *,
        by: RequestedBy,
        request_id: str = "",
    ) -> Receipt:
        """Delete a person and erase all their data; for a deleted person, return the existing receipt.

        Raises:
            NotFound: nobody has this identifier, and nobody who had it was erased.
        """
        begun = await self.do(self.forgetting_person(workspace, identifier, by=by, request_id=request_id))
        if begun is not None:
            receipt = await self.receipt(workspace, cast("int", begun))
        else:
            found = await self.receipts(workspace, identifier)
            if not found:
                raise NotFound(f"No person found with this {identifier.kind}")
            receipt = found[0]
        # No identifiers: the log is kept.
        entry.target = f"erasure {receipt.erasure_id}"
        return receipt

    async def note(self, workspace: WorkspaceId, said: dict[str, Any]) -> None:
        """Store notes about objects and relationships to them, unchanged."""

        async def work(connection: Connection) -> None:
            await events.note(connection, workspace, said)

        await self.do(Command(workspace_id=workspace, work=work))

    # What is done to people and devices, to be done by `do` or among others by `do_all`.

    def forgetting_device(
        self,
        workspace: WorkspaceId,
        identifier: Identifier,
        token: Token,
        *,
        request_id: str = "",
        once: bytes | None = None,
    ) -> Command:
        """Deletes a device of this person; answers whether they had it."""
        only = device_id(workspace, token)

        async def work(connection: Connection) -> bool:
            person = await people.find(connection.fetchval, workspace, identifier)
            if person is None:
                return False
            return await devices.delete(connection, workspace, person, only=only, request_id=request_id) > 0

        return Command(
            workspace_id=workspace, keys=(only, (workspace, *identifier.key)), work=work, once=once
        )

    def forgetting_token(
        self,
        workspace: WorkspaceId,
        token: Token,
        anonymous_id: str | None,
        *,
        request_id: str = "",
        once: bytes | None = None,
    ) -> Command:
        """Delete the device of this token, of any owner: its app reports that nobody is logged in.

        Calls of one anonymous id keep their order; it names nobody.
        """
        only = device_id(workspace, token)

        async def work(connection: Connection) -> None:
            await events.forget_devices(connection, [(workspace, only)])
            for person in await devices.holders(connection, workspace, token):
                await devices.delete(connection, workspace, person, only=only, request_id=request_id)

        keys = (only, *anonymous_keys(workspace, anonymous_id))
        return Command(workspace_id=workspace, keys=keys, work=work, once=once)

    def forgetting_person(
        self,
        workspace: WorkspaceId,
        identifier: Identifier,
        *,
        request_id: str = "",
        by: RequestedBy = RequestedBy.API,
        once: bytes | None = None,
    ) -> Command:
        """Deletes a person with all their devices; answers by the number of their erasure, None when there was nobody."""

        async def work(connection: Connection) -> int | None:
            return await self._forget(connection, workspace, identifier, by, request_id)

        return Command(workspace_id=workspace, whole=True, work=work, once=once)

    def suppressing(
        self,
        workspace: WorkspaceId,
        identifier: Identifier,
        *,
        request_id: str = "",
        by: RequestedBy = RequestedBy.API,
        once: bytes | None = None,
    ) -> Command:
        """Deletes a person and keeps all their identifiers from being used again."""

        async def work(connection: Connection) -> None:
            person = await people.find(connection.fetchval, workspace, identifier)
            keys = [] if person is None else await people.keys_of(connection, workspace, person)
            await self._forget(connection, workspace, identifier, by, request_id)
            blocked = {*keys, *([] if identifier.person_id else [identifier.key])}
            await blocklist.block(connection, workspace, sorted(blocked), self._database.hashes)

        return Command(workspace_id=workspace, whole=True, work=work, once=once)

    def unsuppressing(
        self, workspace: WorkspaceId, identifier: Identifier, *, once: bytes | None = None
    ) -> Command:
        """Lets an identifier be used again; brings nobody back."""

        async def work(connection: Connection) -> None:
            await blocklist.unblock(connection, workspace, identifier.key, self._database.hashes)

        return Command(workspace_id=workspace, whole=True, work=work, once=once)

    def merging(
        self, workspace: WorkspaceId, primary: Identifier, secondary: Identifier, *, request_id: str = ""
    ) -> Command:
        """Gives a person what another has, devices too, and deletes the other; nothing where either is unknown."""

        async def work(connection: Connection) -> bool:
            person = await people.find(connection.fetchval, workspace, primary)
            other = await people.find(connection.fetchval, workspace, secondary)
            if person is None or other is None or person == other:
                return False
            for one in sorted((person, other)):
                if not await people.lock(connection, workspace, one):
                    return False
            await devices.move(connection, workspace, other, person, request_id=request_id)
            await people.gain(connection, workspace, person, other)
            await people.delete(connection, workspace, other)
            return True

        return Command(workspace_id=workspace, whole=True, work=work)

    # Reads.

    async def person(self, workspace: WorkspaceId, identifier: Identifier) -> Person:
        """The person of this identifier.

        Raises:
            NotFound: nobody has it.
        """
        person_id = await people.find(self._database.of(workspace).value, workspace, identifier)
        person = None if person_id is None else await people.read(self._database, workspace, person_id)
        if person is None:
            raise NotFound(f"No person found with this {identifier.kind}")
        return person

    async def people(self, workspace: WorkspaceId, identifiers: Sequence[Identifier]) -> list[Person]:
        """The people of these identifiers; one that nobody has is left out."""
        return await people.read_named(self._database, workspace, identifiers)

    async def devices_of(self, person: Person, workspace: WorkspaceId) -> list[Device]:
        """A person's devices, the last used first."""
        return await devices.of_person(self._database, workspace, person.person_id)

    async def devices_by_person(
        self, workspace: WorkspaceId, persons: Sequence[Person]
    ) -> Mapping[PersonId, Sequence[Device]]:
        """The devices of people, each person's last used one first; people without any are missing."""
        return await devices.of_people(self._database, workspace, [one.person_id for one in persons])

    async def device(self, workspace: WorkspaceId, token: Token, person: PersonId | None = None) -> Device:
        """The device of this token, of this person if one is named; of a shared token, the last used one.

        Raises:
            NotFound: it does not exist.
        """
        device = await devices.read(self._database, workspace, token, person)
        if device is None:
            raise NotFound("No device found with this token")
        return device

    async def search(
        self, workspace: WorkspaceId, wanted: Search, *, after: bytes, limit: int
    ) -> list[Device]:
        """The devices that are so and whose keys come after this one, in their order."""
        return await devices.search(self._database, workspace, wanted, after=after, limit=limit)

    async def pushes(self, device: Device, *, limit: int) -> list[PushLine]:
        """Outcomes of pushes to a device since its person has it, newest message first."""
        return await devices.pushes(self._database, device, limit=limit)

    async def history(
        self, workspace: WorkspaceId, token: Token, person: PersonId | None = None, *, limit: int = 100
    ) -> list[HistoryLine]:
        """What happened to the device of this token, the newest first; it outlives the device.

        Of a token that several share, it is that of this person, or of the last who used it.

        Raises:
            NotFound: no device ever had it.
        """
        lines = await devices.history(self._database, workspace, token, person, limit=limit)
        if not lines:
            raise NotFound("No device found with this token, now or in the past")
        return lines

    async def receipt(self, workspace: WorkspaceId, erasure_id: int) -> Receipt:
        """The receipt of an erasure.

        Raises:
            NotFound: it does not exist.
        """
        found = await erasures.receipts(self._database, workspace, only=erasure_id)
        if not found:
            raise NotFound("Erasure not found")
        return found[0]

    async def receipts(self, workspace: WorkspaceId, identifier: Identifier | None = None) -> list[Receipt]:
        """The last hundred receipts of a workspace, or of those who had an identifier; the newest first."""
        of = None if identifier is None else self._database.hashes.of(workspace, *identifier.key)
        return await erasures.receipts(self._database, workspace, of=of)

    async def notes_of(self, workspace: WorkspaceId, person: Person) -> list[dict[str, Any]]:
        """Notes about a person's relationships to objects, unchanged, oldest first."""
        known = {"id": person.id, "email": person.email, "cio_id": person.cio_id}
        return await events.notes_of(
            self._database,
            workspace,
            [{kind: value} for kind, value in known.items() if value is not None],
        )

    async def topics(self, workspace: WorkspaceId) -> list[Any]:
        """The subscription preferences of the newest people, from which the existing topics are derived."""
        return await topics.preferences(self._database, workspace)

    async def drain(self) -> None:
        """Wait until all that was called is committed."""
        await self._calls.drain()

    async def _forget(
        self,
        connection: Connection,
        workspace: WorkspaceId,
        identifier: Identifier,
        by: RequestedBy,
        request_id: str,
    ) -> int | None:
        """Delete the person, and return the number of their erasure; None when nobody matches."""
        person = await people.find(connection.fetchval, workspace, identifier)
        if person is None or not await people.lock(connection, workspace, person):
            return None
        known = await people.keys_of(connection, workspace, person)
        hashes = [self._database.hashes.of(workspace, *key) for key in erasures.hashed(person, known)]
        begun = await erasures.begin(
            connection, workspace, person, hashes=hashes, by=by, request_id=request_id
        )
        await devices.delete(connection, workspace, person, request_id=request_id)
        await people.delete(connection, workspace, person)
        return begun
