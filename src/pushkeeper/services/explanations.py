"""Explanations: why somebody did, or didn't, get a message, or whether a push would reach them now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from pushkeeper.core.delivery.route_choice import choose_route, no_route_reason
from pushkeeper.core.explain import explain
from pushkeeper.core.explain import facts as explain_facts
from pushkeeper.core.filters import from_text, to_text
from pushkeeper.core.filters import saved as filter_saved
from pushkeeper.core.filters.evaluate import EvaluationContext, PersonFacts, failing
from pushkeeper.core.filters.nodes import BadFilter, Unit, events_in
from pushkeeper.core.identity import Identifier, IdentifierKind
from pushkeeper.core.model import DeviceId, PersonId, device_id
from pushkeeper.errors import BadRequest, NotFound
from pushkeeper.store import explanations
from pushkeeper.store.delivery import routes, sending
from pushkeeper.store.devices import devices
from pushkeeper.store.people import people, segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.core.explain.explain import Explanation
    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.core.model import Token, WorkspaceId
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.delivery.routes import Route
    from pushkeeper.store.explanations import Device, Message, Person


class Explanations:
    """Answers "why?"."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def why(
        self,
        workspace: WorkspaceId,
        *,
        person: Identifier | None = None,
        device: Token | DeviceId | None = None,
        message: str | None = None,
    ) -> Explanation:
        """Why a person, or one device, did or didn't get a message; without one, whether a push would reach them now.

        Args:
            workspace: the workspace.
            person: an identifier, unless the message determines the person.
            device: its token or its key, to explain one device.
            message: a delivery's id, a message's UUID, or a broadcast's number.

        Raises:
            BadRequest: neither person nor device is given, or the message is invalid.
            NotFound: this workspace sent no such message.
        """
        now = datetime.now(UTC)
        told, named = await self._message(workspace, message)
        who = await self._who(workspace, person, device, named)
        about = None if who is None else await explanations.person(self._database, workspace, who)
        keys = await self._keys(workspace, who, device)
        found = await explanations.devices(self._database, workspace, who if device is None else None, keys)
        if device is None and told is None:
            keys = [one.device_id for one in found]
        everything = [*dict.fromkeys([*(one.device_id for one in found), *keys])]
        happening = explanations.DeliveryEvent()
        if told is not None and (sent := told.message_id) is not None:
            happening = await explanations.happening(self._database, workspace, sent, who, everything)
            if device is None:
                everything = _concerned(everything, found, happening)
        clauses = await self._clauses(workspace, told, about, found, now)
        history = await explanations.history(self._database, workspace, everything)
        ways = await routes.of_workspaces(self._database, [workspace])
        there = {one.device_id: one for one in found}
        facts = explain_facts.Evidence(
            now=now,
            person=None if about is None else about.told,
            message=None if told is None else told.told,
            devices=[
                explain_facts.DeviceEvidence(
                    key=key.hex(),
                    device=None if key not in there else there[key].told,
                    history=history[key],
                    clause=clauses.get(key),
                    route=_route(there.get(key), ways),
                    push=happening.pushes.get(key),
                    waiting=happening.waiting.get(key),
                    held=happening.held.get(key),
                    zone=_zone(there.get(key), about),
                    reports={**happening.reports.get(_NO_KEY, {}), **happening.reports.get(key, {})},
                )
                for key in everything
            ],
            pause=await self._pause(workspace),
        )
        return explain.explain(facts)

    async def _pause(self, workspace: WorkspaceId) -> explain_facts.SendingPause | None:
        found = await sending.one(self._database, workspace)
        if found is None:
            return None
        return explain_facts.SendingPause(paused_at=found.paused_at, reason=found.reason)

    async def _message(
        self, workspace: WorkspaceId, said: str | None
    ) -> tuple[Message | None, PersonId | None]:
        """The message, and the person that its delivery ID names."""
        if said is None:
            return None, None
        person = None
        if said.isascii() and said.isdigit() and len(said) <= _MOST_DIGITS:
            found = await explanations.message_of_broadcast(self._database, workspace, int(said))
        else:
            message_id, person = self._message_id(workspace, said)
            found = None
            if message_id is not None:
                found = await explanations.message(self._database, workspace, message_id)
        if found is None:
            raise NotFound("Message not found in this workspace")
        return found, person or found.person_id

    def _message_id(self, workspace: WorkspaceId, said: str) -> tuple[UUID | None, PersonId | None]:
        ids = self._database.delivery_ids
        if (delivery := ids.read_of(workspace, said)) is not None:
            return delivery.message_id, delivery.person_id
        if ids.read(said) is not None:
            return None, None  # it is another workspace's
        try:
            return UUID(said), None
        except ValueError:
            raise BadRequest(
                "message", "expected a delivery ID, a message UUID or a broadcast number"
            ) from None

    async def _who(
        self,
        workspace: WorkspaceId,
        person: Identifier | None,
        device: Token | DeviceId | None,
        named: PersonId | None,
    ) -> PersonId | None:
        """The person: the named one, else the message's, else the device's owner."""
        if person is not None:
            found = await people.find(self._database.of(workspace).value, workspace, person)
            if found is None and person.kind is IdentifierKind.ID:
                found = await people.find(
                    self._database.of(workspace).value,
                    workspace,
                    Identifier(IdentifierKind.CIO_ID, person.value),
                )
            return found
        if named is not None:
            return named
        if device is None:
            raise BadRequest(
                "person", "is required, unless a device or a message to one person is given", "missing"
            )
        if isinstance(device, bytes):
            of_key = await explanations.devices(self._database, workspace, None, [device])
            return of_key[0].told.person_id if of_key else None
        of_token = await devices.read(self._database, workspace, device)
        return None if of_token is None else of_token.person_id

    async def _keys(
        self, workspace: WorkspaceId, who: PersonId | None, device: Token | DeviceId | None
    ) -> list[DeviceId]:
        """The keys of devices that may be concerned though they are not the person's now."""
        if isinstance(device, bytes):
            return [device]
        if device is not None:
            found = await devices.read(self._database, workspace, device, who)
            return [device_id(workspace, device) if found is None else found.device_id]
        return [] if who is None else await explanations.once_theirs(self._database, workspace, who)

    async def _clauses(
        self,
        workspace: WorkspaceId,
        message: Message | None,
        person: Person | None,
        found: Sequence[Device],
        now: datetime,
    ) -> dict[DeviceId, str]:
        """Of each device, what of the audience's filter is not true of it now."""
        if message is None or message.audience is None or person is None:
            return {}
        node = await self._audience(workspace, message)
        if node is None:
            return {}
        own = [one for one in found if one.told.person_id == person.told.person_id]
        did = await explanations.events(self._database, workspace, person.told.person_id, events_in(node))
        known = PersonFacts(
            identifiers=person.told.known_by,
            attributes=person.attributes,
            segments=person.segments,
            devices=[one.facts for one in own],
            events=did,
        )
        clauses = {}
        for one in found:
            of_device = one.facts if message.unit is Unit.DEVICE else None
            missing = failing(node, EvaluationContext(known, now, of_device))
            if missing is not None:
                clauses[one.device_id] = to_text.text_of(missing)
        return clauses

    async def _audience(self, workspace: WorkspaceId, message: Message) -> Node | None:
        """The audience's filter, with saved audiences as of planning, or as they are now; None if it is unreadable."""
        try:
            node = from_text.read(message.audience)
            if message.saved:
                saved = {int(n): segments.definition(int(n), kept) for n, kept in message.saved.items()}
                return filter_saved.expanded(node, saved)
            return await segments.expanded(self._database.of(workspace).rows, workspace, node)
        except BadFilter:
            return None


