"""Which person each call means: those who have its identifiers are found, made, or given them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from pushkeeper.core import identity
from pushkeeper.core.identity import Create, Drop, Identifier, IdentifierKind, Known, Plan, Update
from pushkeeper.errors import Conflict
from pushkeeper.store.db.database import columns
from pushkeeper.store.db.queries import load_queries
from pushkeeper.store.db.statements import LostRace
from pushkeeper.store.people import failed_changes
from pushkeeper.store.people.failed_changes import FailedChange

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushkeeper.core.identifier_hash import IdentifierHashes
    from pushkeeper.core.model import PersonId, WorkspaceId
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.people.people import PersonReference

SQL = load_queries("pushkeeper.store.people.people")

_ROUNDS = 5


async def resolve(
    connection: Connection, namings: Sequence[PersonReference], hashes: IdentifierHashes
) -> list[PersonId | None]:
    """Find or create the person of each naming; None where nobody matches and nobody may be created.

    Two namings may share an identifier only where each goes by that one alone. After a conflict with another process,
    on any identifier, it resolves again: the result is that of some order of the calls.

    Raises:
        Conflict: one of them conflicted every time.
    """
    found = await _named(connection, namings, hashes)
    undecided = {i: naming for i, naming in enumerate(namings) if found[i] is None}
    if undecided:
        blocked = await _blocked(connection, list(undecided.values()), hashes)
        undecided = {
            i: allowed for i, n in undecided.items() if (allowed := _without(n, blocked)) is not None
        }
    if not undecided:
        return found
    # Those that share an identifier are one: the others get what the first one gets.
    firsts: dict[tuple[object, ...], int] = {}
    same = {i: firsts.setdefault((n.workspace_id, *n.path.key), i) for i, n in undecided.items()}
    namings = [undecided.get(i, naming) for i, naming in enumerate(namings)]
    undecided = {i: n for i, n in undecided.items() if same[i] == i}
    meant = await _decided(connection, namings, undecided)
    for i, first in same.items():
        found[i] = meant.get(first)
    return found


async def _decided(
    connection: Connection, namings: Sequence[PersonReference], undecided: dict[int, PersonReference]
) -> dict[int, PersonId]:
    found: dict[int, PersonId] = {}
    failed: list[FailedChange] = []
    for _ in range(_ROUNDS):
        known = await _known(connection, list(undecided.values()))
        plans = {
            i: identity.plan(n.path, n.others, known[n.workspace_id], create=n.create)
            for i, n in undecided.items()
        }
        meant = await _meant(connection, plans, namings)
        lost = await _give(connection, plans, namings, meant)
        found |= {i: person for i, person in meant.items() if i not in lost}
        failed += [
            FailedChange(n.workspace_id, meant[i], owners.get(one.key), one.kind.value, one.value)
            for i, n in undecided.items()
            if i not in lost
            for owners in (known[n.workspace_id].owners,)
            for one in identity.not_applied(plans[i], n.identifiers, known[n.workspace_id])
        ]
        undecided = {i: namings[i] for i in sorted(lost)}
        if not undecided:
            if failed:
                await failed_changes.insert(connection, failed)
            return found
    raise Conflict("The identifier is being created and deleted by other requests at the same time")


async def _named(
    connection: Connection, namings: Sequence[PersonReference], hashes: IdentifierHashes
) -> list[PersonId | None]:
    """The people of the namings that go by one identifier alone, as most do: one statement finds or creates them all."""
    found: list[PersonId | None] = [None] * len(namings)
    asked: dict[tuple[WorkspaceId, str, str], list[int]] = {}
    for i, n in enumerate(namings):
        if n.create and not n.others and n.path.kind is not IdentifierKind.CIO_ID:
            asked.setdefault((n.workspace_id, *n.path.key), []).append(i)
    if asked:
        rows = [(*key, namings[same[0]].path.value, hashes.of(*key).hex()) for key, same in asked.items()]
        for row in await connection.fetch(SQL["named"], *columns(rows, 5)):
            for i in asked[row["workspace_id"], row["kind"], row["key"]]:
                found[i] = row["person_id"]
    return found


async def _blocked(
    connection: Connection, namings: Sequence[PersonReference], hashes: IdentifierHashes
) -> set[tuple[object, ...]]:
    named = [(n.workspace_id, *identifier.key) for n in namings for identifier in n.identifiers]
    asked = [(*one, hashes.of(*one).hex()) for one in named]
    rows = await connection.fetch(SQL["are_blocked"], *columns(asked, 4))
    return {(row["workspace_id"], row["kind"], row["key"]) for row in rows}


def _without(naming: PersonReference, blocked: set[tuple[object, ...]]) -> PersonReference | None:
    """The naming without what nobody may get; None when that is what it goes by."""
    if not blocked:
        return naming
    if (naming.workspace_id, *naming.path.key) in blocked:
        return None
    others = tuple(o for o in naming.others if (naming.workspace_id, *o.key) not in blocked)
    return msgspec.structs.replace(naming, others=others)


async def _known(connection: Connection, namings: Sequence[PersonReference]) -> dict[WorkspaceId, Known]:
    asked = [(n.workspace_id, *identifier.key) for n in namings for identifier in n.identifiers]
    cio_ids = [(n.workspace_id, n.path.person_id) for n in namings if n.path.person_id is not None]
    rows = await connection.fetch(SQL["owners"], *columns(asked, 3), *columns(cio_ids, 2))
    owners: dict[WorkspaceId, dict[tuple[str, str], PersonId]] = defaultdict(dict)
    kinds: dict[WorkspaceId, dict[PersonId, set[IdentifierKind]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        workspace, person = row["workspace_id"], row["person_id"]
        owners[workspace][IdentifierKind.CIO_ID.value, identity.cio_id(person)] = person
        if row["kind"] is not None:
            owners[workspace][row["kind"], row["key"]] = person
            kinds[workspace][person].add(IdentifierKind(row["kind"]))
    return {
        n.workspace_id: Known(
            owners[n.workspace_id],
            {person: frozenset(has) for person, has in kinds[n.workspace_id].items()},
        )
        for n in namings
    }


async def _meant(
    connection: Connection, plans: Mapping[int, Plan], namings: Sequence[PersonReference]
) -> dict[int, PersonId]:
    """The people of the plans; new ones exist, without identifiers yet."""
    meant = {i: plan.person_id for i, plan in plans.items() if isinstance(plan, Update)}
    new = [i for i, plan in plans.items() if isinstance(plan, Create)]
    if new:
        created: dict[WorkspaceId, list[PersonId]] = defaultdict(list)
        for row in await connection.fetch(SQL["create"], [namings[i].workspace_id for i in new]):
            created[row["workspace_id"]].append(row["person_id"])
        meant |= {i: created[namings[i].workspace_id].pop() for i in new}
    return meant


async def _give(
    connection: Connection,
    plans: Mapping[int, Plan],
    namings: Sequence[PersonReference],
    meant: Mapping[int, PersonId],
) -> set[int]:
    """Assign identifiers to people, and return the plans that conflicted, to be made again.

    A person created for such a plan is deleted again.
    """
    replaced = [
        (namings[i].workspace_id, plan.person_id, new.kind.value)
        for i, plan in plans.items()
        if isinstance(plan, Update)
        for new in plan.replaces
    ]
    if replaced:
        await connection.execute(SQL["drop_identifiers"], *columns(replaced, 3))
    wanted = [
        (i, namings[i].workspace_id, new, meant[i])
        for i, plan in plans.items()
        if not isinstance(plan, Drop)
        for new in (plan.adds if isinstance(plan, Create) else plan.adds + plan.replaces)
    ]
    given = await _claim(connection, [(workspace, new, person) for _, workspace, new, person in wanted])
    missed = [one for one in wanted if (one[3], one[2].key) not in given]
    if any((workspace, person, new.kind.value) in replaced for _, workspace, new, person in missed):
        raise LostRace  # the former identifier is dropped already
    lost = {i for i, _, _, _ in missed}
    for i in lost:
        if isinstance(plans[i], Create):
            await connection.execute(SQL["delete"], namings[i].workspace_id, meant[i])
    return lost


async def _claim(
    connection: Connection, wanted: Sequence[tuple[WorkspaceId, Identifier, PersonId]]
) -> set[tuple[PersonId, tuple[str, str]]]:
    if not wanted:
        return set()
    rows = sorted((workspace, *new.key, new.value, person) for workspace, new, person in wanted)
    given = await connection.fetch(SQL["claim_identifiers"], *columns(rows, 5))
    return {(row["person_id"], (row["kind"], row["key"])) for row in given}
