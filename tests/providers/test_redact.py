"""What is kept of a provider's words, and of its silences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.delivery.outcome import (
    BadCredentials,
    BadMessage,
    Scope,
    Silence,
    Unanswered,
    Verdict,
    our_fault,
)
from pushkeeper.core.model import Token
from pushkeeper.providers.shared import no_response
from pushkeeper.providers.shared.redact import LONGEST, excerpt, reason_word
from pushkeeper.providers.transport.response import NoResponse

TOKEN = Token("1e21b0c5" * 8)


@given(st.text(st.characters(codec="utf-8")), st.integers(0, 400))
def test_an_excerpt_is_one_printable_line_without_the_token(around: str, at: int) -> None:
    said = around[:at] + TOKEN.value + around[at:] + TOKEN.value
    for found in (excerpt(said, TOKEN), excerpt(said.encode(), TOKEN), reason_word(said, TOKEN)):
        assert TOKEN.value not in found
        assert len(found) <= LONGEST
        assert found.isprintable()
        assert found == " ".join(found.split())


def test_what_is_not_printable_parts_words() -> None:
    assert excerpt("\x00a\x1b[31mb\r\n\tc\x7f") == "a [31mb c"
    assert excerpt(b"caf\xc3\xa9 \xff") == "café \N{REPLACEMENT CHARACTER}"


def test_a_token_that_is_empty_is_nowhere() -> None:
    assert excerpt("Sender refused", Token("")) == "Sender refused"


def test_a_reason_is_80_characters_at_most_and_an_excerpt_300() -> None:
    assert reason_word("x" * 1_000, TOKEN) == "x" * 80
    assert excerpt("x" * 1_000) == "x" * 300


@pytest.mark.parametrize("silence", Silence)
def test_a_silence_is_kept_by_its_name_and_only_an_untrusted_server_alarms(silence: Silence) -> None:
    found = no_response.read(NoResponse(silence, "a  detail\n"))
    assert (found.reason, found.detail, found.status) == (silence.value, "a detail", None)
    assert found.outcome == Unanswered(silence=silence)
    assert bool(found.alert) == (silence is Silence.UNTRUSTED)


@pytest.mark.parametrize("silence", Silence)
def test_a_certificate_that_is_refused_is_so_however_the_connection_ended(silence: Silence) -> None:
    found = no_response.read(NoResponse(silence, "revoked", certificate_refused=True))
    assert (found.code, found.reason, found.detail) == (
        "client_certificate_refused",
        "certificate_refused",
        "revoked",
    )
    assert found.outcome == BadCredentials(scope=Scope.CREDENTIAL)


@pytest.mark.parametrize("code", ["unsendable", "not_understood"])
def test_a_fault_of_ours_fails_the_push_alone(code: str) -> None:
    outcome = BadMessage(malformed=False, unclassified=True)
    assert our_fault(code, KeyError("a secret")) == Verdict(
        code=code, outcome=outcome, reason=code, detail="KeyError"
    ), "the words of an error may hold a secret"
