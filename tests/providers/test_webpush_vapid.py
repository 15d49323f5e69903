"""VAPID: keys as people have them, and one token for each origin."""

from __future__ import annotations

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pushkeeper.core.devices.browser_keys import encoded, key_id
from pushkeeper.errors import BadRequest
from pushkeeper.providers.webpush.vapid import KeyRing, VapidKey, VapidTokens, subject_of
from pushkeeper.simulator import vapid

ORIGIN = "https://fcm.googleapis.com"


def parts(header: bytes) -> dict[str, str]:
    scheme, _, rest = header.decode().partition(" ")
    assert scheme == "vapid"
    return dict(part.split("=", 1) for part in rest.split(", "))


def test_a_token_is_what_rfc_8292_says_and_lives_for_less_than_a_day(clock) -> None:
    key = VapidKey.generate()
    found = parts(VapidTokens(key, "mailto:ops@example.com").current(ORIGIN, clock()).header.value)
    assert found["k"] == encoded(key.public)
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key.public)
    claims = jwt.decode(
        found["t"], public, algorithms=["ES256"], audience=ORIGIN, options={"verify_exp": False}
    )
    assert (claims["aud"], claims["sub"]) == (ORIGIN, "mailto:ops@example.com")
    assert 23 * 3600 < claims["exp"] - clock().timestamp() < 24 * 3600


def test_an_origin_has_one_token_for_twelve_hours(clock) -> None:
    tokens = VapidTokens(VapidKey.generate(), "https://example.com/contact")
    first, other = tokens.current(ORIGIN, clock()), tokens.current("https://web.push.apple.com", clock())
    assert first.header != other.header
    clock.pass_(hours=11, minutes=59)
    assert tokens.current(ORIGIN, clock()) is first
    clock.pass_(minutes=1)
    renewed = tokens.current(ORIGIN, clock())
    assert renewed.header != first.header
    header = renewed.header.value.decode()
    assert vapid.sender_of(header, ORIGIN, clock().timestamp()).subject == "https://example.com/contact"
    with pytest.raises(vapid.Refused):
        vapid.sender_of(header, "https://web.push.apple.com", clock().timestamp())


def test_a_header_shows_its_token_to_nobody(clock) -> None:
    token = VapidTokens(VapidKey.generate(), "mailto:ops@example.com").current(ORIGIN, clock())
    assert "vapid" not in repr(token)


def test_a_private_key_is_taken_in_pem_and_as_libraries_print_it(p256_pem) -> None:
    key = VapidKey.parse(p256_pem)
    assert VapidKey.parse(f" {encoded(key.private.value)}\n".encode()) == key
    assert key.key_id == key_id(key.public)
    assert len(key.key_id) == 16


@pytest.mark.parametrize("given", [b"", b"short", b"-----BEGIN EC PRIVATE KEY-----", b"\xff", bytes(32)])
def test_what_is_no_private_key_is_refused_and_not_repeated(given: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        VapidKey.parse(given)
    assert refused.value.field == "private_key"


def test_a_key_of_another_kind_is_refused(rsa_pem, p384_pem) -> None:
    for pem in (rsa_pem, p384_pem):
        with pytest.raises(BadRequest, match="P-256"):
            VapidKey.parse(pem)


def test_zero_is_no_key() -> None:
    with pytest.raises(BadRequest):
        VapidKey.parse(encoded(bytes(32)).encode())


@pytest.mark.parametrize(
    "subject", ["mailto:a@example.com", " https://example.com/x ", "https://push.example.com"]
)
def test_a_subject_is_an_address_where_the_sender_is_reached(subject: str) -> None:
    assert subject_of(subject) == subject.strip()


@pytest.mark.parametrize(
    "subject",
    [
        *("", "a@example.com", "mailto:", "mailto:a@localhost", "mailto: a@example.com"),
        *("http://example.com", "https://localhost", "mailto:<a@example.com>", "https://"),
    ],
)
def test_a_subject_that_apple_would_refuse_is_refused_here(subject: str) -> None:
    with pytest.raises(BadRequest) as refused:
        subject_of(subject)
    assert refused.value.field == "subject"


def test_a_ring_knows_its_former_keys_by_their_ids() -> None:
    new, old = VapidKey.generate(), VapidKey.generate()
    ring = KeyRing.parse(KeyRing((new, old)).sealed())
    assert (ring.current, ring.of(""), ring.of(old.key_id), ring.of("another")) == (new, new, old, None)
