"""How connections begin, are limited, fail and end (providers.md 1.1, 2.1)."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from pushkeeper.simulator import APNS_CONNECTION, FCM_CONNECTION, ApnsRules, Behaviour

PROTOCOL_ERROR = 1
REFUSED_STREAM = 7
FCM_PATH = "/v1/projects/simulated-project/messages:send"


def push(desk, client, token):
    return client.send(f"/3/device/{token}", desk.apple_headers(), b'{"aps":{}}')


def send(client, bearer, token):
    return client.send(FCM_PATH, bearer, json.dumps({"message": {"token": token}}).encode())


async def script(desk, token, *answers):
    status, _ = await desk.control("/script", {"token": token, "answers": list(answers)})
    assert status == 200


async def test_apns_allows_one_stream_until_the_first_good_request_is_answered(desk):
    client = await desk.apns()
    token = desk.iphone()
    streams = [push(desk, client, token) for _ in range(3)]
    first, *others = [await client.answer(stream) for stream in streams]
    assert first.status == 200
    assert [other.reset for other in others] == [REFUSED_STREAM, REFUSED_STREAM]
    assert client.limits == [1, 1000]
    streams = [push(desk, client, token) for _ in range(300)]
    assert {(await client.answer(stream)).status for stream in streams} == {200}
    assert desk.simulator.world.installations[token].accepted == 301


async def test_apns_keeps_to_one_stream_while_the_provider_token_is_wrong(desk):
    client = await desk.apns()
    headers = [("authorization", "bearer nonsense"), ("apns-topic", "com.example.app")]
    assert (await client.ask(f"/3/device/{desk.iphone()}", headers, b'{"aps":{}}')).status == 403
    assert client.limits == [1]


async def test_by_switch_a_refusal_narrows_apns_to_one_stream_and_a_success_widens_it_again(behaving):
    desk = await behaving(behaviour=Behaviour(apns=ApnsRules(streams_after_rejection=1)))
    client = await desk.apns()
    good, bad = desk.iphone(), "0" * 64
    assert (await client.answer(push(desk, client, good))).status == 200
    assert (await client.answer(push(desk, client, bad))).status == 400
    assert (await client.answer(push(desk, client, good))).status == 200
    assert client.limits == [1, 1000, 1, 1000]


async def test_fcm_ends_a_connection_with_more_than_a_hundred_streams_and_answers_what_it_took(desk):
    client = await desk.fcm()
    bearer, token = desk.bearer(), desk.android()
    streams = [send(client, bearer, token) for _ in range(150)]
    await client.until(lambda: client.goaways)
    [goaway] = client.goaways
    assert (goaway.error_code, goaway.debug_data) == (1, b"exceeded_max_concurrent_streams")
    assert goaway.last_stream_id == streams[99]
    assert {(await client.answer(stream)).status for stream in streams[:100]} == {200}
    assert desk.simulator.world.installations[token].accepted == 100


async def test_fcm_serves_any_number_of_requests_a_hundred_at_a_time(desk):
    client = await desk.fcm()
    bearer = desk.bearer()
    for token in desk.mint(3, platform="android", provider="fcm"):
        streams = [send(client, bearer, token) for _ in range(100)]
        assert {(await client.answer(stream)).status for stream in streams} == {200}
    assert client.goaways == []


async def test_an_answer_of_fcm_comes_in_two_frames(desk):
    client = await desk.fcm()
    answer = await client.answer(send(client, desk.bearer(), desk.android()))
    assert answer.frames == 2
    assert answer.json["name"]


async def test_an_idle_connection_is_told_to_go(behaving):
    desk = await behaving(behaviour=Behaviour(fcm_connection=replace(FCM_CONNECTION, idle_timeout_s=0.05)))
    client = await desk.fcm()
    await client.until(lambda: client.goaways)
    assert (client.goaways[0].error_code, client.goaways[0].debug_data) == (0, b"session_timeout")
    await client.ended()


async def test_a_connection_with_a_request_under_way_is_not_idle(behaving):
    desk = await behaving(behaviour=Behaviour(fcm_connection=replace(FCM_CONNECTION, idle_timeout_s=0.4)))
    token, bearer = desk.android(), desk.bearer()
    await script(desk, token, {"delay_ms": 900})
    client = await desk.fcm()
    assert (await client.answer(send(client, bearer, token))).status == 200


async def test_an_old_connection_is_told_to_go_and_its_requests_are_answered_first(behaving):
    connection = replace(FCM_CONNECTION, max_age_s=0.4, idle_timeout_s=None)
    desk = await behaving(behaviour=Behaviour(fcm_connection=connection))
    token, bearer = desk.android(), desk.bearer()
    await script(desk, token, {"delay_ms": 900})
    client = await desk.fcm()
    stream = send(client, bearer, token)
    await client.until(lambda: client.goaways)
    assert client.goaways[0].debug_data == b"max_age"
    assert (await client.answer(stream)).status == 200


async def test_pings_without_requests_try_fcms_patience(desk):
    client = await desk.fcm()
    for _ in range(3):
        client.ping()
    assert (await client.answer(send(client, desk.bearer(), desk.android()))).status == 200
    for _ in range(4):
        client.ping()
    await client.until(lambda: client.goaways)
    assert (client.goaways[0].error_code, client.goaways[0].debug_data) == (0xB, b"too_many_pings")


async def test_a_goaway_from_the_outside_lets_the_promised_streams_finish(desk):
    client = await desk.apns()
    token = desk.iphone()
    await client.answer(push(desk, client, token))
    await script(desk, token, {"hold": True})
    held, answered = push(desk, client, token), push(desk, client, token)
    await client.answer(answered)
    [connection] = desk.simulator.apns.connections
    connection.go_away(debug=b'{"reason":"Shutdown"}')
    await client.until(lambda: client.goaways)
    assert (client.goaways[0].last_stream_id, client.goaways[0].debug_data) == (
        answered,
        b'{"reason":"Shutdown"}',
    )
    assert not client.answers[held].complete
    assert connection.open_streams == 1


async def test_a_reset_stream_leaves_the_others_alone(desk):
    client = await desk.apns()
    first, second = desk.iphone(), desk.iphone()
    await client.answer(push(desk, client, second))
    await script(desk, first, {"reset": 2})
    streams = [push(desk, client, token) for token in (first, second)]
    assert (await client.answer(streams[0])).reset == 2
    assert (await client.answer(streams[1])).status == 200


async def test_a_hard_goaway_promises_only_what_it_names(desk):
    client = await desk.apns()
    token = desk.iphone()
    await client.answer(push(desk, client, token))
    await script(desk, token, {"delay_ms": 100}, {"hold": True})
    promised, left_out, answered = [push(desk, client, token) for _ in range(3)]
    await client.answer(answered)
    [connection] = desk.simulator.apns.connections
    connection.go_away(last_stream_id=promised)
    await client.until(lambda: client.goaways)
    assert client.goaways[0].last_stream_id == promised
    assert (await client.answer(promised)).status == 200
    assert not client.answers[left_out].complete


async def test_a_dropped_connection_still_gives_what_was_answered_before(desk):
    client = await desk.apns()
    good, fatal = desk.mint(2, platform="ios", provider="apns")
    await client.answer(push(desk, client, good))
    await script(desk, fatal, {"close": True})
    answered, lost, after = [push(desk, client, token) for token in (good, fatal, good)]
    assert (await client.answer(answered)).status == 200
    await client.ended()
    assert [client.answers[stream].status for stream in (lost, after)] == [0, 0]
    assert desk.simulator.world.installations[good].accepted == 2


async def test_a_cancelled_stream_is_forgotten(desk):
    client = await desk.apns()
    token = desk.iphone()
    await client.answer(push(desk, client, token))
    await script(desk, token, {"hold": True})
    held, answered = push(desk, client, token), push(desk, client, token)
    await client.answer(answered)
    [connection] = desk.simulator.apns.connections
    assert connection.open_streams == 1
    client.cancel(held)
    await client.answer(push(desk, client, token))
    assert connection.open_streams == 0


async def test_a_stalled_connection_answers_once_it_is_resumed(desk):
    client = await desk.apns()
    token = desk.iphone()
    await client.answer(push(desk, client, token))
    [connection] = desk.simulator.apns.connections
    connection.stall()
    stream = push(desk, client, token)
    await client.flush()
    other = await desk.apns()
    assert (await other.answer(push(desk, other, token))).status == 200
    assert not client.answers[stream].complete
    connection.resume()
    assert (await client.answer(stream)).status == 200


async def test_a_request_that_ends_in_a_trailer_is_answered(desk):
    client = await desk.apns()
    path = f"/3/device/{desk.iphone()}"
    answer = await client.ask(path, desk.apple_headers(), b'{"aps":{}}', trailer=(b"checksum", b"x"))
    assert answer.status == 200


async def test_a_slow_reader_is_waited_for(desk):
    client = await desk.fcm()
    token = desk.android()
    await script(desk, token, *({"status": 500, "body": "x" * 30_000} for _ in range(100)))
    bearer = desk.bearer()
    streams = [send(client, bearer, token) for _ in range(100)]
    answers = [await client.answer(stream) for stream in streams]
    assert [len(answer.body) for answer in answers] == [30_000] * 100


@pytest.mark.parametrize("alpn", [(), ("http/1.1",)])
async def test_apns_speaks_http2_to_a_client_that_did_not_ask_for_it(desk, alpn):
    client = await desk.connect(desk.simulator.apns_url, alpn=alpn)
    assert (await client.answer(push(desk, client, desk.iphone()))).status == 200


async def test_fcm_takes_the_scheme_with_a_colon_of_googles_own_sdk(desk):
    client = await desk.fcm()
    body = json.dumps({"message": {"token": desk.android(), "data": {"a": "https:"}}}).encode()
    for scheme in (b"https:", b"https", b"https:", b"https:"):
        assert (await client.ask(FCM_PATH, desk.bearer(), body, scheme=scheme)).status == 200
    [*_, request] = desk.simulator.world.journal.read()
    assert (b":scheme", b"https") in request.headers


async def test_apns_does_not_take_a_scheme_with_a_colon(desk):
    client = await desk.apns()
    answer = await client.ask("/3/device/x", desk.apple_headers(), b'{"aps":{}}', scheme=b"https:")
    assert answer.reset == PROTOCOL_ERROR


async def test_noise_after_the_handshake_ends_the_connection_and_nothing_else(desk):
    context = ssl.create_default_context(cafile=desk.simulator.ca_file)
    context.set_alpn_protocols(["h2"])
    where = urlsplit(desk.simulator.apns_url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port, ssl=context)
    writer.write(b"GET / HTTP/1.1\r\n\r\n" * 10)
    async with asyncio.timeout(60):
        await reader.read()
    writer.close()
    assert (await desk.push(desk.iphone())).status == 200


async def test_the_profile_decides_the_streams(behaving):
    connection = replace(APNS_CONNECTION, streams=7, opening_streams=None)
    desk = await behaving(behaviour=Behaviour(apns_connection=connection))
    client = await desk.apns()
    await client.answer(push(desk, client, desk.iphone()))
    assert client.limits == [7]
