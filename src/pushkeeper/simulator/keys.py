"""The simulator's keys and certificates: made once in its data folder, and the same until their end is near."""

from __future__ import annotations

import json
import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from pushkeeper import certificates
from pushkeeper.certificates import Issued
from pushkeeper.simulator.world import TOPIC

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

KEY_ID = "SIMKEY0001"
TEAM_ID = "SIMTEAM001"

_ORGANIZATION = "Pushkeeper simulator"


@dataclass(frozen=True, slots=True)
class Keys:
    """Where everything lies in the data folder; what is private is for its owner alone (0600)."""

    folder: Path

    @property
    def ca_file(self) -> Path:
        """The CA that clients trust, PEM; it has signed the servers' certificate, and its key is gone."""
        return self.folder / "ca.pem"

    @property
    def client_ca_file(self) -> Path:
        """The CA of client certificates, with its key; nobody but APNs here trusts it."""
        return self.folder / "client-ca.pem"

    @property
    def server_file(self) -> Path:
        """The servers' key and certificate chain."""
        return self.folder / "server.pem"

    @property
    def service_account_file(self) -> Path:
        """A service account's key file in Google's form."""
        return self.folder / "service-account.json"

    @property
    def apns_key_file(self) -> Path:
        """A signing key in Apple's form."""
        return self.folder / f"AuthKey_{KEY_ID}.p8"

    @property
    def client_certificate_file(self) -> Path:
        """A certificate with its key that may push to the app that tokens are minted for; another at each start."""
        return self.folder / "client.pem"


def prepare(folder: Path, host: str = "localhost") -> Keys:
    """Make what the folder lacks; the servers' certificate is good for the loopback and for this name.

    Their CA is made with it, for these names alone: another name, or the end of the certificate, brings another CA.

    Raises:
        OSError: the folder cannot be made or written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = Keys(folder)
    now, names = datetime.now(UTC), [*certificates.LOOPBACK, host]
    if not certificates.is_usable(_issued(keys), names, now):
        issued = certificates.issue(_ORGANIZATION, names, now)
        _write_private(keys.server_file, issued.key + issued.certificate)
        keys.ca_file.write_bytes(issued.ca)
        # Earlier releases kept the key of a CA that could sign for every name.
        (folder / "ca.key").unlink(missing_ok=True)
    if not keys.client_ca_file.exists():
        ca, key = certificates.authority(_ORGANIZATION, now, usage=ExtendedKeyUsageOID.CLIENT_AUTH)
        _write_private(keys.client_ca_file, certificates.key_pem(key) + certificates.pem(ca))
    if not keys.apns_key_file.exists():
        _write_private(keys.apns_key_file, _pem(ec.generate_private_key(ec.SECP256R1())))
    _write_private(keys.client_certificate_file, client_certificate(keys, TOPIC))
    return keys


def _issued(keys: Keys) -> Issued:
    """The existing certificate of the servers; empty without one."""
    ca, server = (file.read_bytes() if file.exists() else b"" for file in (keys.ca_file, keys.server_file))
    return Issued(ca=ca, certificate=server, key=server)


def write_service_account(keys: Keys, project: str, token_uri: str) -> None:
    """Write the service account's file, keeping the key that it has."""
    file = keys.service_account_file
    if file.exists():
        account = json.loads(file.read_bytes())
    else:
        private = _pem(rsa.generate_private_key(65537, 2048))
        account = {
            "type": "service_account",
            "project_id": project,
            "private_key_id": os.urandom(20).hex(),
            "private_key": private.decode(),
            "client_email": f"pushkeeper@{project}.iam.gserviceaccount.com",
            "client_id": "100000000000000000001",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        }
    account["token_uri"] = token_uri
    _write_private(file, json.dumps(account, indent=2).encode() + b"\n")


def account_name(keys: Keys) -> str:
    """The service account's `client_email`."""
    name: str = json.loads(keys.service_account_file.read_bytes())["client_email"]
    return name


def account_key(keys: Keys) -> rsa.RSAPublicKey:
    """What the service account's grants are verified with."""
    account = json.loads(keys.service_account_file.read_bytes())
    private = serialization.load_pem_private_key(account["private_key"].encode(), None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError("the service account's key is not an RSA key")
    return private.public_key()


def apns_key(keys: Keys) -> ec.EllipticCurvePublicKey:
    """What provider tokens are verified with."""
    private = serialization.load_pem_private_key(keys.apns_key_file.read_bytes(), None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TypeError("the APNs key is not an elliptic-curve key")
    return private.public_key()


def server_context(
    keys: Keys, protocols: Sequence[str], *, client_certificates: bool = False
) -> ssl.SSLContext:
    """TLS for a server that speaks these protocols (ALPN), and asks for a client's certificate if told to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(keys.server_file)
    context.set_alpn_protocols(list(protocols))
    if client_certificates:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.num_tickets = (
            0  # a session resumed without a context id, which Python can't set, would be refused
        )
        context.load_verify_locations(keys.client_ca_file)
    return context


def client_certificate(keys: Keys, topic: str) -> bytes:
    """Make a certificate that may push to one topic, as Apple's do (subject UID): its key and itself in PEM."""
    held = keys.client_ca_file.read_bytes()
    ca, ca_key = x509.load_pem_x509_certificate(held), serialization.load_pem_private_key(held, None)
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise TypeError("the CA's key is not an elliptic-curve key")
    subject = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.USER_ID, topic),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, f"Apple Push Services: {topic}"[:64]),
        ]
    )
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = certificates.leaf(
        ca, key.public_key(), subject, datetime.now(UTC), usage=ExtendedKeyUsageOID.CLIENT_AUTH
    ).sign(ca_key, hashes.SHA256())
    return certificates.key_pem(key) + certificates.pem(certificate)


def _pem(private: PrivateKeyTypes) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_private(file: Path, content: bytes) -> None:
    """Write a whole file that nobody else can read, not even while it is written."""
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
    part.replace(file)
