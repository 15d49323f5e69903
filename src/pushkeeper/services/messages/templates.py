"""Templates: written once, checked when they are written, and sent many times."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import msgspec

from pushkeeper.core.filters import from_json
from pushkeeper.core.filters.nodes import BadFilter
from pushkeeper.core.messages import personalize
from pushkeeper.core.messages.liquid import BadTemplate
from pushkeeper.core.messages.personalize import PersonalizedContent
from pushkeeper.core.model import PHONES, Content, Platform
from pushkeeper.errors import BadRequest, NotFound, TooLarge
from pushkeeper.services.audit import audited
from pushkeeper.store.admin import credentials
from pushkeeper.store.messages import snippets, templates
from pushkeeper.store.messages.templates import Draft, Template, TemplateKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence

    from pushkeeper.core.model import Provider, WorkspaceId
    from pushkeeper.errors import Path
    from pushkeeper.services.audit import AuditEntry
    from pushkeeper.store.db.database import Database

__all__ = [
    "Addressed",
    "Check",
    "Checks",
    "ContentCheck",
    "Draft",
    "Find",
    "MessageContent",
    "SendOptions",
    "Template",
    "TemplateKind",
    "Templates",
    "check_liquid",
    "has_content",
    "snippets_of",
    "to_all_phones",
]

_NOT_FOUND = "Template not found"


class Check(Protocol):
    """Checks a content for a push service on a platform, raising BadRequest or TooLarge."""

    def check_form(self, content: Content, platform: Platform, /) -> None: ...
    def check_size(self, content: Content, platform: Platform, /) -> None: ...


Checks: TypeAlias = "Mapping[Platform, Mapping[Provider, Check]]"
Addressed: TypeAlias = "Callable[[], Awaitable[Collection[Platform]]]"
Find: TypeAlias = "Callable[[Collection[str]], Awaitable[dict[str, str]]]"  # snippets by their names


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageContent:
    """What a message is to say: its own content, and what of it is not the same to everybody, if anything is."""

    content: Content
    wording: PersonalizedContent | None = None
    template_id: int | None = None
    send_to_unsubscribed: bool = True

    @property
    def contents(self) -> list[Content]:
        """Its own content and the translations of it."""
        return [self.content, *(self.wording.translations.values() if self.wording else ())]


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOptions:
    """What a sender says beside a content.

    Attributes:
        data: `trigger` in Liquid.
        event: the name of an event, whose latest is `event` in Liquid.
        language: of the translations; None: each reader's own.
        when_undefined, send_to_unsubscribed: None is what the template says.
    """

    data: dict[str, Any] = field(default_factory=dict)
    event: str | None = None
    language: str | None = None
    when_undefined: personalize.WhenUndefined | None = None
    send_to_unsubscribed: bool | None = None


async def _letter(
    snippets: Find, template: Template | None, content: Content, telling: SendOptions
) -> MessageContent:
    """Merge a content into a template; without a template, it goes to everybody by default.

    `snippets` finds those that its texts use; their current values are stored with the message.

    Raises:
        BadRequest: a text of the content is not Liquid, or the snippets of a message are too long.
    """
    await check_liquid(content)
    own, translations = content, {}
    usual, to_all = personalize.WhenUndefined.FAIL, True
    if template is not None:
        own = _over(template.content, content)
        translations = {name: _over(other, content) for name, other in template.translations.items()}
        usual, to_all = template.when_undefined, template.send_to_unsubscribed
    said = None
    liquid = [text for each in (own, *translations.values()) for text in personalize.liquid_texts(each)]
    if translations or liquid:
        said = PersonalizedContent(
            translations=translations,
            language=telling.language,
            when_undefined=telling.when_undefined or usual,
            data=telling.data,
            event=telling.event,
            snippets=await _used(snippets, liquid),
        )
    return MessageContent(
        content=own,
        wording=said,
        template_id=None if template is None else template.template_id,
        send_to_unsubscribed=to_all if telling.send_to_unsubscribed is None else telling.send_to_unsubscribed,
    )


async def _used(snippets: Find, texts: Sequence[str]) -> dict[str, str]:
    """The snippets that these texts use; without any, the database is not queried."""
    names = await snippets_of(texts)
    found = await snippets(names) if names else {}
    if sum(map(len, found.values())) > personalize.MAX_LIQUID_CHARACTERS:
        raise BadRequest(
            "snippets",
            f"the snippets of one message cannot exceed {personalize.MAX_LIQUID_CHARACTERS} characters in total",
        )
    return found


async def snippets_of(texts: Sequence[str]) -> set[str]:
    """The names of the snippets that some texts use: those that name any are compiled, in a thread where they are long.

    Raises:
        BadRequest: one of them is not Liquid.
    """
    naming = [text for text in texts if "snippets" in text]
    try:
        if sum(map(len, naming)) > personalize.QUICK_CHARACTERS:
            return await asyncio.to_thread(personalize.snippets_of, naming)
        return personalize.snippets_of(naming)
    except BadTemplate as error:
        raise BadRequest("content", str(error)) from None


def has_content(content: Content) -> list[Platform]:
    """The platforms that a content has text for."""
    return [platform for platform in Platform if content.has_content_for(platform)]


async def to_all_phones() -> Collection[Platform]:
    """The platforms that a message is addressed to by default."""
    return PHONES


class ContentCheck:
    """Checks the content of a message before it is accepted."""

    def __init__(self, database: Database, checks: Checks) -> None:
        """Take a database and, for each platform, the checks of its push services."""
        self._database = database
        self._checks = checks

    async def letter(
        self,
        workspace: WorkspaceId,
        template: Template | None,
        content: Content,
        options: SendOptions,
        addressed: Addressed,
    ) -> MessageContent:
        """What a template says where a content says nothing else, checked; the current values of its snippets are stored with it.

        Raises:
            BadRequest: a text is not Liquid, its snippets are too long, it is empty, or a push service would refuse it.
            TooLarge: it is larger than one of these services accepts.
        """
        letter = await _letter(snippets.finder(self._database, workspace), template, content, options)
        await self._require(workspace, letter, addressed)
        return letter

    async def _require(self, workspace: WorkspaceId, letter: MessageContent, addressed: Addressed) -> None:
        """Check a message in every language; `addressed` is called for its platforms only if they matter.

        A text is measured for the services that the workspace has credentials for and the platforms that the message is
        addressed to; one with Liquid in it is measured when it is rendered.

        Raises:
            BadRequest: it is empty, or a push service would refuse it.
            TooLarge: it is larger than one of these services accepts.
        """
        over: list[tuple[Platform, Provider, TooLarge]] = []
        for content in letter.contents:
            platforms = has_content(content)
            if not platforms:
                raise BadRequest("message", "a push needs a title, a message or a custom_payload")
            for platform in platforms:
                over += self._on(content.on(platform), platform)
        if not over:
            return
        services, to = await credentials.services(self._database, workspace), await addressed()
        for platform, provider, error in over:
            if provider in services and platform in to:
                raise error

    def require_form(self, content: Content, within: Path = ()) -> None:
        """Check a content that may be incomplete; `within` is its place in the request.

        Raises:
            BadRequest: a push service would refuse it, whatever its size.
        """
        for platform, checks in self._checks.items():
            for check in checks.values():
                try:
                    check.check_form(content.on(platform), platform)
                except BadRequest as error:
                    raise error.under(within) from None

    def _on(self, content: Content, platform: Platform) -> Iterator[tuple[Platform, Provider, TooLarge]]:
        personal = bool(personalize.liquid_texts(content))
        for provider, check in self._checks.get(platform, {}).items():
            check.check_form(content, platform)
            if personal:
                continue
            try:
                check.check_size(content, platform)
            except TooLarge as error:
                yield platform, provider, error


def _over(content: Content, other: Content) -> Content:
    """A content with another's fields overriding its own."""
    given = {
        one.name: value
        for one in msgspec.structs.fields(Content)
        if (value := getattr(other, one.name)) is not None and value != {}
    }
    return msgspec.structs.replace(content, **given) if given else content


