"""Ingest: updates of people and their devices, many calls in one commit: each is applied once, in the order of its keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from pushkeeper.core.identity import IdentifierKind
from pushkeeper.core.model import DeviceId, WorkspaceId, device_id
from pushkeeper.store.db.driver import Connection
from pushkeeper.store.db.group_commit import Combiner
from pushkeeper.store.db.turns import Keys
from pushkeeper.store.devices import registration
from pushkeeper.store.devices.devices import Registration
from pushkeeper.store.people import events, people, placeholders, resolution
from pushkeeper.store.people.events import NewEvent
from pushkeeper.store.people.people import AttributeChange, PersonReference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushkeeper.core.identifier_hash import IdentifierHashes
    from pushkeeper.core.model import PersonId
    from pushkeeper.errors import BadRequest
    from pushkeeper.store.db.database import Database


class PersonUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """One call that updates a person: attributes, a device, an event; or an anonymous one.

    Attributes:
        naming: the person's identifiers; None if the call has only an anonymous ID.
        anonymous_id: the owner of the device or event without a naming; with one, its earlier events and devices are
            assigned to this person, if nobody identified with it before.
        once: a hashed ID of the call; a repeated one changes nothing.
    """

    workspace_id: WorkspaceId
    naming: PersonReference | None = None
    anonymous_id: str | None = None
    change: AttributeChange | None = None
    registration: Registration | None = None
    event: NewEvent | None = None
    once: bytes | None = None


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Anything else that is done in the same commit, to what `keys` name, by itself.

    Attributes:
        whole: it may free or change any identifier of its workspace, so what came before it is written before, and
            what came after it after.
    """

    workspace_id: WorkspaceId
    keys: tuple[Hashable, ...] = ()
    whole: bool = False
    work: Callable[[Connection], Awaitable[object]]
    once: bytes | None = None


Call: TypeAlias = PersonUpdate | Command


def combined(database: Database) -> Combiner[Call, object]:
    """Writes calls, grouped into commits."""

    async def commit(calls: Sequence[Call]) -> Sequence[object]:
        # First what may be done twice: where the rest fails, all of the group is tried again.
        answers = await _register_at_once(database, calls)
        if rest := [call for place, call in enumerate(calls) if place not in answers]:

            async def work(connection: Connection) -> list[object]:
                return await write(connection, rest, database.hashes)

            others = iter(await database.in_transaction(work))
            return [answers[place] if place in answers else next(others) for place in range(len(calls))]
        return [answers[place] for place in range(len(calls))]

    return Combiner(commit, keys_of, name="registry")


def keys_of(call: Call) -> Keys:
    """What a call concerns: a device alone, a person alone where identifiers change hands, and the id that makes it count once."""
    workspace = call.workspace_id
    own = (workspace,)
    once: tuple[Hashable, ...] = () if call.once is None else ((workspace, call.once),)
    if isinstance(call, Command):
        concerns, within = (own, ()) if call.whole else (call.keys, own)
        return Keys(alone=concerns, shared=once, within=within, owner=workspace, serial=True)
    naming = call.naming
    alone: tuple[Hashable, ...] = () if call.registration is None else (_device(call),)
    anonymous = anonymous_keys(workspace, call.anonymous_id)
    if naming is None:
        return Keys(alone=alone, shared=anonymous + once, within=own, owner=workspace)
    alone += anonymous
    people_keys: tuple[Hashable, ...] = tuple((workspace, *i.key) for i in naming.identifiers)
    # People who may not be created are resolved in their turn: others of the group may create them.
    does_nothing_else = call.change is None and call.registration is None
    if naming.others or not (naming.create or does_nothing_else):
        return Keys(alone=alone + people_keys, shared=once, within=own, owner=workspace)
    return Keys(alone=alone, shared=people_keys + once, within=own, owner=workspace)


def anonymous_keys(workspace: WorkspaceId, anonymous_id: str | None) -> tuple[Hashable, ...]:
    """The keys that calls with the same anonymous id share."""
    return () if anonymous_id is None else ((workspace, "anonymous_id", anonymous_id),)


