"""What browsers' push services answer, row by row, in each family's own words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushkeeper.core.delivery.outcome import (
    Accepted,
    BadCredentials,
    BadMessage,
    Certainty,
    Refused,
    Scope,
    Silence,
    Throttled,
    Unanswered,
    Unavailable,
)
from pushkeeper.core.model import Token, TokenShape
from pushkeeper.providers.transport.response import NoResponse, Response
from pushkeeper.providers.webpush import verdict
from support.examples import examples

NOW = datetime(2026, 12, 1, tzinfo=UTC)
GOOGLES_MISMATCH = (
    b"the VAPID credentials in the authorization header do not correspond to the credentials used to create the "
    b"subscriptions."
)
ENDPOINT = Token("https://fcm.googleapis.com/fcm/send/cSAH6tOJkZ8:APA91bHqLrR7yV")


def read(
    status: int, body: bytes = b"", *headers: tuple[bytes, bytes], service=TokenShape.GOOGLE, proven=False
):
    response = Response(status, headers, body)
    return verdict.read(response, endpoint=ENDPOINT, service=service, proven=proven, now=NOW)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_webpush_accepted_a_success_is_accepted(status: int) -> None:
    found = read(status, b"", (b"apns-id", b"5F3A"))
    assert (found.code, found.outcome) == ("webpush_accepted", Accepted(provider_id="5F3A"))


@pytest.mark.parametrize("status", [404, 410])
def test_webpush_unregistered_a_subscription_that_ended_is_a_definite_strike(status: int) -> None:
    found = read(status, b'{"reason":"Unregistered"}')
    assert (found.code, found.outcome) == ("webpush_unregistered", Refused(certainty=Certainty.DEFINITE))
    assert found.reason == "Unregistered"


@pytest.mark.parametrize(
    "body",
    [
        b'{"code":400,"errno":110,"message":"Invalid crypto keys"}',
        b"invalid p256dh key",
        b"Invalid Key specified",
    ],
)
def test_webpush_bad_keys_what_a_service_calls_invalid_is_an_ambiguous_refusal(body: bytes) -> None:
    found = read(400, body)
    assert (found.code, found.outcome) == ("webpush_bad_keys", Refused(certainty=Certainty.AMBIGUOUS))


def test_webpush_invalid_message_another_400_is_the_messages_fault() -> None:
    assert (read(400).code, read(400).outcome) == ("webpush_invalid_message", BadMessage())


def test_webpush_payload_too_large_is_the_messages_fault() -> None:
    assert (read(413).code, read(413).outcome) == ("webpush_payload_too_large", BadMessage())


def test_what_is_no_browser_vendors_service_stops_no_message_for_others() -> None:
    for status in (400, 413):
        assert read(status, service=TokenShape.OTHER).outcome == BadMessage(malformed=False)


def test_webpush_endpoint_not_allowed_is_no_fault_of_the_device() -> None:
    found = verdict.not_allowed("why")
    assert (found.code, found.outcome) == ("webpush_endpoint_not_allowed", BadMessage(malformed=False))


@pytest.mark.parametrize(
    ("status", "body"),
    [(401, b'{"errno":109}'), (403, b'{"reason":"BadJwtToken"}'), (403, b"invalid JWT provided"), (401, b"")],
)
def test_webpush_invalid_credentials_a_refused_key_pauses_one_service_at_the_fifth_device_and_is_one_subscriptions_after_a_success(
    status: int, body: bytes
) -> None:
    found = read(status, body)
    assert found.code == "webpush_invalid_credentials"
    assert found.outcome == BadCredentials(scope=Scope.TOPIC, probe_after_s=None, believed_from=5)
    assert found.alert
    proven = read(status, body, proven=True)
    assert (proven.code, proven.outcome) == ("webpush_key_mismatch", BadMessage(malformed=False))


@pytest.mark.parametrize(
    "body",
    [
        b'{"reason":"VapidPkHashMismatch"}',
        GOOGLES_MISMATCH,
    ],
)
def test_webpush_key_mismatch_a_subscription_of_another_key_is_never_a_strike_and_pauses_nothing(
    body: bytes,
) -> None:
    found = read(403, body)
    assert (found.code, found.outcome) == ("webpush_key_mismatch", BadMessage(malformed=False))


@pytest.mark.parametrize("status", [406, 429])
def test_webpush_too_many_requests_too_fast_is_the_services_limit_with_its_retry_after(status: int) -> None:
    found = read(status, b"", (b"retry-after", b"120"))
    assert found.outcome == Throttled(scope=Scope.ENDPOINT, after_s=120.0)
    assert found.code == "webpush_too_many_requests"


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_webpush_unavailable_an_outage_waits(status: int) -> None:
    found = read(status, b"<html>", (b"retry-after", b"90"))
    assert found.outcome == Unavailable(first_wait_s=10.0, longest_wait_s=600.0, after_s=90.0)
    assert found.code == "webpush_unavailable"


@pytest.mark.parametrize("status", [302, 307, 405, 415, 418, 304])
def test_webpush_unrecognized_response_whatever_else_is_unclassified_with_an_alert(status: int) -> None:
    found = read(status)
    assert found.code == "webpush_unrecognized_response"
    assert found.outcome == BadMessage(malformed=False, unclassified=True)
    assert str(status) in found.alert


def test_no_answer_is_read_as_for_every_provider() -> None:
    found = verdict.read(
        NoResponse(Silence.LOST), endpoint=ENDPOINT, service=TokenShape.OTHER, proven=False, now=NOW
    )
    assert (found.code, found.outcome) == ("no_response", Unanswered(silence=Silence.LOST))


def test_a_tls_alert_about_a_client_certificate_is_not_about_our_credentials() -> None:
    silence = NoResponse(Silence.NOT_SENT, certificate_refused=True)
    found = verdict.read(silence, endpoint=ENDPOINT, service=TokenShape.OTHER, proven=False, now=NOW)
    assert (found.code, found.outcome) == ("connection_failed", Unanswered(silence=Silence.NOT_SENT))


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(100, 599), st.binary(max_size=400), st.sampled_from(sorted(TokenShape)), st.booleans())
def test_no_bytes_raise_nor_show_the_endpoint(status, body, service, proven) -> None:
    found = read(status, body + ENDPOINT.value.encode(), service=service, proven=proven)
    assert ENDPOINT.value not in found.detail + found.reason + found.alert
    if status not in {404, 410, 400}:
        assert not isinstance(found.outcome, Refused), "only these can be the device's fault"
