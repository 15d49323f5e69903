"""Credentials as they are read, and what is signed with them."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.errors import BadRequest
from pushkeeper.providers.credentials import AppleCertificate, AppleKey, ProviderTokens, ServiceAccount

if TYPE_CHECKING:
    from pushkeeper.providers.credentials import ProviderToken


@pytest.fixture
def account_fields(rsa_pem):
    return {
        "type": "service_account",
        "project_id": "demo",
        "private_key_id": "abc123",
        "private_key": rsa_pem.decode(),
        "client_email": "sender@demo.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.example/token",
    }


@pytest.fixture
def key(p256_pem):
    return AppleKey.parse(p256_pem, key_id="ABC123DEFG", team_id="DEF123GHIJ")


def public_key_of(pem: bytes) -> Any:
    return load_pem_private_key(pem, None).public_key()


def read(token: ProviderToken, pem: bytes) -> Any:
    public_key = public_key_of(pem)
    word, _, encoded = token.header.value.partition(b" ")
    assert word == b"bearer"
    return jwt.decode(encoded, public_key, algorithms=["ES256"], options={"verify_iat": False})


def test_a_service_account_signs_a_grant_for_an_hour(account_fields, rsa_pem, clock):
    account = ServiceAccount.parse(json.dumps(account_fields).encode())
    assertion = account.assertion(clock.now)
    assert jwt.get_unverified_header(assertion) == {"alg": "RS256", "typ": "JWT", "kid": "abc123"}
    claims = jwt.decode(
        assertion,
        public_key_of(rsa_pem),
        algorithms=["RS256"],
        audience=account.token_uri,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims == {
        "iss": "sender@demo.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": "https://oauth2.example/token",
        "iat": int(clock.now.timestamp()),
        "exp": int(clock.now.timestamp()) + 3600,
    }


@pytest.mark.parametrize("missing", ["private_key", "client_email", "project_id", "token_uri"])
@pytest.mark.parametrize("value", [None, "", 7])
def test_a_service_account_without_a_field_is_refused_by_its_name(account_fields, missing, value):
    with pytest.raises(BadRequest) as refused:
        ServiceAccount.parse(json.dumps({**account_fields, missing: value}).encode())
    assert refused.value.field == f"service_account.{missing}"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'"text"', b"\xff", b"[" * 100_000])
def test_a_service_account_that_is_not_json_is_refused(data):
    with pytest.raises(BadRequest) as refused:
        ServiceAccount.parse(data)
    assert refused.value.field == "service_account"


def test_a_service_accounts_key_must_be_an_rsa_private_key(account_fields, p256_pem):
    for wrong in (
        "no key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        p256_pem.decode(),
    ):
        with pytest.raises(BadRequest) as refused:
            ServiceAccount.parse(json.dumps({**account_fields, "private_key": wrong}).encode())
        assert refused.value.field == "service_account.private_key"
        assert wrong not in refused.value.message


def test_an_apple_key_must_be_a_p256_private_key(p384_pem, rsa_pem):
    for wrong in (b"", b"no key", b"\x00\xff", p384_pem, rsa_pem):
        with pytest.raises(BadRequest) as refused:
            AppleKey.parse(wrong, key_id="ABC123DEFG", team_id="DEF123GHIJ")
        assert refused.value.field == "key"


@pytest.mark.parametrize(("key_id", "team_id", "field"), [("", "T", "key_id"), ("K", "a b", "team_id")])
def test_an_apple_key_needs_its_ids(p256_pem, key_id, team_id, field):
    with pytest.raises(BadRequest) as refused:
        AppleKey.parse(p256_pem, key_id=key_id, team_id=team_id)
    assert refused.value.field == field


def test_a_certificate_needs_its_own_private_key(p256_pem):
    issued = trustme.CA().issue_cert("push.example")
    certificate, private_key = issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()
    assert AppleCertificate.parse(certificate + private_key).expires_at > datetime.now(UTC)
    assert AppleCertificate.parse(private_key + certificate).pem.value == certificate + private_key
    for wrong in (b"", private_key, certificate, certificate + p256_pem, b"-----BEGIN CERTIFICATE-----"):
        with pytest.raises(BadRequest) as refused:
            AppleCertificate.parse(wrong)
        assert refused.value.field == "certificate"


def test_nothing_shows_a_private_key(account_fields, key, p256_pem, rsa_pem, clock):
    account = ServiceAccount.parse(json.dumps(account_fields).encode())
    token = ProviderTokens(key, clock).current()
    shown = f"{account!r}{account}{key!r}{key}{token!r}"
    for secret in (p256_pem.decode()[30:60], rsa_pem.decode()[30:60], token.header.value.decode()[8:40]):
        assert secret not in shown


def test_a_provider_token_says_key_team_and_time(key, p256_pem, clock):
    token = ProviderTokens(key, clock).current()
    encoded = token.header.value.partition(b" ")[2]
    assert jwt.get_unverified_header(encoded) == {"alg": "ES256", "kid": "ABC123DEFG"}
    claims = read(token, p256_pem)
    assert claims == {"iss": "DEF123GHIJ", "iat": int(token.issued_at.timestamp())}
    assert timedelta(0) <= clock.now - token.issued_at < timedelta(minutes=50)


def test_a_restarted_process_and_another_machine_use_the_same_token(key, clock):
    first = ProviderTokens(key, clock).current()
    assert ProviderTokens(key, clock).current().header == first.header


@given(st.lists(st.floats(0, 3_000), max_size=50))
def test_tokens_are_never_over_fifty_minutes_old_and_change_no_sooner_than_that(key_of_session, steps):
    now = datetime(2026, 11, 23, 12, 7, tzinfo=UTC)
    tokens = ProviderTokens(key_of_session, lambda: now)
    changes = []
    last = None
    for step in steps:
        now += timedelta(seconds=step)
        token = tokens.current()
        assert timedelta(0) <= now - token.issued_at < timedelta(minutes=50)
        if token != last:
            changes.append(token.issued_at)
        last = token
    assert all((later - former) >= timedelta(minutes=50) for former, later in itertools.pairwise(changes))


@pytest.fixture(scope="session")
def key_of_session(p256_pem):
    return AppleKey.parse(p256_pem, key_id="ABC123DEFG", team_id="DEF123GHIJ")


def test_an_expired_token_is_renewed_once_it_is_twenty_minutes_old(key, clock):
    tokens = ProviderTokens(key, clock)
    refused = tokens.current()
    clock.now = refused.issued_at + timedelta(minutes=19)
    assert not tokens.renew_expired(refused)
    assert tokens.current() == refused
    clock.now = refused.issued_at + timedelta(minutes=20)
    assert tokens.renew_expired(refused)
    assert tokens.current().issued_at == clock.now


def test_a_thousand_answers_to_one_expired_token_renew_it_once(key, clock):
    tokens = ProviderTokens(key, clock)
    refused = tokens.current()
    clock.now = refused.issued_at + timedelta(minutes=30)
    assert all(tokens.renew_expired(refused) for _ in range(1000))
    renewed = tokens.current()
    assert not tokens.renew_expired(renewed)
    assert tokens.current() == renewed


def test_after_a_renewal_off_the_grid_the_next_change_is_no_sooner_than_twenty_minutes(key, clock):
    tokens = ProviderTokens(key, clock)
    refused = tokens.current()
    for minutes in range(20, 50):
        clock.now = refused.issued_at + timedelta(minutes=minutes)
        fresh = ProviderTokens(key, clock)
        first = fresh.current()
        assert fresh.renew_expired(first)
        changed_at = [clock.now]
        last = fresh.current()
        for _ in range(200):
            clock.pass_(minutes=1)
            if fresh.current() != last:
                changed_at.append(clock.now)
                last = fresh.current()
        gaps = [later - former for former, later in itertools.pairwise(changed_at)]
        assert min(gaps) >= timedelta(minutes=20)


def test_too_many_updates_go_back_to_the_former_token_until_it_is_fifty_five_minutes_old(key, clock):
    tokens = ProviderTokens(key, clock)
    former = tokens.current()
    clock.now = former.issued_at + timedelta(minutes=50)
    later = tokens.current()
    assert later != former
    tokens.fall_back()
    clock.now = former.issued_at + timedelta(minutes=54)
    assert tokens.current() == former
    clock.now = former.issued_at + timedelta(minutes=55)
    assert tokens.current() == later


def test_there_is_no_going_back_to_a_token_that_apple_would_call_expired(key, clock):
    tokens = ProviderTokens(key, clock)
    former = tokens.current()
    clock.now = former.issued_at + timedelta(minutes=56)
    later = tokens.current()
    tokens.fall_back()
    assert tokens.current() == later