async def _register_at_once(database: Database, calls: Sequence[Call]) -> dict[int, object]:
    """Write the calls that only register a device, as most do, by one statement that is its own commit.

    `write` takes five round trips for what this does in one, with the same outcome (tests/store/test_register_at_once.py).
    It has what this leaves: calls that say more, and those of which the statement returns nothing.

    Returns the answers of those that were written, by their places.
    """
    places: dict[DeviceId, int] = {}
    asked: dict[DeviceId, registration.ToRegister] = {}
    named: set[tuple[object, ...]] = set()
    for place, call in enumerate(calls):
        if isinstance(call, Command) or (naming := _named_by_device_alone(call)) is None:
            continue
        assert call.registration is not None  # noqa: S101 - it is what the call says
        path, workspace = naming.path, call.workspace_id
        if (workspace, *path.key) in named:
            continue  # of two who name somebody new only one can make them
        named.add((workspace, *path.key))
        key = device_id(workspace, call.registration.token)
        places[key] = place
        identifier = (*path.key, path.value, database.hashes.of(workspace, *path.key).hex())
        asked[key] = registration.ToRegister(workspace, call.registration, identifier=identifier)
    answers: dict[int, object] = {}
    for key, (person, is_refused) in (
        await registration.register_now(database, asked) if asked else {}
    ).items():
        if not is_refused:
            answers[places[key]] = person
        elif not asked[key].registration.must_register:
            answers[places[key]] = registration.too_much()
    return answers


def _named_by_device_alone(call: PersonUpdate) -> PersonReference | None:
    """The person who gets the device of a call that does nothing else, and names one shareable identifier; else None."""
    naming = call.naming
    if (
        call.registration is None
        or naming is None
        or call.change is not None
        or call.event is not None
        or call.once is not None
        or call.anonymous_id is not None
        or naming.others
        or not naming.create
        or naming.path.kind is IdentifierKind.CIO_ID
        or placeholders.refusal_of(naming) is not None
    ):
        return None
    return naming


async def write(connection: Connection, calls: Sequence[Call], hashes: IdentifierHashes) -> list[object]:
    """Write calls that don't conflict on exclusive keys; each gets its result, by position.

    An update is answered by the person, None when nobody is meant, or the BadRequest that refuses it; a command by
    its result.

    Raises:
        BadRequest: one exceeds a limit, and has written something else already; or a command is rejected.
    """
    namings = {
        p: c.naming for p, c in enumerate(calls) if isinstance(c, PersonUpdate) and c.naming is not None
    }
    refused = await placeholders.refused(connection, namings)
    new = await _not_seen(connection, {p: call for p, call in enumerate(calls) if p not in refused})
    answers: list[object] = [refused.get(place) for place in range(len(calls))]
    updates = {place: call for place in new if isinstance(call := calls[place], PersonUpdate)}
    if updates:
        await _ingest(connection, updates, answers, hashes)
    for place in new:
        call = calls[place]
        if isinstance(call, Command):
            answers[place] = await call.work(connection)
    return answers


async def _not_seen(connection: Connection, calls: Mapping[int, Call]) -> list[int]:
    once = [(call.workspace_id, call.once) for call in calls.values() if call.once is not None]
    if not once:
        return list(calls)
    fresh = await events.first_time(connection, once)
    new = []
    for place, call in calls.items():
        if call.once is None:
            new.append(place)
        elif (key := (call.workspace_id, call.once)) in fresh:
            fresh.discard(key)
            new.append(place)
    return new


async def _ingest(
    connection: Connection, updates: dict[int, PersonUpdate], answers: list[object], hashes: IdentifierHashes
) -> None:
    named = [(place, naming) for place, update in updates.items() if (naming := update.naming) is not None]
    found = await resolution.resolve(connection, [naming for _, naming in named], hashes)
    meant = {place: person for (place, _), person in zip(named, found, strict=True) if person is not None}
    for place, person in meant.items():
        answers[place] = person
    await _unlink_anonymous(connection, [updates[place] for place in meant])
    await _claim(connection, [(updates[place], person) for place, person in meant.items()])
    await _drop_anonymous(connection, [updates[place] for place, _ in named if place not in meant])
    await _change(connection, updates, meant, answers)
    await _register(connection, updates, meant, answers)
    await _keep_anonymous(connection, updates)
    done = [
        (update.workspace_id, meant.get(place), update.anonymous_id, update.event)
        for place, update in updates.items()
        # Blocked people, and namings without a person, have no events.
        if update.event is not None and (place in meant or update.naming is None)
    ]
    if done:
        await events.insert(connection, done)


