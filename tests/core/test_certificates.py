"""The authority of a self-signed certificate can sign for nobody else, and its key is gone."""

from __future__ import annotations

import shutil
import ssl
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from pushkeeper import certificates
from pushkeeper.web import localhost_tls

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = datetime.now(UTC)
NAMES = [*certificates.LOOPBACK, "push.lan", "192.168.7.12"]
SERVER = ExtendedKeyUsageOID.SERVER_AUTH


def handshake(ca: bytes, chain: bytes, key: bytes, name: str, folder: Path) -> str | None:
    """What a client that trusts this authority has against this server's certificate."""
    file = folder / "served.pem"
    file.write_bytes(key + chain)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(file)
    client = ssl.create_default_context(cadata=ca.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(5):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return str(error.verify_message)
            except ssl.SSLError:
                continue  # the server, told by the client
    return None


Signed = tuple[bytes, bytes]


@pytest.fixture(scope="module")
def signs() -> tuple[bytes, Callable[..., Signed]]:
    """An authority, and what somebody who had kept its key could sign with it."""
    ca, ca_key = certificates.authority("Pushkeeper", NOW, usage=SERVER, names=NAMES)

    def sign(name: str, *, below: bool = False, usage: x509.ObjectIdentifier = SERVER) -> Signed:
        issuer, issuer_key, chain = ca, ca_key, b""
        if below:
            issuer_key = ec.generate_private_key(ec.SECP256R1())
            subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "below")])
            issuer = (
                x509.CertificateBuilder()
                .subject_name(subject)
                .issuer_name(ca.subject)
                .public_key(issuer_key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(NOW)
                .not_valid_after(NOW + timedelta(days=30))
                .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                .add_extension(certificates._key_usage(key_cert_sign=True), critical=True)
                .add_extension(
                    x509.SubjectKeyIdentifier.from_public_key(issuer_key.public_key()), critical=False
                )
                .add_extension(
                    x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
                )
                .sign(ca_key, hashes.SHA256())
            )
            chain = certificates.pem(issuer)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Somebody")])
        made = (
            certificates.leaf(issuer, key.public_key(), subject, NOW, usage=usage)
            .add_extension(x509.SubjectAlternativeName([certificates._general_name(name)]), critical=False)
            .sign(issuer_key, hashes.SHA256())
        )
        return certificates.pem(made) + chain, certificates.key_pem(key)

    return certificates.pem(ca), sign


@pytest.mark.parametrize("name", NAMES)
def test_what_it_was_made_for_is_trusted(name: str, tmp_path: Path) -> None:
    issued = certificates.issue("Pushkeeper", NAMES, NOW)
    assert handshake(issued.ca, issued.certificate, issued.key, name, tmp_path) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        *((name, None) for name in NAMES),
        *(
            (name, "permitted subtree violation")
            for name in (
                "bank.example",
                "push.lan.evil.example",
                "lan",
                "127.0.0.2",
                "192.168.7.13",
                "8.8.8.8",
                "::2",
            )
        ),
    ],
)
def test_with_its_key_no_other_name_could_be_signed_for(
    name: str, said: str | None, signs: tuple[bytes, Callable[..., Signed]], tmp_path: Path
) -> None:
    ca, sign = signs
    assert handshake(ca, *sign(name), name, tmp_path) == said


def test_with_its_key_no_further_authority_could_be_made(
    signs: tuple[bytes, Callable[..., Signed]], tmp_path: Path
) -> None:
    ca, sign = signs
    said = handshake(ca, *sign("localhost", below=True), "localhost", tmp_path)
    assert said == "path length constraint exceeded"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize(
    ("name", "usage", "good"),
    [
        ("localhost", SERVER, True),
        ("bank.example", SERVER, False),
        ("localhost", ExtendedKeyUsageOID.CLIENT_AUTH, False),
        ("localhost", ExtendedKeyUsageOID.CODE_SIGNING, False),
    ],
)
def test_openssl_says_the_same(
    name: str,
    usage: x509.ObjectIdentifier,
    *,
    good: bool,
    signs: tuple[bytes, Callable[..., Signed]],
    tmp_path: Path,
) -> None:
    ca, sign = signs
    chain, _ = sign(name, usage=usage)
    (tmp_path / "ca.pem").write_bytes(ca)
    (tmp_path / "leaf.pem").write_bytes(chain)
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", "ca.pem", "leaf.pem"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is good, done.stderr


