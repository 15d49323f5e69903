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
    """Recipients of one message; `message` is a `Message`, encoded once for many groups."""

    message: msgspec.Raw
    readers: list[tuple[RenderContext, Platform]]


class NotRendered(msgspec.Struct, frozen=True, tag=True):
    """Why a message was not rendered for one recipient."""

    reason: str


class Rendered(msgspec.Struct, frozen=True, tag=True):
    """A message rendered for one recipient."""

    content: Content


Said: TypeAlias = Rendered | NotRendered


class RenderReply(msgspec.Struct, frozen=True):
    """The results for the first of a group, at least one; none, once, when the process is ready."""

    said: list[Said]


def framed(body: bytes) -> bytes:
    """A body behind its length."""
    return len(body).to_bytes(LENGTH_BYTES, "big") + body
