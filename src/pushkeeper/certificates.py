"""Certificates for servers on this machine, by authorities that can sign for nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

LIFE = timedelta(days=397)  # clients refuse certificates of more than 398 days
RENEWED_BEFORE = timedelta(days=30)
_CLOCK_SKEW = timedelta(hours=1)
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A server's certificate and key, and the authority that its clients have to trust, as PEM."""

    ca: bytes
    certificate: bytes
    key: bytes


def issue(organization: str, names: Sequence[str], now: datetime) -> Issued:
    """A certificate for these host names and addresses.

    The authority signs it and nothing else: its key is not kept, and it is constrained to these names, so that
    trusting it trusts no other host.
    """
    ca, ca_key = authority(organization, now, usage=ExtendedKeyUsageOID.SERVER_AUTH, names=names)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)])
    certificate = (
        leaf(ca, key.public_key(), subject, now, usage=ExtendedKeyUsageOID.SERVER_AUTH)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return Issued(ca=pem(ca), certificate=pem(certificate), key=key_pem(key))


def authority(
    organization: str, now: datetime, *, usage: x509.ObjectIdentifier, names: Sequence[str] = ()
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A CA that signs certificates for one usage and, where names are given, for these alone; and no further CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            # Browsers and OpenSSL tell authorities apart by their names.
            x509.NameAttribute(
                NameOID.COMMON_NAME, f"{organization} CA {x509.random_serial_number():x}"[:64]
            ),
        ]
    )
    builder = (
        _builder(subject, subject, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if names:
        permitted = x509.NameConstraints(list(_subtrees(names)), None)
        builder = builder.add_extension(permitted, critical=True)
    return builder.sign(key, hashes.SHA256()), key


def leaf(
    ca: x509.Certificate,
    public: ec.EllipticCurvePublicKey,
    subject: x509.Name,
    now: datetime,
    *,
    usage: x509.ObjectIdentifier,
) -> x509.CertificateBuilder:
    """A certificate that is no CA, ready to be signed by this one."""
    identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        _builder(subject, ca.subject, public, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
    )


def is_usable(issued: Issued, names: Sequence[str], now: datetime) -> bool:
    """Whether this was issued as `issue` does for all of these names, belongs together, and is good for a while."""
    try:
        ca = x509.load_pem_x509_certificate(issued.ca)
        certificate = x509.load_pem_x509_certificate(issued.certificate)
        key = serialization.load_pem_private_key(issued.key, None)
        certificate.verify_directly_issued_by(ca)
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        ca.extensions.get_extension_for_class(x509.NameConstraints)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound):
        return False
    return (
        key.public_key() == certificate.public_key()
        and set(_general_names(names)) <= set(held)
        and min(ca.not_valid_after_utc, certificate.not_valid_after_utc) - now > RENEWED_BEFORE
    )


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now - _CLOCK_SKEW + LIFE)
    )


def _key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_names(names: Iterable[str]) -> list[x509.GeneralName]:
    return [_general_name(name) for name in dict.fromkeys(names)]


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name.partition("%")[0]))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode())


def _subtrees(names: Iterable[str]) -> Iterable[x509.GeneralName]:
    """The same as constraints, where an address is a network."""
    for name in _general_names(names):
        yield x509.IPAddress(ip_network(name.value)) if isinstance(name, x509.IPAddress) else name
