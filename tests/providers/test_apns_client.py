"""Our APNs sender against the simulated service: real TLS, real HTTP/2."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from pushkeeper.core.delivery.outcome import (
    Accepted,
    BadCredentials,
    Certainty,
    Heal,
    Refused,
    Scope,
    Silence,
    Unanswered,
)
from pushkeeper.core.model import Content, Environment
from pushkeeper.errors import BadRequest
from pushkeeper.providers.apns.client import ApnsClient
from pushkeeper.providers.credentials import AppleCertificate, AppleKey, ProviderTokens, utc_now
from pushkeeper.simulator import Origin
from pushkeeper.simulator.script import Step

IPHONE = Origin(platform="ios", provider="apns")


@pytest.fixture
def key(simulator):
    pem = Path(simulator.apns_key_file).read_bytes()
    return AppleKey.parse(pem, key_id=simulator.apns_key_id, team_id=simulator.apns_team_id)


@pytest.fixture
async def open_client(simulator, ca_pem, verdicts):
    opened = []

    def make(
        credential,
        *,
        topic=None,
        environment=Environment.PRODUCTION,
        endpoint_url=simulator.apns_url,
        ca=ca_pem,
    ):
        client = ApnsClient(
            credential,
            verdicts,
            topic=topic or simulator.apns_topic,
            environment=environment,
            endpoint_url=endpoint_url,
            ca_pem=ca,
        )
        opened.append(client)
        return client

    yield make
    for client in opened:
        await client.aclose(1.0)


async def test_a_push_arrives_with_its_alert_both_keys_and_its_headers(
    simulator, open_client, key, make_push, verdicts
):
    [token] = simulator.world.mint(1, IPHONE)
    push = make_push(token, Content(title="Hello", message="World"))
    client = open_client(key)
    client.send([push])
    assert client.pending == 1
    [verdict] = await verdicts.of([push])
    assert (verdict.code, verdict.outcome) == ("apns_accepted", Accepted(provider_id=str(push.identity)))
    assert client.pending == 0
    [entry] = simulator.world.journal.read(token)
    body = msgspec.json.decode(entry.body)
    assert body["aps"]["alert"] == {"title": "Hello", "body": "World"}
    assert (body["CIO-Delivery-ID"], body["CIO-Delivery-Token"]) == (push.delivery_id, token)
    headers = dict(entry.headers)
    assert headers[b"apns-topic"] == simulator.apns_topic.encode()
    assert headers[b"apns-id"] == headers[b"apns-collapse-id"] == str(push.identity).encode()
    assert (headers[b"apns-push-type"], headers[b"apns-priority"]) == (b"alert", b"10")
    assert headers[b"apns-expiration"] == b"%d" % push.expires_at.timestamp()


async def test_an_uninstalled_app_refuses_definitely_and_one_registered_since_does_not(
    simulator, open_client, key, make_push, verdicts
):
    gone, again = simulator.world.mint(2, IPHONE)
    simulator.world.uninstall([gone])
    push, stale = make_push(gone), make_push(again)
    simulator.world.uninstall([again], (stale.registered_at - timedelta(hours=1)).timestamp())
    open_client(key).send([push, stale])
    found = await verdicts.of([push, stale])
    assert [verdict.outcome.certainty for verdict in found] == [Certainty.DEFINITE, Certainty.STALE]


async def test_a_token_of_the_other_environment_or_topic_is_refused_ambiguously(
    simulator, open_client, key, make_push, verdicts
):
    [sandboxed] = simulator.world.mint(1, Origin(platform="ios", provider="apns", environment="sandbox"))
    [elsewhere] = simulator.world.mint(1, Origin(platform="ios", provider="apns", topic="com.example.other"))
    pushes = [make_push(sandboxed), make_push(elsewhere)]
    open_client(key).send(pushes)
    found = await verdicts.of(pushes)
    assert [(verdict.code, verdict.outcome) for verdict in found] == [
        ("apns_bad_device_token", Refused(certainty=Certainty.AMBIGUOUS)),
        ("apns_device_token_not_for_topic", Refused(certainty=Certainty.AMBIGUOUS)),
    ]


async def test_the_sandbox_takes_the_same_key(simulator, open_client, key, make_push, verdicts):
    [token] = simulator.world.mint(1, Origin(platform="ios", provider="apns", environment="sandbox"))
    push = make_push(token)
    open_client(key, environment=Environment.SANDBOX, endpoint_url=simulator.apns_sandbox_url).send([push])
    [verdict] = await verdicts.of([push])
    assert isinstance(verdict.outcome, Accepted)


async def test_a_wrong_key_holds_the_credential_and_bounces_nobody(
    simulator, open_client, p256_pem, make_push, verdicts
):
    wrong = AppleKey.parse(p256_pem, key_id=simulator.apns_key_id, team_id=simulator.apns_team_id)
    pushes = [make_push(token) for token in simulator.world.mint(3, IPHONE)]
    open_client(wrong).send(pushes)
    for verdict in await verdicts.of(pushes):
        assert (verdict.code, verdict.outcome) == (
            "apns_invalid_credentials",
            BadCredentials(scope=Scope.CREDENTIAL),
        )


async def test_a_certificate_speaks_for_its_topic(simulator, open_client, make_push, verdicts):
    certificate = AppleCertificate.parse(simulator.client_certificate(simulator.apns_topic))
    [token] = simulator.world.mint(1, IPHONE)
    push = make_push(token)
    open_client(certificate).send([push])
    [verdict] = await verdicts.of([push])
    assert isinstance(verdict.outcome, Accepted)
    [entry] = simulator.world.journal.read(token)
    assert b"authorization" not in dict(entry.headers)


async def test_a_server_that_is_not_trusted_gets_nothing(simulator, open_client, key, make_push, verdicts):
    [token] = simulator.world.mint(1, IPHONE)
    push = make_push(token)
    open_client(key, ca=None).send([push])
    [verdict] = await verdicts.of([push])
    assert (verdict.code, verdict.outcome) == (
        "server_certificate_untrusted",
        Unanswered(silence=Silence.UNTRUSTED),
    )
    assert not list(simulator.world.journal.read(token))


async def test_an_address_that_is_no_https_url_is_refused(open_client, key):
    for address in ("http://localhost:1", "localhost", "https://", "https://localhost:port"):
        with pytest.raises(BadRequest):
            open_client(key, endpoint_url=address)


async def test_no_stream_available_a_thousand_pushes_share_one_token_and_wait_for_their_streams(
    simulator, open_client, key, make_push, verdicts
):
    pushes = [make_push(token) for token in simulator.world.mint(1000, IPHONE)]
    open_client(key).send(pushes)
    found = await verdicts.of(pushes)
    assert all(isinstance(verdict.outcome, Accepted) for verdict in found)
    entries = list(simulator.world.journal.read())
    assert len(entries) == 1000
    assert len({dict(entry.headers)[b"authorization"] for entry in entries}) == 1
    assert len(verdicts.batches) < 1000


async def test_stream_not_finished_a_stream_that_goaway_promised_is_waited_for(
    simulator, open_client, key, make_push, verdicts
):
    opening, slow, quick = simulator.world.mint(3, IPHONE)
    pushes = [make_push(token) for token in (opening, slow, quick)]
    simulator.world.script(slow, [Step(delay_ms=1_500)])
    client = open_client(key)
    client.send(pushes[:1])
    await verdicts.of(pushes[:1])
    client.send(pushes[1:])
    await verdicts.of(pushes[2:])
    assert client.pending == 1
    for connection in list(simulator.apns.connections):
        connection.go_away()
    [verdict] = await verdicts.of(pushes[1:2])
    assert isinstance(verdict.outcome, Accepted)
    assert simulator.world.journal.repeats == 0


async def test_an_expired_token_of_an_age_is_renewed_and_the_next_push_goes_through(
    simulator, open_client, key, make_push, verdicts
):
    started_at = utc_now()
    behind = started_at - timedelta(minutes=90)
    tokens = ProviderTokens(key, lambda: behind)
    refused = tokens.current()
    [token] = simulator.world.mint(1, IPHONE)
    first, again = make_push(token), make_push(token)
    client = open_client(tokens)
    client.send([first])
    behind = refused.issued_at + timedelta(minutes=21)
    [verdict] = await verdicts.of([first])
    assert (verdict.code, verdict.outcome) == (
        "apns_expired_provider_token",
        BadCredentials(scope=Scope.CREDENTIAL, heal=Heal.RENEW_TOKEN),
    )
    behind = started_at
    client.send([again])
    [verdict] = await verdicts.of([again])
    assert isinstance(verdict.outcome, Accepted)


async def test_a_route_heals_though_the_connection_that_was_refused_gives_nothing_else(
    simulator, open_client, key, monkeypatch
):
    client = open_client(key)
    right = simulator.world.clock
    monkeypatch.setattr(simulator.world, "clock", lambda: right() + 7_200)
    refused = await client.probe()
    assert isinstance(refused.outcome, BadCredentials)
    monkeypatch.setattr(simulator.world, "clock", right)
    assert isinstance((await client.probe()).outcome, Refused), (
        "that a token is nobody's says that all else is well"
    )


async def test_an_expired_token_that_is_young_says_that_the_clock_is_wrong(
    simulator, open_client, key, make_push, verdicts
):
    behind = utc_now() - timedelta(minutes=90)
    tokens = ProviderTokens(key, lambda: behind)
    behind = tokens.current().issued_at + timedelta(minutes=1)
    pushes = [make_push(token) for token in simulator.world.mint(2, IPHONE)]
    open_client(tokens).send(pushes)
    for verdict in await verdicts.of(pushes):
        assert (verdict.code, verdict.outcome) == (
            "apns_expired_provider_token",
            BadCredentials(scope=Scope.CREDENTIAL),
        )
        assert "clock" in verdict.alert


async def test_a_dry_run_is_composed_and_not_sent(simulator, open_client, key, make_push, verdicts):
    [token] = simulator.world.mint(1, IPHONE)
    push = make_push(token, dry_run=True)
    client = open_client(key)
    client.send([push])
    assert (client.pending, verdicts.all) == (1, [])
    [verdict] = await verdicts.of([push])
    assert verdict.outcome == Accepted(dry_run=True)
    assert not list(simulator.world.journal.read(token))


async def test_closing_answers_every_push(simulator, open_client, key, make_push, verdicts):
    tokens = simulator.world.mint(2, IPHONE)
    for token in tokens:
        simulator.world.script(token, [Step(hold=True)])
    pushes = [make_push(token) for token in tokens]
    client = open_client(key)
    client.send(pushes)
    await client.aclose(0.05)
    found = await verdicts.of(pushes)
    assert all(isinstance(verdict.outcome, Unanswered) for verdict in found)
    assert client.pending == 0


async def test_a_push_that_has_not_left_can_be_withdrawn_and_an_urgent_one_leaves_first(
    simulator, open_client, key, make_push, verdicts
):
    tokens = simulator.world.mint(3, IPHONE)
    pushes = [replace(make_push(token), urgent=token == tokens[2]) for token in tokens]
    client = open_client(key)
    client.send(pushes)
    assert client.withdraw(lambda push: push is pushes[0]) == 1
    withdrawn, *_ = await verdicts.of(pushes)
    assert (withdrawn.code, withdrawn.detail) == ("stream_refused", "withdrawn before it was sent")
    asked = [entry.token for entry in simulator.world.journal.read(None)]
    assert asked == [tokens[2], tokens[1]]


async def test_an_answer_that_cannot_be_read_fails_its_push_alone(
    simulator, open_client, key, make_push, verdicts
):
    tokens = simulator.world.mint(3, IPHONE)
    simulator.world.uninstall(tokens)
    pushes = [make_push(token) for token in tokens]
    # When it was refused cannot be compared with that.
    pushes[1] = replace(pushes[1], registered_at=pushes[1].registered_at.replace(tzinfo=None))
    open_client(key).send(pushes)
    assert [verdict.code for verdict in await verdicts.of(pushes)] == [
        "apns_unregistered",
        "not_understood",
        "apns_unregistered",
    ]
