"""Audiences: who belongs together. Segments are lists of people kept by hand, or filters that are saved under a name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushkeeper.core.filters import saved as filter_saved
from pushkeeper.core.filters import to_text
from pushkeeper.core.filters.evaluate import EvaluationContext, failing
from pushkeeper.core.filters.nodes import InSegment, Unit
from pushkeeper.core.filters.saved import Definition
from pushkeeper.errors import BadRequest, Conflict, NotFound
from pushkeeper.services.audit import audited
from pushkeeper.services.filters import expanded, read_filter, read_whole
from pushkeeper.store import explanations
from pushkeeper.store.audiences import audiences, plans
from pushkeeper.store.audiences.audiences import LONGEST_S, Audience, Estimate, Size
from pushkeeper.store.audiences.plans import AudiencePlan
from pushkeeper.store.db.surveys import in_turn
from pushkeeper.store.people import pages as person_pages
from pushkeeper.store.people import placeholders, resolution, segments
from pushkeeper.store.people.people import PersonReference
from pushkeeper.store.people.segments import Draft, Segment, Use

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.core.identity import Identifier
    from pushkeeper.core.model import DeviceId, PersonId, WorkspaceId
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.store.audiences.audiences import Differences
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.driver import Connection
    from pushkeeper.store.devices.devices import Device
    from pushkeeper.store.people.people import Member

__all__ = [
    "LONGEST_S",
    "AudiencePlan",
    "Audiences",
    "Draft",
    "Estimate",
    "Preview",
    "Segment",
    "Size",
    "UnitDifference",
    "Use",
    "read_filter",
    "read_whole",
]

_NOT_FOUND = "Audience not found"


@dataclass(frozen=True, slots=True)
class UnitDifference:
    """Where evaluating a filter per person instead of per device gives another result.

    Attributes:
        clauses: for each example, the part of the filter that does not match per device (wrongly included) or per
            person (wrongly excluded).
    """

    differences: Differences
    clauses: Mapping[DeviceId, str]


@dataclass(frozen=True, slots=True)
class Preview:
    """The size of an audience, and who differs if its filter is evaluated per person instead of per device."""

    size: Size
    apart: UnitDifference

    @property
    def examples(self) -> int:
        """How many devices it shows."""
        return len(self.apart.differences.included) + len(self.apart.differences.excluded)


class Audiences:
    """The segments of all workspaces, and the members of filters."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Segments.

    async def segments(self, workspace: WorkspaceId) -> list[Segment]:
        """All segments, the oldest first."""
        return await segments.of_workspace(self._database, workspace)

    async def segment(self, workspace: WorkspaceId, segment_id: int) -> Segment:
        """One segment.

        Raises:
            NotFound: it does not exist.
        """
        found = await segments.read(self._database, workspace, segment_id)
        if found is None:
            raise NotFound(_NOT_FOUND)
        return found

    @audited("audience.make")
    async def make(self, entry: AuditEntry, workspace: WorkspaceId, draft: Draft) -> Segment:
        """Make a segment: an empty list, or a saved audience where it has a filter.

        Raises:
            BadRequest: the filter is none, or names a segment that there is not.
        """

        async def work(connection: Connection) -> Segment:
            await segments.lock(connection, workspace)
            if draft.filter is not None:
                await read_whole(connection.fetch, workspace, draft.filter)
            await entry.done_with(connection)
            return await segments.insert(connection, workspace, draft)

        made = await self._database.of(workspace).in_transaction(work)
        entry.target = f"{made.segment_id} {made.name}"
        return made

    @audited("audience.change", "segment_id")
    async def change(
        self, entry: AuditEntry, workspace: WorkspaceId, segment_id: int, draft: Draft
    ) -> Segment:
        """Update a saved audience; messages already sent to it are not affected.

        Raises:
            BadRequest: the filter is invalid, or names itself or a segment that does not exist.
            NotFound: the saved audience does not exist.
        """
        before = await self.segment(workspace, segment_id)

        async def work(connection: Connection) -> Segment:
            await segments.lock(connection, workspace)
            await read_whole(connection.fetch, workspace, draft.filter)
            saved = await segments.saved(connection.fetch, workspace)
            saved[segment_id] = Definition(draft.unit or Unit.DEVICE, read_filter(draft.filter))
            for other in saved:
                expanded(InSegment(other), saved)
            changed = await segments.change(connection, workspace, segment_id, draft)
            if changed is None:
                raise NotFound(_NOT_FOUND)
            await entry.done_with(connection)
            return changed

        changed = await self._database.of(workspace).in_transaction(work)
        entry.target = f"{segment_id} {changed.name}"
        entry.changed_fields(before, changed, "name", "unit")
        entry.replaced_fields(before, changed, "description", "filter")
        return changed

    @audited("audience.delete", "segment_id")
    async def delete_segment(self, entry: AuditEntry, workspace: WorkspaceId, segment_id: int) -> None:
        """Delete a segment; the people stay.

        Raises:
            Conflict: another audience, or a broadcast's, names it.
            NotFound: it does not exist.
        """
        before = await self.segment(workspace, segment_id)

        async def work(connection: Connection) -> None:
            await segments.lock(connection, workspace)
            saved = await segments.saved(connection.fetch, workspace)
            users = [other for other, made in saved.items() if segment_id in filter_saved.named(made.node)]
            if users:
                raise Conflict(f"Audience {users[0]} references this audience")
            if templates := await segments.templates_naming(connection.fetch, workspace, segment_id):
                raise Conflict(f"Template {templates[0]} references this audience")
            if not await segments.delete(connection, workspace, segment_id):
                raise NotFound(_NOT_FOUND)
            await entry.done_with(connection)

        await self._database.of(workspace).in_transaction(work)
        entry.target = f"{segment_id} {before.name}"

    async def templates_naming(self, workspace: WorkspaceId, segment_id: int) -> list[int]:
        """The templates whose audience names a segment.

        Raises:
            NotFound: the segment does not exist.
        """
        await self.segment(workspace, segment_id)
        return await segments.templates_naming(self._database.of(workspace).rows, workspace, segment_id)

    async def uses(self, workspace: WorkspaceId) -> dict[int, list[Use]]:
        """Which audiences, templates and broadcasts (of these the newest) name each segment."""
        return await segments.uses(self._database.of(workspace).rows, workspace)

    async def add(self, workspace: WorkspaceId, segment_id: int, who: Sequence[Identifier]) -> None:
        """Add people to a segment; unknown ones are created, except by a cio_id.

        Raises:
            BadRequest: the segment is a filter's, or an id is a placeholder and the workspace does not allow it.
            NotFound: the segment does not exist.
        """
        await self._by_hand(workspace, segment_id)
        namings = [PersonReference(workspace_id=workspace, path=one, field="ids") for one in who]

        async def work(connection: Connection) -> None:
            for refusal in (await placeholders.refused(connection, dict(enumerate(namings)))).values():
                raise refusal
            found = await resolution.resolve(connection, namings, self._database.hashes)
            await segments.add(
                connection, workspace, segment_id, [person for person in found if person is not None]
            )

        await self._database.of(workspace).in_transaction(work)

    async def remove(self, workspace: WorkspaceId, segment_id: int, who: Sequence[Identifier]) -> None:
        """Take people out of a segment.

        Raises:
            BadRequest: the segment is a filter's.
            NotFound: the segment does not exist.
        """
        await self._by_hand(workspace, segment_id)
        namings = [PersonReference(workspace_id=workspace, path=one, create=False) for one in who]

        async def work(connection: Connection) -> None:
            found = await resolution.resolve(connection, namings, self._database.hashes)
            await segments.remove(
                connection, workspace, segment_id, [person for person in found if person is not None]
            )

        await self._database.of(workspace).in_transaction(work)

    async def segments_of(self, workspace: WorkspaceId, person: PersonId) -> list[Segment]:
        """The segments that a person is in, the oldest first."""
        put_into = await segments.of_person(self._database, workspace, person)
        saved = await segments.saved(self._database.of(workspace).rows, workspace)
        nodes = {one: expanded(InSegment(one), saved) for one in saved}
        true = await audiences.true_of(self._database, workspace, person, nodes, datetime.now(UTC))
        matching = [one for one in await self.segments(workspace) if one.segment_id in true] if true else []
        return sorted([*put_into, *matching], key=lambda one: one.segment_id)

    async def count(self, workspace: WorkspaceId, segment_id: int) -> int:
        """How many people are in a segment.

        Raises:
            NotFound: it does not exist.
        """
        if (await self.segment(workspace, segment_id)).filter is None:
            return await segments.count(self._database, workspace, segment_id)
        return (await self.size(workspace, _of_segment(segment_id), Unit.PERSON)).people

    async def members(
        self, workspace: WorkspaceId, segment_id: int, *, after: int, limit: int
    ) -> list[Member]:
        """The people in a segment whose keys come after this one, in their order.

        Raises:
            NotFound: it does not exist.
        """
        if (await self.segment(workspace, segment_id)).filter is None:
            return await segments.members(self._database, workspace, segment_id, after=after, limit=limit)
        return await self.search(workspace, _of_segment(segment_id), after=after, limit=limit)

    # Filters.

    @in_turn
    async def search(self, workspace: WorkspaceId, given: object, *, after: int, limit: int) -> list[Member]:
        """The people who match a filter and whose keys come after this one, in order.

        A segment that there is not is one of nobody, as Customer.io's clients expect.

        Raises:
            BadRequest: the filter is none.
        """
        saved = await segments.saved(self._database.of(workspace).rows, workspace)
        node = expanded(read_filter(given), saved)
        return await person_pages.search(self._database, workspace, node, after=after, limit=limit)

    @in_turn
    async def size(self, workspace: WorkspaceId, given: object, unit: Unit) -> Size:
        """How many people and devices a filter is true of.

        Raises:
            BadRequest: the filter is none, or names a segment that there is not.
        """
        return await audiences.size(self._database, await self._audience(workspace, given, unit))

    @in_turn
    async def estimate(
        self, workspace: WorkspaceId, given: object, unit: Unit, *, within_s: float
    ) -> Size | Estimate:
        """The same within a time: what cannot be counted in it is estimated from a part of all.

        Raises:
            BadRequest: the filter is none, or names a segment that there is not.
        """
        audience = await self._audience(workspace, given, unit)
        return await audiences.estimate(self._database, audience, within_s=within_s)

    async def sample(self, workspace: WorkspaceId, given: object, unit: Unit, *, limit: int) -> list[Device]:
        """A sample of the devices that match a filter, or whose people do; the same on every call.

        Raises:
            BadRequest: the filter is invalid, or names a segment that does not exist.
        """
        return await self.devices(workspace, given, unit, after=b"", limit=limit)

    @in_turn
    async def devices(
        self, workspace: WorkspaceId, given: object, unit: Unit, *, after: bytes, limit: int
    ) -> list[Device]:
        """The devices that a filter is true of (or of whose people) and whose keys come after this one, in their order.

        Raises:
            BadRequest: the filter is none, or names a segment that there is not.
        """
        audience = await self._audience(workspace, given, unit)
        return await audiences.devices(self._database, audience, after=after, limit=limit)

    @in_turn
    async def preview(self, workspace: WorkspaceId, given: object, unit: Unit) -> Preview:
        """The members of a filter, and the devices that only match per person, or only per device.

        Raises:
            BadRequest: the filter is invalid, or names a segment that does not exist.
        """
        audience = await self._audience(workspace, given, unit)
        size = await audiences.size(self._database, audience)
        return Preview(size, await self._apart(audience, audiences.LONGEST_S))

    @in_turn
    async def apart(self, workspace: WorkspaceId, given: object, *, within_s: float) -> UnitDifference:
        """The devices that only match a filter per person, or only per device, and why.

        Raises:
            BadRequest: the filter is invalid, or names a segment that does not exist.
            TooSlow: it takes much longer than its limit.
        """
        return await self._apart(await self._audience(workspace, given, Unit.DEVICE), within_s)

    @in_turn
    async def differing(
        self, workspace: WorkspaceId, given: object, *, included: bool, after: bytes, limit: int
    ) -> list[Device]:
        """Devices after this key that evaluation per person wrongly includes or excludes.

        Raises:
            BadRequest: the filter is invalid, or names a segment that does not exist.
            TooSlow: it takes longer than a minute.
        """
        audience = await self._audience(workspace, given, Unit.DEVICE)
        return await audiences.differing(
            self._database, audience, included=included, after=after, limit=limit
        )

    @in_turn
    async def explain(self, workspace: WorkspaceId, given: object, unit: Unit) -> AudiencePlan:
        """How PostgreSQL counts an audience, what that takes, and which indexes would make it faster.

        Raises:
            BadRequest: the filter is none, or names a segment that there is not.
        """
        return await plans.explain(self._database, await self._audience(workspace, given, unit))

    async def read(self, workspace: WorkspaceId, given: object) -> Node:
        """The filter that a tree or a text says, with the saved audiences that it names put in.

        Raises:
            BadRequest: it is none, or names a segment that there is not.
        """
        return await read_whole(self._database.of(workspace).rows, workspace, given)

    async def _audience(self, workspace: WorkspaceId, given: object, unit: Unit) -> Audience:
        node = await read_whole(self._database.of(workspace).rows, workspace, given)
        return Audience(workspace_id=workspace, node=node, unit=unit, now=datetime.now(UTC))

    async def _apart(self, audience: Audience, within_s: float) -> UnitDifference:
        found = await audiences.differences(self._database, audience, within_s=within_s)
        clauses = {}
        included = {device.device_id for device in found.included}
        for device in (*found.included, *found.excluded):
            known, own = await explanations.asked_by(
                self._database, audience.workspace_id, device.person_id, audience.node
            )
            of_device = own.get(device.device_id) if device.device_id in included else None
            missing = failing(audience.node, EvaluationContext(known, audience.now, of_device))
            if missing is not None:
                clauses[device.device_id] = to_text.text_of(missing)
        return UnitDifference(found, clauses)

    async def _by_hand(self, workspace: WorkspaceId, segment_id: int) -> None:
        if (await self.segment(workspace, segment_id)).filter is not None:
            raise BadRequest(
                "segment", "this audience is a filter; people cannot be added or removed manually"
            )


def _of_segment(segment_id: int) -> dict[str, dict[str, int]]:
    return {"segment": {"id": segment_id}}
