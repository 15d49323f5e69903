"""APNs' answers and everybody's silences, one test per row of the decision table."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pushkeeper.core.delivery import decision_table
from pushkeeper.core.delivery.outcome import (
    Accepted,
    BadCredentials,
    BadMessage,
    Certainty,
    Heal,
    Jitter,
    Refused,
    Scope,
    Silence,
    Throttled,
    Unanswered,
    Unavailable,
    Verdict,
)
from pushkeeper.core.model import Token
from pushkeeper.providers.apns import verdict
from pushkeeper.providers.shared import apns_reasons
from pushkeeper.providers.transport.response import NoResponse, Response

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
REGISTERED_AT = NOON - timedelta(days=3)
TOKEN = Token("00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0")
OUTAGE = Unavailable(first_wait_s=900, longest_wait_s=math.inf, jitter=Jitter.FIFTH)
AMBIGUOUS = Refused(certainty=Certainty.AMBIGUOUS)


def read(answer: Response | NoResponse) -> Verdict:
    return verdict.read(answer, token=TOKEN, registered_at=REGISTERED_AT, now=NOON)


def error(status: int, reason: str, **rest: object) -> Response:
    return Response(status, (), json.dumps({"reason": reason, **rest}).encode())


def gone(reason: str, since: datetime) -> Response:
    return error(410, reason, timestamp=int(since.timestamp() * 1000))


def code_and_outcome(answer: Response | NoResponse) -> tuple[str, object]:
    found = read(answer)
    return found.code, found.outcome


def test_apns_accepted_a_200_is_accepted_under_apples_id():
    apns_id = "eabeae54-14a8-11e5-b60b-1697f925ec7b"
    found = read(Response(200, ((b"apns-id", apns_id.encode()),), b""))
    assert found == Verdict(code="apns_accepted", outcome=Accepted(provider_id=apns_id), status=200)


@pytest.mark.parametrize(
    ("headers", "body"), [(((b"apns-id", b"an-id"),), b"{}"), ((), b"")], ids=["an id and a body", "neither"]
)
def test_apns_accepted_a_200_with_apples_id_or_without_a_body_is_apples(headers, body):
    found = read(Response(200, headers, body))
    assert (found.code, found.status) == ("apns_accepted", 200)


@pytest.mark.parametrize("reason", ["Unregistered", "ExpiredToken"])
@pytest.mark.parametrize("later", [timedelta(0), timedelta(hours=1)])
def test_apns_unregistered_a_token_that_died_after_its_registration_is_dead(reason, later):
    found = read(gone(reason, REGISTERED_AT + later))
    assert found.code == "apns_unregistered"
    assert found.outcome == Refused(certainty=Certainty.DEFINITE, since=REGISTERED_AT + later)
    assert (found.status, found.reason) == (410, reason)
    assert json.loads(found.detail)["reason"] == reason


def test_apns_unregistered_stale_a_death_before_the_registration_is_stale():
    since = REGISTERED_AT - timedelta(seconds=61)
    outcome = Refused(certainty=Certainty.STALE, since=since)
    assert code_and_outcome(gone("Unregistered", since)) == ("apns_unregistered_stale", outcome)


def test_apns_unregistered_unclear_a_death_in_the_minute_before_the_registration_is_stale_too():
    for seconds in (1, 60):
        since = REGISTERED_AT - timedelta(seconds=seconds)
        outcome = Refused(certainty=Certainty.STALE, since=since)
        assert code_and_outcome(gone("ExpiredToken", since)) == ("apns_unregistered_unclear", outcome)


def test_apns_unregistered_a_death_of_which_no_registration_is_known_is_a_death():
    meaning = apns_reasons.meaning(410, "Unregistered", since=NOON)
    assert meaning.code == "apns_unregistered"
    assert meaning.outcome == Refused(certainty=Certainty.DEFINITE, since=NOON)


@pytest.mark.parametrize(
    "body",
    [
        b'{"reason":"Unregistered"}',
        b'{"reason":"Unregistered","timestamp":null}',
        b'{"reason":"Unregistered","timestamp":"yesterday"}',
        b'{"reason":"Unregistered","timestamp":1e300}',
        b'{"reason":"Unregistered","timestamp":{}}',
    ],
)
def test_apns_unregistered_unclear_a_death_without_a_readable_time_is_a_death(body):
    assert code_and_outcome(Response(410, (), body)) == (
        "apns_unregistered_unclear",
        Refused(certainty=Certainty.DEFINITE),
    )


@pytest.mark.parametrize("reason", ["BadDeviceToken", "InvalidToken"])
def test_apns_bad_device_token_a_bad_device_token_may_be_the_wrong_environment(reason):
    assert code_and_outcome(error(400, reason)) == ("apns_bad_device_token", AMBIGUOUS)
    assert read(error(400, reason)).alert == "", "it is the device's matter, unless there are many"


def test_apns_device_token_not_for_topic_a_token_not_for_the_topic_may_be_the_wrong_topic():
    assert code_and_outcome(error(400, "DeviceTokenNotForTopic")) == (
        "apns_device_token_not_for_topic",
        AMBIGUOUS,
    )


@pytest.mark.parametrize("reason", ["TopicDisallowed", "BadTopic", "MissingTopic"])
def test_apns_topic_refused_a_topic_refused_holds_the_topic(reason):
    assert code_and_outcome(error(400, reason)) == ("apns_topic_refused", BadCredentials(scope=Scope.TOPIC))


@pytest.mark.parametrize(
    "reason",
    [
        "BadCollapseId",
        "BadExpirationDate",
        "BadMessageId",
        "BadPriority",
        "InvalidPushType",
        "PayloadEmpty",
        "DuplicateHeaders",
    ],
)
def test_apns_invalid_message_a_malformed_message_fails(reason):
    assert code_and_outcome(error(400, reason)) == ("apns_invalid_message", BadMessage())


@pytest.mark.parametrize(
    ("status", "reason"), [(400, "MissingDeviceToken"), (404, "BadPath"), (405, "MethodNotAllowed")]
)
def test_apns_invalid_request_a_malformed_request_is_our_bug(status, reason):
    found = read(error(status, reason))
    assert (found.code, found.outcome) == ("apns_invalid_request", BadMessage(malformed=False))
    assert found.alert


def test_apns_payload_too_large_a_payload_too_large_fails():
    assert code_and_outcome(error(413, "PayloadTooLarge")) == ("apns_payload_too_large", BadMessage())


def test_apns_idle_timeout_an_idle_timeout_is_the_connections():
    assert code_and_outcome(error(400, "IdleTimeout")) == (
        "apns_idle_timeout",
        Unanswered(silence=Silence.IDLED_OUT),
    )


def test_apns_expired_provider_token_an_expired_provider_token_is_renewed():
    outcome = BadCredentials(scope=Scope.CREDENTIAL, heal=Heal.RENEW_TOKEN)
    assert code_and_outcome(error(403, "ExpiredProviderToken")) == ("apns_expired_provider_token", outcome)
    assert read(error(403, "ExpiredProviderToken")).alert == "", "a new one is made, and nobody is bothered"


@pytest.mark.parametrize(
    "reason",
    [
        "InvalidProviderToken",
        "MissingProviderToken",
        "BadCertificate",
        "BadCertificateEnvironment",
        "BadEnvironmentKeyInToken",
        "BadEnvironmentKeyIdInToken",
    ],
)
def test_apns_invalid_credentials_a_refused_key_or_certificate_holds_the_credential(reason):
    found = read(error(403, reason))
    assert (found.code, found.outcome) == ("apns_invalid_credentials", BadCredentials(scope=Scope.CREDENTIAL))
    assert found.alert


def test_apns_unrelated_key_id_in_token_keys_mixed_on_a_connection_want_a_fresh_one():
    outcome = BadCredentials(scope=Scope.CREDENTIAL, heal=Heal.RECONNECT)
    assert code_and_outcome(error(403, "UnrelatedKeyIdInToken")) == (
        "apns_unrelated_key_id_in_token",
        outcome,
    )


def test_apns_forbidden_forbidden_holds_the_topic_of_the_credential():
    assert code_and_outcome(error(403, "Forbidden")) == ("apns_forbidden", BadCredentials(scope=Scope.TOPIC))


def test_apns_too_many_requests_too_many_requests_throttles_the_device():
    answer = Response(429, ((b"retry-after", b"7"),), b'{"reason":"TooManyRequests"}')
    assert code_and_outcome(answer) == ("apns_too_many_requests", Throttled(scope=Scope.DEVICE, after_s=7))


def test_apns_too_many_provider_token_updates_too_many_token_updates_throttle_the_credential():
    answer = error(429, "TooManyProviderTokenUpdates")
    assert code_and_outcome(answer) == (
        "apns_too_many_provider_token_updates",
        Throttled(scope=Scope.CREDENTIAL),
    )


def test_apns_internal_server_error_an_internal_error_waits_a_quarter_of_an_hour():
    assert code_and_outcome(error(500, "InternalServerError")) == ("apns_internal_server_error", OUTAGE)


def test_apns_internal_server_error_an_operator_may_shorten_the_wait_to_a_minute_and_no_further():
    for setting_s, wait_s in ((120, 120), (1, 60)):
        found = verdict.read(
            error(500, "InternalServerError"),
            token=TOKEN,
            registered_at=REGISTERED_AT,
            now=NOON,
            outage_wait_s=setting_s,
        )
        assert isinstance(found.outcome, Unavailable)
        assert found.outcome.first_wait_s == wait_s


def test_apns_service_unavailable_an_unavailable_service_waits_as_long():
    assert code_and_outcome(error(503, "ServiceUnavailable")) == ("apns_service_unavailable", OUTAGE)


def test_apns_service_unavailable_an_unavailable_service_may_ask_for_more():
    answer = Response(503, ((b"retry-after", b"1800"),), b'{"reason":"ServiceUnavailable"}')
    outcome = msgspec.structs.replace(OUTAGE, after_s=1800)
    assert code_and_outcome(answer) == ("apns_service_unavailable", outcome)


def test_apns_shutdown_a_shutdown_of_one_host_is_retried_at_once():
    found = read(error(503, "Shutdown"))
    assert found.code == "apns_shutdown"
    assert isinstance(found.outcome, Unavailable)
    assert found.outcome.at_once_first


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (error(403, "NewWord"), BadCredentials(scope=Scope.CREDENTIAL, believed_from=5)),
        (gone("NewWord", NOON), Refused(certainty=Certainty.DEFINITE, since=NOON)),
        (error(410, "NewWord"), BadMessage(malformed=False, unclassified=True)),
        (error(507, "NewWord"), OUTAGE),
        (Response(500, (), b"<html>"), OUTAGE),
        (error(400, "NewWord"), BadMessage(malformed=False, unclassified=True)),
        (error(400, "NewWord", timestamp=1), BadMessage(malformed=False, unclassified=True)),
        (error(400, "Unregistered"), BadMessage(malformed=False, unclassified=True)),
        (error(500, "BadDeviceToken"), OUTAGE),
        (error(405, "NewWord"), BadMessage(malformed=False, unclassified=True)),
        (error(429, "NewWord"), Throttled(scope=Scope.DEVICE)),
    ],
    ids=str,
)
def test_apns_unrecognized_response_an_unknown_reason_is_read_by_its_status_and_alerted(answer, outcome):
    found = read(answer)
    assert (found.code, found.outcome) == ("apns_unrecognized_response", outcome)
    assert found.alert.endswith(f"new reason: {found.status} {found.reason or 'without a word'}")


# A middlebox's: a page, or nothing, or JSON without a reason.
PAGES = [b"", b"<html>", b"{}", b'{"timestamp":1795435200000}', b'{"error":"forbidden"}', b'{"reason":""}']


@pytest.mark.parametrize("body", PAGES)
def test_apns_unrecognized_response_an_answer_without_a_reason_is_nobodys_fault(body):
    for status in (300, 301, 302, 400, 401, 403, 404, 405, 407, 410, 418):
        found = read(Response(status, (), body))
        outcome = BadCredentials(scope=Scope.CREDENTIAL, believed_from=5)
        assert (found.code, found.outcome) == ("apns_unrecognized_response", outcome)
    for status in (500, 501, 502, 503, 504, 520):
        assert code_and_outcome(Response(status, (), body)) == ("apns_unrecognized_response", OUTAGE)
    after_7_s = Throttled(scope=Scope.DEVICE, after_s=7)
    assert code_and_outcome(Response(429, ((b"retry-after", b"7"),), body)) == (
        "apns_unrecognized_response",
        after_7_s,
    )
    assert code_and_outcome(Response(413, (), body)) == (
        "apns_unrecognized_response",
        BadMessage(malformed=False, unclassified=True),
    )


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>Sign in"), (201, b""), (204, b""), (202, b"{}")])
def test_apns_unrecognized_response_a_success_that_is_not_apples_is_a_proxys(status, body):
    found = read(Response(status, (), body))
    assert (found.code, found.outcome) == ("apns_unrecognized_response", Unanswered(silence=Silence.GARBLED))
    assert (found.status, found.reason, found.detail) == (status, "garbled", body.decode())
    assert "proxy" in found.alert


def test_connection_failed_what_never_left_is_the_networks():
    answer = NoResponse(Silence.NOT_SENT, "[Errno 111] Connection refused")
    found = read(answer)
    assert (found.code, found.outcome) == ("connection_failed", Unanswered(silence=Silence.NOT_SENT))
    assert (found.status, found.detail) == (None, "[Errno 111] Connection refused")


def test_server_certificate_untrusted_a_server_that_is_not_trusted_is_alerted():
    found = read(NoResponse(Silence.UNTRUSTED, "self-signed certificate"))
    assert (found.code, found.outcome) == (
        "server_certificate_untrusted",
        Unanswered(silence=Silence.UNTRUSTED),
    )
    assert "interception" in found.alert


def test_client_certificate_refused_a_refused_client_certificate_is_the_credentials():
    found = read(NoResponse(Silence.NOT_SENT, "alert certificate revoked", certificate_refused=True))
    assert (found.code, found.outcome) == (
        "client_certificate_refused",
        BadCredentials(scope=Scope.CREDENTIAL),
    )
    assert found.alert


def test_stream_refused_a_refused_stream_was_not_processed():
    answer = NoResponse(Silence.NOT_PROCESSED, "RST_STREAM REFUSED_STREAM")
    assert code_and_outcome(answer) == ("stream_refused", Unanswered(silence=Silence.NOT_PROCESSED))


@pytest.mark.parametrize("silence", [Silence.LOST, Silence.TIMED_OUT])
def test_no_response_a_lost_answer_is_neither_yes_nor_no(silence):
    assert code_and_outcome(NoResponse(silence)) == ("no_response", Unanswered(silence=silence))


def test_no_stream_available_a_request_without_a_stream_stays_queued():
    assert code_and_outcome(NoResponse(Silence.NO_STREAM)) == (
        "no_stream_available",
        Unanswered(silence=Silence.NO_STREAM),
    )


CODES = {row.code for row in decision_table.TABLE}
REASONS = [reason for _, reason in apns_reasons._MEANINGS] + ["Unregistered", "ExpiredToken", "NewWord", ""]
SHAPED = st.builds(
    lambda reason, timestamp: json.dumps({"reason": reason, "timestamp": timestamp}).encode(),
    st.sampled_from(REASONS),
    st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
)
STATUSES = st.sampled_from([200, 400, 403, 404, 405, 410, 413, 429, 500, 503]) | st.integers(100, 599)
BODIES = st.one_of(st.binary(), SHAPED, st.just(b"[" * 100_000), st.just(b'{"reason":' * 20_000))


@given(STATUSES, BODIES)
@example(400, b'{"reason":"\xff"}')
@example(400, b'{"else":' * 20_000)
@example(410, b'{"reason":"Unregistered","timestamp":' + b"9" * 400 + b"}")
def test_no_bytes_raise_and_only_the_shapes_that_name_a_device_refuse_it(status, body):
    found = read(Response(status, (), body))
    assert found.code.startswith("apns_")
    if not isinstance(found.outcome, Refused):
        return
    shapes = {
        (410, "Unregistered"),
        (410, "ExpiredToken"),
        (400, "BadDeviceToken"),
        (400, "InvalidToken"),
        (400, "DeviceTokenNotForTopic"),
    }
    if found.code == "apns_unrecognized_response":
        assert status == 410
        assert found.outcome.since is not None
    else:
        assert (status, found.reason) in shapes


@given(st.sampled_from(Silence), st.text(), st.booleans())
def test_every_silence_has_a_row(silence, detail, certificate_refused):
    found = read(NoResponse(silence, detail, certificate_refused))
    assert found.code in CODES


def test_every_row_of_the_decision_table_has_a_test_named_after_it():
    tests = Path(__file__).parent.glob("test_*.py")
    names = [name for path in tests for name in re.findall(r"def test_(\w+)\(", path.read_text())]
    by_length = sorted(CODES, key=len, reverse=True)
    named = {next((code for code in by_length if name.startswith(f"{code}_")), None) for name in names} - {
        None
    }
    assert len(CODES) == 62
    assert named == CODES
