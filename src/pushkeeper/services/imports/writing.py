"""A batch counted, written, or compared with what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pushkeeper.core.devices.tokens import token_of
from pushkeeper.core.imports.row import Skip, SkipReason
from pushkeeper.core.model import id_kind_of
from pushkeeper.errors import Conflict
from pushkeeper.store import imports
from pushkeeper.store.devices import registration
from pushkeeper.store.devices.devices import Registration
from pushkeeper.store.imports import NewDevice
from pushkeeper.store.people import events, people, resolution

if TYPE_CHECKING:
    from pushkeeper.core.identifier_hash import IdentifierHashes
    from pushkeeper.core.model import DeviceId, PersonId
    from pushkeeper.services.imports.batch import Batch, DeviceInBatch, PersonInBatch
    from pushkeeper.services.imports.counts import Counts
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.imports import Import
    from pushkeeper.store.jobs import Claim

Named = TypeVar("Named")

_ROUNDS = 5
_LEFT_OUT = {"owned": SkipReason.OWNED_BY_ANOTHER, "blocked": SkipReason.BLOCKED}


async def count(
    connection: Connection, claim: Claim, now: Import, batch: Batch, counts: Counts, hashes: IdentifierHashes
) -> None:
    """Count what writing a batch would change."""
    known = await _known(connection, batch)
    _keep_only(now, batch, known)
    counting = _Counting(claim, counts, batch, hashes)
    await counting.people(connection, known)
    owned = [one for one in batch.devices.values() if one.owner is not None]
    shared = await imports.shares_tokens(connection, batch.workspace)
    asked = [(one.key, _who(known, one.owner)) for one in owned]
    there = await imports.devices(connection, batch.workspace, asked, shared=shared)
    outcomes: dict[DeviceId, str] = {}
    for one in owned:
        found = there.get(one.key)
        if found is None:
            outcomes[one.key] = "new"
        elif found[0] == _who(known, one.owner):
            outcomes[one.key] = "known"
        else:
            outcomes[one.key] = "moved" if now.move and found[1] < one.last_used else "owned"
    await counting.devices(connection, outcomes)


async def write(
    connection: Connection, claim: Claim, now: Import, batch: Batch, counts: Counts, hashes: IdentifierHashes
) -> None:
    """Write a batch; a device that an app registers meanwhile is the app's if that is newer."""
    known = await _known(connection, batch)
    _keep_only(now, batch, known)
    counting = _Counting(claim, counts, batch, hashes)
    await counting.people(connection, known)
    named = list(batch.people.values())
    found = await resolution.resolve(connection, [one.naming for one in named], hashes)
    who = {id(one): person for one, person in zip(named, found, strict=True) if person is not None}
    changes = [
        (batch.workspace, who[id(one)], one.change)
        for one in named
        if one.change is not None and id(one) in who
    ]
    refused = await people.update(connection, changes)
    for place in refused:
        one = next(one for one in named if one.change is changes[place][2])
        counts.skip(one.line, SkipReason.BAD_ATTRIBUTE, "person", "would have too many attributes")
    made = [(who[id(one)], one.created_at) for one in named if one.created_at is not None and id(one) in who]
    await imports.made_at(connection, batch.workspace, made)
    outcomes = await _write_devices(connection, now, batch, who)
    await counting.devices(connection, outcomes)
    await _keep_anonymous(connection, batch)


def _keep_only(now: Import, batch: Batch, known: dict[tuple[str, str], PersonId]) -> None:
    """Leave out of a batch the people who are not to be imported, with their devices."""
    only = now.options.get("only", "all")
    if only == "all":
        return
    reason = SkipReason.PERSON_KNOWN if only == "new" else SkipReason.PERSON_UNKNOWN
    for keys, one in list(batch.people.items()):
        if (_who(known, one) is None) != (only == "new"):
            batch.skipped.append((one.line, Skip(reason, one.naming.path.kind.value)))
            del batch.people[keys]
    kept = set(map(id, batch.people.values()))
    for key, device in list(batch.devices.items()):
        if id(device.owner) not in kept:
            del batch.devices[key]


async def _write_devices(
    connection: Connection, now: Import, batch: Batch, who: dict[int, PersonId]
) -> dict[DeviceId, str]:
    """The outcome of each device that has an owner: `new`, `known`, `moved`, `owned` or `blocked`."""
    outcomes: dict[DeviceId, str] = {}
    waiting: dict[DeviceId, NewDevice] = {}
    for one in batch.devices.values():
        if one.owner is None:
            continue
        if (person := who.get(id(one.owner))) is None:
            outcomes[one.key] = "blocked"
        else:
            waiting[one.key] = _new_device(one, person)
    shared = await imports.shares_tokens(connection, batch.workspace)
    await events.forget_devices(connection, [(batch.workspace, key) for key in waiting])
    given = dict(waiting)
    for _ in range(_ROUNDS):
        if not waiting:
            break
        reason = f"imported:{now.source}"
        written = await imports.write(
            connection, batch.workspace, list(waiting.values()), shared=shared, reason=reason
        )
        outcomes |= written
        # One that somebody else is just making does not come back, and is there when they are done.
        waiting = {key: one for key, one in waiting.items() if key not in written}
    else:
        raise Conflict("import: devices are being made and deleted by others at the same time")
    if now.move:
        await _move(connection, batch, outcomes, given, shared=shared)
    return outcomes


