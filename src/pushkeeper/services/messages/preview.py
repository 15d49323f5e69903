"""What a message looks like before it is sent to anybody: said to somebody of its audience, on each platform."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from pushkeeper.core.filters.from_text import read as read_filter
from pushkeeper.core.filters.nodes import And, Unit
from pushkeeper.core.messages.personalize import (
    BadContent,
    MessageRenderer,
    PersonalizedContent,
    RenderContext,
    WhenUndefined,
)
from pushkeeper.core.model import PHONES, Platform, Provider
from pushkeeper.errors import BadRequest
from pushkeeper.rendering.frames import Rendered
from pushkeeper.store.admin import credentials
from pushkeeper.store.devices import pages as device_pages
from pushkeeper.store.messages import render_context
from pushkeeper.store.messages.messages import new_id

if TYPE_CHECKING:
    from pushkeeper.core.filters.nodes import Node
    from pushkeeper.core.model import Content, WorkspaceId
    from pushkeeper.rendering.renderer import Renderer
    from pushkeeper.services.messages.templates import Checks, MessageContent
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.devices.pages import ShownDevice

_WITHIN_S = 10.0
_NOT_YET = "rendering timed out because the server is busy; try again"
_LOOKED_AT = 20  # devices of the newest people that are searched for one of the platform


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformPreview:
    """A message rendered for one platform.

    Attributes:
        to: the device it is rendered for; None: no device of this platform was found in time.
        content: the rendered content; None if it cannot be rendered.
        problem: why not; empty if it can.
    """

    platform: Platform
    to: ShownDevice | None
    content: Content | None = None
    problem: str = ""


class Previews:
    """Messages, rendered as a worker would for somebody."""

    def __init__(self, database: Database, checks: Checks, renderer: Renderer) -> None:
        self._database = database
        self._checks = checks
        self._renderer = renderer

    async def say(
        self, workspace: WorkspaceId, letter: MessageContent, node: Node | None, unit: Unit = Unit.DEVICE
    ) -> list[PlatformPreview]:
        """Render a message on each platform, for the newest person in an audience with such a device.

        `node` is the audience's filter; None is everybody. Browsers are shown only to workspaces with a VAPID key.
        """
        services = await credentials.services(self._database, workspace)
        platforms = (*PHONES, Platform.WEB) if Provider.WEBPUSH in services else PHONES
        return list(
            await asyncio.gather(*(self._on(workspace, letter, (node, unit), one) for one in platforms))
        )

    async def _on(
        self,
        workspace: WorkspaceId,
        letter: MessageContent,
        whom: tuple[Node | None, Unit],
        platform: Platform,
    ) -> PlatformPreview:
        to = await self._somebody(workspace, *whom, platform)
        if not letter.content.has_content_for(platform):
            return PlatformPreview(platform=platform, to=to, problem="no content for this platform")
        wording = letter.wording
        if wording is None:
            return PlatformPreview(platform=platform, to=to, content=letter.content.on(platform))
        if to is None:
            # Of nobody nothing is known: what would be missing is left empty.
            wording = msgspec.structs.replace(wording, when_undefined=WhenUndefined.EMPTY)
        reader = RenderContext(person={}, device={}) if to is None else await self._reader(to, wording)
        try:
            [said] = await self._renderer.say(
                workspace, MessageRenderer(letter.content, wording), [(reader, platform)], within_s=_WITHIN_S
            )
            if not isinstance(said, Rendered):
                return PlatformPreview(
                    platform=platform, to=to, problem=_NOT_YET if said is None else said.reason
                )
            services = await credentials.services(self._database, workspace)
            for provider, check in self._checks.get(platform, {}).items():
                if provider in services:
                    check.check_form(said.content, platform)
                    check.check_size(said.content, platform)
        except (BadContent, BadRequest) as error:
            return PlatformPreview(platform=platform, to=to, problem=str(error))
        if not said.content.has_content_for(platform):
            return PlatformPreview(platform=platform, to=to, problem="the content is empty for this person")
        return PlatformPreview(platform=platform, to=to, content=said.content)

    async def _somebody(
        self, workspace: WorkspaceId, node: Node | None, unit: Unit, platform: Platform
    ) -> ShownDevice | None:
        on_it = read_filter(f"platform = {platform.value}")
        found = await device_pages.page(
            self._database,
            workspace,
            on_it if node is None else And((node, on_it)),
            after=device_pages.FIRST,
            limit=_LOOKED_AT if unit is Unit.PERSON else 1,
            unit=unit,
        )
        # Of a person all devices are shown, whatever they are.
        return next((one for one in found.rows if one.device.platform == platform), None)

    async def _reader(self, to: ShownDevice, wording: PersonalizedContent) -> RenderContext:
        message_id, device = new_id(), to.device
        known = await render_context.of(
            self._database,
            {(device.workspace_id, message_id, device.person_id)},
            {(device.workspace_id, device.device_id)},
            {message_id: wording.event} if wording.event else {},
        )
        return known.of(message_id, device.person_id, device.device_id)
