"""Tokens as texts: every spelling of an APNs token is that token, and what can't be a token is refused by its reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.devices.tokens import canonical, flaw, token_of
from pushkeeper.core.model import Token
from pushkeeper.core.placeholders import PLACEHOLDERS, TEMPLATE, ZERO, meaning, placeholder
from support.spellings import HEX_TOKENS, spelled

FCM = "cEu4nQyTRk2hYh9yV5jE-x:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx"
FID = "fX0NpQ-9T6q_bDEFabcdef"


@given(token=HEX_TOKENS, data=st.data())
def test_every_spelling_of_an_apns_token_is_the_same_token(token: str, data: st.DataObject) -> None:
    assert canonical(data.draw(spelled(token))) == token
    assert flaw(token_of(token)) is None


@given(st.text())
def test_a_canonical_token_stays_what_it_is(text: str) -> None:
    assert canonical(canonical(text)) == canonical(text)


@given(text=st.text(alphabet="abcdefGHIJ0123456789:_-", min_size=1), around=st.text(alphabet=" \t\r\n"))
def test_of_any_other_token_only_the_blanks_around_it_are_taken(text: str, around: str) -> None:
    found = canonical(around + text + around)
    assert found in {text, text.lower().replace("-", "")}
    if any(letter in "GHIJ:_" for letter in text):
        assert found == text


@pytest.mark.parametrize("token", [FCM, FID, "token-7", "A" * 63, "ab" * 31, "zz" * 40, f"X{'ab' * 32}X"])
def test_what_is_not_hexadecimal_or_too_short_for_apns_keeps_its_letters(token: str) -> None:
    assert canonical(f" {token}\n") == token
    assert flaw(Token(token)) is None


@pytest.mark.parametrize(
    "text",
    [
        *PLACEHOLDERS,
        "NULL",
        "( null )",
        "'undefined'",
        "0",
        "0" * 64,
        "00000000-0000-0000-0000-000000000000",
        "${token}",
        "blacklisted",
        # What Google's libraries return, or throw, in place of a token.
        "ACCOUNT_MISSING",
        "AUTHENTICATION_FAILED",
        "BLACKLISTED",
        "FIS_AUTH_ERROR",
        "INTERNAL_SERVER_ERROR",
        "INVALID_PARAMETERS",
        "INVALID_SENDER",
        "MISSING_INSTANCEID_SERVICE",
        "PHONE_REGISTRATION_ERROR",
        "SERVICE_NOT_AVAILABLE",
        "TIMEOUT",
        "TOO_MANY_REGISTRATIONS",
        "{length = 32, bytes = 0x1e21b0c5 ... 44dd2c90 }",
        "-",
        "_:-",
        "<1e21>",
        "[abc]",
        "two words",
        "a\tb",
        "a\x7fb",
        "a\u00a0b",
        '"token"',
        "tök",
    ],
)
def test_what_cannot_be_a_token_has_a_flaw(text: str) -> None:
    assert flaw(token_of(text)) is not None


@pytest.mark.parametrize(
    "text",
    [
        *("undefined ", "(NULL)", "none", "-nil", "000", "{{customer.id}}", "“null”"),
        *("\u00a0undefined\u3000", "\ufeffnull", "0\u200b", "<\u2060None>", "\u200b"),
    ],
)
def test_a_placeholder_is_known_in_any_case_and_whatever_stands_around_it(text: str) -> None:
    assert (placeholder(text) is None) == (text in {"-nil", "“null”"})


# What each language and SDK prints in place of a value.
PRINTED = {
    "undefined": ["undefined", "[object Undefined]"],
    "null": ["null", "NULL", "(null)", "<null>", "[object Null]"],
    "nil": ["nil", "<nil>", "Optional(nil)"],
    "object": ["[object Object]", "{}", "[]"],
    "value": ["None", "NaN", "-", "-1", "N/A", "#N/A", "unknown", "true", "false"],
    "person": ["anonymous", "guest", "not_authenticated"],
    "field": ["id", "email", "userId", "user_id", "distinct_id", "distinctId"],
}


@pytest.mark.parametrize("text", [text for texts in PRINTED.values() for text in texts])
def test_what_is_printed_in_place_of_a_value_is_a_placeholder_and_says_of_what(text: str) -> None:
    for written in (text, f" {text.upper()} ", f"'{text}'", f"<{text}>"):
        word = placeholder(written)
        assert word is not None
        assert meaning(word) == PLACEHOLDERS[word]


@pytest.mark.parametrize(
    ("text", "word", "origin"),
    [
        ("0-0", ZERO, "only zeros"),
        ("-0.0", ZERO, "only zeros"),
        ("{{ a }}", TEMPLATE, "an unfilled template"),
    ],
)
def test_zeros_and_templates_are_placeholders_of_their_own(text: str, word: str, origin: str) -> None:
    assert placeholder(text) == word
    assert meaning(word) == origin


def test_the_documentation_lists_every_placeholder() -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "customerio-client-libraries.md"
    text = page.read_text(encoding="utf-8")
    assert [word for word in PLACEHOLDERS if f"`{word}`" not in text] == []


@pytest.mark.parametrize(
    "text", ["", " ", "nullable", "nonet", "007", "100", "nancy", "trueman", "id7", "ann@null.example", "-10"]
)
def test_what_only_looks_like_a_placeholder_is_none(text: str) -> None:
    assert placeholder(text) is None