async def _unlink_anonymous(connection: Connection, updates: Sequence[PersonUpdate]) -> None:
    """A device that a person registers is no longer kept for an anonymous ID."""
    registered = [
        (update.workspace_id, device) for update in updates if (device := _device(update)) is not None
    ]
    if registered:
        await events.forget_devices(connection, registered)


async def _claim(connection: Connection, identified: Sequence[tuple[PersonUpdate, PersonId]]) -> None:
    claims = [
        (update.workspace_id, update.anonymous_id, person)
        for update, person in identified
        if update.anonymous_id is not None
    ]
    if claims and (waiting := await events.claim(connection, claims)):
        await registration.register(connection, waiting)


async def _drop_anonymous(connection: Connection, unresolved: Sequence[PersonUpdate]) -> None:
    """Data from before a suppressed person identified belongs to them: the next person must not get it."""
    claims = [
        (update.workspace_id, update.anonymous_id)
        for update in unresolved
        if update.anonymous_id is not None
        and update.naming is not None
        and update.naming.create
        and update.naming.path.kind is not IdentifierKind.CIO_ID  # which nobody has, and is made for nobody
    ]
    if claims:
        await events.drop_anonymous(connection, claims)


async def _change(
    connection: Connection,
    updates: dict[int, PersonUpdate],
    meant: dict[int, PersonId],
    answers: list[object],
) -> None:
    changing = [
        (place, person, change)
        for place, person in meant.items()
        if (change := updates[place].change) is not None
    ]
    if not changing:
        return
    changes = [(updates[place].workspace_id, person, change) for place, person, change in changing]
    for at in await people.update(connection, changes):
        place = changing[at][0]
        answers[place] = _refusal(people.too_much(), updates[place], updates[place].registration)


async def _register(
    connection: Connection,
    updates: dict[int, PersonUpdate],
    meant: dict[int, PersonId],
    answers: list[object],
) -> None:
    registering = [
        (place, (updates[place].workspace_id, person, device))
        for place, person in meant.items()
        if (device := updates[place].registration) is not None
    ]
    if not registering:
        return
    refused = await registration.register(connection, [device for _, device in registering])
    again = []
    for place, (workspace, person, device) in registering if refused else ():
        if _device(updates[place]) not in refused:
            continue
        error = registration.too_much()
        if device.must_register:
            dropped = {"attributes": error.message, **device.dropped_attributes}
            bare = msgspec.structs.replace(device, attributes={}, dropped_attributes=dropped)
            again.append((workspace, person, bare))
            answers[place] = error
        else:
            answers[place] = _refusal(error, updates[place], updates[place].change)
    if again:
        await registration.register(connection, again)


async def _keep_anonymous(connection: Connection, updates: dict[int, PersonUpdate]) -> None:
    kept = [
        (update.workspace_id, update.anonymous_id, update.registration)
        for update in updates.values()
        if update.naming is None and update.anonymous_id is not None and update.registration is not None
    ]
    if kept:
        await events.keep_devices(connection, kept)


def _refusal(error: BadRequest, update: PersonUpdate, other_half: object) -> BadRequest:
    """The error of a call that exceeds a limit.

    A call that did nothing else has written nothing, so its neighbours stay written. Otherwise the error is raised,
    and rolls all back.
    """
    did_more = update.once is not None or update.anonymous_id is not None
    if other_half is not None or did_more or (update.naming is not None and update.naming.others):
        raise error
    return error


def _device(update: PersonUpdate) -> DeviceId | None:
    return None if update.registration is None else device_id(update.workspace_id, update.registration.token)
