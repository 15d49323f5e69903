"""What FCM answers, and in which words (providers.md 1.3, 1.4)."""

from __future__ import annotations

import json

import pytest

from pushkeeper.simulator import Behaviour, FcmRules

BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
APNS_ERROR = "type.googleapis.com/google.firebase.fcm.v1.ApnsError"
PATH = "/v1/projects/simulated-project/messages:send"


def details(answer):
    """The details of an error by the last word of their type."""
    error = answer.json["error"]
    assert error["code"] == answer.status
    return {detail["@type"].rpartition(".")[2]: detail for detail in error.get("details", [])}


def fields(answer):
    return [violation["field"] for violation in details(answer)["BadRequest"]["fieldViolations"]]


async def test_a_push_to_an_installed_app_is_taken_and_named(desk):
    token = desk.android()
    answer = await desk.send({"token": token, "notification": {"title": "Hello"}})
    assert answer.status == 200
    assert answer.json["name"].startswith("projects/simulated-project/messages/0:")
    assert desk.simulator.world.installations[token].accepted == 1


async def test_no_two_pushes_have_one_name(desk):
    token = desk.android()
    first, second = [await desk.send({"token": token}) for _ in range(2)]
    assert first.json["name"] != second.json["name"]


async def test_an_uninstalled_app_answers_unregistered_until_it_is_installed_again(desk):
    token = desk.android()
    desk.simulator.world.uninstall([token])
    gone = await desk.send({"token": token})
    assert gone.status == 404
    assert gone.json["error"]["status"] == "NOT_FOUND"
    assert details(gone) == {"FcmError": {"@type": FCM_ERROR, "errorCode": "UNREGISTERED"}}
    desk.simulator.world.install([token])
    assert (await desk.send({"token": token})).status == 200


async def test_an_iphone_that_is_gone_at_apple_is_a_400_around_apples_410(desk):
    [token] = desk.mint(platform="ios", provider="fcm")
    desk.simulator.world.uninstall([token])
    answer = await desk.send({"token": token})
    assert answer.status == 400
    assert details(answer)["ApnsError"] == {"@type": APNS_ERROR, "statusCode": 410, "reason": "Unregistered"}


async def test_by_switch_an_iphone_that_is_gone_is_googles_404(behaving):
    desk = await behaving(behaviour=Behaviour(fcm=FcmRules(gone_at_apple_form="unregistered")))
    [token] = desk.mint(platform="ios", provider="fcm")
    desk.simulator.world.uninstall([token])
    assert details(await desk.send({"token": token}))["FcmError"]["errorCode"] == "UNREGISTERED"


async def test_what_never_was_a_token_is_refused_in_the_words_of_googles_page(desk):
    answer = await desk.send({"token": "nonsense"})
    assert answer.status == 400
    assert answer.json["error"]["message"] == "The registration token is not a valid FCM registration token"
    assert details(answer) == {"FcmError": {"@type": FCM_ERROR, "errorCode": "INVALID_ARGUMENT"}}


async def test_by_switch_what_never_was_a_token_is_refused_by_its_field(behaving):
    desk = await behaving(behaviour=Behaviour(fcm=FcmRules(unknown_token_form="token_field")))
    assert fields(await desk.send({"token": "nonsense"})) == ["message.token"]


async def test_a_token_of_the_right_shape_that_nobody_has_is_unregistered(desk):
    token = desk.android()
    desk.simulator.world.reset()
    assert details(await desk.send({"token": token}))["FcmError"]["errorCode"] == "UNREGISTERED"


async def test_a_token_of_apns_is_none_of_fcms(desk):
    answer = await desk.send({"token": desk.iphone()})
    assert "not a valid FCM registration token" in answer.json["error"]["message"]


