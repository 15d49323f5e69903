"""Our FCM sender against the simulated service: real TLS, real HTTP/2, real grants."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

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
from pushkeeper.core.model import Content, IdKind, Platform
from pushkeeper.errors import BadRequest
from pushkeeper.providers.credentials import ServiceAccount
from pushkeeper.providers.fcm.client import FcmClient
from pushkeeper.simulator import Origin
from pushkeeper.simulator.script import Step

ANDROID = Origin(platform="android")


@pytest.fixture
def account_fields(simulator):
    return json.loads(Path(simulator.service_account_file).read_text())


@pytest.fixture
def account(account_fields):
    return ServiceAccount.parse(json.dumps(account_fields).encode())


@pytest.fixture
async def open_client(simulator, ca_pem, verdicts):
    opened = []

    def make(account, *, endpoint_url=simulator.fcm_url, ca=ca_pem):
        client = FcmClient(account, verdicts, endpoint_url=endpoint_url, ca_pem=ca)
        opened.append(client)
        return client

    yield make
    for client in opened:
        await client.aclose(1.0)


@pytest.fixture
def android(make_push):
    def make(token, content=None, **rest):
        return make_push(token, content, platform=Platform.ANDROID, **rest)

    return make


async def test_a_push_arrives_with_its_alert_and_both_keys(
    simulator, open_client, account, android, verdicts
):
    [token] = simulator.world.mint(1, ANDROID)
    push = android(token, Content(title="Hello", message="World"))
    client = open_client(account)
    client.send([push])
    assert client.pending == 1
    [verdict] = await verdicts.of([push])
    assert verdict.code == "fcm_accepted"
    assert verdict.outcome.provider_id.startswith(f"projects/{account.project_id}/messages/")
    assert client.pending == 0
    [entry] = simulator.world.journal.read(token)
    message = msgspec.json.decode(entry.body)["message"]
    assert message["notification"] == {"title": "Hello", "body": "World"}
    assert message["data"] == {"CIO-Delivery-ID": push.delivery_id, "CIO-Delivery-Token": token}
    assert message["android"]["notification"]["tag"] == str(push.identity)


async def test_every_kind_of_device_takes_a_rich_push(simulator, open_client, account, make_push, verdicts):
    [iphone] = simulator.world.mint(1, Origin(platform="ios", provider="fcm"))
    [token] = simulator.world.mint(1, ANDROID)
    [fid] = simulator.world.mint(1, Origin(platform="android", kind="fid"))
    content = Content(
        title="T", message="B", link="app://x", image_url="https://e/a.png", custom_data={"n": 1}
    )
    pushes = [
        make_push(iphone, content, platform=Platform.IOS),
        make_push(token, content, platform=Platform.ANDROID),
        make_push(fid, content, platform=Platform.ANDROID, id_kind=IdKind.FID),
    ]
    open_client(account).send(pushes)
    assert [verdict.code for verdict in await verdicts.of(pushes)] == [
        "fcm_accepted",
        "fcm_accepted",
        "fcm_accepted",
    ]


async def test_an_uninstalled_app_refuses_definitely_on_both_platforms(
    simulator, open_client, account, make_push, verdicts
):
    [android] = simulator.world.mint(1, ANDROID)
    [iphone] = simulator.world.mint(1, Origin(platform="ios", provider="fcm"))
    simulator.world.uninstall([android, iphone])
    pushes = [make_push(android, platform=Platform.ANDROID), make_push(iphone, platform=Platform.IOS)]
    open_client(account).send(pushes)
    found = await verdicts.of(pushes)
    assert [(verdict.code, verdict.outcome) for verdict in found] == [
        ("fcm_unregistered", Refused(certainty=Certainty.DEFINITE)),
        ("fcm_apns_unregistered", Refused(certainty=Certainty.DEFINITE)),
    ]


async def test_what_never_was_a_token_is_refused_ambiguously(
    simulator, open_client, account, android, verdicts
):
    [elsewhere] = simulator.world.mint(1, Origin(platform="android", project="another-project"))
    pushes = [android("no-token-at-all"), android(elsewhere)]
    open_client(account).send(pushes)
    found = await verdicts.of(pushes)
    assert [(verdict.code, verdict.outcome) for verdict in found] == [
        ("fcm_invalid_argument_token", Refused(certainty=Certainty.AMBIGUOUS)),
        ("fcm_sender_id_mismatch", Refused(certainty=Certainty.AMBIGUOUS)),
    ]


async def test_a_storm_of_a_thousand_pushes_asks_for_one_access_token(
    simulator, open_client, account, android, verdicts
):
    pushes = [android(token) for token in simulator.world.mint(1000, ANDROID)]
    client = open_client(account)
    for start in range(0, 1000, 100):
        client.send(pushes[start : start + 100])
    found = await verdicts.of(pushes)
    assert all(isinstance(verdict.outcome, Accepted) for verdict in found)
    assert simulator.world.journal.answers["oauth", 200, ""] == 1
    assert len(verdicts.batches) < 1000


async def test_a_wrong_key_holds_every_waiting_push_after_one_request(
    simulator, open_client, account_fields, rsa_pem, android, verdicts
):
    wrong = ServiceAccount.parse(json.dumps({**account_fields, "private_key": rsa_pem.decode()}).encode())
    pushes = [android(token) for token in simulator.world.mint(100, ANDROID)]
    client = open_client(wrong)
    client.send(pushes[:50])
    await verdicts.of(pushes[:50])
    client.send(pushes[50:])
    assert client.pending == 50
    for verdict in await verdicts.of(pushes):
        assert (verdict.code, verdict.outcome) == (
            "fcm_oauth_refused",
            BadCredentials(scope=Scope.CREDENTIAL),
        )
        assert verdict.detail == "Invalid JWT Signature."
    assert sum(simulator.world.journal.answers.values()) == 1


async def test_a_wrong_project_holds_the_credential(
    simulator, open_client, account_fields, android, verdicts
):
    wrong = ServiceAccount.parse(json.dumps({**account_fields, "project_id": "not-ours"}).encode())
    [token] = simulator.world.mint(1, ANDROID)
    push = android(token)
    open_client(wrong).send([push])
    [verdict] = await verdicts.of([push])
    assert verdict.code == "fcm_permission_denied"
    assert verdict.outcome == BadCredentials(scope=Scope.CREDENTIAL, probe_after_s=60)


async def test_a_revoked_access_token_is_renewed_once_and_a_second_refusal_holds(
    simulator, open_client, account, android, verdicts
):
    pushes = [android(token) for token in simulator.world.mint(30, ANDROID)]
    first, storm, again = pushes[:1], pushes[1:20], pushes[20:]
    client = open_client(account)
    client.send(first)
    await verdicts.of(first)
    simulator.oauth.revoke()
    client.send(storm)
    heals = BadCredentials(scope=Scope.CREDENTIAL, heal=Heal.RENEW_TOKEN)
    assert {(verdict.code, verdict.outcome) for verdict in await verdicts.of(storm)} == {
        ("fcm_unauthenticated", heals)
    }
    client.send(again[:5])
    assert all(isinstance(verdict.outcome, Accepted) for verdict in await verdicts.of(again[:5]))
    assert simulator.world.journal.answers["oauth", 200, ""] == 2
    simulator.oauth.revoke()
    client.send(again[5:])
    held = BadCredentials(scope=Scope.CREDENTIAL)
    assert {(verdict.code, verdict.outcome) for verdict in await verdicts.of(again[5:])} == {
        ("fcm_unauthenticated", held)
    }
    assert simulator.world.journal.answers["oauth", 200, ""] == 2


async def test_a_token_endpoint_that_nobody_runs_defers_the_pushes(
    simulator, open_client, account_fields, android, verdicts
):
    nowhere = {**account_fields, "token_uri": "https://localhost:1/token"}
    [token] = simulator.world.mint(1, ANDROID)
    push = android(token)
    open_client(ServiceAccount.parse(json.dumps(nowhere).encode())).send([push])
    [verdict] = await verdicts.of([push])
    assert verdict.code == "fcm_oauth_unavailable"
    assert not list(simulator.world.journal.read(token))


async def test_a_dry_run_reaches_fcm_and_no_phone(simulator, open_client, account, android, verdicts):
    [token] = simulator.world.mint(1, ANDROID)
    push = android(token, dry_run=True)
    open_client(account).send([push])
    [verdict] = await verdicts.of([push])
    assert verdict.code == "dry_run_accepted"
    assert verdict.outcome.dry_run
    assert simulator.world.installations[token].accepted == 0


async def test_a_server_that_is_not_trusted_gets_nothing(simulator, open_client, account, android, verdicts):
    [token] = simulator.world.mint(1, ANDROID)
    push = android(token)
    open_client(account, ca=None).send([push])
    [verdict] = await verdicts.of([push])
    assert (verdict.code, verdict.outcome) == (
        "server_certificate_untrusted",
        Unanswered(silence=Silence.UNTRUSTED),
    )
    assert not list(simulator.world.journal.read())


async def test_an_address_that_is_no_https_url_is_refused(open_client, account):
    for address in ("http://localhost:1", "localhost", "https://", "https://localhost:port"):
        with pytest.raises(BadRequest):
            open_client(account, endpoint_url=address)


async def test_closing_answers_every_push(simulator, open_client, account, android, verdicts):
    tokens = simulator.world.mint(2, ANDROID)
    simulator.world.script(tokens[0], [Step(hold=True)])
    pushes = [android(token) for token in tokens]
    client = open_client(account)
    client.send(pushes)
    await client.aclose(0.3)
    found = await verdicts.of(pushes)
    assert isinstance(found[0].outcome, Unanswered)
    assert client.pending == 0


async def test_a_push_that_waits_for_an_access_token_can_be_withdrawn(
    simulator, open_client, account, android, verdicts
):
    tokens = simulator.world.mint(2, ANDROID)
    pushes = [android(token) for token in tokens]
    client = open_client(account)
    client.send(pushes)
    assert client.withdraw(lambda push: push is pushes[0]) == 1
    withdrawn, sent = await verdicts.of(pushes)
    assert withdrawn.outcome == Unanswered(silence=Silence.NOT_PROCESSED)
    assert (withdrawn.code, withdrawn.detail) == (
        "stream_refused",
        "The push was withdrawn before it was sent.",
    )
    assert isinstance(sent.outcome, Accepted)
    assert not list(simulator.world.journal.read(tokens[0]))
