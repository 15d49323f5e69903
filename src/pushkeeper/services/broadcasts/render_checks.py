"""Render checks: for whom of an audience the content of a broadcast cannot be rendered, before it is sent."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import structs

from pushkeeper.core.broadcasts.forecast import RenderCheck, SendRules
from pushkeeper.core.identity import cio_id
from pushkeeper.core.messages.personalize import BadContent, MessageRenderer
from pushkeeper.core.model import DeviceId
from pushkeeper.errors import BadRequest
from pushkeeper.rendering.frames import Rendered
from pushkeeper.store.admin import credentials
from pushkeeper.store.broadcasts import forecasts
from pushkeeper.store.messages import render_context
from pushkeeper.store.messages.messages import new_id

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pushkeeper.core.messages.personalize import PersonalizedContent
    from pushkeeper.core.model import Platform, Provider
    from pushkeeper.rendering.frames import Said
    from pushkeeper.rendering.renderer import Renderer
    from pushkeeper.services.messages.templates import Checks
    from pushkeeper.store.broadcasts.broadcasts import Broadcast
    from pushkeeper.store.broadcasts.forecasts import ReachableDevice
    from pushkeeper.store.broadcasts.planning import Targeting
    from pushkeeper.store.db.database import Database

FIRST = DeviceId(b"")
SAMPLE = 2_000  # devices for which an estimate renders the content
PAGE = 500  # devices that a page of the list looks at
_WITHIN_S = 20.0
_PROBLEMS = 10
_EMPTY = "the content is empty for this person"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnrenderableDevice:
    """A device that a broadcast would fail for, its person, and the problem."""

    device_id: DeviceId
    platform: Platform
    cio_id: str
    id: str | None
    email: str | None
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnrenderablePage:
    """Some of them; `following` is the key that the next page goes on after, None after the last device."""

    devices: Sequence[UnrenderableDevice]
    following: DeviceId | None


def rules_of(broadcast: Broadcast) -> SendRules:
    """What a broadcast respects."""
    return SendRules(
        send_to_unsubscribed=broadcast.send_to_unsubscribed,
        skip_without_permission=broadcast.skip_without_permission,
        one_per_phone=broadcast.one_per_phone,
    )


class RenderChecks:
    """Renders the content of broadcasts for their audiences."""

    def __init__(self, database: Database, checks: Checks, renderer: Renderer) -> None:
        """`checks` maps each platform to its content validators."""
        self._database = database
        self._checks = checks
        self._renderer = renderer

    async def check(self, broadcast: Broadcast, whom: Targeting) -> RenderCheck | None:
        """Render the content for all reachable devices, or for a sample of them; None if it is the same for everybody.

        `devices` is the number in the sample; the estimate, which knows how many are reachable, extrapolates it.

        Raises:
            TooSlow: the audience cannot be read within a minute.
        """
        if broadcast.wording is None:
            return None
        found = await forecasts.reachable(
            self._database, broadcast, whom, rules_of(broadcast), after=FIRST, limit=SAMPLE + 1
        )
        rows = _addressed(broadcast, found[:SAMPLE])
        tried = [one for one in await self._problems(broadcast, broadcast.wording, rows) if one is not None]
        problems = Counter(problem for problem in tried if problem)
        return RenderCheck(
            checked=len(tried),
            failed=problems.total(),
            whole=len(found) <= SAMPLE and len(tried) == len(rows),
            devices=problems.total(),
            problems=dict(problems.most_common(_PROBLEMS)),
        )

    async def page(self, broadcast: Broadcast, whom: Targeting, *, after: DeviceId) -> UnrenderablePage:
        """The devices after a key that it would fail for, among the next five hundred.

        Raises:
            TooSlow: the audience cannot be read within a minute.
        """
        wording = broadcast.wording
        if wording is None:
            return UnrenderablePage(devices=(), following=None)
        found = await forecasts.reachable(
            self._database, broadcast, whom, rules_of(broadcast), after=after, limit=PAGE + 1
        )
        rows = _addressed(broadcast, found[:PAGE])
        problems = await self._problems(broadcast, wording, rows)
        failing = {row.person_id for row, one in zip(rows, problems, strict=True) if one}
        people = await render_context.identifiers(self._database, broadcast.workspace_id, failing)
        devices = [
            UnrenderableDevice(
                device_id=row.device_id,
                platform=row.platform,
                cio_id=cio_id(row.person_id),
                id=people.get(row.person_id, {}).get("id"),
                email=people.get(row.person_id, {}).get("email"),
                problem=problem,
            )
            for row, problem in zip(rows, problems, strict=True)
            if problem
        ]
        return UnrenderablePage(
            devices=devices, following=found[PAGE - 1].device_id if len(found) > PAGE else None
        )

    async def _problems(
        self, broadcast: Broadcast, wording: PersonalizedContent, rows: Sequence[ReachableDevice]
    ) -> list[str | None]:
        """Why the content cannot be rendered for each device: empty where it can, None where there was no time to."""
        if not rows:
            return []
        workspace, message = broadcast.workspace_id, broadcast.message_id or new_id()
        known = await render_context.of(
            self._database,
            {(workspace, message, row.person_id) for row in rows},
            {(workspace, row.device_id) for row in rows},
            {message: wording.event} if wording.event else {},
        )
        readers = [
            (structs.replace(known.of(message, row.person_id, row.device_id), data=row.data), row.platform)
            for row in rows
        ]
        try:
            said = await self._renderer.say(
                workspace, MessageRenderer(broadcast.content, wording), readers, within_s=_WITHIN_S
            )
        except BadContent as error:
            return [str(error)] * len(rows)
        services = await credentials.services(self._database, workspace)
        return [self._problem(one, row.platform, services) for one, row in zip(said, rows, strict=True)]

    def _problem(self, said: Said | None, platform: Platform, services: Collection[Provider]) -> str | None:
        if said is None:
            return None
        if not isinstance(said, Rendered):
            return said.reason
        if not said.content.has_content_for(platform):
            return _EMPTY
        try:
            for provider, check in self._checks.get(platform, {}).items():
                if provider in services:
                    check.check_form(said.content, platform)
                    check.check_size(said.content, platform)
        except BadRequest as error:
            return error.message
        return ""


def _addressed(broadcast: Broadcast, rows: Sequence[ReachableDevice]) -> list[ReachableDevice]:
    """Those of platforms that it has content for; the others are skipped, which is no error."""
    return [row for row in rows if broadcast.content.has_content_for(row.platform)]
