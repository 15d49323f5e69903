"""What a message says on one device: the same to everybody, or rendered for its person."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.core.messages.personalize import BadContent, MessageRenderer
from pushkeeper.errors import BadRequest, TooLarge
from pushkeeper.observability.isolation import isolated
from pushkeeper.observability.logs import logger
from pushkeeper.rendering.frames import NotRendered
from pushkeeper.rendering.renderer import LATE_S
from pushkeeper.store.messages import render_context
from pushkeeper.worker.jobs import failures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from pushkeeper.core.messages.personalize import PersonalizedContent
    from pushkeeper.core.model import Content, DeviceId, PersonId, Platform, Provider, WorkspaceId
    from pushkeeper.rendering.frames import Said
    from pushkeeper.rendering.renderer import Renderer
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.delivery.queue import ClaimedBatch, ClaimedDevice, MessageToSend, Target
    from pushkeeper.store.messages.render_context import RenderContexts
    from pushkeeper.worker.provider_clients import Check

log = logger("rendering")

_MESSAGES_AT_ONCE = 256
_MEASURED_AT_ONCE = 1_024
_LIQUID_AT_ONCE = 400_000  # characters
# What is not rendered by then is looked at again later, so that nobody else waits for it.
_WITHIN_S = 0.05
_WITHIN_S_FOR_EACH = 0.0004
_LATE_AT_ONCE = 10_000
_UNREADABLE = NotRendered("the stored data of the person or the device cannot be read")


@dataclass(frozen=True, slots=True)
class Unrenderable:
    """Why a message is not sent to one device, by its content: a reason, and what is the matter."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class NotYet:
    """The turn of this one did not come in time."""


