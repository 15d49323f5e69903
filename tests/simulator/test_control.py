"""The control API: minting, uninstalling, scripting and reading back."""

from __future__ import annotations

import json

import pytest

FCM_PATH = "/v1/projects/simulated-project/messages:send"


def send(desk, client, token):
    return client.send(FCM_PATH, desk.bearer(), json.dumps({"message": {"token": token}}).encode())


async def minted(desk, **asked):
    status, answer = await desk.control("/tokens", asked)
    assert status == 200
    return answer["tokens"]


async def statuses(desk, token):
    """What the journal says became of a token's pushes."""
    _, journal = await desk.control(f"/journal?token={token}")
    return [(entry["status"], entry["reason"]) for entry in journal["requests"]]


async def test_tokens_are_minted_for_the_service_of_their_platform(desk):
    android = await minted(desk, platform="android", count=3)
    ios = await minted(desk, platform="ios")
    assert len(set(android)) == 3
    assert all(":" in token for token in android)
    assert len(ios[0]) == 64
    assert (await desk.send({"token": android[0]})).status == 200
    assert (await desk.push(ios[0])).status == 200


async def test_iphones_may_be_minted_for_fcm_and_for_the_sandbox(desk):
    [through_fcm] = await minted(desk, platform="ios", provider="fcm")
    assert (await desk.send({"token": through_fcm})).status == 200
    [sandboxed] = await minted(desk, platform="ios", environment="sandbox", topic="com.example.other")
    client = await desk.connect(desk.simulator.apns_sandbox_url)
    headers = desk.apple_headers(("apns-topic", "com.example.other"))
    assert (await client.ask(f"/3/device/{sandboxed}", headers, b'{"aps":{}}')).status == 200


async def test_an_app_is_uninstalled_and_installed_again(desk):
    [token] = await minted(desk, platform="ios")
    await desk.control("/uninstall", {"tokens": [token]})
    await desk.push(token)
    await desk.control("/install", {"tokens": [token]})
    await desk.push(token)
    assert await statuses(desk, token) == [(410, "Unregistered"), (200, "")]


async def test_an_app_may_have_been_uninstalled_at_another_time(desk):
    [token] = await minted(desk, platform="ios")
    await desk.control("/uninstall", {"tokens": [token], "at": "2026-01-02T03:04:05Z"})
    assert (await desk.push(token)).json["timestamp"] == 1767323045000


async def test_scripted_answers_come_in_turn_each_once_and_then_the_truth(desk):
    [token] = await minted(desk, platform="android")
    answers = [
        {"status": 503, "reason": "UNAVAILABLE", "headers": {"retry-after": "1"}},
        {"status": 404, "reason": ""},
    ]
    assert await desk.control("/script", {"token": token, "answers": answers}) == (200, {"queued": 2})
    for _ in range(3):
        await desk.send({"token": token})
    assert await statuses(desk, token) == [(503, "UNAVAILABLE"), (404, "NOT_FOUND"), (200, "")]


async def test_a_malformed_push_uses_up_no_scripted_answer(desk):
    [token] = await minted(desk, platform="ios")
    await desk.control(
        "/script", {"token": token, "answers": [{"status": 500, "reason": "InternalServerError"}]}
    )
    assert (await desk.push(token, ("apns-priority", "7"))).status == 400
    assert (await desk.push(token)).status == 500


async def test_a_scripted_success_stands_over_the_truth(desk):
    [token] = await minted(desk, platform="android")
    await desk.control("/uninstall", {"tokens": [token]})
    await desk.control("/script", {"token": token, "answers": [{"status": 200}]})
    assert (await desk.send({"token": token})).status == 200


async def test_a_delayed_answer_does_not_hold_up_its_neighbours(desk):
    slow, quick = await minted(desk, platform="android", count=2)
    await desk.control("/script", {"token": slow, "answers": [{"delay_ms": 200}]})
    client = await desk.fcm()
    first, second = send(desk, client, slow), send(desk, client, quick)
    assert (await client.answer(second)).status == 200
    assert not client.answers[first].complete
    assert (await client.answer(first)).status == 200


