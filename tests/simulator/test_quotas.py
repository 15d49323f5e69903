"""What is taken in a while, what it costs to be wrong, and time that passes (providers.md 1.5, 4.1)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from pushkeeper.simulator import ApnsRules, Behaviour, FcmRules


def to(token):
    return {"token": token}


async def test_a_device_takes_so_many_messages_a_minute_and_says_when_the_next(behaving):
    desk = await behaving(behaviour=Behaviour(fcm=FcmRules(device_per_min=3)))
    token, other = desk.android(), desk.android()
    answers = [await desk.send(to(token)) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    [failure] = [d for d in answers[3].json["error"]["details"] if "QuotaFailure" in d["@type"]]
    assert failure["violations"][0]["subject"] == "device"
    assert answers[3].headers["retry-after"] == "60"
    assert (await desk.send(to(other))).status == 200, "only that device"
    desk.clock.now_s += 60
    assert (await desk.send(to(token))).status == 200


async def test_a_device_takes_so_many_messages_an_hour(behaving):
    desk = await behaving(behaviour=Behaviour(fcm=FcmRules(device_per_min=None, device_per_h=2)))
    token = desk.android()
    assert [(await desk.send(to(token))).status for _ in range(3)] == [200, 200, 429]
    desk.clock.now_s += 3599
    assert (await desk.send(to(token))).headers["retry-after"] == "1"
    desk.clock.now_s += 1
    assert (await desk.send(to(token))).status == 200


async def test_the_projects_minute_begins_with_its_first_request_and_counts_refusals_but_not_429(behaving):
    desk = await behaving(behaviour=Behaviour(fcm=FcmRules(project_per_min=2, names_the_quota=False)))
    token = desk.android()
    desk.clock.now_s += 17
    assert (await desk.send(to("nobody's"))).status == 400
    assert (await desk.send(to(token))).status == 200
    refused = [await desk.send(to(token)) for _ in range(5)]
    assert {answer.status for answer in refused} == {429}
    assert not [d for d in refused[0].json["error"]["details"] if "QuotaFailure" in d["@type"]]
    desk.clock.now_s += 60
    assert (await desk.send(to(token))).status == 200


async def test_retry_after_comes_in_seconds_as_a_date_and_not_at_all(behaving):
    rules = FcmRules(device_per_min=1, retry_after="mixed")
    desk = await behaving(behaviour=Behaviour(fcm=rules))
    token = desk.android()
    await desk.send(to(token))
    seconds, date, none = [(await desk.send(to(token))).headers.get("retry-after") for _ in range(3)]
    assert seconds == "60"
    assert parsedate_to_datetime(date).timestamp() == desk.clock.now_s + 60
    assert none is None


async def test_an_android_phone_that_was_silent_for_270_days_is_not_registered_any_more(desk):
    token, iphone = desk.android(), desk.mint(platform="ios", provider="fcm")[0]
    status, _ = await desk.control("/days", {"days": 269.9})
    assert status == 200
    assert (await desk.send(to(token))).status == 200
    await desk.control("/days", {"days": 0.1})
    gone = await desk.send(to(token))
    assert (gone.status, gone.json["error"]["details"][0]["errorCode"]) == (404, "UNREGISTERED")
    assert (await desk.send(to(iphone))).status == 200, "of Apple's phones Google knows nothing"
    await desk.control("/install", {"tokens": [token]})
    assert (await desk.send(to(token))).status == 200


async def test_apns_slows_down_and_leaves_who_asks_for_unknown_tokens_and_counts_no_410(behaving):
    desk = await behaving(behaviour=Behaviour(apns=ApnsRules(bad_tokens_in_a_row=3)))
    token, gone = desk.iphone(), desk.iphone()
    desk.simulator.world.uninstall([gone])
    client = await desk.apns()

    async def ask(wanted):
        return (await client.ask(f"/3/device/{wanted}", desk.apple_headers(), b'{"aps":{}}')).status

    assert await ask(token) == 200
    for _ in range(10):
        assert await ask(gone) == 410
    assert client.limits == [1, 1000]
    for _ in range(3):
        assert await ask("0" * 64) == 400
    assert client.limits == [1, 1000, 1]
    for _ in range(3):
        assert await ask("0" * 64) == 400
    await client.until(lambda: client.goaways)
    await client.ended()


async def test_apns_takes_so_many_notifications_for_one_device(behaving):
    desk = await behaving(behaviour=Behaviour(apns=ApnsRules(device_per_min=2)))
    token = desk.iphone()
    client = await desk.apns()
    answers = [await client.ask(f"/3/device/{token}", desk.apple_headers(), b'{"aps":{}}') for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].json == {"reason": "TooManyRequests"}


async def test_an_outage_strikes_its_share_of_the_requests(behaving):
    rules = Behaviour(fcm=FcmRules(unavailable_share=0.25), apns=ApnsRules(unavailable_share=0.5))
    desk = await behaving(behaviour=rules)
    token, iphone = desk.android(), desk.iphone()
    answers = [(await desk.send(to(token))).status for _ in range(8)]
    assert answers == [200, 200, 200, 503] * 2
    client = await desk.apns()
    answers = [
        (await client.ask(f"/3/device/{iphone}", desk.apple_headers(), b'{"aps":{}}')).status
        for _ in range(4)
    ]
    assert answers == [200, 503] * 2