async def test_a_token_of_another_project_is_a_mismatch(desk):
    answer = await desk.send({"token": desk.android(project="somebody-elses")})
    assert (answer.status, answer.json["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert details(answer)["FcmError"]["errorCode"] == "SENDER_ID_MISMATCH"


async def test_another_project_is_denied_without_a_word_of_fcms_own(desk):
    answer = await desk.send({"token": desk.android()}, project="somebody-elses")
    assert (answer.status, answer.json["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert "FcmError" not in details(answer)


@pytest.mark.parametrize("authorization", [None, "Bearer ya29.made-up", "Basic eDp5"])
async def test_without_an_access_token_of_ours_nobody_is_let_in(desk, authorization):
    client = await desk.fcm()
    headers = [("authorization", authorization)] if authorization else []
    answer = await client.ask(PATH, headers, json.dumps({"message": {"token": desk.android()}}).encode())
    assert (answer.status, answer.json["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert "FcmError" not in details(answer)


async def test_an_access_token_lasts_an_hour_and_no_longer(desk):
    client = await desk.fcm()
    bearer = desk.bearer()
    body = json.dumps({"message": {"token": desk.android()}}).encode()
    desk.clock.now_s += 3599
    assert (await client.ask(PATH, bearer, body)).status == 200
    desk.clock.now_s += 2
    assert (await client.ask(PATH, bearer, body)).status == 401


async def test_a_revoked_access_token_is_worthless(desk):
    bearer = desk.bearer()
    desk.simulator.oauth.revoke()
    client = await desk.fcm()
    assert (await client.ask(PATH, bearer, b"{}")).status == 401


@pytest.mark.parametrize(("path", "method"), [("/batch", "POST"), ("/fcm/send", "POST"), (PATH, "GET")])
async def test_any_other_address_is_a_page_not_json(desk, path, method):
    client = await desk.fcm()
    answer = await client.ask(path, desk.bearer(), b"{}", method=method)
    assert answer.status == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.body.startswith(b"<!DOCTYPE html>")


async def test_a_request_without_an_authority_is_refused(desk):
    client = await desk.fcm()
    answer = await client.ask(PATH, desk.bearer(), b"{}", naming=b"host")
    assert answer.status == 400


async def test_a_dry_run_takes_nothing_and_has_a_made_up_name(desk):
    token = desk.android()
    answer = await desk.send({"token": token}, validate_only=True)
    assert answer.json["name"].endswith("fake_message_id")
    assert desk.simulator.world.installations[token].accepted == 0


async def test_a_dry_run_finds_malformed_tokens_but_unregistered_ones_only_by_switch(desk, behaving):
    token = desk.android()
    desk.simulator.world.uninstall([token])
    assert (await desk.send({"token": token}, validate_only=True)).status == 200
    assert (await desk.send({"token": "nonsense"}, validate_only=True)).status == 400
    other = await behaving(behaviour=Behaviour(fcm=FcmRules(dry_run_finds_unregistered=True)))
    token = other.android()
    other.simulator.world.uninstall([token])
    assert (await other.send({"token": token}, validate_only=True)).status == 404


async def test_topics_and_conditions_are_taken(desk):
    for target in ({"topic": "news"}, {"condition": "'news' in topics"}):
        assert (await desk.send(target)).status == 200


async def test_an_installation_id_is_taken_in_its_own_field_and_still_in_the_old_one(desk):
    fid = desk.android(kind="fid")
    assert (await desk.send({"fid": fid})).status == 200
    assert (await desk.send({"token": fid})).status == 200
    assert fields(await desk.send({"fid": desk.android()})) == ["message.fid"]


TOO_LONG = {"body": "x" * 4100}

# What is wrong with the message, and the field that it is wrong in (providers.md 1.4 e and f).
WRONG = [
    ({"data": {"n": 12}}, "message.data[0].value"),
    ({"data": {"a": "x", "b": None}}, "message.data[1].value"),
    ({"data": ["x"]}, "message.data"),
    ({"notification": {"title": 1}}, "message.notification.title"),
    ({"notification": "x"}, "message.notification"),
    ({"sound": "x"}, "message"),
    ({"android": {"colour": "x"}}, "message.android"),
    ({"android": {"ttl": "3600"}}, "message.android.ttl"),
    ({"android": {"ttl": 3600}}, "message.android.ttl"),
    ({"android": {"ttl": "-1s"}}, "message.android.ttl"),
    ({"android": {"ttl": "2419201s"}}, "message.android.ttl"),
    ({"android": {"priority": "URGENT"}}, "message.android.priority"),
    ({"android": {"directBootOk": "yes"}}, "message.android.direct_boot_ok"),
    (
        {"android": {"notification": {"notification_count": "many"}}},
        "message.android.notification.notification_count",
    ),
    (
        {"android": {"notification": {"bodyLocArgs": ["a", 2]}}},
        "message.android.notification.body_loc_args[1]",
    ),
    ({"android": {}, "android_v2": {}}, "message.android_v2"),
    ({"apns": {"headers": {"apns-priority": 5}}}, "message.apns.headers[0].value"),
    ({"apns": {"payload": "{}"}}, "message.apns.payload"),
    ({"data": {"from": "x"}}, "message.data"),
    ({"data": {"message_type": "x"}}, "message.data"),
    ({"data": {"google.x": "x"}}, "message.data"),
    ({"android": {"data": {"gcm.notification.x": "x"}}}, "message.android.data"),
    ({"topic": "news"}, "message"),
    ({"apns": {"payload": {"custom": 1}}}, "message.apns.payload"),
]


@pytest.mark.parametrize(("wrong", "field"), WRONG)
async def test_a_wrong_message_is_refused_by_the_path_of_what_is_wrong(desk, wrong, field):
    token = desk.android()
    answer = await desk.send({"token": token, **wrong})
    assert (answer.status, answer.json["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert fields(answer) == [field]
    assert desk.simulator.world.installations[token].accepted == 0


@pytest.mark.parametrize(
    "right",
    [
        {"android": {"ttl": "0s"}},
        {"android": {"priority": "high"}},
        {"android": {"priority": "NORMAL"}, "apns": None},
        {"android": {"ttl": "2419200s", "collapseKey": "k"}},
        {"android": {"ttl": "3.5s", "collapse_key": "k"}},
        {"androidV2": {"remoteNotification": {"notification": {"title": "x"}, "mutableContent": True}}},
        {
            "android": {
                "notification": {
                    "tag": "t",
                    "light_settings": {"light_on_duration": "1s", "color": {"red": 1}},
                }
            }
        },
        {"apns": {"headers": {"apns-priority": "5"}, "payload": {"aps": {"badge": 1}}}},
        {"webpush": {"notification": {"anything": [1]}, "fcm_options": {"link": "https://example.com"}}},
        {"notification": None, "android": {"ttl": None}, "data": None},
    ],
)
async def test_a_right_message_is_taken_in_either_spelling(desk, right):
    assert (await desk.send({"token": desk.android(), **right})).status == 200


URGENT = {"headers": {"apns-priority": "10"}}


async def test_data_alone_is_refused_for_an_iphone_at_priority_ten(desk):
    [iphone] = desk.mint(platform="ios", provider="fcm")
    silent = {**URGENT, "payload": {"aps": {"content-available": 1}}}
    for apns in (URGENT, silent):
        answer = await desk.send({"token": iphone, "data": {"a": "b"}, "apns": apns})
        assert (answer.status, details(answer)["FcmError"]["errorCode"]) == (400, "INVALID_ARGUMENT")
    shown = {**URGENT, "payload": {"aps": {"badge": 0}}}
    for token, message in (
        (iphone, {"apns": {"headers": {"apns-priority": "5"}}}),
        (iphone, {"apns": shown}),
        (iphone, {"apns": URGENT, "notification": {"title": "T"}}),
        (desk.android(), {"apns": URGENT}),
    ):
        assert (await desk.send({"token": token, "data": {"a": "b"}, **message})).status == 200


async def test_a_message_for_nobody_says_so(desk):
    answer = await desk.send({"notification": {"title": "x"}})
    assert answer.json["error"]["message"] == "Recipient of the message is not set."
    assert fields(answer) == ["message"]


async def test_an_oversized_message_is_a_bare_400(desk):
    answer = await desk.send({"token": desk.android(), "notification": TOO_LONG})
    assert answer.status == 400
    assert answer.json["error"]["message"] == "Request contains an invalid argument."
    assert "details" not in answer.json["error"]


async def test_a_topic_takes_half_of_what_a_token_takes(desk):
    notification = {"body": "x" * 2100}
    assert (await desk.send({"token": desk.android(), "notification": notification})).status == 200
    assert (await desk.send({"topic": "news", "notification": notification})).status == 400


async def test_the_last_of_two_equal_keys_counts(desk):
    client = await desk.fcm()
    body = b'{"message": {"token": "nonsense", "token": "%s"}}' % desk.android().encode()
    assert (await client.ask(PATH, desk.bearer(), body)).status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"null", b'{"message": {"token": "\xff"}}'])
async def test_what_is_not_a_message_is_refused(desk, body):
    client = await desk.fcm()
    answer = await client.ask(PATH, desk.bearer(), body)
    assert (answer.status, answer.json["error"]["status"]) == (400, "INVALID_ARGUMENT")


# Every error code by script: status, reason, Google's status, the FcmError that it comes with.
CODES = [
    (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    (401, "", "UNAUTHENTICATED", None),
    (401, "THIRD_PARTY_AUTH_ERROR", "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"),
    (403, "SENDER_ID_MISMATCH", "PERMISSION_DENIED", "SENDER_ID_MISMATCH"),
    (403, "", "PERMISSION_DENIED", None),
    (404, "UNREGISTERED", "NOT_FOUND", "UNREGISTERED"),
    (404, "", "NOT_FOUND", None),
    (429, "QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"),
    (500, "INTERNAL", "INTERNAL", "INTERNAL"),
    (503, "UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE"),
    (500, "UNSPECIFIED_ERROR", "INTERNAL", "UNSPECIFIED_ERROR"),
]


@pytest.mark.parametrize(("status", "reason", "word", "code"), CODES)
async def test_every_error_code_is_to_be_had_by_script(desk, status, reason, word, code):
    token = desk.android()
    await desk.control("/script", {"token": token, "answers": [{"status": status, "reason": reason}]})
    answer = await desk.send({"token": token})
    assert (answer.status, answer.json["error"]["status"]) == (status, word)
    assert details(answer).get("FcmError", {}).get("errorCode") == code


# The forms of a 400 by script: the types of the details, in providers.md 1.4's letters.
FORMS = [
    ({"form": "token_field"}, {"FcmError", "BadRequest"}),  # a
    ({"form": "token_text"}, {"FcmError"}),  # b
    ({"form": "apple_gone"}, {"FcmError", "ApnsError"}),  # c
    (
        {"status": 400, "reason": "INVALID_ARGUMENT", "apns_reason": "BadDeviceToken"},
        {"FcmError", "ApnsError"},
    ),  # d
    ({"form": "payload_field"}, {"BadRequest"}),  # e
    ({"form": "no_recipient"}, {"FcmError", "BadRequest"}),  # f
    ({"form": "bare"}, set()),  # g
]


@pytest.mark.parametrize(("step", "kinds"), FORMS)
async def test_every_form_of_a_400_is_to_be_had_by_script(desk, step, kinds):
    token = desk.android()
    await desk.control("/script", {"token": token, "answers": [step]})
    answer = await desk.send({"token": token})
    assert answer.status == 400
    assert set(details(answer)) == kinds


async def test_apples_refusal_of_googles_key_comes_with_its_reason(desk):
    [token] = desk.mint(platform="ios", provider="fcm")
    step = {
        "status": 401,
        "reason": "THIRD_PARTY_AUTH_ERROR",
        "apns_status": 403,
        "apns_reason": "InvalidProviderToken",
    }
    await desk.control("/script", {"token": token, "answers": [step]})
    apple = details(await desk.send({"token": token}))["ApnsError"]
    assert (apple["statusCode"], apple["reason"]) == (403, "InvalidProviderToken")


async def test_a_scripted_page_and_its_headers_come_as_they_were_given(desk):
    token = desk.android()
    step = {"status": 502, "body": "<html>try again in 30 seconds</html>", "headers": {"Retry-After": "30"}}
    await desk.control("/script", {"token": token, "answers": [step]})
    answer = await desk.send({"token": token})
    assert (answer.status, answer.body) == (502, b"<html>try again in 30 seconds</html>")
    assert answer.headers["retry-after"] == "30"
    assert answer.headers["content-type"].startswith("text/html")