@pytest.mark.parametrize("lost", [{"close": True}, {"reset": 8}])
@pytest.mark.parametrize("processed", [True, False])
async def test_an_answer_may_be_lost_before_or_after_the_push_was_taken(desk, lost, processed):
    [token] = await minted(desk, platform="android")
    await desk.control("/script", {"token": token, "answers": [{**lost, "processed": processed}]})
    client = await desk.fcm()
    stream = send(desk, client, token)
    await client.until(lambda: client.closed or client.answers[stream].reset is not None)
    assert client.answers[stream].status == 0
    assert await statuses(desk, token) == [(200, "") if processed else (None, "")]
    assert desk.simulator.world.installations[token].accepted == int(processed)


async def test_a_held_push_is_never_answered(desk):
    held, other = await minted(desk, platform="android", count=2)
    await desk.control("/script", {"token": held, "answers": [{"hold": True}]})
    client = await desk.fcm()
    first, second = send(desk, client, held), send(desk, client, other)
    assert (await client.answer(second)).status == 200
    assert not client.answers[first].complete
    assert await statuses(desk, held) == [(None, "")]


async def test_the_journal_shows_a_request_whole_but_for_its_secret(desk):
    [token] = await minted(desk, platform="ios")
    await desk.push(token, ("apns-collapse-id", "news"), body=b'{"aps":{"badge":1}}')
    _, journal = await desk.control(f"/journal?token={token}")
    [entry] = journal["requests"]
    assert (entry["provider"], entry["token"], entry["body"]) == ("apns", token, '{"aps":{"badge":1}}')
    assert entry["headers"]["apns-collapse-id"] == "news"
    assert entry["headers"]["authorization"] == "…"
    assert entry["at"].endswith("Z")


async def test_a_refused_message_is_written_down_under_the_token_that_it_was_for(desk):
    [token] = await minted(desk, platform="android")
    await desk.send({"token": token, "data": {"n": 1}})
    assert await statuses(desk, token) == [(400, "INVALID_ARGUMENT")]


async def test_the_journal_is_read_in_pages(desk):
    tokens = await minted(desk, platform="android", count=5)
    for token in tokens:
        await desk.send({"token": token})
    _, page = await desk.control("/journal?limit=2&offset=2")
    assert [entry["token"] for entry in page["requests"]] == tokens[2:4]
    assert page["total"] == 5


async def test_the_journal_forgets_the_oldest_and_the_counts_forget_nothing(behaving):
    desk = await behaving(journal_size=3)
    tokens = desk.mint(5)
    for token in tokens:
        await desk.send({"token": token})
    _, journal = await desk.control("/journal")
    assert [entry["token"] for entry in journal["requests"]] == tokens[2:]
    _, counts = await desk.control("/counts")
    assert counts["providers"] == {"fcm": 5}


async def test_answers_are_counted_by_what_they_were(desk):
    first, second = await minted(desk, platform="ios", count=2)
    await desk.push(first)
    await desk.push(first)
    await desk.control("/uninstall", {"tokens": [second]})
    await desk.push(second)
    _, counts = await desk.control("/counts")
    assert counts["providers"] == {"apns": 3}
    assert {(row["status"], row["reason"]): row["count"] for row in counts["answers"]} == {
        (200, ""): 2,
        (410, "Unregistered"): 1,
    }
    assert counts["repeated_accepts"] == 1


async def test_a_reset_forgets_all_and_mints_the_same_tokens_again(desk):
    before = await minted(desk, platform="ios", count=2)
    await desk.push(before[0])
    await desk.control("/reset", {})
    assert (await desk.control("/journal"))[1] == {"requests": [], "total": 0}
    assert (await desk.control("/counts"))[1]["answers"] == []
    assert (await desk.push(before[0])).json["reason"] == "BadDeviceToken"
    assert await minted(desk, platform="ios", count=2) == before


async def test_revoked_access_tokens_are_worthless(desk):
    bearer = desk.bearer()
    await desk.control("/revoke", {})
    client = await desk.fcm()
    assert (await client.ask(FCM_PATH, bearer, b"{}")).status == 401


