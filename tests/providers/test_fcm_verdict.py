"""FCM's answers, one test per row of the decision table, and what no bytes may ever do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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
from pushkeeper.providers.fcm import verdict
from pushkeeper.providers.fcm.oauth import Grant, read_grant
from pushkeeper.providers.shared import no_response
from pushkeeper.providers.transport.response import NoResponse, Response

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOKEN = Token("fMEP0vJqS0:" + "APA91b" * 24)
DEFINITE = Refused(certainty=Certainty.DEFINITE)
AMBIGUOUS = Refused(certainty=Certainty.AMBIGUOUS)
HTML = b"<!DOCTYPE html><html lang=en><title>Error 502 (Server Error)!!1</title>"

FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
APNS_ERROR = "type.googleapis.com/google.firebase.fcm.v1.ApnsError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
QUOTA_FAILURE = "type.googleapis.com/google.rpc.QuotaFailure"


def fcm_error(code: str) -> dict[str, object]:
    return {"@type": FCM_ERROR, "errorCode": code}


def apns_error(status: int, reason: str) -> dict[str, object]:
    return {"@type": APNS_ERROR, "statusCode": status, "reason": reason}


def violations(*fields: str) -> dict[str, object]:
    said = [{"field": field, "description": "Invalid value"} for field in fields]
    return {"@type": BAD_REQUEST, "fieldViolations": said}


def error(
    code: int,
    status: str,
    *details: dict[str, object],
    message: str = "Request contains an invalid argument.",
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Response:
    body = {"error": {"code": code, "message": message, "status": status, "details": list(details)}}
    return Response(code, headers, json.dumps(body).encode())


def read(answer: Response | NoResponse, *, dry_run: bool = False) -> Verdict:
    return verdict.read(answer, token=TOKEN, now=NOON, dry_run=dry_run)


def code_and_outcome(answer: Response | NoResponse) -> tuple[str, object]:
    found = read(answer)
    return found.code, found.outcome


def test_fcm_accepted_a_name_means_accepted():
    name = "projects/myproject-b5ae1/messages/0:1500415314455276%31bd1c9631bd1c96"
    found = read(Response(200, (), json.dumps({"name": name}).encode()))
    assert found == Verdict(code="fcm_accepted", outcome=Accepted(provider_id=name), status=200)


def test_dry_run_accepted_a_dry_run_is_accepted_as_one():
    body = b'{"name":"projects/demo/messages/fake_message_id"}'
    for dry_run in (True, False):
        found = read(Response(200, (), body), dry_run=dry_run)
        assert found.code == "dry_run_accepted"
        assert found.outcome == Accepted(provider_id="projects/demo/messages/fake_message_id", dry_run=True)


def test_dry_run_accepted_a_real_name_is_accepted_as_what_was_sent():
    answer = Response(200, (), b'{"name":"projects/demo/messages/7"}')
    for dry_run, code in ((True, "dry_run_accepted"), (False, "fcm_accepted")):
        outcome = Accepted(provider_id="projects/demo/messages/7", dry_run=dry_run)
        assert read(answer, dry_run=dry_run) == Verdict(code=code, outcome=outcome, status=200)
    assert verdict.read(answer, token=TOKEN, now=NOON).code == "fcm_accepted", "a dry run is asked for"


@pytest.mark.parametrize("silence", Silence)
def test_a_silence_means_at_fcm_what_it_means_anywhere(silence):
    answer = NoResponse(silence, "a detail")
    assert read(answer) == no_response.read(answer)


@pytest.mark.parametrize("body", [b"", b"{}", HTML, b'{"name":""}', b'{"name":7}', b'{"name":"proj'])
def test_fcm_response_without_name_a_success_without_a_name_is_a_proxys(body):
    found = read(Response(200, (), body))
    assert (found.code, found.outcome) == ("fcm_response_without_name", Unanswered(silence=Silence.GARBLED))
    assert "proxy" in found.alert
    assert found.reason == "garbled"


def test_fcm_unregistered_unregistered_is_a_dead_token_with_or_without_apples_word():
    message = "Requested entity was not found."
    for details in (
        [fcm_error("UNREGISTERED")],
        [apns_error(410, "Unregistered"), fcm_error("UNREGISTERED")],
    ):
        found = read(error(404, "NOT_FOUND", *details, message=message))
        assert (found.code, found.outcome) == ("fcm_unregistered", DEFINITE)
        assert (found.status, found.reason, found.detail) == (404, "UNREGISTERED", message)


def test_fcm_project_not_found_a_404_without_unregistered_is_the_projects_fault():
    found = read(error(404, "NOT_FOUND"))
    assert (found.code, found.outcome) == ("fcm_project_not_found", BadCredentials(scope=Scope.CREDENTIAL))
    assert found.alert


@pytest.mark.parametrize("status", [401, 403, 404])
@given(
    body=st.sampled_from([HTML, b"", b"{}", b"[]", b'{"error":"no"}', b'{"error":{}}', b"404"]) | st.binary()
)
def test_what_google_did_not_say_is_believed_of_several_devices_alone(status, body):
    outcome = read(Response(status, (), body)).outcome
    assert isinstance(outcome, BadCredentials)
    assert outcome.believed_from == 5
    said = json.loads(error(status, "PERMISSION_DENIED").body)
    for googles in (said, [said]):
        outcome = read(Response(status, (), json.dumps(googles).encode())).outcome
        assert isinstance(outcome, BadCredentials)
        assert outcome.believed_from == 1


@pytest.mark.parametrize(
    "answer",
    [
        error(400, "INVALID_ARGUMENT", violations("message.token"), fcm_error("INVALID_ARGUMENT")),
        error(400, "INVALID_ARGUMENT", fcm_error("INVALID_ARGUMENT"), violations("message.token")),
        error(400, "INVALID_ARGUMENT", violations("message.fid")),
        error(
            400,
            "INVALID_ARGUMENT",
            fcm_error("INVALID_ARGUMENT"),
            message="The registration token is not a valid FCM registration token",
        ),
    ],
    ids=["form a", "form a, other order", "form a, fid", "form b"],
)
def test_fcm_invalid_argument_token_a_400_about_the_token_alone_is_ambiguous(answer):
    assert code_and_outcome(answer) == ("fcm_invalid_argument_token", AMBIGUOUS)


@pytest.mark.parametrize(
    ("status", "reason", "dead"),
    [
        (410, "Unregistered", True),
        (410, "ExpiredToken", True),
        (410, "", True),
        (410, "NewWord", False),
        (400, "Unregistered", False),
        (400, "", False),
    ],
)
def test_fcm_apns_unregistered_a_410_of_apples_is_a_death_unless_it_says_another_word(status, reason, dead):
    found = read(error(400, "INVALID_ARGUMENT", fcm_error("INVALID_ARGUMENT"), apns_error(status, reason)))
    assert (found.code == "fcm_apns_unregistered") == dead == (found.outcome == DEFINITE)
    assert found.reason == (reason or "INVALID_ARGUMENT")


def test_fcm_apns_unregistered_apples_410_inside_a_400_is_a_dead_token():
    answer = error(
        400,
        "INVALID_ARGUMENT",
        fcm_error("INVALID_ARGUMENT"),
        apns_error(410, "Unregistered"),
        message="APNs device token is disabled.",
    )
    found = read(answer)
    assert (found.code, found.outcome, found.reason) == ("fcm_apns_unregistered", DEFINITE, "Unregistered")


@pytest.mark.parametrize(
    ("status", "reason", "outcome"),
    [
        (400, "BadDeviceToken", AMBIGUOUS),
        (400, "DeviceTokenNotForTopic", AMBIGUOUS),
        (400, "TopicDisallowed", BadCredentials(scope=Scope.APPLE_LEG, probe_after_s=None)),
        (403, "InvalidProviderToken", BadCredentials(scope=Scope.APPLE_LEG, probe_after_s=None)),
        (
            403,
            "ExpiredProviderToken",
            BadCredentials(scope=Scope.APPLE_LEG, heal=Heal.RECONNECT, probe_after_s=None),
        ),
        (413, "PayloadTooLarge", BadMessage()),
        (429, "TooManyRequests", Throttled(scope=Scope.DEVICE)),
        (429, "TooManyProviderTokenUpdates", Throttled(scope=Scope.APPLE_LEG)),
    ],
)
def test_fcm_apns_error_apples_other_words_inside_a_400_mean_what_apple_means_on_the_apple_leg(
    status, reason, outcome
):
    answer = error(400, "INVALID_ARGUMENT", fcm_error("INVALID_ARGUMENT"), apns_error(status, reason))
    found = read(answer)
    assert (found.code, found.outcome, found.reason) == ("fcm_apns_error", outcome, reason)


def test_fcm_apns_error_apples_outage_inside_a_400_waits_as_long_as_apple_asks():
    found = read(error(400, "INVALID_ARGUMENT", apns_error(503, "ServiceUnavailable")))
    assert found.code == "fcm_apns_error"
    assert isinstance(found.outcome, Unavailable)
    assert (found.outcome.first_wait_s, found.outcome.jitter) == (900, Jitter.FIFTH)


@pytest.mark.parametrize(
    "answer",
    [
        error(400, "INVALID_ARGUMENT", violations("message.data[0].value")),
        error(400, "INVALID_ARGUMENT", violations("message.token", "message.android.ttl")),
        error(400, "INVALID_ARGUMENT", violations("message"), message="Recipient of the message is not set."),
    ],
    ids=["form e", "form e beside the token", "form f"],
)
def test_fcm_invalid_argument_message_a_400_about_any_other_field_is_the_messages_fault(answer):
    found = read(answer)
    assert (found.code, found.outcome) == ("fcm_invalid_argument_message", BadMessage())
    assert "Invalid value" in found.detail


@pytest.mark.parametrize(
    "answer",
    [
        error(400, "INVALID_ARGUMENT"),
        error(400, "INVALID_ARGUMENT", fcm_error("INVALID_ARGUMENT"), message="Something new."),
        error(
            400,
            "INVALID_ARGUMENT",
            message="The registration token is not a valid FCM registration token",
        ),
        error(400, "INVALID_ARGUMENT", {"@type": BAD_REQUEST, "fieldViolations": []}),
        error(
            400,
            "INVALID_ARGUMENT",
            {"@type": BAD_REQUEST, "fieldViolations": []},
            fcm_error("INVALID_ARGUMENT"),
            message="The registration token is not a valid FCM registration token",
        ),
        Response(400, (), b'{"error":{"code":400,"status":"INVALID_ARGUMENT","details":{"0":{}}}}'),
        Response(400, (), HTML),
        Response(400, (), b'{"error":{"code":400,"mess'),
    ],
    ids=[
        "form g",
        "form h",
        "known text without a detail",
        "no field named",
        "no field named beside the known text",
        "details of another shape",
        "html",
        "truncated",
    ],
)
def test_fcm_invalid_argument_any_other_400_is_the_messages_fault_and_counted_as_unclassified(answer):
    assert code_and_outcome(answer) == ("fcm_invalid_argument", BadMessage(unclassified=True))


def test_fcm_unauthenticated_a_401_without_an_fcm_error_is_our_access_tokens():
    outcome = BadCredentials(scope=Scope.CREDENTIAL, heal=Heal.RENEW_TOKEN)
    assert code_and_outcome(error(401, "UNAUTHENTICATED")) == ("fcm_unauthenticated", outcome)


@pytest.mark.parametrize("code", ["THIRD_PARTY_AUTH_ERROR", "APNS_AUTH_ERROR"])
def test_fcm_third_party_auth_error_firebases_copy_of_the_apple_key_stops_the_apple_leg_only(code):
    found = read(error(401, "UNAUTHENTICATED", fcm_error(code), apns_error(403, "InvalidProviderToken")))
    assert (found.code, found.outcome) == (
        "fcm_third_party_auth_error",
        BadCredentials(scope=Scope.APPLE_LEG, probe_after_s=None),
    )
    assert found.alert.endswith(": Apple said 403 InvalidProviderToken")
    assert read(error(401, "UNAUTHENTICATED", fcm_error(code))).alert.endswith("Apple key is refused")


def test_fcm_sender_id_mismatch_a_sender_mismatch_is_ambiguous():
    answer = error(403, "PERMISSION_DENIED", fcm_error("SENDER_ID_MISMATCH"))
    assert code_and_outcome(answer) == ("fcm_sender_id_mismatch", AMBIGUOUS)


def test_fcm_permission_denied_permission_denied_is_the_service_accounts_and_is_probed_after_a_minute():
    outcome = BadCredentials(scope=Scope.CREDENTIAL, probe_after_s=60)
    assert code_and_outcome(error(403, "PERMISSION_DENIED")) == ("fcm_permission_denied", outcome)


def test_fcm_payload_too_large_a_413_is_the_messages_fault():
    assert code_and_outcome(Response(413, (), b"")) == ("fcm_payload_too_large", BadMessage())


def test_fcm_quota_exceeded_device_a_quota_that_names_the_device_throttles_the_device():
    quota: dict[str, object] = {
        "@type": QUOTA_FAILURE,
        "violations": [{"subject": "device", "description": "Device Message Rate"}],
    }
    answer = error(429, "RESOURCE_EXHAUSTED", fcm_error("QUOTA_EXCEEDED"), quota)
    assert code_and_outcome(answer) == ("fcm_quota_exceeded_device", Throttled(scope=Scope.DEVICE))


@pytest.mark.parametrize(
    "detail",
    [
        {"@type": QUOTA_FAILURE, "violations": [{"subject": "p", "description": "Device Message Rate"}]},
        {"@type": QUOTA_FAILURE, "violations": [{"subject": "project:1"}, {"subject": "device:2"}]},
        apns_error(429, "TooManyRequests"),
    ],
)
def test_fcm_quota_exceeded_device_waits_for_its_retry_after_wherever_the_device_is_named(detail):
    answer = error(429, "RESOURCE_EXHAUSTED", detail, headers=((b"retry-after", b"90"),))
    outcome = Throttled(scope=Scope.DEVICE, after_s=90)
    assert code_and_outcome(answer) == ("fcm_quota_exceeded_device", outcome)


def test_fcm_quota_exceeded_project_another_word_of_apples_names_no_device():
    found = read(error(429, "RESOURCE_EXHAUSTED", apns_error(429, "TooManyProviderTokenUpdates")))
    assert (found.code, found.outcome) == (
        "fcm_quota_exceeded_project",
        Throttled(scope=Scope.CREDENTIAL),
    )


@pytest.mark.parametrize(
    ("header", "after_s"),
    [
        (b"17", 17.0),
        (format_datetime(NOON + timedelta(seconds=90), usegmt=True).encode(), 90.0),
        (format_datetime(NOON - timedelta(days=1), usegmt=True).encode(), 0.0),
        (b"999999999", 28 * 86_400.0),
        (b"Fri, 31 Dec 9999 23:59:59 GMT", 28 * 86_400.0),
        (b"soon", None),
        (b"-5", None),
        (b"9" * 5000, None),
        (b"\xff\xfe", None),
        (b"Mon, 99 Foo 99999 99:99:99 GMT", None),
    ],
)
def test_fcm_quota_exceeded_project_any_other_429_throttles_the_project_for_its_retry_after_in_either_form(
    header, after_s
):
    answer = error(
        429, "RESOURCE_EXHAUSTED", fcm_error("QUOTA_EXCEEDED"), headers=((b"retry-after", header),)
    )
    assert code_and_outcome(answer) == (
        "fcm_quota_exceeded_project",
        Throttled(scope=Scope.CREDENTIAL, after_s=after_s),
    )


@pytest.mark.parametrize("status", [500, 504])
def test_fcm_internal_a_server_fault_waits_from_ten_seconds_to_ten_minutes(status):
    outcome = Unavailable(first_wait_s=10, longest_wait_s=600)
    assert code_and_outcome(error(status, "INTERNAL", fcm_error("INTERNAL"))) == ("fcm_internal", outcome)
    told = error(status, "INTERNAL", headers=((b"retry-after", b"70"),))
    outcome = Unavailable(first_wait_s=10, longest_wait_s=600, after_s=70)
    assert code_and_outcome(told) == ("fcm_internal", outcome)


def test_fcm_bad_gateway_a_502_waits_thirty_seconds_or_its_retry_after():
    thirty = Unavailable(first_wait_s=10, longest_wait_s=600, opening_wait_s=30)
    assert code_and_outcome(Response(502, (), HTML)) == ("fcm_bad_gateway", thirty)
    told = Unavailable(first_wait_s=10, longest_wait_s=600, after_s=5)
    assert code_and_outcome(Response(502, ((b"retry-after", b"5"),), HTML)) == ("fcm_bad_gateway", told)


def test_fcm_unavailable_an_overload_honours_its_retry_after():
    answer = error(503, "UNAVAILABLE", fcm_error("UNAVAILABLE"), headers=((b"retry-after", b"120"),))
    outcome = Unavailable(first_wait_s=10, longest_wait_s=600, after_s=120)
    assert code_and_outcome(answer) == ("fcm_unavailable", outcome)


@pytest.mark.parametrize(
    "answer",
    [
        error(418, "UNKNOWN"),
        error(403, "PERMISSION_DENIED", fcm_error("UNSPECIFIED_ERROR")),
        error(404, "NOT_FOUND", fcm_error("UNSPECIFIED_ERROR")),
        error(401, "UNAUTHENTICATED", fcm_error("UNSPECIFIED_ERROR")),
        error(409, "ALREADY_EXISTS"),
    ],
    ids=["418", "403", "404", "401", "409"],
)
def test_fcm_unrecognized_response_anything_else_fails_the_push_and_is_alerted(answer):
    found = read(answer)
    assert (found.code, found.outcome) == (
        "fcm_unrecognized_response",
        BadMessage(malformed=False, unclassified=True),
    )
    assert found.alert.endswith(f"{answer.status} {found.reason}")


PAGES = [
    b"",
    HTML,
    b"{}",
    b'{"message":"no Route matched with those values"}',
    b'{"error":{"status":"404","message":"Not Found"}}',
    b'{"error":{"code":403,"message":"Forbidden"}}',
]


@pytest.mark.parametrize("body", PAGES)
@pytest.mark.parametrize("status", [300, 301, 302, 307, 401, 402, 403, 404, 405, 407, 409, 418, 451])
def test_fcm_unrecognized_response_what_is_not_googles_answer_is_nobodys_fault_until_five_devices_hear_it(
    status, body
):
    found = read(Response(status, (), body))
    assert isinstance(found.outcome, BadCredentials)
    assert found.outcome.believed_from == 5
    rows = {401: "fcm_unauthenticated", 403: "fcm_permission_denied", 404: "fcm_project_not_found"}
    assert found.code == rows.get(status, "fcm_unrecognized_response")


# google.rpc.Code, as its documentation lists them.
CANONICAL = [
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
]


@pytest.mark.parametrize("word", CANONICAL)
def test_whatever_code_google_gives_it_is_google_that_answers(word):
    outcome = read(error(403, word)).outcome
    assert outcome == BadCredentials(scope=Scope.CREDENTIAL, probe_after_s=60)


@pytest.mark.parametrize(
    "answer",
    [
        *(
            Response(status, (), body)
            for status in (408, 425, 499, 501, 505, 507, 520, 599)
            for body in PAGES
        ),
        error(408, "UNKNOWN"),
        *(error(409, word) for word in ("ABORTED", "CANCELLED", "DEADLINE_EXCEEDED")),
        error(499, "CANCELLED"),
    ],
    ids=lambda answer: str(answer.status),
)
def test_fcm_unrecognized_response_what_says_nothing_of_the_message_is_sent_again(answer):
    outcome = Unavailable(first_wait_s=10, longest_wait_s=600)
    assert code_and_outcome(answer) == ("fcm_unrecognized_response", outcome)


@pytest.mark.parametrize("status", [201, 202, 204, 299])
def test_fcm_response_without_name_another_success_is_a_proxys(status):
    found = read(Response(status, (), b'{"name":"projects/p/messages/1"}'))
    assert (found.code, found.outcome, found.status) == (
        "fcm_response_without_name",
        Unanswered(silence=Silence.GARBLED),
        status,
    )


@pytest.mark.parametrize(
    ("status", "word", "description"),
    [
        (
            400,
            "invalid_grant",
            (
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                "Check your iat and exp values in the JWT claim."
            ),
        ),
        (400, "invalid_grant", "Invalid JWT Signature."),
        (401, "invalid_client", "The OAuth client was not found."),
        (401, "unauthorized_client", "Unauthorized"),
    ],
)
def test_fcm_oauth_refused_a_refused_grant_is_the_credentials_and_a_skew_says_to_check_the_clock(
    status, word, description
):
    body = json.dumps({"error": word, "error_description": description}).encode()
    found = read_grant(Response(status, (), body), now=NOON)
    assert isinstance(found, Verdict)
    assert (found.code, found.outcome) == ("fcm_oauth_refused", BadCredentials(scope=Scope.CREDENTIAL))
    assert (found.reason, found.detail) == (word, description)
    assert ("clock" in found.alert) == ("short-lived" in description)


@pytest.mark.parametrize(
    "answer",
    [
        Response(408, (), b""),
        Response(429, (), b""),
        Response(503, (), HTML),
        NoResponse(Silence.NOT_SENT, "connection refused"),
        NoResponse(Silence.LOST),
        NoResponse(Silence.TIMED_OUT),
        Response(200, (), HTML),
        Response(200, (), b'{"access_token":"a\\nb","expires_in":3600}'),
    ],
    ids=str,
)
def test_fcm_oauth_unavailable_a_token_endpoint_in_trouble_is_an_outage_as_nothing_was_sent(answer):
    found = read_grant(answer, now=NOON)
    assert isinstance(found, Verdict)
    assert (found.code, found.outcome) == (
        "fcm_oauth_unavailable",
        Unavailable(first_wait_s=2, longest_wait_s=60),
    )


def test_a_grant_is_an_access_token_and_its_life_and_shows_neither():
    body = b'{"access_token":"ya29.c.secret","expires_in":3599,"token_type":"Bearer"}'
    found = read_grant(Response(200, (), body), now=NOON)
    assert isinstance(found, Grant)
    assert (found.access_token.value, found.expires_in_s) == (b"ya29.c.secret", 3599.0)
    assert "ya29" not in repr(found)


def test_a_token_endpoint_that_is_not_trusted_holds_the_pushes():
    found = read_grant(NoResponse(Silence.UNTRUSTED), now=NOON)
    assert isinstance(found, Verdict)
    assert (found.code, found.outcome) == (
        "server_certificate_untrusted",
        Unanswered(silence=Silence.UNTRUSTED),
    )


def test_the_devices_token_is_masked_wherever_the_provider_repeats_it():
    said = f"Invalid registration {TOKEN.value} given twice: {TOKEN.value}"
    for answer in (
        error(400, "INVALID_ARGUMENT", message=said),
        error(400, "INVALID_ARGUMENT", violations(TOKEN.value)),
        error(418, said),
        error(418, "TEAPOT", fcm_error(said)),
        Response(400, (), said.encode()),
        Response(200, (), said.encode()),
    ):
        found = read(answer)
        assert TOKEN.value not in f"{found.detail}{found.reason}{found.alert}"
        assert TOKEN.masked in f"{found.detail}{found.reason}"


def test_what_is_kept_of_an_answer_is_short_and_printable():
    found = read(Response(502, (), b"\x00\x1b[31m" + b"<p>\n" * 10_000))
    assert len(found.detail) == 300
    assert found.detail.isprintable()


BROKEN = [
    {"@type": kind, "errorCode": 7.5, "fieldViolations": 1, "violations": 1, "statusCode": []}
    for kind in (FCM_ERROR, APNS_ERROR, BAD_REQUEST, QUOTA_FAILURE)
]


def test_of_details_of_one_kind_the_first_counts_and_fields_are_taken_together():
    first = error(404, "NOT_FOUND", fcm_error("UNREGISTERED"), fcm_error("INTERNAL"))
    assert read(first).code == "fcm_unregistered"
    apples = (apns_error(410, "Unregistered"), apns_error(400, "BadDeviceToken"))
    assert read(error(400, "INVALID_ARGUMENT", *apples)).code == "fcm_apns_unregistered"
    fields = (violations("message.android.ttl"), violations("message.token"))
    found = read(error(400, "INVALID_ARGUMENT", *fields))
    assert (found.code, found.reason) == ("fcm_invalid_argument_message", "INVALID_ARGUMENT")


@pytest.mark.parametrize("broken", BROKEN, ids=lambda detail: str(detail["@type"]).rpartition(".")[2])
def test_a_detail_that_cannot_be_read_says_nothing(broken):
    found = read(error(404, "NOT_FOUND", broken, fcm_error("UNREGISTERED")))
    assert (found.code, found.reason) == ("fcm_unregistered", "UNREGISTERED")
    assert read(error(429, "RESOURCE_EXHAUSTED", broken)).code == "fcm_quota_exceeded_project"


STATUSES = st.sampled_from([200, 204, 400, 401, 403, 404, 413, 429, 500, 502, 503, 504]) | st.integers(
    100, 599
)
CODES = st.sampled_from(
    [
        "UNREGISTERED",
        "SENDER_ID_MISMATCH",
        "INVALID_ARGUMENT",
        "THIRD_PARTY_AUTH_ERROR",
        "UNSPECIFIED_ERROR",
        "",
    ]
)
FIELDS = st.sampled_from(["message.token", "message.fid", "message", "message.data[0].value"])
APPLE_REASONS = st.sampled_from(
    [
        "Unregistered",
        "ExpiredToken",
        "BadDeviceToken",
        "InvalidToken",
        "DeviceTokenNotForTopic",
        "Forbidden",
        "",
    ]
)
DETAILS = st.one_of(
    CODES.map(fcm_error),
    st.builds(apns_error, st.sampled_from([400, 403, 410, 500]), APPLE_REASONS),
    st.lists(FIELDS, max_size=3).map(lambda fields: violations(*fields)),
    st.dictionaries(st.sampled_from(["@type", "errorCode", "statusCode"]), st.integers() | st.text()),
)
TEXTS = st.sampled_from([verdict.INVALID_TOKEN_TEXT, "Request contains an invalid argument."])
SHAPED = st.builds(
    lambda details, text: json.dumps({"error": {"message": text, "details": details}}).encode(),
    st.lists(DETAILS, max_size=3),
    TEXTS,
)
BODIES = st.one_of(st.binary(), SHAPED, st.just(b"[" * 100_000), st.just(b'{"error":' * 20_000))
HEADERS = st.one_of(st.just(()), st.binary(max_size=40).map(lambda value: ((b"retry-after", value),)))


@given(STATUSES, HEADERS, BODIES, st.booleans())
@example(200, (), b'{"name":"\xff"}', False)  # noqa: FBT003
@example(200, (), b'{"else":' * 20_000, False)  # noqa: FBT003
@example(400, (), b'{"error":{"status":"\xff"}}', False)  # noqa: FBT003
@example(400, (), b'{"else":' * 20_000, False)  # noqa: FBT003
def test_no_bytes_raise_and_only_the_shapes_that_name_a_device_refuse_it(status, headers, body, dry_run):
    found = read(Response(status, headers, body), dry_run=dry_run)
    assert found.code.startswith("fcm_")
    if not isinstance(found.outcome, Refused):
        return
    details = msgspec.json.decode(body)["error"]["details"]
    kinds = {str(detail.get("@type", "")).rpartition(".")[2] for detail in details}
    shapes = {
        "fcm_unregistered": status == 404 and "FcmError" in kinds,
        "fcm_invalid_argument_token": status == 400
        and "ApnsError" not in kinds
        and bool({"BadRequest", "FcmError"} & kinds),
        "fcm_apns_unregistered": status == 400 and "ApnsError" in kinds,
        "fcm_apns_error": status == 400 and "ApnsError" in kinds,
        "fcm_sender_id_mismatch": status == 403 and "FcmError" in kinds,
    }
    assert shapes[found.code]


@given(STATUSES, HEADERS, st.binary() | st.text().map(lambda text: json.dumps({"error": text}).encode()))
def test_no_bytes_of_a_token_endpoint_raise(status, headers, body):
    found = read_grant(Response(status, headers, body), now=NOON)
    if isinstance(found, Grant):
        assert 200 <= status < 300
        assert found.expires_in_s > 0
    else:
        assert found.code.startswith("fcm_oauth")
        assert not isinstance(found.outcome, Accepted | Refused), "nothing of it is about a device"
