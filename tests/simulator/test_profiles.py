"""The named profiles, their switches by name, and what is done to connections from outside."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pushkeeper.simulator import APNS_CONNECTION, FCM_CONNECTION, PROFILES, Behaviour, UnknownFlag
from pushkeeper.simulator.profiles import changed, flags, value
from support import processes

DOCUMENTED = PROFILES["documented"]


def test_every_switch_has_a_sentence_and_can_be_set_to_what_each_profile_has():
    names = [name for name, _ in flags()]
    assert len(names) == len(set(names)) > 30
    for name, sentence in flags():
        assert sentence
        for profile in PROFILES.values():
            wanted = value(profile, name)
            text = "none" if wanted is None else wanted.decode() if isinstance(wanted, bytes) else str(wanted)
            assert value(changed(DOCUMENTED, name, text), name) == wanted


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fcm.nothing", "1"),
        ("nothing.streams", "1"),
        ("", ""),
        ("fcm.retry_after", "soon"),
        ("apns_connection.streams", "many"),
        ("fcm.names_the_quota", "none"),
    ],
)
def test_a_switch_that_is_not_there_or_cannot_be_so_is_named(name, text):
    with pytest.raises(UnknownFlag, match=f"^{name}: "):
        changed(DOCUMENTED, name, text)


def test_the_command_names_the_switch_that_it_refuses():
    done = processes.run("simulate", "--set", "fcm.retry_after=soon")
    assert done.returncode == 1
    assert "--set fcm.retry_after: invalid enum value 'soon'" in done.stderr


async def test_a_connection_ends_after_its_requests_and_loses_and_refuses_its_share(behaving):
    connection = replace(FCM_CONNECTION, max_requests=3, refused_share=0.5, lost_share=0.5)
    desk = await behaving(behaviour=Behaviour(fcm_connection=connection))
    token = desk.android()
    client = await desk.fcm()
    bearer, body = desk.bearer(), json.dumps({"message": {"token": token}}).encode()
    path = "/v1/projects/simulated-project/messages:send"
    answers = [await client.ask(path, bearer, body) for _ in range(5)]
    assert [answer.reset for answer in answers] == [None, 7, 2, 7, None]
    assert desk.simulator.world.installations[token].accepted == 3, "one of them without an answer"
    await client.until(lambda: client.goaways)


async def test_goaway_and_a_limit_of_streams_are_sent_from_outside(desk):
    client = await desk.apns()
    token = desk.iphone()
    assert (await client.ask(f"/3/device/{token}", desk.apple_headers(), b'{"aps":{}}')).status == 200
    assert await desk.control("/streams", {"service": "apns", "streams": 7}) == (200, {"connections": 1})
    await client.until(lambda: client.limits == [1, 1000, 7])
    told = {"service": "apns", "code": 0, "debug": '{"reason":"Shutdown"}'}
    assert await desk.control("/goaway", told) == (200, {"connections": 1})
    await client.until(lambda: client.goaways)
    assert client.goaways[0].debug_data == b'{"reason":"Shutdown"}'
    await client.ended()
    status, refused = await desk.control("/goaway", {"service": "nobody"})
    assert (status, refused["error"]["field"]) == (400, "service")


async def test_friendly_services_have_no_bound_of_their_own(behaving):
    desk = await behaving(behaviour=PROFILES["friendly"])
    client = await desk.apns()
    assert client.limits in ([], [APNS_CONNECTION.streams])
    token = desk.android()
    answers = [(await desk.send({"token": token})).status for _ in range(250)]
    assert set(answers) == {200}
