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
from pushkeeper.core.devices.browser_services import is_name_of_service
from pushkeeper.core.model import Secret
from pushkeeper.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "PUSHKEEPER_"
# PostgreSQL's socket is in it. Its path holds 107 bytes on Linux; past that the wheel would put it into a folder open to all.
_LONGEST_DATA_PATH = 80
SUPERVISOR_CONNECTIONS = 4
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


def prepare_data_dir(data_dir: Path) -> None:
    """Make the folder if it is missing, for its owner alone.

    Raises:
        Misconfigured: it cannot be made or written to, or its path is too long for PostgreSQL's socket.
    """
    if len(os.fsencode(data_dir.resolve())) > _LONGEST_DATA_PATH:
        raise Misconfigured(f"data folder: {data_dir} is longer than {_LONGEST_DATA_PATH} bytes")
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = data_dir / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise Misconfigured(f"data folder: {data_dir} is not writable ({error.strerror})") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one process of Pushkeeper runs.

    Attributes:
        data_dir: Folder of the embedded PostgreSQL, the secret key and the self-signed certificate.
        database_url: A PostgreSQL (15 or newer) to use instead of the embedded one.
        replica_url: A standby of that PostgreSQL. It answers counts, previews, reports, estimates and time series
            once it has everything that was written before the request; otherwise the primary answers.
        replica_max_lag_s: How long such a read waits for the standby to catch up, in seconds. A standby that is
            further behind is not used.
        database_connections: Maximum number of database connections of an API process, besides three for searches,
            two for exports and, if it also sends, one that listens.
        worker_connections: Maximum number of database connections of a worker process, besides one that listens.
        statement_cache_size: Number of prepared statements that a connection keeps. Set 0 behind a PgBouncer in
            transaction mode without support for prepared statements (older than 1.21, or `max_prepared_statements =
            0`).
        secret_key: 32 bytes in URL-safe base64 that encrypt credentials. Default: the key in the data folder.
        host: Address to listen on.
        port: Port to listen on; 0 picks a free one.
        public_url: URL by which clients reach the service, if it differs from the address it listens on.
        tls_cert: PEM file with the certificate chain to serve.
        tls_key: PEM file with its private key.
        tls_self_signed: Serve with a certificate for localhost, signed by a new CA; both are created in the data
            folder.
        worker: Send from this process too.
        apns_outage_wait_s: How long a push waits after an outage of APNs before it is retried, in seconds. Apple asks
            for 15 minutes; the minimum is 60.
        processes: Number of API processes; each gets an equal share of the three limits below. `auto` is one for
            every two processors, at least one and at most eight.
        max_connections: Maximum number of open connections; fewer if a process may not open as many files.
        max_requests: Maximum number of concurrent requests.
        max_body_memory_mb: Maximum memory for request bodies, as received and unpacked, in MiB (a process may always
            hold 32). Processing them takes a multiple of that.
        requests_per_s: Maximum number of calls per second for the keys of a workspace (Track, App and Data Pipelines
            keys are counted separately) at this service. Each item of a batch counts. Further calls are answered with
            429 and `Retry-After`. `none` for no limit.
        webhooks_may_be_private: Allow webhooks to call, and recipient files of broadcasts to come from, private and
            local addresses too, except the metadata services of clouds.
        webhooks_may_go_to: Private networks (in CIDR notation), addresses and host names that are allowed besides
            public ones, as a list or separated by commas. A metadata service is allowed only if its address is listed
            by itself.
        outbound_addresses: Public addresses from which webhooks are called, as a list or separated by commas. `GET
            /v1/info/ip_addresses` returns them, so that receivers can allow only these.
        webpush_hosts: Push services of browsers that are allowed besides those of Google, Mozilla, Apple and Microsoft,
            as a list of host names or separated by commas; `.example.com` allows all names below it. Their addresses
            must be public, or allowed by `webhooks_may_go_to`.
        try_webpush: Serve a page at `/try/webpush` where anybody with a write key can register their browser.
        dashboard: Serve the dashboard at the address of the APIs.
        simulator_url: Control address of a simulator; the dashboard then shows a panel for it.
        workers: Number of worker processes; the API processes then do not send. 0 for none. With several API
            processes there is at least one, unless `worker` is false.
        keep_pushes_days: Days to keep the outcomes of pushes, transactional messages and app reports. `none` keeps
            them forever.
        keep_history_days: Days to keep the history of devices, in whole months. `none` keeps it forever. For a status
            that is older, the provider response behind it is no longer known.
        keep_events_days: Days to keep the events of people, in whole months. `none` keeps them forever.
        keep_exports_days: Days during which an export can be downloaded. `none` keeps it forever.
        keep_outbox_days: Days to keep events for a webhook that fails or is disabled. `none` keeps them forever.
        trusted_proxies: Networks (in CIDR notation) and addresses of the reverse proxies in front of the service, as
            a list or separated by commas. `X-Forwarded-For` and `X-Forwarded-Proto` are trusted only from these.
        metrics_token: Bearer token for `/metrics`, at least 16 characters. Without it `/metrics` answers only callers
            on the same machine that use a local name or address, and no proxy.
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
    webpush_hosts: tuple[str, ...] = ()
    try_webpush: bool = False
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
        for host in self.webpush_hosts:
            if not is_name_of_service(host):
                raise Misconfigured(f"webpush_hosts: {host!r} is not a host name in lower case")
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
        Misconfigured: a value is malformed, or a key of the file or a PUSHKEEPER_* variable is unknown.
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


# What commands read of the environment, and a service does not: which server and workspace they are about, and its keys.
OF_COMMANDS = frozenset(
    f"{_PREFIX}{name}"
    for name in ("CONTEXT", "URL", "WORKSPACE", "SITE_ID", "API_KEY", "APP_API_KEY", "WRITE_KEY", "CA_FILE")
)


def _of_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    said = {}
    for variable, text in environ.items():
        if not variable.startswith(_PREFIX):
            continue
        key = variable.removeprefix(_PREFIX).lower()
        if not text or variable in OF_COMMANDS:
            continue
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
    "webpush_hosts": tuple[str, ...],
    "dashboard": bool,
    "try_webpush": bool,
    "trusted_proxies": tuple[str, ...],
    **dict.fromkeys(_KEPT, int),
}
# Where "none" is a value: there is no other word for it in TOML, or in the environment.
_MAY_BE_NONE = {"requests_per_s", *_KEPT}
_LISTS = {"webhooks_may_go_to", "outbound_addresses", "webpush_hosts", "trusted_proxies"}


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