_NO_KEY = DeviceId(b"")
_MOST_DIGITS = 18


def _concerned(
    keys: Sequence[DeviceId], found: Sequence[Device], happening: explanations.DeliveryEvent
) -> list[DeviceId]:
    """The devices that the person has, and those to which something of the message happened."""
    theirs = {one.device_id for one in found}
    happened = happening.pushes.keys() | happening.waiting.keys() | happening.held.keys()
    # A push to nobody is a row by the person's own key.
    of_devices = {key for key in happened if len(key) == _KEY_BYTES}
    return [*dict.fromkeys([*(key for key in keys if key in theirs | of_devices), *sorted(of_devices)])]


_KEY_BYTES = 16


def _zone(device: Device | None, person: Person | None) -> str | None:
    """The time zone of a device, else of its person."""
    said = None if device is None else device.facts.attributes.get("timezone")
    if said is None and person is not None:
        said = person.attributes.get("timezone")
    return None if said is None else str(said)


def _route(device: Device | None, ways: Sequence[Route]) -> explain_facts.Route | explain_facts.NoRoute:
    if device is None:
        return explain_facts.NoRoute("the device was deleted")
    route = choose_route(device.told, ways)
    if route is None:
        return explain_facts.NoRoute(no_route_reason(device.told, ways))
    return explain_facts.Route(
        name=route.name,
        accepted_at=route.accepted_at,
        paused_at=route.paused_at,
        pause_reason=route.pause_reason,
    )
