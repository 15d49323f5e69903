"""What a message says on one device: the same to everybody, or rendered for its person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper.core.template import NotRenderable
from pushkeeper.core.wording import BadContent, Speaker
from pushkeeper.errors import BadRequest, TooLarge
from pushkeeper.store import readers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from pushkeeper.core.model import Content, Platform, Provider
    from pushkeeper.core.wording import Wording
    from pushkeeper.store.batches import ClaimedBatch, MessageToSend, Target
    from pushkeeper.store.database import Database
    from pushkeeper.store.readers import Readers
    from pushkeeper.worker.senders import Check

_MESSAGES_AT_ONCE = 256
_LIQUID_AT_ONCE = 400_000  # characters


@dataclass(frozen=True, slots=True)
class NotSayable:
    """Why a message is not sent to one device, by its content: a reason, and what is the matter."""

    reason: str
    detail: str


class Rendering:
    """The contents of messages, and what is known of the people in the batches at hand."""

    def __init__(self, checks: Mapping[Provider, Check]) -> None:
        """`checks` are what each provider has to say against a content."""
        self._checks = checks
        self._known: Readers | None = None
        self._speakers: dict[UUID, Speaker] = {}
        self._characters = 0  # of all speakers
        self._by_platform: dict[tuple[UUID, Platform], Content] = {}

    async def prepare(
        self, database: Database, claimed: Sequence[ClaimedBatch], messages: Mapping[UUID, MessageToSend]
    ) -> None:
        """Look up whom the messages are rendered for; nobody, where all are told the same."""
        wordings = {
            message_id: message.wording
            for message_id, message in messages.items()
            if message.wording is not None
        }
        personal = [batch for batch in claimed if batch.message_id in wordings]
        self._known = None
        if personal:
            self._known = await readers.of(
                database,
                {
                    (batch.workspace_id, batch.message_id, target.planned_for)
                    for batch in personal
                    for target in batch.targets
                },
                {(batch.workspace_id, target.device_id) for batch in personal for target in batch.targets},
                {message_id: wording.event for message_id, wording in wordings.items() if wording.event},
            )

    def content(
        self, message: MessageToSend, target: Target, platform: Platform, provider: Provider
    ) -> Content | NotSayable:
        """What the message says to this target."""
        content, wording = message.content, message.wording
        assert content is not None  # noqa: S101 - the last hop stops what cannot be read
        if wording is None or self._known is None:
            return self._on(message.message_id, content, platform)
        try:
            speaker = self._speaker(message.message_id, content, wording)
            reader = self._known.of(message.message_id, target.planned_for, target.device_id)
            said = speaker.say(reader, platform)
        except (NotRenderable, BadContent) as error:
            return NotSayable("template", str(error))
        if not said.says_something_to(platform):
            return NotSayable("template", "nothing is left of it for this person")
        try:
            if provider in self._checks:
                self._checks[provider](said, platform)
        except TooLarge as error:
            return NotSayable("too_large", error.message)
        except BadRequest as error:
            return NotSayable("template", error.message)
        return said

    def _on(self, message_id: UUID, content: Content, platform: Platform) -> Content:
        """What a message that is the same to everybody says on a platform: each time the same object, as it is composed once."""
        if not content.platforms:
            return content
        key = (message_id, platform)
        if (found := self._by_platform.get(key)) is None:
            if len(self._by_platform) >= _MESSAGES_AT_ONCE:
                self._by_platform.clear()
            found = self._by_platform[key] = content.on(platform)
        return found

    def _speaker(self, message_id: UUID, content: Content, wording: Wording) -> Speaker:
        # What a message says does not change, and it comes back with each of its batches.
        if (found := self._speakers.get(message_id)) is None:
            found = Speaker(content, wording)
            self._characters += found.characters
            if len(self._speakers) >= _MESSAGES_AT_ONCE or self._characters > _LIQUID_AT_ONCE:
                self._speakers.clear()
                self._characters = found.characters
            self._speakers[message_id] = found
        return found
