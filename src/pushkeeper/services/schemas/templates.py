"""Templates and the contents of messages."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pushkeeper.core.messages.personalize import WhenUndefined
from pushkeeper.core.model import Content, Platform, Priority
from pushkeeper.errors import BadRequest
from pushkeeper.services import validation
from pushkeeper.services.messages.content import content_of
from pushkeeper.services.schemas.base import (
    MAX_DESCRIPTION_BYTES,
    MAX_NAME_BYTES,
    Filter,
    Name,
    Request,
    View,
)
from pushkeeper.store.messages.templates import Draft, TemplateKind

if TYPE_CHECKING:
    from typing import Self

    from pushkeeper.store.messages.templates import Template

_MAX_LANGUAGE_BYTES = 35
MAX_TTL_S = 28 * 86_400  # FCM's longest
Sound: TypeAlias = Literal["", "default", "none"]
Ttl: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_TTL_S)]


class CustomPayload(Request, frozen=True, kw_only=True):
    """Complete payloads per platform, which replace all other content."""

    ios: dict[str, Any] | None = None
    android: dict[str, Any] | None = None


class TemplateContent(Request, frozen=True, kw_only=True):
    """The content of a push; texts can be Liquid."""

    title: str | None = None
    message: str | None = None
    link: str | None = None
    image_url: str | None = None
    sound: Sound | None = None
    custom_data: dict[str, Any] | None = None
    custom_payload: CustomPayload | None = None

    def content(self) -> Content:
        """The stored form.

        Raises:
            BadRequest: a field is malformed.
        """
        return content_of(msgspec.to_builtins(self))


class PlatformContent(Request, frozen=True, kw_only=True):
    """Content for one platform; null removes the common value."""

    title: str | UnsetType | None = UNSET
    message: str | UnsetType | None = UNSET
    link: str | UnsetType | None = UNSET
    image_url: str | UnsetType | None = UNSET
    sound: Sound | UnsetType | None = UNSET
    custom_data: dict[str, Any] | UnsetType | None = UNSET
    priority: Priority | UnsetType | None = UNSET
    collapse_id: str | UnsetType | None = UNSET
    ttl_s: Ttl | UnsetType | None = UNSET


class NewContent(TemplateContent, frozen=True, kw_only=True):
    """The content of a push, its delivery options, and per-platform content."""

    priority: Priority | None = None
    collapse_id: str | None = None
    ttl_s: Ttl | None = None
    ios: PlatformContent | None = None
    android: PlatformContent | None = None
    web: PlatformContent | None = None

    def content(self) -> Content:
        """The stored form.

        Raises:
            BadRequest: a field is malformed.
        """
        otherwise = {Platform.ANDROID: self.android, Platform.IOS: self.ios, Platform.WEB: self.web}
        return msgspec.structs.replace(
            super().content(),
            priority=self.priority,
            collapse_id=self.collapse_id or None,
            ttl_s=self.ttl_s,
            platforms={
                platform.value: _otherwise(platform, given)
                for platform, given in otherwise.items()
                if given is not None
            },
        )


class NewTemplate(TemplateContent, frozen=True, kw_only=True):
    """The template to save."""

    kind: TemplateKind
    name: Name
    trigger_name: str | None = None
    description: str | None = None
    translations: dict[str, TemplateContent] | None = None
    when_undefined: WhenUndefined | None = None
    send_to_unsubscribed: bool | None = None
    audience: Filter | None = None

    def draft(self) -> Draft:
        """The stored form.

        Raises:
            BadRequest: a text is blank or too long, or there is an audience where there can be none.
        """
        if self.audience is not None and self.kind is not TemplateKind.BROADCAST:
            raise BadRequest("audience", "transactional templates have no audience", "conflicting_fields")
        to_all = self.send_to_unsubscribed
        return Draft(
            kind=self.kind,
            name=validation.text(self.name, "name", max_bytes=MAX_NAME_BYTES),
            trigger_name=validation.optional_text(self.trigger_name, "trigger_name", max_bytes=MAX_NAME_BYTES)
            or None,
            description=validation.optional_text(
                self.description, "description", max_bytes=MAX_DESCRIPTION_BYTES
            )
            or "",
            content=self.content(),
            translations={
                language: _translation(language, said) for language, said in (self.translations or {}).items()
            },
            when_undefined=self.when_undefined or WhenUndefined.FAIL,
            # Receipts and codes go to everybody; broadcasts do not, unless their author opts in.
            send_to_unsubscribed=self.kind is TemplateKind.TRANSACTIONAL if to_all is None else to_all,
            audience=self.audience,
        )


class ContentView(View, frozen=True, kw_only=True):
    """The content of a push; unset fields are omitted."""

    title: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    link: str | UnsetType = UNSET
    image_url: str | UnsetType = UNSET
    sound: Literal["default", "none"] | UnsetType = UNSET
    custom_data: dict[str, Any] | UnsetType = UNSET
    custom_payload: dict[str, dict[str, Any]] | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    collapse_id: str | UnsetType = UNSET
    ttl_s: int | UnsetType = UNSET
    platforms: dict[str, dict[str, Any]] | UnsetType = UNSET

    @classmethod
    def of_content(cls, content: Content) -> Self:
        return cls(**msgspec.to_builtins(content))


class TemplateView(ContentView, frozen=True, kw_only=True):
    """A template."""

    id: int
    kind: TemplateKind
    name: str
    trigger_name: str | None
    description: str
    translations: Annotated[dict[str, ContentView], Meta(description="Contents by language.")]
    when_undefined: WhenUndefined
    send_to_unsubscribed: bool
    audience: Filter | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, template: Template) -> Self:
        return cls.from_attributes(
            template,
            **msgspec.to_builtins(template.content),
            id=template.template_id,
            translations={
                language: ContentView.of_content(content)
                for language, content in template.translations.items()
            },
        )


class OneTemplateView(View, frozen=True, kw_only=True):
    """One template."""

    template: TemplateView


class TemplateListView(View, frozen=True, kw_only=True):
    """Templates, oldest first."""

    templates: list[TemplateView]


class TemplatesQuery(Request, frozen=True, kw_only=True):
    """Templates of all kinds, or of one."""

    kind: Annotated[TemplateKind, Meta(description="Only those of this kind.")] | None = None


def _translation(language: str, content: TemplateContent) -> Content:
    validation.text(language, "translations", max_bytes=_MAX_LANGUAGE_BYTES)
    try:
        return content.content()
    except BadRequest as error:
        raise error.under(("translations", language)) from None


def _otherwise(platform: Platform, given: PlatformContent) -> dict[str, Any]:
    """The given fields, in stored form; null removes a common one."""
    fields: dict[str, Any] = msgspec.to_builtins(given)
    try:
        content = content_of(fields)
    except BadRequest as error:
        raise error.under(platform.value) from None
    read = msgspec.structs.asdict(content) | {
        "priority": given.priority,
        "collapse_id": given.collapse_id or None,
        "ttl_s": given.ttl_s,
    }
    return {name: read[name] for name in fields}
