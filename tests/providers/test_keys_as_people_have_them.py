"""Keys and certificates that were pasted, escaped, indented, re-ordered or cut: repaired, or rejected with the reason."""

from __future__ import annotations

import base64
import json
import re
import textwrap
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509 import (
    CertificateBuilder,
    Name,
    NameAttribute,
    load_pem_x509_certificate,
    random_serial_number,
)
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from pushkeeper import wiring
from pushkeeper.core.model import Environment
from pushkeeper.errors import BadRequest
from pushkeeper.providers import pem
from pushkeeper.providers.credentials import AppleCertificate, AppleKey, ServiceAccount
from pushkeeper.providers.transport.tls import tls_context
from support.examples import examples

APP = wiring.AppleApp(topic="com.example", environment=Environment.PRODUCTION)

# What is done to a key on its way from the console into a setting, each as a change of the text.
MISHAPS = {
    "one line": lambda text: text.replace("\n", " "),
    "one line without blanks": lambda text: re.sub(r"\s", "", text),
    "escaped": lambda text: text.replace("\n", "\\n"),
    "escaped twice": lambda text: text.replace("\n", "\\\\n"),
    "carriage returns": lambda text: text.replace("\n", "\r\n"),
    "carriage returns, escaped": lambda text: text.replace("\n", "\\r\\n"),
    "indented": lambda text: textwrap.indent(text, "      "),
    "in quotes": lambda text: f'"{text}"',
    "after a name": lambda text: f"APNS_KEY={text}",
    "blank lines": lambda text: text.replace("\n", "\n\n"),
    "with attributes": lambda text: (
        f"Bag Attributes\n    friendlyName: Push\\new\nKey Attributes: <No Attributes>\n{text}"
    ),
}
ENCODINGS = {
    "plain": lambda text: text.encode(),
    "a byte order mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
}
mishaps = st.lists(st.sampled_from(sorted(MISHAPS)), max_size=4)
encodings = st.sampled_from(sorted(ENCODINGS))


def after(text, mishaps):
    for mishap in mishaps:
        text = MISHAPS[mishap](text)
    return text


@cache  # an RSA key is read in as much time as all else of an example takes
def public(key_pem):
    return (
        load_pem_private_key(key_pem, None)
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )


@pytest.fixture(scope="session")
def issued():
    """A certificate with its chain of two authorities, and its key."""
    root = trustme.CA()
    return root.create_child_ca().issue_cert("push.example")


@given(mishaps=mishaps, encoding=encodings)
def test_a_signing_key_is_repaired(p256_pem, mishaps, encoding):
    data = ENCODINGS[encoding](after(p256_pem.decode(), mishaps))
    key = AppleKey.parse(data, key_id=" ABC123DEFG\n", team_id="DEF123GHIJ ")
    assert (key.key_id, key.team_id) == ("ABC123DEFG", "DEF123GHIJ")
    assert public(key.private_key.value) == public(p256_pem)


@settings(deadline=None, max_examples=examples(30))
@given(mishaps=mishaps, encoding=encodings, twice=st.booleans(), indent=st.sampled_from([None, 2]))
def test_a_service_account_is_repaired(rsa_pem, mishaps, encoding, twice, indent):
    fields = {
        "project_id": " demo\n",
        "private_key": after(rsa_pem.decode(), mishaps),
        "client_email": "sender@demo.iam.gserviceaccount.com ",
        "token_uri": "https://oauth2.example/token",
    }
    text = json.dumps(fields, indent=indent)
    if twice:
        text = json.dumps(text)
    account = ServiceAccount.parse(ENCODINGS[encoding](text))
    assert (account.project_id, account.client_email) == ("demo", "sender@demo.iam.gserviceaccount.com")
    assert public(account.private_key.value) == public(rsa_pem)
    assert account.assertion(datetime.now(UTC))


def test_line_breaks_may_stand_in_the_json_as_they_are(rsa_pem):
    fields = {"project_id": "demo", "client_email": "a@b", "token_uri": "https://oauth2.example/token"}
    text = json.dumps({**fields, "private_key": "KEY"}).replace("KEY", rsa_pem.decode())
    assert public(ServiceAccount.parse(text.encode()).private_key.value) == public(rsa_pem)


@settings(deadline=None)
@given(mishaps=mishaps, encoding=encodings, data=st.data())
def test_a_certificate_is_repaired_whatever_the_order(issued, mishaps, encoding, data):
    parts = [*(blob.bytes() for blob in issued.cert_chain_pems), issued.private_key_pem.bytes()]
    order = data.draw(st.permutations(parts))
    text = after(b"".join(order).decode(), mishaps)
    certificate = AppleCertificate.parse(ENCODINGS[encoding](text))
    tls_context(None, certificate.pem)
    leaf = load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())
    assert load_pem_x509_certificate(certificate.pem.value) == leaf
    assert certificate.expires_at == leaf.not_valid_after_utc


@settings(deadline=None)
@given(st.text(), st.text(max_size=5))
def test_whatever_the_text_it_is_read_or_refused_by_the_field_name(text, between):
    label = f"-----BEGIN PRIVATE KEY-----{text}-----END{between}PRIVATE KEY-----"
    for said in (text, label):
        for read in (
            lambda data: AppleKey.parse(data, key_id="A", team_id="B"),
            AppleCertificate.parse,
            ServiceAccount.parse,
        ):
            with pytest.raises(BadRequest) as refused:
                read(said.encode())
            assert refused.value.field in {"key", "certificate", "service_account"}