async def _move(
    connection: Connection,
    batch: Batch,
    outcomes: dict[DeviceId, str],
    given: dict[DeviceId, NewDevice],
    *,
    shared: bool,
) -> None:
    """Give devices that others have to the people of the file, where the file's are newer, as a registration does."""
    owned = [given[key] for key, outcome in outcomes.items() if outcome == "owned"]
    asked = [(one.key, one.person_id) for one in owned]
    there = await imports.devices(connection, batch.workspace, asked, shared=shared)
    newer = [one for one in owned if one.key in there and there[one.key][1] < one.last_used]
    await registration.register(
        connection, [(batch.workspace, one.person_id, _registration(one)) for one in newer]
    )
    outcomes.update(dict.fromkeys((one.key for one in newer), "moved"))


def _new_device(one: DeviceInBatch, person: PersonId) -> NewDevice:
    token = token_of(one.device.token)
    return NewDevice(
        key=one.key,
        person_id=person,
        token=token,
        id_kind=id_kind_of(token),
        platform=one.device.platform,
        app=one.device.app,
        environment=one.device.environment,
        attributes=one.attributes,
        last_used=one.last_used,
        # A push service that says since when a token is gone is believed only for a time after it was registered.
        registered_at=one.registered_at,
        status=one.device.status.value,
        failure_reason=one.device.failure_reason,
    )


def _registration(one: NewDevice) -> Registration:
    return Registration(
        token=one.token,
        id_kind=one.id_kind,
        platform=one.platform,
        last_used=one.last_used,
        app=one.app,
        environment=one.environment,
        attributes=one.attributes,
        must_register=True,
    )


async def _keep_anonymous(connection: Connection, batch: Batch) -> None:
    kept = []
    for one in batch.devices.values():
        if one.owner is None and one.anonymous_id is not None:
            token = token_of(one.device.token)
            told = Registration(
                token=token,
                id_kind=id_kind_of(token),
                platform=one.device.platform,
                last_used=one.last_used,
                app=one.device.app,
                environment=one.device.environment,
                attributes=one.attributes,
                must_register=True,
            )
            kept.append((batch.workspace, one.anonymous_id, told))
    if kept:
        await events.keep_devices(connection, kept)


async def compare(connection: Connection, batch: Batch, counts: Counts) -> None:
    """Compare the devices of a batch with those that are there: whether each is, and whose."""
    verified = counts.verified
    assert verified is not None  # noqa: S101 - it is being verified
    known = await _known(connection, batch)
    owned = [one for one in batch.devices.values() if one.owner is not None]
    shared = await imports.shares_tokens(connection, batch.workspace)
    asked = [(one.key, _who(known, one.owner)) for one in owned]
    there = await imports.devices(connection, batch.workspace, asked, shared=shared)
    verified.devices += len(owned)
    for one in owned:
        found = there.get(one.key)
        if found is None:
            counts.differs(one.line, "missing")
        elif found[0] != _who(known, one.owner):
            counts.differs(one.line, "wrong_owner")


async def _known(connection: Connection, batch: Batch) -> dict[tuple[str, str], PersonId]:
    asked = [identifier.key for one in batch.people.values() for identifier in one.naming.identifiers]
    return await imports.known_people(connection, batch.workspace, asked) if asked else {}


def _who(known: dict[tuple[str, str], PersonId], person: PersonInBatch | None) -> PersonId | None:
    """The person who has the first of these identifiers that anybody has."""
    identifiers = () if person is None else person.naming.identifiers
    return next((known[one.key] for one in identifiers if one.key in known), None)


class _Counting:
    """Counts each person and device of a file once, when the file first names them."""

    def __init__(self, claim: Claim, counts: Counts, batch: Batch, hashes: IdentifierHashes) -> None:
        self._claim = claim
        self._counts = counts
        self._batch = batch
        self._hashes = hashes
        counts.rows += batch.records
        for line, skip in batch.skipped:
            counts.skipped_as(line, skip)
        for line in batch.duplicates:
            counts.skip(line, SkipReason.DUPLICATE)

    async def people(self, connection: Connection, known: dict[tuple[str, str], PersonId]) -> None:
        people = list(self._batch.people.values())
        for one in await self._first(connection, {self._key(*p.naming.path.key): p for p in people}):
            if _who(known, one) is None:
                self._counts.people.new += 1
            else:
                self._counts.people.known += 1

    async def devices(self, connection: Connection, outcomes: dict[DeviceId, str]) -> None:
        """`outcomes` are of the devices that have an owner."""
        devices = self._batch.devices
        first = await self._first(
            connection, {self._key("device", key.hex()): one for key, one in devices.items()}
        )
        for one in first:
            self._count(one, "anonymous" if one.owner is None else outcomes[one.key])
        counted = {one.key for one in first}
        for one in devices.values():
            if one.key not in counted:
                self._counts.skip(one.line, SkipReason.DUPLICATE)

    def _count(self, one: DeviceInBatch, outcome: str) -> None:
        if outcome in _LEFT_OUT:
            self._counts.skip(one.line, _LEFT_OUT[outcome])
            return
        of = self._counts.devices
        setattr(of, outcome, getattr(of, outcome) + 1)
        platforms, platform = self._counts.platforms, one.device.platform.value
        platforms[platform] = platforms.get(platform, 0) + 1

    def _key(self, kind: str, name: str) -> bytes:
        return self._hashes.of(self._batch.workspace, kind, name)

    async def _first(self, connection: Connection, named: dict[bytes, Named]) -> list[Named]:
        """Those that the file names for the first time, in the order of the batch."""
        seen = await imports.first_seen(connection, self._claim, list(named)) if named else set()
        return [one for key, one in named.items() if key in seen]