# A wrong request, and the field that the refusal names.
WRONG = [
    ("/tokens", {}, "platform"),
    ("/tokens", {"platform": "web"}, "platform"),
    ("/tokens", {"platform": "ios", "count": "3"}, "count"),
    ("/tokens", {"platform": "ios", "count": -1}, "count"),
    ("/tokens", {"platform": "ios", "colour": "red"}, "colour"),
    ("/tokens", {"platform": "android", "provider": "apns"}, "provider"),
    ("/tokens", [], "body"),
    ("/uninstall", {"tokens": ["made up"]}, "tokens"),
    ("/uninstall", {"tokens": "made up"}, "tokens"),
    ("/uninstall", {"tokens": [], "at": "yesterday"}, "at"),
    ("/uninstall", {"tokens": [], "at": "2026-01-02T03:04:05"}, "at"),
    ("/install", {"tokens": [1]}, "tokens[0]"),
    ("/script", {"token": "made up", "answers": []}, "token"),
    ("/script", {"token": "x", "answers": [{"status": 700}]}, "answers[0].status"),
    ("/script", {"token": "x", "answers": [{}, {"form": "odd"}]}, "answers[1].form"),
    ("/script", {"token": "x", "answers": [{"delay_ms": -1}]}, "answers[0].delay_ms"),
    ("/script", {"token": "x", "answers": [{"headers": {":status": "1"}}]}, "answers[0].headers"),
]


@pytest.mark.parametrize(("path", "asked", "field"), WRONG)
async def test_a_wrong_request_is_refused_by_the_field_that_is_wrong(desk, path, asked, field):
    status, answer = await desk.control(path, asked)
    assert (status, answer["error"]["field"]) == (400, field)
    assert field in answer["error"]["message"] or field == "body"


async def test_fcms_forms_are_not_for_apns(desk):
    [token] = await minted(desk, platform="ios")
    status, answer = await desk.control("/script", {"token": token, "answers": [{"form": "bare"}]})
    assert (status, answer["error"]["field"]) == (400, "answers[0].form")


@pytest.mark.parametrize(
    ("query", "field"), [("limit=x", "limit"), ("offset=-1", "offset"), ("limit=99999", "limit")]
)
async def test_a_wrong_page_is_refused(desk, query, field):
    status, answer = await desk.control(f"/journal?{query}")
    assert (status, answer["error"]["field"]) == (400, field)


async def test_uninstalling_one_unknown_token_uninstalls_none(desk):
    [token] = await minted(desk, platform="ios")
    status, _ = await desk.control("/uninstall", {"tokens": [token, "made up"]})
    assert status == 400
    assert (await desk.push(token)).status == 200


async def test_a_whole_service_fails_and_recovers(desk):
    [iphone] = await minted(desk, platform="ios")
    [android] = await minted(desk, platform="android")
    for trouble, apple, google in (
        ("key", (403, "InvalidProviderToken"), (403, "PERMISSION_DENIED")),
        ("throttle", (429, "TooManyRequests"), (429, "QUOTA_EXCEEDED")),
        ("outage", (503, "ServiceUnavailable"), (503, "UNAVAILABLE")),
        (None, (200, ""), (200, "")),
    ):
        for service in ("apns", "fcm"):
            status, _ = await desk.control("/trouble", {"service": service, "trouble": trouble})
            assert status == 200
        await desk.push(iphone)
        await desk.send({"token": android})
        assert (await statuses(desk, iphone))[-1] == apple
        assert (await statuses(desk, android))[-1] == google


async def test_trouble_of_one_service_is_none_of_another(desk):
    [iphone] = await minted(desk, platform="ios")
    await desk.control("/trouble", {"service": "apns_sandbox", "trouble": "key"})
    assert (await desk.push(iphone)).status == 200
    _, about = await desk.control("/about")
    assert about["troubles"] == {"apns_sandbox": "key"}
    assert about["origins"] == {
        "fcm": desk.simulator.fcm_url,
        "apns": desk.simulator.apns_url,
        "apns_sandbox": desk.simulator.apns_sandbox_url,
        "webpush": desk.simulator.webpush_url,
    }
    await desk.control("/uninstall", {"tokens": [iphone]})
    _, about = await desk.control("/about")
    assert (about["installed"], about["uninstalled"]) == (0, 1)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"service": "apns"}, "trouble"),
        ({"service": "moon", "trouble": None}, "service"),
        ({"service": "fcm", "trouble": "x"}, "trouble"),
    ],
)
async def test_an_unknown_trouble_is_refused(desk, asked, field):
    status, answer = await desk.control("/trouble", asked)
    assert (status, answer["error"]["field"]) == (400, field)
