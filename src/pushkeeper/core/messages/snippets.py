"""Snippets: texts that a workspace's messages share, `snippets` in Liquid. Each is rendered where it is first used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from pushkeeper.core.messages.liquid import Budget, Compiled, Values, WhenUndefined, compile_text, is_liquid

MAX_NAME_CHARACTERS = 150
MAX_VALUE_CHARACTERS = 16_000


class Snippets:
    """The snippets that a message uses, compiled.

    Attributes:
        is_quick: each is a text without Liquid, or one that is quick to render.
    """

    def __init__(self, texts: Mapping[str, str], when_undefined: WhenUndefined) -> None:
        """BadTemplate when one is not Liquid."""
        self._parts = {name: _part(text, when_undefined) for name, text in texts.items()}
        self.is_quick = all(part.is_quick for part in self._parts.values() if isinstance(part, Compiled))

    def over(self, values: Values, budget: Budget) -> Mapping[str, Any]:
        """The rendered snippets for these values, by name, within this budget; NotRenderable is raised when one is read."""
        return _Rendered(self._parts, values, budget)


class _Rendered(Mapping[str, Any]):
    def __init__(self, parts: Mapping[str, Any], values: Values, budget: Budget) -> None:
        self._parts, self._values, self._budget = parts, values, budget
        self._done: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - a text, or data that was written as JSON
        if name not in self._done:
            part = self._parts[name]
            self._done[name] = part.render(self._values, self._budget) if isinstance(part, Compiled) else part
        return self._done[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def _part(text: str, when_undefined: WhenUndefined) -> Any:  # noqa: ANN401 - see above
    """A snippet's value: compiled Liquid, data if it is a JSON array or object, or the text itself."""
    if is_liquid(text):
        return compile_text(text, when_undefined)
    if text.startswith(("[", "{")):
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return text
    return text
