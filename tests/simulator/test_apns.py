"""What APNs answers to whom (providers.md 2)."""

from __future__ import annotations

import re

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pushkeeper.simulator import ApnsRules, Behaviour, Simulator

UUID = "6f6c0d2e-9c1b-4a7e-8f0d-3c2b1a0f9e8d"


def refusal(answer):
    return answer.status, answer.json["reason"]


async def test_a_push_to_an_installed_app_is_taken_and_its_id_echoed(desk):
    answer = await desk.push(desk.iphone(), ("apns-id", UUID), ("apns-push-type", "alert"))
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers == {"apns-id": UUID}


async def test_apns_makes_an_id_when_none_is_given(desk):
    first, second = [await desk.push(desk.iphone()) for _ in range(2)]
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", first.headers["apns-id"])
    assert first.headers["apns-id"] != second.headers["apns-id"]


async def test_an_uninstalled_app_is_gone_since_a_moment_in_milliseconds_until_it_is_installed_again(desk):
    token = desk.iphone()
    desk.simulator.world.uninstall([token])
    since_ms = int(desk.clock.now_s * 1000)
    desk.clock.now_s += 60
    answer = await desk.push(token, ("apns-id", UUID))
    assert (answer.status, answer.json) == (410, {"reason": "Unregistered", "timestamp": since_ms})
    assert answer.headers["apns-id"] == UUID
    desk.simulator.world.install([token])
    assert (await desk.push(token)).status == 200


async def test_a_token_that_nobody_has_is_a_bad_one(desk):
    assert refusal(await desk.push("0" * 64)) == (400, "BadDeviceToken")


async def test_a_token_of_one_environment_is_a_bad_one_in_the_other(desk):
    sandboxed = desk.iphone(environment="sandbox")
    assert refusal(await desk.push(sandboxed)) == (400, "BadDeviceToken")
    client = await desk.connect(desk.simulator.apns_sandbox_url)
    answer = await client.ask(f"/3/device/{sandboxed}", desk.apple_headers(), b'{"aps":{}}')
    assert answer.status == 200
    other = await client.ask(f"/3/device/{desk.iphone()}", desk.apple_headers(), b'{"aps":{}}')
    assert refusal(other) == (400, "BadDeviceToken")


async def test_the_sandbox_alone_gives_unique_ids(desk):
    token = desk.iphone(environment="sandbox")
    client = await desk.connect(desk.simulator.apns_sandbox_url)
    answer = await client.ask(f"/3/device/{token}", desk.apple_headers(), b'{"aps":{}}')
    assert "apns-unique-id" in answer.headers
    assert "apns-unique-id" not in (await desk.push(desk.iphone())).headers


async def test_a_token_of_another_app_is_not_for_the_topic(desk):
    token = desk.iphone(topic="com.example.other")
    assert refusal(await desk.push(token)) == (400, "DeviceTokenNotForTopic")
    assert (await desk.push(token, ("apns-topic", "com.example.other"))).status == 200


async def test_a_token_in_capitals_is_the_same_token(desk):
    assert (await desk.push(desk.iphone().upper())).status == 200


# A header, and the reason that it is refused with; the last word on what is right follows.
WRONG_HEADERS = [
    (("apns-id", UUID.upper()), "BadMessageId"),
    (("apns-id", UUID.replace("-", "")), "BadMessageId"),
    (("apns-expiration", "-1"), "BadExpirationDate"),
    (("apns-expiration", "tomorrow"), "BadExpirationDate"),
    (("apns-priority", "7"), "BadPriority"),
    (("apns-push-type", "loud"), "InvalidPushType"),
    (("apns-push-type", "background"), "BadPriority"),
    (("apns-push-type", "voip"), "BadTopic"),
    (("apns-collapse-id", "x" * 65), "BadCollapseId"),
    (("apns-collapse-id", "é" * 33), "BadCollapseId"),
    (("apns-topic", "no topic!"), "BadTopic"),
]


@pytest.mark.parametrize(("header", "reason"), WRONG_HEADERS)
async def test_a_wrong_header_is_refused_by_its_name(desk, header, reason):
    assert refusal(await desk.push(desk.iphone(), header)) == (400, reason)


@pytest.mark.parametrize(
    "headers",
    [
        [("apns-expiration", "0"), ("apns-priority", "1")],
        [("apns-collapse-id", "x" * 64)],
        [("apns-push-type", "background"), ("apns-priority", "5")],
    ],
)
async def test_a_right_header_is_taken(desk, headers):
    assert (await desk.push(desk.iphone(), *headers)).status == 200


async def test_a_header_given_twice_is_one_too_many(desk):
    twice = [("apns-priority", "5"), ("apns-priority", "10")]
    assert refusal(await desk.push(desk.iphone(), *twice)) == (400, "DuplicateHeaders")


