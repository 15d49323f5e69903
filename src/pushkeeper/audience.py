"""Audiences: who belongs together. Segments are lists of people that are kept by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushkeeper.core import filter_read, filter_text
from pushkeeper.core.filter import BadFilter
from pushkeeper.errors import BadRequest, NotFound
from pushkeeper.store import audiences, people, segments
from pushkeeper.store.people import Naming

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.filter import Node, Unit
    from pushkeeper.core.identity import Identifier
    from pushkeeper.core.model import PersonId, WorkspaceId
    from pushkeeper.store.audiences import Differences, Size
    from pushkeeper.store.database import Connection, Database
    from pushkeeper.store.devices import Device
    from pushkeeper.store.people import Member
    from pushkeeper.store.segments import Segment


@dataclass(frozen=True, slots=True)
class Preview:
    """How large an audience is, and who differs if its filter is read of people instead of devices."""

    size: Size
    differences: Differences


class Audiences:
    """The segments of all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def make_segment(self, workspace: WorkspaceId, name: str, description: str) -> Segment:
        """Make an empty segment."""
        return await segments.insert(self._database, workspace, name, description)

    async def segments(self, workspace: WorkspaceId) -> list[Segment]:
        """All segments, the oldest first."""
        return await segments.of_workspace(self._database, workspace)

    async def segments_of(self, workspace: WorkspaceId, person: PersonId) -> list[Segment]:
        """The segments that a person is in."""
        return await segments.of_person(self._database, workspace, person)

    async def segment(self, workspace: WorkspaceId, segment_id: int) -> Segment:
        """One segment.

        Raises:
            NotFound: there is none of this number.
        """
        found = await segments.read(self._database, workspace, segment_id)
        if found is None:
            raise NotFound("segment: there is none of this number")
        return found

    async def delete_segment(self, workspace: WorkspaceId, segment_id: int) -> None:
        """Delete a segment; the people stay.

        Raises:
            NotFound: there is none of this number.
        """
        if not await segments.delete(self._database, workspace, segment_id):
            raise NotFound("segment: there is none of this number")

    async def add(self, workspace: WorkspaceId, segment_id: int, who: Sequence[Identifier]) -> None:
        """Put people into a segment; who is not known is made, save by a cio_id.

        Raises:
            NotFound: there is no segment of this number.
        """
        await self.segment(workspace, segment_id)
        namings = [Naming(workspace_id=workspace, path=one) for one in who]

        async def work(connection: Connection) -> None:
            found = await people.resolve(connection, namings)
            await segments.add(connection, segment_id, [person for person in found if person is not None])

        await self._database.in_transaction(work)

    async def remove(self, workspace: WorkspaceId, segment_id: int, who: Sequence[Identifier]) -> None:
        """Take people out of a segment.

        Raises:
            NotFound: there is no segment of this number.
        """
        await self.segment(workspace, segment_id)
        namings = [Naming(workspace_id=workspace, path=one, create=False) for one in who]

        async def work(connection: Connection) -> None:
            found = await people.resolve(connection, namings)
            await segments.remove(connection, segment_id, [person for person in found if person is not None])

        await self._database.in_transaction(work)

    async def count(self, workspace: WorkspaceId, segment_id: int) -> int:
        """How many people are in a segment.

        Raises:
            NotFound: there is none of this number.
        """
        await self.segment(workspace, segment_id)
        return await segments.count(self._database, segment_id)

    async def search(self, workspace: WorkspaceId, given: object, *, after: int, limit: int) -> list[Member]:
        """The people of whom a filter is true and whose keys come after this one, in their order.

        Raises:
            BadRequest: the filter is none.
        """
        node = read_filter(given)
        return await people.search(self._database, workspace, node, after=after, limit=limit)

    async def size(self, workspace: WorkspaceId, given: object, unit: Unit) -> Size:
        """How many people and devices a filter is true of.

        Raises:
            BadRequest: the filter is none.
        """
        return await audiences.size(self._database, workspace, read_filter(given), unit, datetime.now(UTC))

    async def sample(self, workspace: WorkspaceId, given: object, unit: Unit, *, limit: int) -> list[Device]:
        """Some of the devices that a filter is true of, or of whose people; the same whenever it is asked.

        Raises:
            BadRequest: the filter is none.
        """
        node, now = read_filter(given), datetime.now(UTC)
        return await audiences.sample(self._database, workspace, node, unit, limit=limit, now=now)

    async def preview(self, workspace: WorkspaceId, given: object, unit: Unit) -> Preview:
        """Whom a filter is true of, and which devices it is true of only if it is read of people, or only if not.

        Raises:
            BadRequest: the filter is none.
        """
        node, now = read_filter(given), datetime.now(UTC)
        size = await audiences.size(self._database, workspace, node, unit, now)
        return Preview(size, await audiences.differences(self._database, workspace, node, now))

    async def members(
        self, workspace: WorkspaceId, segment_id: int, *, after: int, limit: int
    ) -> list[Member]:
        """The people in a segment whose keys come after this one, in their order.

        Raises:
            NotFound: there is none of this number.
        """
        await self.segment(workspace, segment_id)
        return await segments.members(self._database, segment_id, after=after, limit=limit)


def read_filter(given: object) -> Node:
    """The filter that a tree or a text says.

    Raises:
        BadRequest: it is none.
    """
    try:
        return filter_text.parse(given) if isinstance(given, str) else filter_read.read(given)
    except BadFilter as error:
        raise BadRequest(error.place, f"{error.place}: {error.message}") from None
