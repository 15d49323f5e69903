"""A certificate for localhost by a CA of our own, for clients that insist on https."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme

from pushkeeper.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class ServedCertificate:
    """PEM files to serve with, and the CA that a client has to trust (None when it is a public one)."""

    cert_file: Path
    key_file: Path
    ca_file: Path | None


def given(cert_file: Path, key_file: Path) -> ServedCertificate:
    """An operator's own certificate.

    Raises:
        Misconfigured: the files cannot be read, or do not belong together.
    """
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert_file, key_file)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured(
            f"tls_cert, tls_key: {cert_file} and {key_file} cannot be served ({error})"
        ) from error
    return ServedCertificate(cert_file, key_file, None)


def self_signed(data_dir: Path, host: str) -> ServedCertificate:
    """The folder's own CA and a certificate by it for localhost and the host listened on; made on first use."""
    folder = data_dir / "tls"
    folder.mkdir(parents=True, exist_ok=True)
    ca_file, ca_key_file = folder / "ca.pem", folder / "ca.key"
    if ca_file.exists() and ca_key_file.exists():
        ca = trustme.CA.from_pem(ca_file.read_bytes(), ca_key_file.read_bytes())
    else:
        ca = trustme.CA(organization_name="Pushkeeper")
        _write(ca_key_file, ca.private_key_pem.bytes(), 0o600)
        _write(ca_file, ca.cert_pem.bytes(), 0o644)
    names = dict.fromkeys([*_NAMES, host] if host not in {"", "0.0.0.0", "::"} else _NAMES)  # noqa: S104 - compared
    leaf = ca.issue_cert(*names)
    cert_file, key_file = folder / "server.pem", folder / "server.key"
    _write(key_file, leaf.private_key_pem.bytes(), 0o600)
    _write(cert_file, b"".join(pem.bytes() for pem in leaf.cert_chain_pems), 0o644)
    return ServedCertificate(cert_file, key_file, ca_file)


def _write(file: Path, data: bytes, mode: int) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as out:
        out.write(data)