def test_it_may_sign_certificates_of_servers_alone_and_for_a_year() -> None:
    issued = certificates.issue("Pushkeeper", NAMES, NOW)
    ca, leaf = x509.load_pem_x509_certificate(issued.ca), x509.load_pem_x509_certificate(issued.certificate)
    for one in (ca, leaf):
        assert timedelta(days=390) < one.not_valid_after_utc - NOW < timedelta(days=398)
        usage = one.extensions.get_extension_for_class(x509.KeyUsage)
        assert usage.critical
        assert usage.value.key_cert_sign is (one is ca)
        assert list(one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [SERVER]
    limits = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (limits.critical, limits.value.ca, limits.value.path_length) == (True, True, 0)
    assert ca.extensions.get_extension_for_class(x509.NameConstraints).critical


def test_a_folder_keeps_its_certificate_and_no_key_of_the_authority(tmp_path: Path) -> None:
    served = localhost_tls.self_signed(tmp_path, "0.0.0.0", NOW)
    files = {file.name: file.read_bytes() for file in served.cert_file.parent.iterdir()}
    assert set(files) == {"ca.pem", "server.pem", "server.key", "lock"}
    assert [name for name, content in files.items() if b"PRIVATE KEY" in content] == ["server.key"]
    ca = x509.load_pem_x509_certificate(files["ca.pem"])
    key = serialization.load_pem_private_key(files["server.key"], None)
    assert key.public_key() != ca.public_key()
    assert stat.S_IMODE(served.key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(served.key_file.parent.stat().st_mode) == 0o700
    localhost_tls.self_signed(tmp_path, "127.0.0.1", NOW + timedelta(days=300))
    assert {file.name: file.read_bytes() for file in served.cert_file.parent.iterdir()} == files


def test_it_is_renewed_near_its_end_for_another_host_and_when_broken(tmp_path: Path) -> None:
    served = localhost_tls.self_signed(tmp_path, "127.0.0.1", NOW)
    assert served.ca_file is not None

    def renews(host: str, now: datetime) -> bool:
        before = served.cert_file.read_bytes()
        localhost_tls.self_signed(tmp_path, host, now)
        localhost_tls.given(served.cert_file, served.key_file)
        return served.cert_file.read_bytes() != before

    assert not renews("127.0.0.1", NOW)
    assert renews("push.lan", NOW)
    assert not renews("127.0.0.1", NOW)
    assert renews("push.lan", NOW + timedelta(days=368))
    other = certificates.issue("Pushkeeper", NAMES, NOW)
    for file, content in (
        (served.key_file, other.key),
        (served.ca_file, other.ca),
        (served.cert_file, b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"),
        (served.key_file, b""),
    ):
        file.write_bytes(content)
        before = served.ca_file.read_bytes()
        localhost_tls.self_signed(tmp_path, "push.lan", NOW)
        assert served.ca_file.read_bytes() != before, file.name
        localhost_tls.given(served.cert_file, served.key_file)


def test_the_authority_of_an_earlier_release_is_replaced_and_its_key_removed(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.mkdir(mode=0o755)
    ca = trustme.CA(organization_name="Pushkeeper")
    issued = ca.issue_cert(*certificates.LOOPBACK)
    (folder / "ca.pem").write_bytes(ca.cert_pem.bytes())
    (folder / "ca.key").write_bytes(ca.private_key_pem.bytes())
    (folder / "server.pem").write_bytes(issued.cert_chain_pems[0].bytes())
    (folder / "server.key").write_bytes(issued.private_key_pem.bytes())
    localhost_tls.self_signed(tmp_path, "127.0.0.1", NOW)
    assert not (folder / "ca.key").exists()
    assert (folder / "ca.pem").read_bytes() != ca.cert_pem.bytes()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
