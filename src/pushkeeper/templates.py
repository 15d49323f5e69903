"""Templates: written once, checked when they are written, and sent many times."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from pushkeeper.core import filter_read, wording
from pushkeeper.core.filter import BadFilter
from pushkeeper.core.model import Content, Platform
from pushkeeper.core.wording import Wording
from pushkeeper.errors import BadRequest, NotFound, TooLarge
from pushkeeper.store import templates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.store.database import Database
    from pushkeeper.store.templates import Draft, Template, TemplateKind

_NOT_FOUND = "template: there is none of this number"


Check: TypeAlias = "Callable[[Content, Platform], None]"
Checks: TypeAlias = (
    "Mapping[Platform, Sequence[Check]]"  # what each platform's providers have to say against a content
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a message is to say: its own content, and what of it is not the same to everybody, if anything is."""

    content: Content
    wording: Wording | None = None
    template_id: int | None = None
    send_to_unsubscribed: bool = True

    @property
    def contents(self) -> list[Content]:
        """Its own content and the translations of it."""
        return [self.content, *(self.wording.translations.values() if self.wording else ())]


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
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
    when_undefined: wording.WhenUndefined | None = None
    send_to_unsubscribed: bool | None = None


async def letter_of(template: Template | None, content: Content, telling: Telling) -> Letter:
    """What a template says where a content says nothing else; without one, all are sent to if nothing else is told.

    Raises:
        BadRequest: a text of the content is not Liquid.
    """
    await check_liquid(content)
    own, translations = content, {}
    usual, to_all = wording.WhenUndefined.FAIL, True
    if template is not None:
        own = _over(template.content, content)
        translations = {name: _over(other, content) for name, other in template.translations.items()}
        usual, to_all = template.when_undefined, template.send_to_unsubscribed
    said = None
    if translations or any(wording.is_personal(each) for each in (own, *translations.values())):
        said = Wording(
            translations=translations,
            language=telling.language,
            when_undefined=telling.when_undefined or usual,
            data=telling.data,
            event=telling.event,
        )
    return Letter(
        content=own,
        wording=said,
        template_id=None if template is None else template.template_id,
        send_to_unsubscribed=to_all if telling.send_to_unsubscribed is None else telling.send_to_unsubscribed,
    )


def says_something(content: Content) -> list[Platform]:
    """The phones that a content says something to."""
    return [p for p in (Platform.IOS, Platform.ANDROID) if content.says_something_to(p)]


def check_letter(letter: Letter, checks: Checks) -> None:
    """Look at what a message is to say, in every language.

    Raises:
        BadRequest: it says nothing, or a provider would refuse it.
    """
    for content in letter.contents:
        addressed = says_something(content)
        if not addressed:
            raise BadRequest("message", "message: a push needs a title, a message or a custom_payload")
        for platform in addressed:
            for check in checks.get(platform, ()):
                # What Liquid makes of a text is measured when it is rendered.
                with suppress(TooLarge) if letter.wording is not None else nullcontext():
                    check(content.on(platform), platform)


def _over(content: Content, other: Content) -> Content:
    """A content with what another says in its place."""
    given = {
        one.name: value
        for one in msgspec.structs.fields(Content)
        if (value := getattr(other, one.name)) is not None and value != {}
    }
    return msgspec.structs.replace(content, **given) if given else content


class Templates:
    """The templates of all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def make(self, workspace: WorkspaceId, draft: Draft) -> Template:
        """Keep a new template.

        Raises:
            BadRequest: a text of it is not Liquid, or its audience is no filter.
            Conflict: another has its trigger name.
        """
        await _check(draft)
        return await self.one(workspace, await templates.insert(self._database, workspace, draft))

    async def change(self, workspace: WorkspaceId, template_id: int, draft: Draft) -> Template:
        """Let a template be so; what was queued from it stays as it is.

        Raises:
            BadRequest: a text of it is not Liquid, or its audience is no filter.
            Conflict: another has its trigger name.
            NotFound: there is none of this kind and number.
        """
        await _check(draft)
        if not await templates.change(self._database, workspace, template_id, draft):
            raise NotFound(_NOT_FOUND)
        return await self.one(workspace, template_id)

    async def delete(self, workspace: WorkspaceId, template_id: int) -> None:
        """Forget a template; what was sent from it stays.

        Raises:
            NotFound: there is none of this number.
        """
        if not await templates.delete(self._database, workspace, template_id):
            raise NotFound(_NOT_FOUND)

    async def all(self, workspace: WorkspaceId, kind: TemplateKind | None = None) -> list[Template]:
        """The templates of a workspace, the oldest first."""
        return await templates.of_workspace(self._database, workspace, kind)

    async def one(
        self, workspace: WorkspaceId, template_id: int, kind: TemplateKind | None = None
    ) -> Template:
        """One template.

        Raises:
            NotFound: there is none of this number, or it is of another kind.
        """
        found = await templates.of_workspace(self._database, workspace, kind, template_id)
        if not found:
            raise NotFound(_NOT_FOUND)
        return found[0]


async def _check(draft: Draft) -> None:
    await check_liquid(draft.content)
    for language, content in draft.translations.items():
        await check_liquid(content, f"translations.{language}.")
    if draft.audience is not None:
        try:
            filter_read.read(draft.audience)
        except BadFilter as error:
            place = error.place.replace("filter", "audience", 1)
            raise BadRequest(place, f"{place}: {error.message}") from None


async def check_liquid(content: Content, within: str = "") -> None:
    """Compile every text of a content, in a thread where there is much of it.

    Raises:
        BadRequest: one is not Liquid; says where.
    """
    try:
        if wording.liquid_characters(content) > wording.QUICK_CHARACTERS:
            await asyncio.to_thread(wording.check, content)
        else:
            wording.check(content)
    except wording.BadContent as error:
        raise BadRequest(f"{within}{error.field}", f"{within}{error}") from None
