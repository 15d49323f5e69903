"""Encryption for browsers: RFC 8291's own example, and whatever a browser can be sent."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from pushkeeper.core.devices import browser_keys
from pushkeeper.core.model import Browser
from pushkeeper.providers.webpush import encryption, message
from pushkeeper.simulator.browser import Browser as Receiver
from pushkeeper.simulator.browser import Unreadable
from support.examples import examples

# RFC 8291, appendix A.
PLAINTEXT = b"When I grow up, I want to be a watermelon"
SENDERS_KEY = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
BROWSERS_KEY = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
PUBLIC_KEY = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
    "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
    "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def raw(text: str) -> bytes:
    found = browser_keys.decoded(text)
    assert found is not None
    return found


def private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(raw(text), "big"), ec.SECP256R1())


def test_the_example_of_the_rfc_comes_out_byte_by_byte() -> None:
    browser = Browser(raw(PUBLIC_KEY), raw(AUTH))
    body = encryption.encrypted_with(PLAINTEXT, browser, private(SENDERS_KEY), raw(SALT))
    assert browser_keys.encoded(body) == BODY


def test_a_simulated_browser_reads_the_example_of_the_rfc() -> None:
    receiver = Receiver("google", "https://fcm.googleapis.com/fcm/send/a", private(BROWSERS_KEY), raw(AUTH))
    assert receiver.decrypt(raw(BODY)) == PLAINTEXT


def a_browser(number: int = 1) -> tuple[Receiver, Browser]:
    receiver = Receiver.subscribe("google", number, 0, None, None)
    return receiver, Browser(receiver.public_key, receiver.auth)


@settings(max_examples=examples(100), deadline=None)
@given(st.text(max_size=1300) | st.binary(max_size=3993).map(lambda data: data.decode("latin-1")))
def test_texts_of_every_script_and_length_arrive_as_they_were(text: str) -> None:
    plaintext = text.encode()[:3993]
    receiver, browser = a_browser()
    body = encryption.encrypted(plaintext, browser)
    assert len(body) == len(plaintext) + encryption.OVERHEAD_BYTES <= 4096
    assert receiver.decrypt(body) == plaintext


def test_the_largest_payload_that_is_taken_fits_into_what_every_service_takes() -> None:
    assert message.MAX_PAYLOAD_BYTES + encryption.OVERHEAD_BYTES <= encryption.RECORD_BYTES


def test_the_same_push_twice_has_nothing_in_common() -> None:
    _, browser = a_browser()
    one, two = (encryption.encrypted(PLAINTEXT, browser) for _ in range(2))
    assert one[:16] != two[:16], "the salt"
    assert one[21:86] != two[21:86], "the sender's key"
    assert one[86:] != two[86:]


def test_nobody_but_the_browser_reads_a_push_nor_what_was_changed_on_its_way() -> None:
    receiver, browser = a_browser()
    other, _ = a_browser(2)
    body = encryption.encrypted(PLAINTEXT, browser)
    with pytest.raises(Unreadable):
        other.decrypt(body)
    for place in (0, 30, 90, len(body) - 1):
        changed = bytearray(body)
        changed[place] ^= 1
        with pytest.raises(Unreadable):
            receiver.decrypt(bytes(changed))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x04" + bytes(64),
        b"\x02" + raw(PUBLIC_KEY)[1:33],
        raw(PUBLIC_KEY)[:-1],
        raw(PUBLIC_KEY)[:-1] + b"\x00",
    ],
    ids=["empty", "the origin", "compressed", "short", "off the curve"],
)
def test_what_is_no_point_of_the_curve_is_no_key(data: bytes) -> None:
    assert not browser_keys.is_point(data)


def test_a_key_is_read_in_either_alphabet_padded_or_not() -> None:
    data = raw(PUBLIC_KEY)
    assert browser_keys.is_point(data)
    standard = PUBLIC_KEY.replace("-", "+").replace("_", "/") + "="
    assert browser_keys.decoded(standard) == browser_keys.decoded(f" {PUBLIC_KEY}\n") == data
    assert [browser_keys.decoded(one) for one in (None, "", "a b", "ä", 5, "=")] == [None] * 6


def test_keys_are_in_no_text_that_somebody_prints_by_mistake() -> None:
    browser = Browser(raw(PUBLIC_KEY), raw(AUTH), "id")
    assert repr(browser) == str(browser) == "Browser(…)"
    secret = browser_keys.packed(browser.p256dh, browser.auth)
    assert "…" in repr(secret)
    assert browser_keys.unpacked(secret, "id") == browser
