"""Settings: what the command line, the environment (PUSHKEEPER_*) and a TOML file say, in that order."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import platformdirs

from pushkeeper.core.client_address import networks_of
from pushkeeper.core.destination import Destinations
from pushkeeper.core.model import Secret
from pushkeeper.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "PUSHKEEPER_"
_SHORTEST_OUTAGE_WAIT_S = 60
MOST_PROCESSES = 64
_MOST_OF_AUTO = 8  # whose connections, with those of workers, are within the 200 of the embedded PostgreSQL
_RANGES = {"port": (0, 65_535), "workers": (0, 64), "processes": (1, MOST_PROCESSES)}
_SHORTEST_TOKEN = 16
_MOST_DAYS = 36_500
_KEPT = tuple(f"keep_{what}_days" for what in ("pushes", "history", "events", "exports", "outbox"))
_LONGEST_LAG_S = 60
# The largest body alone is 25 MB.
LEAST = {
    "max_connections": 16,
    "max_requests": 16,
    "max_body_memory_mb": 32,
}  # shared out to all processes that answer
_LEAST_OF_EACH = {"database_connections": 2, "worker_connections": 2, "statement_cache_size": 0}
_SECRETS = {"secret_key", "metrics_token"}


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
        replica_url: a standby of that PostgreSQL, which then answers counts, previews, reports, preflights and series while it
            has all that was written before they were asked for; else the primary does.
        replica_max_lag_s: how long such a read waits for the standby to have it all; one that is further behind is not asked.
        database_connections: how many connections to the database a process that answers may have, besides three for
            searches and, where it sends too, one that listens.
        worker_connections: how many a worker process may have, besides one that listens.
        statement_cache_size: how many prepared statements a connection keeps; 0 behind a PgBouncer that pools transactions
            and does not know prepared statements (older than 1.21, or `max_prepared_statements = 0`).
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
        processes: how many processes answer; each has an equal share of the three limits below. `auto` for one for every two
            processors, one at least and eight at most.
        max_connections: how many connections may be open at once; fewer where a process may not open as many files.
        max_requests: how many requests may be answered at once.
        max_body_memory_mb: how many megabytes (MiB) of requests may be held at once, as they were received and unpacked (a
            process may always hold 32); what is made of them takes a multiple of that.
        requests_per_s: how many calls the keys of a workspace may make in a second (Track, App and Data Pipelines keys each for
            themselves) at this service, each item of a batch counted; more are answered 429 with `Retry-After`. None for
            no bound.
        webhooks_may_be_private: let webhooks call, and files of broadcasts come from, every private and local address too,
            except the metadata services of clouds.
        webhooks_may_go_to: private networks (in CIDR notation), addresses and host names that they may go to besides public
            ones, as a list or separated by commas; a metadata service only where its address is listed alone.
        outbound_addresses: the public addresses that webhooks come from, as a list or separated by commas, for
            `GET /v1/info/ip_addresses`, so that receivers can allow only these.
        dashboard: show the dashboard at the address of the APIs.
        simulator_url: the control address of a simulator, which the dashboard then has a panel for.
        workers: how many worker processes to run beside those that answer, which then only answer; 0 for none. Beside several
            that answer there is one at least, unless `worker` is false.
        keep_pushes_days: for how many days what came of pushes is kept, with transactional messages and what apps told
            of them; none for ever.
        keep_history_days: for how many days the history of devices is kept, by whole months; none for ever. Of a status
            that has stood for longer nobody can say any more which answer made it.
        keep_events_days: for how many days what people did is kept, by whole months; none for ever.
        keep_exports_days: for how many days an export can be downloaded; none for ever.
        keep_outbox_days: for how many days what a webhook does not take, or is disabled for, waits; none for ever.
        trusted_proxies: networks (in CIDR notation) and addresses of the proxies in front of us, as a list or separated by
            commas: what they say of the client in `X-Forwarded-For` and `X-Forwarded-Proto` is believed, and nobody else.
        metrics_token: what `/metrics` asks for as a bearer token, of 16 characters or more; without one it answers
            callers on this machine alone, by its name or address there, and no proxy.
    """

    data_dir: Path
    database_url: str | None = field(default=None, repr=False)  # it may hold a password
    replica_url: str | None = field(default=None, repr=False)
    replica_max_lag_s: float = 1.0
    database_connections: int = 16
    worker_connections: int = 4
    statement_cache_size: int = 100
    secret_key: Secret | None = None
    host: str = "127.0.0.1"
    port: int = 8383
    public_url: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_self_signed: bool = False
    worker: bool = True
    apns_outage_wait_s: int = 900
    processes: int = 1
    max_connections: int = 4_096
    max_requests: int = 1_024
    max_body_memory_mb: int = 128
    requests_per_s: int | None = 3_000
    webhooks_may_be_private: bool = False
    webhooks_may_go_to: tuple[str, ...] = ()
    outbound_addresses: tuple[str, ...] = ()
    dashboard: bool = True
    simulator_url: str | None = None
    workers: int = 0
    keep_pushes_days: int | None = 90
    keep_history_days: int | None = 400
    keep_events_days: int | None = 90
    keep_exports_days: int | None = 30
    keep_outbox_days: int | None = 30
    trusted_proxies: tuple[str, ...] = ()
    metrics_token: Secret | None = None

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_addresses()
        if self.metrics_token is not None and len(self.metrics_token.value) < _SHORTEST_TOKEN:
            raise Misconfigured(f"metrics_token: at least {_SHORTEST_TOKEN} characters")
        try:
            _ = self.destinations
        except ValueError as error:
            raise Misconfigured(
                f"webhooks_may_go_to: {str(error)!r} is neither a network in CIDR notation, nor an address, nor a host name"
            ) from None
        for name in ("trusted_proxies", "outbound_addresses"):
            try:
                networks_of(getattr(self, name))
            except ValueError as error:
                raise Misconfigured(
                    f"{name}: {str(error)!r} is neither a network in CIDR notation nor an address"
                ) from None
        if self.workers and not self.worker:
            raise Misconfigured("worker, workers: no worker and some are not both possible")

    @property
    def destinations(self) -> Destinations:
        """Where webhooks may go, and files of broadcasts may come from."""
        return Destinations.of(self.webhooks_may_go_to, private=self.webhooks_may_be_private)

    def _check_numbers(self) -> None:
        for name, (least, most) in _RANGES.items():
            if not least <= getattr(self, name) <= most:
                raise Misconfigured(f"{name}: {getattr(self, name)} is not between {least} and {most}")
        if self.apns_outage_wait_s < _SHORTEST_OUTAGE_WAIT_S:
            raise Misconfigured(f"apns_outage_wait_s: at least {_SHORTEST_OUTAGE_WAIT_S} seconds")
        if not 0 <= self.replica_max_lag_s <= _LONGEST_LAG_S:  # nor NaN
            raise Misconfigured(
                f"replica_max_lag_s: {self.replica_max_lag_s:g} is not between 0 and {_LONGEST_LAG_S} seconds"
            )
        for name, least in (LEAST | _LEAST_OF_EACH).items():
            if getattr(self, name) < least:
                raise Misconfigured(f"{name}: at least {least}")
        if self.requests_per_s is not None and self.requests_per_s < 1:
            raise Misconfigured("requests_per_s: at least 1")
        for name in _KEPT:
            days = getattr(self, name)
            if days is not None and not 1 <= days <= _MOST_DAYS:
                raise Misconfigured(f"{name}: {days} is not between 1 and {_MOST_DAYS} days; none keeps all")

    def _check_addresses(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise Misconfigured("tls_cert, tls_key: a certificate needs its key, and a key its certificate")
        if self.tls_self_signed and self.tls_cert is not None:
            raise Misconfigured("tls_self_signed: there is a certificate of your own in tls_cert already")
        if self.public_url is not None and urlsplit(self.public_url).scheme not in {"http", "https"}:
            raise Misconfigured("public_url: expected http://… or https://…")
        if self.replica_url is not None and self.database_url is None:
            raise Misconfigured(
                "replica_url: the embedded PostgreSQL has no replica; database_url names the primary"
            )
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
    for key in _SECRETS & set(said):
        if isinstance(said[key], str):
            said[key] = Secret(said[key].encode())
    return Settings(**said)


def variables(settings: Settings) -> dict[str, str]:
    """The settings as PUSHKEEPER_* variables, from which `load` makes the same settings in another process."""
    given = {field.name: getattr(settings, field.name) for field in fields(Settings)}
    return {
        f"{_PREFIX}{name.upper()}": _text(value)
        for name, value in given.items()
        if value is not None or name in _MAY_BE_NONE
    }


def environment(settings: Settings, ours: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child process: ours, with these settings instead of the variables that we were started with."""
    others = {name: value for name, value in ours.items() if not name.startswith(_PREFIX)}
    return {**others, **variables(settings)}


def _text(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case Secret():
            return value.value.decode()
        case tuple():
            return ",".join(value)
        case _:
            return str(value)


def _of_file(file: Path) -> dict[str, Any]:
    try:
        said = msgspec.toml.decode(file.read_bytes())
    except OSError as error:
        raise Misconfigured(f"config file: {file} cannot be read ({error.strerror})") from error
    except msgspec.DecodeError as error:
        raise Misconfigured(f"config file: {file} is not TOML: {error}") from error
    if unknown := sorted(set(said) - _names()):
        raise Misconfigured(f"config file: {file} has an unknown setting {unknown[0]!r}")
    return {key: read(key, value, f"config file: {key}") for key, value in said.items()}


def _of_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    said = {}
    for variable, text in environ.items():
        if not variable.startswith(_PREFIX):
            continue
        key = variable.removeprefix(_PREFIX).lower()
        if key not in _names():
            raise Misconfigured(f"{variable}: there is no such setting")
        said[key] = read(key, text, variable)
    return said


def _names() -> set[str]:
    return {field.name for field in fields(Settings)}


_TYPES: dict[str, Any] = {
    "port": int,
    "replica_max_lag_s": float,
    "tls_self_signed": bool,
    "worker": bool,
    "workers": int,
    "processes": int,
    "apns_outage_wait_s": int,
    **dict.fromkeys(LEAST | _LEAST_OF_EACH, int),
    "requests_per_s": int,
    "webhooks_may_be_private": bool,
    "webhooks_may_go_to": tuple[str, ...],
    "outbound_addresses": tuple[str, ...],
    "dashboard": bool,
    "trusted_proxies": tuple[str, ...],
    **dict.fromkeys(_KEPT, int),
}
# Where "none" is a value: there is no other word for it in TOML, or in the environment.
_MAY_BE_NONE = {"requests_per_s", *_KEPT}
_LISTS = {"webhooks_may_go_to", "outbound_addresses", "trusted_proxies"}


def read(key: str, value: object, where: str) -> object:
    """The value of a setting, as its text or TOML has it; `where` it is given is named in the error.

    Raises:
        Misconfigured: it is malformed.
    """
    if key in _MAY_BE_NONE and isinstance(value, str) and value.strip().lower() == "none":
        return None
    if key == "processes" and value == "auto":
        return min(max(processors() // 2, 1), _MOST_OF_AUTO)
    if key in _LISTS and isinstance(value, str):
        value = [one.strip() for one in value.split(",") if one.strip()]
    try:
        found = msgspec.convert(value, _TYPES.get(key, str), strict=False)
    except msgspec.ValidationError as error:
        why = f"{str(error)[0].lower()}{str(error)[1:]}"
        raise Misconfigured(f"{where}: {why}{', or auto' if key == 'processes' else ''}") from error
    return Path(found) if key in {"data_dir", "tls_cert", "tls_key"} else found


def processors(bound: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """How many processors this process may use: those that it may run on, within what its control group is given."""
    count = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):
        quota, period = bound.read_text(encoding="ascii").split()
        count = min(count, math.ceil(int(quota) / int(period)))  # `max` is no number: it has no bound
    return min(max(count, 1), MOST_PROCESSES)
