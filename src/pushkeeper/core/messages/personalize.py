"""Personalised content: pick the language, render Liquid with the person's attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from pushkeeper.core.messages.liquid import (
    MAX_SOURCE_CHARACTERS,
    BadTemplate,
    Budget,
    RenderError,
    Values,
    WhenUndefined,
    compile_text,
    is_liquid,
)
from pushkeeper.core.messages.snippets import Snippets
from pushkeeper.core.model import Content, Platform

Rendering: TypeAlias = Callable[[Values, Budget], Any]
Renderings: TypeAlias = Mapping[Platform, Callable[[Values, Budget], Content]]

MAX_LIQUID_CHARACTERS = 2 * MAX_SOURCE_CHARACTERS  # of all texts of a content
QUICK_CHARACTERS = 4_000  # of all texts of a content; compiling them takes some 20 ms at worst
_FIELDS = tuple(field.name for field in msgspec.structs.fields(Content) if field.name != "platforms")


class BadContent(Exception):
    """A field of a content is not Liquid; says which, and where in it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class PersonalizedContent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message that differs per recipient.

    Attributes:
        translations: contents by language; other languages get the message's own content.
        language: the language for everybody; None: each recipient's own.
        data: the sender's data, `trigger` in Liquid.
        event: the name of an event, whose latest is `event` in Liquid.
        snippets: those that its texts use, by name.
    """

    translations: dict[str, Content] = {}
    language: str | None = None
    when_undefined: WhenUndefined = WhenUndefined.FAIL
    data: dict[str, Any] = {}
    event: str | None = None
    snippets: dict[str, str] = {}


class RenderContext(msgspec.Struct, frozen=True, kw_only=True):
    """A recipient.

    Attributes:
        person, device: their attributes.
        data: the sender's data for this person.
        event: the person's event, with its `name` and `happened_at` (unix seconds).
    """

    person: Mapping[str, Any]
    device: Mapping[str, Any]
    data: Mapping[str, Any] = {}
    event: Mapping[str, Any] = {}


def liquid_texts(content: Content) -> list[str]:
    """The texts of a content with Liquid in them."""
    return [text for text in _texts(msgspec.to_builtins(content)) if is_liquid(text)]


def snippets_of(texts: Iterable[str]) -> set[str]:
    """The names of the snippets that some texts use; BadTemplate when one is not Liquid."""
    return {name for text in texts for name in compile_text(text).snippets}


def check(content: Content) -> None:
    """Compile all of a content; BadContent names the field that is wrong (`title`, `ios.title`)."""
    _check_length(content)
    for name in _FIELDS:
        _check(name, getattr(content, name))
    for platform, otherwise in content.platforms.items():
        for name, value in otherwise.items():
            _check(f"{platform}.{name}", value)


def liquid_characters(content: Content) -> int:
    """How much Liquid there is in a content, all its texts together."""
    return sum(map(len, liquid_texts(content)))


def _check_length(content: Content) -> None:
    if liquid_characters(content) > MAX_LIQUID_CHARACTERS:
        raise BadContent(
            "message", f"at most {MAX_LIQUID_CHARACTERS} characters of Liquid in all texts together"
        )


def _check(name: str, value: object) -> None:
    try:
        _rendering(value, WhenUndefined.FAIL)
    except BadTemplate as error:
        raise BadContent(name, str(error)) from None


class MessageRenderer:
    """One message, compiled.

    Attributes:
        characters: how much Liquid there is in it, of which its memory is a multiple.
    """

    def __init__(self, content: Content, wording: PersonalizedContent) -> None:
        """BadContent when it is not Liquid."""
        contents = [content, *wording.translations.values()]
        for one in contents:
            _check_length(one)
        self.content, self.wording = content, wording
        self._snippet_characters = sum(map(len, wording.snippets.values()))
        self.characters = sum(map(liquid_characters, contents)) + self._snippet_characters
        self._translations = {name.lower(): one for name, one in wording.translations.items()}
        self._compiled: dict[str, _Compiled] = {}
        self._snippets: Snippets | None = None

    def is_quick_for(self, reader: RenderContext) -> bool:
        """Whether what they read is cheap to compile and has nothing but cheap tags and filters in it."""
        compiled = self._compiled_in(self._language_for(reader), if_quick=True)
        return compiled is not None and compiled.is_quick and self._compiled_snippets().is_quick

    def say(self, reader: RenderContext, platform: Platform, budget: Budget | None = None) -> Content:
        """What it says to them on this platform; NotRenderable or BadContent when it cannot be said.

        `budget` is what all its texts together may cost; None: what a push may.
        """
        compiled = self._compiled_in(self._language_for(reader))
        assert compiled is not None  # noqa: S101 - complete, unless it had to be quick
        budget = Budget() if budget is None else budget
        values = {
            "customer": reader.person,
            "person": reader.person,
            "device": reader.device,
            "event": reader.event,
            "trigger": {**self.wording.data, **reader.data},
        }
        if compiled.uses_snippets:
            values = {**values, "snippets": self._compiled_snippets().over(values, budget)}
        return compiled.renderings[platform](values, budget)

    def _compiled_snippets(self) -> Snippets:
        if self._snippets is None:
            try:
                self._snippets = Snippets(self.wording.snippets, self.wording.when_undefined)
            except BadTemplate as error:
                raise BadContent("snippets", str(error)) from None
        return self._snippets

    def _language_for(self, reader: RenderContext) -> str:
        """The language of the translation that they read; "" for none."""
        language = self.wording.language or reader.person.get("language")
        if self._translations and isinstance(language, str):
            # "de-AT" also reads "de".
            for name in (language.lower(), language.lower().split("-")[0]):
                if name in self._translations:
                    return name
        return ""

    def _compiled_in(self, language: str, *, if_quick: bool = False) -> _Compiled | None:
        if (found := self._compiled.get(language)) is not None:
            return found
        content = self._translations[language] if language else self.content
        if if_quick and liquid_characters(content) + self._snippet_characters > QUICK_CHARACTERS:
            return None
        made = self._compiled[language] = _Compiled(content, self.wording.when_undefined)
        return made


class _Compiled:
    """One content, compiled."""

    __slots__ = ("is_quick", "renderings", "uses_snippets")

    def __init__(self, content: Content, when_undefined: WhenUndefined) -> None:
        self.renderings = _compile(content, when_undefined)
        texts = [compile_text(text, when_undefined) for text in liquid_texts(content)]
        self.is_quick = all(text.is_quick for text in texts)
        self.uses_snippets = any(text.snippets for text in texts)


def _compile(content: Content, when_undefined: WhenUndefined) -> Renderings:
    """How a content is rendered on each platform; the same for all where it says the same on all."""
    if not content.platforms:
        return dict.fromkeys(Platform, _compile_one(content, when_undefined))
    return {platform: _compile_one(content.on(platform), when_undefined) for platform in Platform}


def _compile_one(content: Content, when_undefined: WhenUndefined) -> Callable[[Values, Budget], Content]:
    changing = {}
    for name in _FIELDS:
        try:
            rendering = _rendering(getattr(content, name), when_undefined)
        except BadTemplate as error:
            raise BadContent(name, str(error)) from None
        if rendering is not None:
            changing[name] = rendering
    if not changing:
        return lambda _, __: content

    def render(values: Values, budget: Budget) -> Content:
        return msgspec.structs.replace(
            content, **{name: rendering(values, budget) for name, rendering in changing.items()}
        )

    return render


def _rendering(value: object, when_undefined: WhenUndefined) -> Rendering | None:
    """How a value is rendered; None when it is the same to everybody."""
    match value:
        case str() if is_liquid(value):
            return compile_text(value, when_undefined).render
        case dict():
            return _of_parts(value, {key: _rendering(inner, when_undefined) for key, inner in value.items()})
        case list():
            parts = [_rendering(inner, when_undefined) for inner in value]
            if not any(parts):
                return None
            return lambda values, budget: [
                inner if part is None else part(values, budget)
                for inner, part in zip(value, parts, strict=True)
            ]
    return None


def _of_parts(value: dict[str, Any], parts: dict[str, Rendering | None]) -> Rendering | None:
    changing = {key: part for key, part in parts.items() if part is not None}
    if not changing:
        return None
    return lambda values, budget: {**value, **{key: part(values, budget) for key, part in changing.items()}}


def _texts(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for inner in value.values() for text in _texts(inner)]
        case list():
            return [text for inner in value for text in _texts(inner)]
    return []


__all__ = [
    "BadContent",
    "MessageRenderer",
    "PersonalizedContent",
    "RenderContext",
    "RenderError",
    "WhenUndefined",
    "check",
    "liquid_texts",
]
