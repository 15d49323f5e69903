"""Settings: what the command line, the environment (PUSHKEEPER_*) and a TOML file say, in that order."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import platformdirs

from pushkeeper.core.model import Secret
from pushkeeper.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "PUSHKEEPER_"
_HIGHEST_PORT = 65_535
_SHORTEST_OUTAGE_WAIT_S = 60
_MOST_WORKERS = 64


def default_data_dir() -> Path:
    """Where a service keeps its data on this system: root's is not in root's home, which stays closed to others."""
    if os.geteuid() == 0:
        return Path("/var/lib/pushkeeper")
    return Path(platformdirs.user_data_dir("pushkeeper"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one process of Pushkeeper runs.

    Attributes:
        data_dir: the folder of the embedded PostgreSQL, the secret key and the self-signed certificate.
        database_url: a PostgreSQL (15 or newer) to use instead of the embedded one.
        secret_key: 32 bytes in URL-safe base64 that seal credentials; without it the data folder's own key.
        host: the address to listen on.
        port: the port to listen on; 0 picks a free one.
        public_url: how clients reach the service, where that is not the address it listens on.
        tls_cert: a PEM file with the certificate chain to serve.
        tls_key: a PEM file with its private key.
        tls_self_signed: serve with a certificate for localhost by a CA of our own, both made in the data folder.
        worker: send from this process too.
        apns_outage_wait_s: how long a push waits after APNs was in trouble, before it is sent again; Apple asks for a
            quarter of an hour, and less than a minute is not possible.
        requests_per_s: how many calls each key may make in a second, at each process that answers; none for no bound.
        webhooks_may_be_private: let reporting webhooks call private, local and link-local addresses too.
        dashboard: show the dashboard at the address of the APIs.
        simulator_url: the control address of a simulator, which the dashboard then has a panel for.
        workers: how many worker processes to run beside the APIs, whose own process then only answers; 0 for none.
    """

    data_dir: Path
    database_url: str | None = None
    secret_key: Secret | None = None
    host: str = "127.0.0.1"
    port: int = 8383
    public_url: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_self_signed: bool = False
    worker: bool = True
    apns_outage_wait_s: int = 900
    requests_per_s: int | None = None
    webhooks_may_be_private: bool = False
    dashboard: bool = True
    simulator_url: str | None = None
    workers: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.port <= _HIGHEST_PORT:
            raise Misconfigured(f"port: {self.port} is not between 0 and {_HIGHEST_PORT}")
        if self.apns_outage_wait_s < _SHORTEST_OUTAGE_WAIT_S:
            raise Misconfigured(f"apns_outage_wait_s: at least {_SHORTEST_OUTAGE_WAIT_S} seconds")
        if not 0 <= self.workers <= _MOST_WORKERS:
            raise Misconfigured(f"workers: {self.workers} is not between 0 and {_MOST_WORKERS}")
        if self.requests_per_s is not None and self.requests_per_s < 1:
            raise Misconfigured("requests_per_s: at least 1")
        if self.workers and not self.worker:
            raise Misconfigured("worker, workers: no worker and some are not both possible")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise Misconfigured("tls_cert, tls_key: a certificate needs its key, and a key its certificate")
        if self.tls_self_signed and self.tls_cert is not None:
            raise Misconfigured("tls_self_signed: there is a certificate of your own in tls_cert already")
        if self.public_url is not None and urlsplit(self.public_url).scheme not in {"http", "https"}:
            raise Misconfigured("public_url: expected http://… or https://…")
        if self.simulator_url is not None and urlsplit(self.simulator_url).scheme != "http":
            raise Misconfigured(
                "simulator_url: expected http://…, the `control_url` that `pushkeeper simulate` prints"
            )


def load(
    given: Mapping[str, Any] | None = None,
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of the command line (`given`, without its None), the environment and a TOML file.

    Raises:
        Misconfigured: a value is malformed, or a key of the file or a PUSHKEEPER_* variable is none of ours.
    """
    said: dict[str, Any] = {}
    said |= _of_file(file) if file is not None else {}
    said |= _of_environment(os.environ if environ is None else environ)
    said |= {key: value for key, value in (given or {}).items() if value is not None}
    said.setdefault("data_dir", default_data_dir())
    if isinstance(said.get("secret_key"), str):
        said["secret_key"] = Secret(said["secret_key"].encode())
    return Settings(**said)


def _of_file(file: Path) -> dict[str, Any]:
    try:
        said = msgspec.toml.decode(file.read_bytes())
    except OSError as error:
        raise Misconfigured(f"config file: {file} cannot be read ({error.strerror})") from error
    except msgspec.DecodeError as error:
        raise Misconfigured(f"config file: {file} is not TOML: {error}") from error
    if unknown := sorted(set(said) - _names()):
        raise Misconfigured(f"config file: {file} has an unknown setting {unknown[0]!r}")
    return {key: _read(key, value, f"config file: {key}") for key, value in said.items()}


def _of_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    said = {}
    for variable, text in environ.items():
        if not variable.startswith(_PREFIX):
            continue
        key = variable.removeprefix(_PREFIX).lower()
        if key not in _names():
            raise Misconfigured(f"{variable}: there is no such setting")
        said[key] = _read(key, text, variable)
    return said


def _names() -> set[str]:
    return {field.name for field in fields(Settings)}


_TYPES: dict[str, Any] = {
    "port": int,
    "tls_self_signed": bool,
    "worker": bool,
    "workers": int,
    "apns_outage_wait_s": int,
    "requests_per_s": int,
    "webhooks_may_be_private": bool,
    "dashboard": bool,
}


def _read(key: str, value: object, where: str) -> object:
    try:
        read = msgspec.convert(value, _TYPES.get(key, str), strict=False)
    except msgspec.ValidationError as error:
        raise Misconfigured(f"{where}: {str(error)[0].lower()}{str(error)[1:]}") from error
    return Path(read) if key in {"data_dir", "tls_cert", "tls_key"} else read