class Rendering:
    """The contents of messages, rendered for the people in the batches at hand."""

    def __init__(self, checks: Mapping[Provider, Check], renderer: Renderer) -> None:
        """`checks` are what each provider has to say against a content."""
        self._checks = checks
        self._renderer = renderer
        self._said: dict[tuple[UUID, DeviceId], Said | None] = {}
        # Where late results of rendering are kept, and until when.
        self._late: dict[tuple[UUID, DeviceId], tuple[list[Said | None], int, float]] = {}
        self._speakers: dict[UUID, MessageRenderer] = {}
        self._characters = 0  # of all speakers
        self._by_platform: dict[tuple[UUID, Platform], Content] = {}
        self._too_large: dict[tuple[UUID, Platform, Provider, int], Unrenderable | None] = {}

    async def prepare(
        self, database: Database, claimed: Sequence[ClaimedBatch], messages: Mapping[UUID, MessageToSend]
    ) -> None:
        """Render the messages for their recipients; once, if all get the same."""
        wordings = {
            message_id: message.wording
            for message_id, message in messages.items()
            if message.wording is not None
        }
        personal = [batch for batch in claimed if batch.message_id in wordings]
        self._said = {}
        if not personal:
            return
        known = await render_context.of(
            database,
            {
                (batch.workspace_id, batch.message_id, target.planned_for)
                for batch in personal
                for target in batch.targets
            },
            {(batch.workspace_id, target.device_id) for batch in personal for target in batch.targets},
            {message_id: wording.event for message_id, wording in wordings.items() if wording.event},
        )
        to: dict[tuple[WorkspaceId, UUID], dict[DeviceId, tuple[PersonId, Platform]]] = {}
        for batch in personal:
            told = to.setdefault((batch.workspace_id, batch.message_id), {})
            for target in batch.targets:
                if target.device is not None:
                    told[target.device_id] = target.planned_for, target.device.platform
        await asyncio.gather(
            *(self._render(workspace, messages[one], told, known) for (workspace, one), told in to.items())
        )

    async def _render(
        self,
        workspace: WorkspaceId,
        message: MessageToSend,
        to: Mapping[DeviceId, tuple[PersonId, Platform]],
        known: RenderContexts,
    ) -> None:
        message_id, content, wording = message.message_id, message.content, message.wording
        if content is None or wording is None or message.cancelled or message.paused:
            return  # the last hop stops it
        to = {device: whom for device, whom in to.items() if not self._is_known(message_id, device)}
        unreadable = {
            device for device, (person, _) in to.items() if not known.can_read(message_id, person, device)
        }
        self._said |= {(message_id, device): _UNREADABLE for device in unreadable}
        to = {device: whom for device, whom in to.items() if device not in unreadable}
        said: list[Said | None] = []
        try:
            with isolated(
                log,
                "message_not_rendered",
                passing=BadContent,
                workspace=workspace,
                message_id=str(message_id),
            ) as tried:
                said = await self._renderer.say(
                    workspace,
                    self._speaker(message_id, content, wording),
                    [
                        (known.of(message_id, person, device), platform)
                        for device, (person, platform) in to.items()
                    ],
                    within_s=_WITHIN_S + _WITHIN_S_FOR_EACH * len(to),
                )
        except BadContent as error:
            said = [NotRendered(str(error)) for _ in to]
        if tried.error is not None:
            said = [NotRendered(failures.reason(tried.error)) for _ in to]
        until = time.monotonic() + LATE_S
        for place, device in enumerate(to):
            self._said[message_id, device] = said[place]
            if said[place] is None:
                self._late[message_id, device] = said, place, until
        while len(self._late) > _LATE_AT_ONCE:
            del self._late[next(iter(self._late))]

    def _is_known(self, message_id: UUID, device: DeviceId) -> bool:
        """Whether this one was requested before, and has been rendered since or will be."""
        key = (message_id, device)
        if (late := self._late.get(key)) is None:
            return False
        said, place, until = late
        self._said[key] = said[place]
        if said[place] is None and time.monotonic() < until:
            return True
        del self._late[key]
        return said[place] is not None

    def content(
        self, message: MessageToSend, target: Target, device: ClaimedDevice, provider: Provider
    ) -> Content | Unrenderable | NotYet:
        """Render the message for this target and its device."""
        content = message.content
        assert content is not None  # noqa: S101 - the last hop stops what cannot be read
        if message.wording is None:
            return self._fitting(message.message_id, content, device, provider)
        rendered = self._said.get((message.message_id, target.device_id))
        if rendered is None:
            return NotYet()
        if isinstance(rendered, NotRendered):
            return Unrenderable("template", rendered.reason)
        return self._checked(rendered.content, device, provider)

    def _checked(self, said: Content, device: ClaimedDevice, provider: Provider) -> Content | Unrenderable:
        if not said.has_content_for(device.platform):
            return Unrenderable("template", "nothing is left of it for this person")
        try:
            if (check := self._checks.get(provider)) is not None:
                check.check_form(said, device.platform)
                check.check_size(said, device.platform, device.token)
        except TooLarge as error:
            return Unrenderable("too_large", error.message)
        except BadRequest as error:
            return Unrenderable("template", error.message)
        return said

    def _fitting(
        self, message_id: UUID, content: Content, device: ClaimedDevice, provider: Provider
    ) -> Content | Unrenderable:
        """A message that is the same for everybody, if it fits together with the token; measured once per length of token."""
        own = self._on(message_id, content, device.platform)
        key = (message_id, device.platform, provider, len(device.token.value))
        if key not in self._too_large and (check := self._checks.get(provider)) is not None:
            if len(self._too_large) >= _MEASURED_AT_ONCE:
                self._too_large.clear()
            try:
                check.check_size(own, device.platform, device.token)
                self._too_large[key] = None
            except TooLarge as error:
                self._too_large[key] = Unrenderable("too_large", error.message)
        return self._too_large.get(key) or own

    def _on(self, message_id: UUID, content: Content, platform: Platform) -> Content:
        """The content of an unpersonalised message on a platform: the same object each time, as it is composed once."""
        if not content.platforms:
            return content
        key = (message_id, platform)
        if (found := self._by_platform.get(key)) is None:
            if len(self._by_platform) >= _MESSAGES_AT_ONCE:
                self._by_platform.clear()
            found = self._by_platform[key] = content.on(platform)
        return found

    def _speaker(self, message_id: UUID, content: Content, wording: PersonalizedContent) -> MessageRenderer:
        # What a message says does not change, and it comes back with each of its batches.
        if (found := self._speakers.get(message_id)) is None:
            found = MessageRenderer(content, wording)
            self._characters += found.characters
            if len(self._speakers) >= _MESSAGES_AT_ONCE or self._characters > _LIQUID_AT_ONCE:
                self._speakers.clear()
                self._characters = found.characters
            self._speakers[message_id] = found
        return found