def encrypted(key_pem):
    key = load_pem_private_key(key_pem, None)
    return [
        key.private_bytes(Encoding.PEM, format_, BestAvailableEncryption(b"passphrase"))
        for format_ in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL)
    ]


def test_what_cannot_be_repaired_is_rejected_with_the_reason(p256_pem, rsa_pem, issued):
    key = load_pem_private_key(p256_pem, None)
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public_pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    cut = p256_pem.decode().splitlines()
    cut[1] = cut[1][:-8]
    for data, reason in (
        *((data, "passphrase") for data in encrypted(p256_pem)),
        (der, "DER"),
        (public_pem, "public key"),
        (rsa_pem, "P-256"),
        ("\n".join(cut).encode(), "damaged"),
        (issued.cert_chain_pems[0].bytes(), "no private key"),
        (base64.b64encode(der), ".p8"),
    ):
        with pytest.raises(BadRequest, match=reason) as refused:
            AppleKey.parse(data, key_id="A", team_id="B")
        assert refused.value.field == "key"


def test_a_certificate_that_cannot_be_used_is_refused_with_the_reason(issued):
    leaf, key = issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()
    own = load_pem_private_key(key, None)
    assert isinstance(own, ec.EllipticCurvePrivateKey)
    p12 = pkcs12.serialize_key_and_certificates(
        b"push", own, load_pem_x509_certificate(leaf), None, NoEncryption()
    )
    other = trustme.CA().issue_cert("push.example").private_key_pem.bytes()
    long_ago = trustme.CA().issue_cert("push.example", not_after=datetime.now(UTC) - timedelta(days=1))
    expired = long_ago.cert_chain_pems[0].bytes() + long_ago.private_key_pem.bytes()
    head, *body = leaf.splitlines(keepends=True)
    damaged = head + b"".join(body[3:])
    for data, reason in (
        (b"", "certificate in PEM"),
        (p12, "openssl pkcs12"),
        (leaf, "private key"),
        (leaf + encrypted(key)[0], "passphrase"),
        (leaf + other, "does not belong"),
        (damaged + key, "damaged"),
        (expired, "expired on"),
    ):
        with pytest.raises(BadRequest, match=reason) as refused:
            wiring.apns_certificate(data, APP)
        assert refused.value.field == "certificate"


@pytest.mark.parametrize(
    ("topic", "taken"),
    [("com.example", True), (" com.example ", True), ("com.example.other", False), ("com.Example", False)],
)
def test_a_certificate_of_another_app_is_refused(p256_pem, topic, taken):
    key = load_pem_private_key(p256_pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    name = Name(
        [
            NameAttribute(NameOID.USER_ID, "com.example"),
            NameAttribute(NameOID.COMMON_NAME, "Apple Push Services: com.example"),
        ]
    )
    now = datetime.now(UTC)
    certificate = (
        CertificateBuilder(name, name, key.public_key(), random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .sign(key, SHA256())
    )
    both = certificate.public_bytes(Encoding.PEM) + p256_pem
    app = wiring.AppleApp(topic=topic, environment=Environment.PRODUCTION)
    if taken:
        assert wiring.apns_certificate(both, app).app == "com.example"
        return
    with pytest.raises(BadRequest, match=r"the certificate is for com\.example") as refused:
        wiring.apns_certificate(both, app)
    assert refused.value.field == "topic"


def test_the_wrong_file_of_firebase_is_told_from_the_right_one():
    with pytest.raises(BadRequest, match=r"google-services\.json"):
        ServiceAccount.parse(json.dumps({"project_info": {}, "client": []}).encode())


def test_a_custom_ca_is_repaired_and_tried(p256_pem):
    text = trustme.CA().cert_pem.bytes().decode()
    for mishap in MISHAPS.values():
        kept = wiring.apns_key(
            p256_pem, key_id="A", team_id="B", app=wiring.AppleApp(**{**fields(APP), "ca_pem": mishap(text)})
        )
        assert kept.ca_pem is not None
        tls_context(kept.ca_pem)
    for wrong in ("", "no certificate", text.replace("A", "B")):
        with pytest.raises(BadRequest, match="ca"):
            wiring.apns_key(
                p256_pem, key_id="A", team_id="B", app=wiring.AppleApp(**{**fields(APP), "ca_pem": wrong})
            )


def fields(app):
    return {name: getattr(app, name) for name in ("topic", "environment")}


@pytest.mark.parametrize(
    "topic", ["", "com example", "com.example\r\nx: y", "com.example\x00", "com.exämple", "a,b"]
)
def test_a_topic_that_no_app_has_is_refused_at_upload(p256_pem, topic):
    app = wiring.AppleApp(topic=topic, environment=Environment.PRODUCTION)
    with pytest.raises(BadRequest, match="topic: "):
        wiring.apns_key(p256_pem, key_id="A", team_id="B", app=app)


def test_a_block_shows_its_kind_alone(p256_pem):
    [block] = pem.blocks(p256_pem.decode())
    assert repr(block) == "Block('PRIVATE KEY')"
