"""Google's token endpoint: which grants it takes, and in which words it refuses the others (providers.md 1.1)."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"


def assertion(desk, key=None, algorithm="RS256", **changes):
    account = json.loads(Path(desk.simulator.service_account_file).read_text())
    now = int(desk.clock.now_s)
    claims = {
        "iss": account["client_email"],
        "aud": account["token_uri"],
        "scope": SCOPE,
        "iat": now,
        "exp": now + 3600,
        **{name: now + value if name in {"iat", "exp"} else value for name, value in changes.items()},
    }
    return jwt.encode(claims, key or account["private_key"], algorithm)


async def grant(desk, **form):
    client = await desk.connect(desk.simulator.oauth_url)
    return await client.ask(
        "/token", [("content-type", "application/x-www-form-urlencoded")], urlencode(form).encode()
    )


async def test_a_good_grant_buys_an_hour_of_sending(desk):
    answer = await grant(desk, grant_type=GRANT_TYPE, assertion=assertion(desk))
    assert answer.status == 200
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 3600)
    client = await desk.fcm()
    body = json.dumps({"message": {"token": desk.android()}}).encode()
    headers = [("authorization", f"Bearer {answer.json['access_token']}")]
    assert (await client.ask("/v1/projects/simulated-project/messages:send", headers, body)).status == 200


async def test_each_grant_is_counted_and_the_refused_ones_are_not(desk):
    await grant(desk, grant_type=GRANT_TYPE, assertion=assertion(desk))
    await grant(desk, grant_type=GRANT_TYPE, assertion=assertion(desk))
    await grant(desk, grant_type=GRANT_TYPE, assertion=assertion(desk, aud="elsewhere"))
    _, counts = await desk.control("/counts")
    assert counts["oauth_refreshes"] == 2


# What is changed in a good grant, and a word of the refusal's description.
REFUSED = [
    ({"iat": -7200, "exp": -3600}, "short-lived token"),
    ({"iat": 600, "exp": 4200}, "short-lived token"),
    ({"iat": 0, "exp": 3601}, "short-lived token"),
    ({"iat": 0, "exp": 0}, "short-lived token"),
    ({"aud": "https://example.com/token"}, "audience"),
    ({"aud": "https://oauth2.googleapis.com/"}, "audience"),
    ({"iss": "somebody@example.com"}, "account not found"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED)
async def test_a_wrong_grant_is_an_invalid_grant_that_says_why(desk, changes, words):
    answer = await grant(desk, grant_type=GRANT_TYPE, assertion=assertion(desk, **changes))
    assert (answer.status, answer.json["error"]) == (400, "invalid_grant")
    assert words in answer.json["error_description"]


async def test_a_clock_a_little_off_is_forgiven(desk):
    for skew in (-240, 240):
        shifted = assertion(desk, iat=skew, exp=3600 + skew)
        assert (await grant(desk, grant_type=GRANT_TYPE, assertion=shifted)).status == 200


async def test_another_keys_signature_is_refused(desk):
    other = rsa.generate_private_key(65537, 2048)
    answer = await grant(desk, grant_type=GRANT_TYPE, assertion=assertion(desk, key=other))
    assert answer.json == {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}


async def test_a_shared_secret_is_no_signature(desk):
    signed = assertion(desk, key="a secret that is long enough for HMAC", algorithm="HS256")
    assert (await grant(desk, grant_type=GRANT_TYPE, assertion=signed)).json["error"] == "invalid_grant"


@pytest.mark.parametrize("scope", ["", "https://www.googleapis.com/auth/drive", f"{SCOPE} extra"])
async def test_another_scope_is_refused(desk, scope):
    answer = await grant(desk, grant_type=GRANT_TYPE, assertion=assertion(desk, scope=scope))
    assert (answer.status, answer.json["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    "audience",
    [
        "https://oauth2.googleapis.com/token",
        "https://www.googleapis.com/oauth2/v4/token",
        "https://accounts.google.com/o/oauth2/token",
    ],
)
async def test_the_audiences_that_googles_libraries_name_whatever_the_endpoint_are_taken(desk, audience):
    signed = assertion(desk, aud=audience)
    assert (await grant(desk, grant_type=GRANT_TYPE, assertion=signed)).status == 200


# What google-auth and firebase-admin for Python and for Node ask for.
SCOPES = [
    ["cloud-platform", "datastore", "devstorage.read_write", "firebase", "identitytoolkit", "userinfo.email"],
    ["cloud-platform", "firebase.database", "firebase.messaging", "identitytoolkit", "userinfo.email"],
]


@pytest.mark.parametrize("names", SCOPES)
async def test_all_scopes_that_googles_sdks_ask_for_are_granted(desk, names):
    scope = " ".join(f"https://www.googleapis.com/auth/{name}" for name in names)
    answer = await grant(desk, grant_type=GRANT_TYPE, assertion=assertion(desk, scope=scope))
    assert (await sent_with(desk, answer.json["access_token"])).status == 200


async def test_a_token_without_a_scope_that_sends_is_granted_and_sends_nothing(desk):
    scope = "https://www.googleapis.com/auth/datastore"
    answer = await grant(desk, grant_type=GRANT_TYPE, assertion=assertion(desk, scope=scope))
    refused = await sent_with(desk, answer.json["access_token"])
    assert refused.status == 403
    assert refused.json["error"]["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"


async def sent_with(desk, access_token):
    client = await desk.fcm()
    body = json.dumps({"message": {"token": desk.android()}}).encode()
    headers = [("authorization", f"Bearer {access_token}")]
    return await client.ask("/v1/projects/simulated-project/messages:send", headers, body)


async def test_another_kind_of_grant_is_refused(desk):
    answer = await grant(desk, grant_type="password", assertion=assertion(desk))
    assert (answer.status, answer.json["error"]) == (400, "unsupported_grant_type")


@pytest.mark.parametrize("nonsense", ["", "x", "a.b.c"])
async def test_what_is_no_token_is_an_invalid_grant(desk, nonsense):
    answer = await grant(desk, grant_type=GRANT_TYPE, assertion=nonsense)
    assert (answer.status, answer.json["error"]) == (400, "invalid_grant")


async def test_the_journal_keeps_no_assertion(desk):
    signed = assertion(desk)
    await grant(desk, grant_type=GRANT_TYPE, assertion=signed)
    _, journal = await desk.control("/journal")
    assert journal["total"] == 1
    assert signed not in json.dumps(journal)
