"""The texts that people read are in plain, standard technical English: none of the words that the first version made up.

`PLACES` lists where texts are; to hold another kind of text, add a function that yields each of them with its name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
# A phrase that is not standard English, or another word for something that has one in docs/concepts/glossary.md.
BANNED = {
    r"(?:tells?|told|telling|hears?|heard) of": "report, notify, subscribe to",
    r"of late": "recently",
    r"as things stand|as it stands|stands (?:as|under|beside|in)|how (?:it|they) stands?": "status, is",
    r"(?:read|true|true) of (?:devices|people|a device|a person|none|few|many|nobody|whom)": "per device, per person, matches",
    r"what (?:came|comes|became|becomes) of": "result, outcome",
    r"came to (?:an end|nothing)": "ended, was processed",
    r"foreseen|foresaw|foresees": "estimated",
    r"preflights?": "estimate",
    r"let (?:it|him|them|a \w+) be (?:so|otherwise)": "update",
    r"so many (?:of|hours|days|seconds|devices|people|at once)": "a number",
    r"(?:is|are) well(?![- ](?:formed|known))": "healthy",
    r"mends?|mended": "fix",
    r"anew": "again, re-",
    r"whoever|whomever": "the person who, anybody who",
    r"whom (?:it|they|one)": "recipients, matches",
    r"what (?:waits|waited)": "queued",
    r"(?:gave|given|gives) up": "disabled, failed",
    r"(?:take|takes|took|taken|taking) (?:\w+ )?(?:strikes? )?back": "revert",
    r"strikes?": "bounce",
    r"opens? nothing": "revoked",
    r"for who\b": "for anybody who",
    r"of one's own|of (?:our|their) own": "their own",
    r"there is none|there are none|there (?:is|are) no [a-z ]+ of this (?:number|name)": "not found, does not exist",
    r"by and by": "later",
    r"goes? not|go not": "cannot be combined",
    r"as far as it (?:came|comes)": "partially",
    r"(?:un)?proved|prove themselves|proved itself": "verified",
    r"sealed|seals": "encrypted",
    r"held back|left out": "skipped, excluded",
    r"refusals?|(?:is|are|was|were|be|been) refused": "rejection, rejected",
    r"under way": "in progress",
    r"of theirs|of ours|of yours": "their, our, your",
    r"by hand": "manually",
    r"is (?:said|asked|answered) (?:of|by what)": "returned",
    r"(?:nobody's|somebody's|whose) fault": "cause",
    r"comebacks?|revived": "reactivation, reactivated",
    r"(?<!be )undone": "reverted",
}
PATTERN = re.compile("|".join(rf"\b(?:{phrase})\b" for phrase in BANNED), re.IGNORECASE)

# Banned where users read, but ordinary English, or the name of a table or a code, for those who read the code.
OF_ENGINEERS = {
    r"foreseen|foresaw|foresees",
    r"preflights?",
    r"opens? nothing",
    r"strikes?",
    r"of one's own|of (?:our|their) own",
    r"(?:un)?proved|prove themselves|proved itself",
    r"sealed|seals",
    r"held back|left out",
    r"refusals?|(?:is|are|was|were|be|been) refused",
    r"under way",
    r"of theirs|of ours|of yours",
    r"by hand",
    r"(?:gave|given|gives) up",
    r"comebacks?|revived",
    r"(?<!be )undone",
}
CODE = re.compile(
    "|".join(rf"\b(?:{phrase})\b" for phrase in BANNED if phrase not in OF_ENGINEERS), re.IGNORECASE
)

# Written by docs/generate.py from texts of the code, which have a place of their own.
OF_THE_CODE = {
    "api.md",
    "cli.md",
    "customerio-examples.md",
    "metrics.md",
    "simulator-switches.md",
    "status.md",
    "verdicts.md",
}


def prose(markdown: str) -> str:
    """A page without what is code, an address or a comment: names of the API keep their words."""
    text = re.sub(r"^\s*```.*?^\s*```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "`code`", text)
    return re.sub(r"\]\([^)]*\)|<https?:[^>]*>", "]", text)


def documentation() -> Iterator[tuple[str, str]]:
    """Every page that is written for users; decisions are a record of their time."""
    pages = [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ]
    for page in pages:
        if "decisions" not in page.parts and page.name not in OF_THE_CODE:
            yield str(page.relative_to(ROOT)), prose(page.read_text(encoding="utf-8"))


PLACES: dict[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "documentation": documentation,
    "dashboard": texts.templates,
    "commands": texts.help_texts,
    "API reference": texts.api_reference,
    "metrics": texts.metrics,
    "codes": texts.codes,
    "messages": texts.shown_texts,
}


def advice(found: str) -> str:
    """The standard word for what was found."""
    return next(better for phrase, better in BANNED.items() if re.fullmatch(phrase, found, re.IGNORECASE))


@pytest.mark.parametrize("place", PLACES)
def test_texts_are_in_standard_english(place: str) -> None:
    there = list(PLACES[place]())
    assert sum(len(text) for _, text in there) > 1_000
    found = [
        f"{name}: “{' '.join(match[0].split())}” (better: {advice(match[0])})"
        for name, text in there
        for match in PATTERN.finditer(text)
    ]
    assert found == []


def test_banned_words_are_found() -> None:
    assert PATTERN.search("What came of it is told of at once.")
    assert not PATTERN.search(prose("The command `pushkeeper undo` and [this](undo.md)."))
    assert not PATTERN.search("recommend, unproven, striking, understands")


def test_the_code_is_commented_in_standard_english() -> None:
    assert set(BANNED) >= OF_ENGINEERS
    # This file has the banned phrases themselves.
    found = [
        f"{name}: “{' '.join(match[0].split())}” (better: {advice(match[0])})"
        for name, text in texts.comments()
        if not name.startswith("tests/law/test_words.py")
        for match in CODE.finditer(text)
    ]
    assert found == []
