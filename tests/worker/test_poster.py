"""Webhooks are signed as their clients check it, and wait as long as is said."""

import pytest
from async_customerio import validate_signature
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core import webhook_signature
from pushkeeper.core.model import Secret


def test_a_signature_is_the_one_that_their_clients_check():
    key, timestamp, body = "a-signing-key", 1_613_063_089, b'{"metric":"sent"}'
    signed = webhook_signature.signature(Secret(key.encode()), timestamp, body)
    assert validate_signature(signing_key=key, timestamp=timestamp, request_body=body, signature=signed)
    assert not validate_signature(
        signing_key="another", timestamp=timestamp, request_body=body, signature=signed
    )


@given(st.integers(1, 10_000), st.sampled_from([None, 400, 404, 429, 500, 503, 504, 521]))
def test_waits_grow_from_a_minute_or_an_hour_to_six(failures, status):
    first = 60.0 if status in {503, 504} else 3600.0
    found = webhook_signature.wait_s(failures, status)
    assert first <= found <= webhook_signature.LONGEST_WAIT_S
    assert webhook_signature.wait_s(1, status) == first
    assert webhook_signature.wait_s(failures + 1, status) >= found


@pytest.mark.parametrize(
    ("status", "taken"), [(199, False), (200, True), (204, True), (299, True), (301, False)]
)
def test_two_hundred_and_its_like_are_success(status, taken):
    assert webhook_signature.is_success(status) is taken
