"""The certificate that is served: an operator's own, or one for localhost by an authority of our own."""

from __future__ import annotations

import fcntl
import os
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushkeeper import certificates
from pushkeeper.certificates import Issued
from pushkeeper.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path


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


def self_signed(data_dir: Path, host: str, now: datetime) -> ServedCertificate:
    """A certificate for localhost and the host listened on, and the authority to trust, in the data folder.

    Both are created on first use, and again when the host changes or they are about to expire.
    """
    folder = data_dir / "tls"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)  # it was made wider by earlier releases
    served = ServedCertificate(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    names = [*certificates.LOOPBACK, host] if host not in {"", "0.0.0.0", "::"} else certificates.LOOPBACK  # noqa: S104 - compared
    with _alone_in(folder):
        if not certificates.is_usable(_read(folder), names, now):
            issued = certificates.issue("Pushkeeper", names, now)
            _write(served.key_file, issued.key, 0o600)
            _write(served.cert_file, issued.certificate, 0o644)
            _write(folder / "ca.pem", issued.ca, 0o644)
        # Earlier releases kept the key of an authority that could sign for every name.
        (folder / "ca.key").unlink(missing_ok=True)
    return served


def _read(folder: Path) -> Issued:
    """What is there; empty what isn't."""
    ca, certificate, key = (
        file.read_bytes() if file.exists() else b""
        for file in (folder / "ca.pem", folder / "server.pem", folder / "server.key")
    )
    return Issued(ca=ca, certificate=certificate, key=key)


def _write(file: Path, data: bytes, mode: int) -> None:
    """Write a whole file, or none."""
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
        out.write(data)
    part.replace(file)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One process at a time: several may serve from one folder."""
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
