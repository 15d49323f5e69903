"""What is spoken over the pipes of the rendering process: JSON behind its length in four bytes."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from pushkeeper.core.messages.personalize import PersonalizedContent, RenderContext
from pushkeeper.core.model import Content, Platform

LENGTH_BYTES = 4


class Message(msgspec.Struct, frozen=True):
    """A message to be rendered."""

    content: Content
    wording: PersonalizedContent


class Group(msgspec.Struct, frozen=True):
    """People whom one message is to be rendered for; `message` is a `Message`, encoded once for many groups."""

    message: msgspec.Raw
    readers: list[tuple[RenderContext, Platform]]


class NotRendered(msgspec.Struct, frozen=True, tag=True):
    """Why one person is told nothing."""

    reason: str


class Rendered(msgspec.Struct, frozen=True, tag=True):
    """What one person is told."""

    content: Content


Said: TypeAlias = Rendered | NotRendered


class RenderReply(msgspec.Struct, frozen=True):
    """What is said to the first of a group, one at least; to nobody, once, when the process is ready."""

    said: list[Said]


def framed(body: bytes) -> bytes:
    """A body behind its length."""
    return len(body).to_bytes(LENGTH_BYTES, "big") + body