class Templates:
    """The templates of all workspaces."""

    def __init__(self, database: Database, checks: Checks) -> None:
        """Take a database and, for each platform, the checks of its push services."""
        self._database = database
        self._check = ContentCheck(database, checks)

    @audited("template.make")
    async def make(self, entry: AuditEntry, workspace: WorkspaceId, draft: Draft) -> Template:
        """Keep a new template.

        Raises:
            BadRequest: a text is not valid Liquid, a push service would reject it, or its audience is no valid filter.
            Conflict: another has its trigger name.
        """
        await self._require(draft)
        made = await self.one(workspace, await templates.insert(self._database, workspace, draft))
        entry.target = f"{made.template_id} {made.name}"
        return made

    @audited("template.change", "template_id")
    async def change(
        self, entry: AuditEntry, workspace: WorkspaceId, template_id: int, draft: Draft
    ) -> Template:
        """Update a template; queued messages are not affected.

        Raises:
            BadRequest: a text is not valid Liquid, a push service would reject it, or its audience is no valid filter.
            Conflict: another template has its trigger name.
            NotFound: it does not exist.
        """
        await self._require(draft)
        before = await self.one(workspace, template_id)
        if not await templates.change(self._database, workspace, template_id, draft):
            raise NotFound(_NOT_FOUND)
        after = await self.one(workspace, template_id)
        entry.target = f"{template_id} {after.name}"
        entry.changed_fields(before, after, "name", "trigger_name", "when_undefined", "send_to_unsubscribed")
        entry.replaced_fields(before, after, "description", "content", "translations", "audience")
        return after

    @audited("template.delete", "template_id")
    async def delete(self, entry: AuditEntry, workspace: WorkspaceId, template_id: int) -> None:
        """Delete a template; its messages are kept.

        Raises:
            NotFound: it does not exist.
        """
        before = await self.one(workspace, template_id)
        if not await templates.delete(self._database, workspace, template_id):
            raise NotFound(_NOT_FOUND)
        entry.target = f"{template_id} {before.name}"

    async def all(self, workspace: WorkspaceId, kind: TemplateKind | None = None) -> list[Template]:
        """The templates of a workspace, the oldest first."""
        return await templates.of_workspace(self._database, workspace, kind)

    async def one(
        self, workspace: WorkspaceId, template_id: int, kind: TemplateKind | None = None
    ) -> Template:
        """One template.

        Raises:
            NotFound: it does not exist, or it is of another kind.
        """
        found = await templates.of_workspace(self._database, workspace, kind, template_id)
        if not found:
            raise NotFound(_NOT_FOUND)
        return found[0]

    async def _require(self, draft: Draft) -> None:
        contents: dict[Path, Content] = {
            (): draft.content,
            **{("translations", name): content for name, content in draft.translations.items()},
        }
        for within, content in contents.items():
            await check_liquid(content, within)
            self._check.require_form(content, within)
        if draft.audience is not None:
            try:
                from_json.read(draft.audience)
            except BadFilter as error:
                raise BadRequest(error.place, error.message).renamed("filter", "audience") from None


async def check_liquid(content: Content, within: Path = ()) -> None:
    """Compile every text of a content, in a thread where there is much of it.

    Raises:
        BadRequest: one is not Liquid; says where.
    """
    try:
        if personalize.liquid_characters(content) > personalize.QUICK_CHARACTERS:
            await asyncio.to_thread(personalize.check, content)
        else:
            personalize.check(content)
    except personalize.BadContent as error:
        raise BadRequest(error.field, error.message).under(within) from None