async def test_a_push_without_a_topic_is_refused(desk):
    client = await desk.apns()
    headers = [header for header in desk.apple_headers() if header[0] != "apns-topic"]
    assert refusal(await client.ask(f"/3/device/{desk.iphone()}", headers, b"{}")) == (400, "MissingTopic")


@pytest.mark.parametrize(
    ("path", "method", "refused"),
    [
        ("/3/device/", "POST", (400, "MissingDeviceToken")),
        ("/4/device/x", "POST", (404, "BadPath")),
        ("/3/device/x", "GET", (405, "MethodNotAllowed")),
    ],
)
async def test_a_wrong_address_is_refused(desk, path, method, refused):
    client = await desk.apns()
    assert refusal(await client.ask(path, desk.apple_headers(), b'{"aps":{}}', method=method)) == refused


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"{", b"\xff"])
async def test_a_push_without_a_payload_is_empty(desk, body):
    assert refusal(await desk.push(desk.iphone(), body=body)) == (400, "PayloadEmpty")


def padded(size):
    return b'{"aps":"' + b"x" * (size - 10) + b'"}'


async def test_a_payload_has_4096_bytes_and_voips_1024_more(desk):
    assert (await desk.push(desk.iphone(), body=padded(4096))).status == 200
    assert refusal(await desk.push(desk.iphone(), body=padded(4097))) == (413, "PayloadTooLarge")
    topic = "com.example.app.voip"
    voip = [("apns-topic", topic), ("apns-push-type", "voip")]
    assert (await desk.push(desk.iphone(topic=topic), *voip, body=padded(5120))).status == 200
    assert refusal(await desk.push(desk.iphone(topic=topic), *voip, body=padded(5121))) == (
        413,
        "PayloadTooLarge",
    )


async def test_a_body_far_over_every_limit_is_refused_and_not_kept(desk):
    token = desk.iphone()
    assert refusal(await desk.push(token, body=padded(1_000_000))) == (413, "PayloadTooLarge")
    [entry] = desk.simulator.world.journal.read(token)
    assert len(entry.body) < 100_000


# Who asks.


async def test_without_a_provider_token_nobody_is_let_in(desk):
    for authorization in ("basic x", "bearer"):
        assert refusal(await desk.push(desk.iphone(), ("authorization", authorization))) == (
            403,
            "MissingProviderToken",
        )
    client = await desk.apns()
    answer = await client.ask(f"/3/device/{desk.iphone()}", [("apns-topic", "com.example.app")], b"{}")
    assert refusal(answer) == (403, "MissingProviderToken")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "OTHERTEAM1"},
        {"kid": "OTHERKEY01"},
        {"iat": "yesterday"},
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {"key": "a secret that is long enough for HMAC", "algorithm": "HS256"},
    ],
)
async def test_a_wrong_provider_token_is_invalid(desk, changes):
    authorization = ("authorization", f"bearer {desk.provider_token(**changes)}")
    assert refusal(await desk.push(desk.iphone(), authorization)) == (403, "InvalidProviderToken")


async def test_a_provider_token_whose_time_is_text_is_taken(desk):
    """As kalyke-apns writes it."""
    token = desk.provider_token(iat=str(int(desk.clock.now_s)))
    assert (await desk.push(desk.iphone(), ("authorization", f"bearer {token}"))).status == 200


async def test_a_token_from_the_future_is_invalid_and_a_clock_a_little_off_is_forgiven(desk):
    now = int(desk.clock.now_s)
    soon = ("authorization", f"bearer {desk.provider_token(iat=now + 30)}")
    assert (await desk.push(desk.iphone(), soon)).status == 200
    later = ("authorization", f"bearer {desk.provider_token(iat=now + 600)}")
    assert refusal(await desk.push(desk.iphone(), later)) == (403, "InvalidProviderToken")


async def test_a_provider_token_expires_after_an_hour_and_takes_its_connection_with_it(desk):
    client = await desk.apns()
    path = f"/3/device/{desk.iphone()}"
    old = desk.apple_headers()
    assert (await client.ask(path, old, b'{"aps":{}}')).status == 200
    desk.clock.now_s += 3601
    assert refusal(await client.ask(path, old, b'{"aps":{}}')) == (403, "ExpiredProviderToken")
    assert refusal(await client.ask(path, desk.apple_headers(), b'{"aps":{}}')) == (
        403,
        "ExpiredProviderToken",
    )
    fresh = await desk.apns()
    assert (await fresh.ask(path, desk.apple_headers(), b'{"aps":{}}')).status == 200


async def test_by_switch_a_connection_outlives_its_expired_token(behaving):
    desk = await behaving(behaviour=Behaviour(apns=ApnsRules(expired_token_wedges=False)))
    client = await desk.apns()
    path = f"/3/device/{desk.iphone()}"
    old = desk.apple_headers(
        ("authorization", f"bearer {desk.provider_token(iat=int(desk.clock.now_s) - 3700)}")
    )
    assert refusal(await client.ask(path, old, b'{"aps":{}}')) == (403, "ExpiredProviderToken")
    assert (await client.ask(path, desk.apple_headers(), b'{"aps":{}}')).status == 200


