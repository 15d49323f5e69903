"""Broadcasts: a message to many is accepted when it is committed; its audience is planned page by page after that."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pushkeeper.core import filter_read
from pushkeeper.core.filter import BadFilter
from pushkeeper.core.model import Content
from pushkeeper.core.routing import choose_route
from pushkeeper.errors import BadRequest, Forbidden, NotFound, TooManyRequests, Unreachable
from pushkeeper.store import batches, broadcasts, credentials, messages, routes, segments, templates
from pushkeeper.store.broadcasts import Broadcast, BroadcastState
from pushkeeper.store.database import PLAN_CHANNEL, WORK_CHANNEL
from pushkeeper.store.templates import TemplateKind
from pushkeeper.telemetry import logger
from pushkeeper.templates import Letter, check_letter, letter_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from pushkeeper.core.filter import Node
    from pushkeeper.core.identity import Identifier
    from pushkeeper.core.model import PersonId, RouteId, WorkspaceId
    from pushkeeper.store.batches import Address
    from pushkeeper.store.broadcasts import ToPlan
    from pushkeeper.store.database import Connection, Database
    from pushkeeper.templates import Checks

log = logger("broadcasts")

MOST_UNDER_PLAN = 5
_PRIORITY = 1  # 0 is transactional
_PAGE = 20_000
_DEVICES_PER_BATCH = 500
_MOST_LANES = 100
_MOST_BATCHES = 400  # of one broadcast in the queue before its plan waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Somebody who is named for a broadcast, where, and what is told to them alone."""

    who: Identifier
    place: str
    data: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A broadcast as it is asked for: to whom, where that is not what its template says, and with which data.

    Attributes:
        data: `trigger` in Liquid.
        audience: a filter.
        recipients: people by name; None where it is said otherwise.
        file_url: where a file names them.
        ignore_missing: whoever is not known is left out; else the whole broadcast is refused.
    """

    data: dict[str, Any] = field(default_factory=dict)
    audience: Any = None
    recipients: Sequence[Recipient] | None = None
    file_url: str | None = None
    ignore_missing: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """A broadcast that is committed, and its message."""

    broadcast_id: int
    message_id: UUID


class Broadcasts:
    """The broadcasts of all workspaces."""

    def __init__(self, database: Database, checks: Checks) -> None:
        """Take a database and, for each platform, what its providers have to say against a content."""
        self._database = database
        self._checks = checks
        self._lanes: dict[int, Mapping[Address, RouteId]] = {}

    async def send_to_all(
        self, workspace: WorkspaceId, content: Content, *, send_to_unsubscribed: bool = False
    ) -> Sent:
        """Commit a push to every device of a workspace.

        Raises:
            BadRequest: the content says nothing, is not Liquid, or a provider would refuse it.
            Forbidden: the workspace has no credentials to send with.
        """
        letter = letter_of(None, content, data={}, send_to_unsubscribed=send_to_unsubscribed)
        return await self._send(workspace, letter, Trigger(), None)

    async def trigger(self, workspace: WorkspaceId, template_id: int, trigger: Trigger) -> Sent:
        """Commit a broadcast of what a template says.

        Raises:
            BadRequest: the audience is no filter, or somebody named is nobody here.
            Forbidden: the workspace has no credentials to send with.
            NotFound: there is no template of a broadcast of this number.
            TooManyRequests: so many of this template's broadcasts are not planned yet.
        """
        found = await templates.of_workspace(self._database, workspace, TemplateKind.BROADCAST, template_id)
        if not found:
            raise NotFound("broadcast: there is none of this number")
        if await broadcasts.under_plan(self._database, template_id) >= MOST_UNDER_PLAN:
            raise TooManyRequests(f"broadcast: {MOST_UNDER_PLAN} of it are still being planned")
        own = trigger.recipients is None and trigger.file_url is None and trigger.audience is None
        audience = found[0].audience if own else trigger.audience
        letter = letter_of(found[0], Content(), data=trigger.data)
        return await self._send(workspace, letter, trigger, audience)

    async def one(self, workspace: WorkspaceId, template_id: int, broadcast_id: int) -> Broadcast:
        """How a broadcast of a template stands.

        Raises:
            NotFound: there is none of this number.
        """
        found = await broadcasts.read(self._database, workspace, template_id, broadcast_id)
        if found is None:
            raise NotFound("trigger: there is none of this number")
        return found

    async def _send(self, workspace: WorkspaceId, letter: Letter, trigger: Trigger, audience: object) -> Sent:
        check_letter(letter, self._checks)
        if audience is not None:
            read_audience(audience)
        if not await routes.of_workspaces(self._database, [workspace]):
            raise Forbidden(credentials.NOT_SET_UP)
        now = datetime.now(UTC)
        message = messages.NewBroadcast(
            message_id=messages.new_id(),
            workspace_id=workspace,
            content=letter.content,
            wording=letter.wording,
            template_id=letter.template_id,
            send_to_unsubscribed=letter.send_to_unsubscribed,
            send_at=now,
            expires_at=now + messages.LIVES,
        )
        new = broadcasts.New(
            workspace_id=workspace,
            message_id=message.message_id,
            template_id=letter.template_id,
            audience=audience,
            listed=trigger.recipients is not None,
            file_url=trigger.file_url,
            ignore_missing=trigger.ignore_missing,
        )

        async def work(connection: Connection) -> int:
            await messages.insert_broadcast(connection, message)
            if trigger.recipients is not None:
                named = await resolve(
                    connection, workspace, trigger.recipients, ignore_missing=trigger.ignore_missing
                )
                await broadcasts.list_people(connection, message.message_id, named)
            made = await broadcasts.insert(connection, new)
            await connection.execute(f"notify {PLAN_CHANNEL}")
            return made

        return Sent(await self._database.in_transaction(work), message.message_id)

    # Plan.

    async def plan_page(self) -> bool:
        """Plan the next page of a broadcast that nobody else plans, and say whether there was any to plan.

        One that fails is put off, so that it keeps nobody else's waiting.
        """
        in_hand: ToPlan | None = None

        async def work(connection: Connection) -> bool:
            nonlocal in_hand
            in_hand = await broadcasts.next_to_plan(
                connection, BroadcastState.PLANNING, most_batches=_MOST_BATCHES
            )
            if in_hand is None:
                return False
            await self._plan(connection, in_hand)
            await connection.execute(f"notify {WORK_CHANNEL}")
            return True

        try:
            return await self._database.in_transaction(work)
        except Unreachable:
            raise
        except Exception as error:
            if in_hand is None:
                raise
            failed, why = in_hand.broadcast_id, type(error).__name__
            log.exception("broadcast_page_not_planned", broadcast=failed)
            await self._database.in_transaction(
                lambda connection: broadcasts.put_off(connection, failed, why)
            )
            return True

    async def _plan(self, connection: Connection, broadcast: ToPlan) -> None:
        plan = batches.Plan(
            workspace_id=broadcast.workspace_id,
            message_id=broadcast.message_id,
            priority=_PRIORITY,
            due_at=broadcast.send_at,
            lanes=await self._lanes_of(broadcast),
            audience=await self._audience(connection, broadcast),
        )
        last_device, last_person, devices = broadcast.last_device, broadcast.last_person, 0
        if broadcast.listed:
            person, devices = await broadcasts.plan_listed(
                connection, plan, after=last_person, page=_PAGE, size=_DEVICES_PER_BATCH
            )
            over, last_person = person is None, person or last_person
        else:
            device, devices = await batches.plan(
                connection, plan, after=last_device, page=_PAGE, size=_DEVICES_PER_BATCH
            )
            over, last_device = devices < _PAGE, device or last_device
        await broadcasts.advance(connection, broadcast, last_device, last_person, devices)
        if over:
            await broadcasts.planned(connection, broadcast.broadcast_id)
            self._lanes.pop(broadcast.broadcast_id, None)

    async def _audience(self, connection: Connection, broadcast: ToPlan) -> Node | None:
        if broadcast.audience is None:
            return None
        return await segments.expanded(
            connection.fetch, broadcast.workspace_id, read_audience(broadcast.audience), "recipients"
        )

    async def _lanes_of(self, broadcast: ToPlan) -> Mapping[Address, RouteId]:
        """The lane of each kind of device: looked up once, as the last hop looks again."""
        if (known := self._lanes.get(broadcast.broadcast_id)) is None:
            ways = await routes.of_workspaces(self._database, [broadcast.workspace_id])
            chosen = {
                address: choose_route(address, ways)
                for address in await batches.addresses(self._database, broadcast.workspace_id)
            }
            known = {address: route.route_id for address, route in chosen.items() if route is not None}
            # Another process may plan its last page, so that nobody here takes it out.
            while len(self._lanes) >= _MOST_LANES:
                self._lanes.pop(next(iter(self._lanes)))
            self._lanes[broadcast.broadcast_id] = known
        return known


async def resolve(
    connection: Connection, workspace: WorkspaceId, named: Sequence[Recipient], *, ignore_missing: bool
) -> list[tuple[PersonId, dict[str, Any] | None]]:
    """The people of these names, with what is told to each.

    Raises:
        BadRequest: one is nobody here, and that is not to be ignored.
    """
    known = await broadcasts.known(connection, workspace, [one.who for one in named])
    found = []
    for one in named:
        person = known.get(one.who.key)
        if person is not None:
            found.append((person, one.data))
        elif not ignore_missing:
            raise BadRequest(one.place, f"{one.place}: nobody has this {one.who.kind}")
    return found


def read_audience(given: object) -> Node:
    """The filter that says to whom a broadcast goes.

    Raises:
        BadRequest: it is none.
    """
    try:
        return filter_read.read(given)
    except BadFilter as error:
        place = error.place.replace("filter", "recipients", 1)
        raise BadRequest(place, f"{place}: {error.message}") from None