async def test_a_connection_may_change_its_provider_token_once_in_twenty_minutes(desk):
    client = await desk.apns()
    path = f"/3/device/{desk.iphone()}"

    async def ask_with(age_s):
        token = desk.provider_token(iat=int(desk.clock.now_s) - age_s)
        return await client.ask(path, desk.apple_headers(("authorization", f"bearer {token}")), b'{"aps":{}}')

    assert (await ask_with(30)).status == 200
    assert (await ask_with(20)).status == 200
    assert refusal(await ask_with(10)) == (429, "TooManyProviderTokenUpdates")
    desk.clock.now_s += 20 * 60
    assert (await ask_with(0)).status == 200


async def test_authorization_is_looked_at_before_the_token(desk):
    headers = [("authorization", "bearer nonsense"), ("apns-topic", "com.example.app")]
    client = await desk.apns()
    assert refusal(await client.ask("/3/device/nonsense", headers, b"{}")) == (403, "InvalidProviderToken")


async def test_by_switch_a_key_is_good_for_one_environment(behaving):
    rules = ApnsRules(key_environment="sandbox", key_environment_reason="BadEnvironmentKeyIdInToken")
    desk = await behaving(behaviour=Behaviour(apns=rules))
    assert refusal(await desk.push(desk.iphone())) == (403, "BadEnvironmentKeyIdInToken")


async def test_a_certificate_replaces_token_and_topic(desk):
    client = await desk.apns(desk.simulator.client_certificate_file)
    answer = await client.ask(f"/3/device/{desk.iphone()}", [], b'{"aps":{}}')
    assert answer.status == 200
    assert client.limits == [1000]


async def test_a_certificate_is_for_its_own_topic(desk):
    client = await desk.apns(desk.simulator.client_certificate_file)
    other = [("apns-topic", "com.example.other")]
    assert refusal(await client.ask(f"/3/device/{desk.iphone()}", other, b'{"aps":{}}')) == (
        400,
        "TopicDisallowed",
    )
    token = desk.iphone(topic="com.example.other")
    assert refusal(await client.ask(f"/3/device/{token}", [], b'{"aps":{}}')) == (
        400,
        "DeviceTokenNotForTopic",
    )


async def test_the_control_api_hands_out_a_certificate_for_any_topic(desk, tmp_path):
    status, given = await desk.control("/certificate", {"topic": "com.example.other"})
    assert (status, given["topic"]) == (200, "com.example.other")
    file = tmp_path / "client.pem"
    file.write_text(given["pem"])
    client = await desk.apns(file)
    token = desk.iphone(topic="com.example.other")
    assert (await client.ask(f"/3/device/{token}", [], b'{"aps":{}}')).status == 200
    _, given = await desk.control("/certificate", {})
    assert given["topic"] == "com.example.app"
    status, refused = await desk.control("/certificate", {"topic": "../other"})
    assert (status, refused["error"]["field"]) == (400, "topic")


async def test_a_strangers_certificate_is_refused_by_tls(desk, tmp_path):
    async with Simulator(tmp_path) as other:
        stranger = other.client_certificate_file
    client = await desk.apns(stranger)
    client.send("/3/device/x", [], b"{}")
    with pytest.raises(AssertionError, match="connection ended"):
        await client.until(lambda: client.limits)


# Every reason that the state of a token or request doesn't bring about itself (providers.md 2.4).
REASONS = [
    (400, "IdleTimeout"),
    (400, "InvalidToken"),
    (403, "BadCertificate"),
    (403, "BadCertificateEnvironment"),
    (403, "UnrelatedKeyIdInToken"),
    (403, "BadEnvironmentKeyInToken"),
    (403, "Forbidden"),
    (410, "ExpiredToken"),
    (429, "TooManyRequests"),
    (500, "InternalServerError"),
    (503, "ServiceUnavailable"),
    (503, "Shutdown"),
]


@pytest.mark.parametrize(("status", "reason"), REASONS)
async def test_every_other_reason_is_to_be_had_by_script(desk, status, reason):
    token = desk.iphone()
    answers = [{"status": status, "reason": reason, "headers": {"retry-after": "5"}}]
    assert await desk.control("/script", {"token": token, "answers": answers}) == (200, {"queued": 1})
    answer = await desk.push(token)
    assert (answer.status, answer.json) == (status, {"reason": reason})
    assert answer.headers["retry-after"] == "5"


async def test_a_scripted_410_has_the_timestamp_that_it_was_given(desk):
    token = desk.iphone()
    answers = [{"status": 410, "reason": "Unregistered", "timestamp": 1234}]
    await desk.control("/script", {"token": token, "answers": answers})
    assert (await desk.push(token)).json == {"reason": "Unregistered", "timestamp": 1234}
