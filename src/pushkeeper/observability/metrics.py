"""Metrics: the one table of what Prometheus scrapes.

What apps report about their pushes is Customer.io's "metrics", in `api/customerio/delivery_reports.py`; these are of
the service itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum


class Kind(StrEnum):
    """What Prometheus calls it."""

    COUNTER = "counter"  # only grows
    GAUGE = "gauge"  # the current value
    HISTOGRAM = "histogram"  # how often it was up to each bound
    INFO = "info"  # always 1: its labels are what it says


class Scope(StrEnum):
    """Of what a metric is."""

    PROCESS = "process"  # of the processes of the `serve` that answers: sum them over services
    ALL = "all"  # of all workers, or of the database: every service says the same, so take one


class Merge(StrEnum):
    """How the figures of several processes of one service become one."""

    SUM = "sum"  # counters and histograms always
    LEAST = "least"
    OWN = "own"  # what the process that answers says; of an info always


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One metric; `bounds` are a histogram's, each the greatest value that it takes in."""

    name: str
    kind: Kind
    help: str
    scope: Scope
    unit: str = ""
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    merge: Merge = Merge.SUM

    @property
    def exposed(self) -> str:
        """The metric's name in PromQL; a histogram's has `_bucket`, `_sum` and `_count` appended."""
        suffixes = {Kind.COUNTER: "_total", Kind.INFO: "_info"}
        return self.name + suffixes.get(self.kind, "")


_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LATE_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
_TOGETHER = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
_ROUTE = ("workspace", "route")
_OF_QUEUE = ("workspace", "priority", "state")


def _counter(name: str, text: str, *labels: str, scope: Scope = Scope.ALL, unit: str = "") -> Definition:
    return Definition(name=name, kind=Kind.COUNTER, help=text, scope=scope, unit=unit, labels=labels)


def _gauge(
    name: str,
    text: str,
    *labels: str,
    scope: Scope = Scope.ALL,
    unit: str = "",
    merge: Merge = Merge.SUM,
) -> Definition:
    return Definition(
        name=name, kind=Kind.GAUGE, help=text, scope=scope, unit=unit, labels=labels, merge=merge
    )


def _histogram(
    name: str,
    text: str,
    *labels: str,
    scope: Scope = Scope.ALL,
    unit: str = "seconds",
    bounds: tuple[float, ...] = _SECONDS,
) -> Definition:
    return Definition(
        name=name, kind=Kind.HISTOGRAM, help=text, scope=scope, unit=unit, labels=labels, bounds=bounds
    )


_OURS = Scope.PROCESS


class Metric(Enum):
    """All metrics; `docs/reference/metrics.md` is generated from this list."""

    BUILD = Definition(
        name="pushkeeper_build",
        kind=Kind.INFO,
        help="Versions of Pushkeeper, Python and PostgreSQL.",
        scope=_OURS,
        labels=("version", "python", "postgresql"),
    )
    PROCESSES = _gauge(
        "pushkeeper_processes",
        "API processes of this service.",
        scope=_OURS,
        merge=Merge.OWN,
    )
    CHILD_EXITS = _counter(
        "pushkeeper_child_exits",
        "Child processes of the kind `api` or `worker` that exited unexpectedly and were restarted.",
        "kind",
        scope=_OURS,
    )

    CELL = Definition(
        name="pushkeeper_cell",
        kind=Kind.INFO,
        help="Number of this cell (one of several databases behind one address); 0 if there is only one.",
        scope=_OURS,
        labels=("cell",),
    )

    # The APIs.
    HTTP_REQUESTS = _counter(
        "pushkeeper_http_requests",
        "HTTP requests by path template; status 499 means the client disconnected.",
        *("surface", "path", "method", "status"),
        scope=_OURS,
    )
    HTTP_DURATION = _histogram(
        "pushkeeper_http_request_duration_seconds",
        "HTTP request duration, by class of status (2xx).",
        *("surface", "status"),
        scope=_OURS,
    )
    HTTP_REFUSED = _counter(
        "pushkeeper_http_refused",
        "Requests rejected and connections closed by the HTTP server, by the limit that was exceeded.",
        "reason",
        scope=_OURS,
    )
    INGEST_DROPPED = _counter(
        "pushkeeper_ingest_dropped",
        "Bodies, items and attributes that an API dropped while accepting the rest; the log has the errors.",
        *("surface", "kind", "reason"),
        scope=_OURS,
    )
    MISROUTED = _counter(
        "pushkeeper_misrouted",
        "Requests sent to the wrong cell by the proxy, by what named the right one: key or delivery_id.",
        "named_by",
        scope=_OURS,
    )
    COMMIT_CALLS = _histogram(
        "pushkeeper_commit_calls",
        "Calls per group commit.",
        "room",
        scope=_OURS,
        unit="",
        bounds=_TOGETHER,
    )
    COMMIT_WAIT = _histogram(
        "pushkeeper_commit_wait_seconds",
        "Waiting time of the oldest call in a group commit.",
        "room",
        scope=_OURS,
    )
    COMMIT_DURATION = _histogram(
        "pushkeeper_commit_duration_seconds", "Group commit duration.", "room", scope=_OURS
    )
    POOL_CONNECTIONS = _gauge(
        "pushkeeper_database_connections",
        "Database connections of the API processes, in use or idle.",
        "state",
        scope=_OURS,
    )
    POOL_LIMIT = _gauge(
        "pushkeeper_database_connections_limit",
        "Maximum number of database connections of the API processes.",
        scope=_OURS,
    )
    DATABASE_UP = _gauge(
        "pushkeeper_database_up",
        "1 if the database answered this scrape; otherwise database and worker metrics are missing.",
        scope=_OURS,
        merge=Merge.OWN,
    )
    REPLICA_READS = _counter(
        "pushkeeper_replica_reads",
        "Counts, previews, reports and series by the server that answered: the replica, or the primary and the reason why the replica did "
        "not.",
        *("server", "reason"),
        scope=_OURS,
    )
    REPLICA_UP = _gauge(
        "pushkeeper_replica_up", "1 while the replica is used; 0 while the primary is used instead."
    )
    REPLICA_LAG = _gauge(
        "pushkeeper_replica_lag_seconds",
        "Replication lag, or, above replica_max_lag_s, the age of the replica's data; missing "
        "while it is unknown.",
        unit="seconds",
    )
    PROCESS_CPU = _counter(
        "process_cpu_seconds",
        "User and system CPU time of the API processes.",
        scope=_OURS,
        unit="seconds",
    )
    PROCESS_MEMORY = _gauge(
        "process_resident_memory_bytes", "Resident memory of the API processes.", scope=_OURS, unit="bytes"
    )
    PROCESS_STARTED = _gauge(
        "process_start_time_seconds",
        "Start time of the service (Unix time).",
        scope=_OURS,
        unit="seconds",
        merge=Merge.LEAST,
    )
    PROCESS_FILES = _gauge("process_open_fds", "Open file descriptors of the API processes.", scope=_OURS)
    LOG_DROPPED = _counter(
        "pushkeeper_log_lines_dropped",
        "Log lines dropped because standard error was blocked.",
        scope=_OURS,
    )
    GC_RUNS = _counter("python_gc_collections", "Garbage collector runs.", "generation", scope=_OURS)
    GC_FOUND = _counter(
        "python_gc_objects_collected", "Objects freed by the garbage collector.", "generation", scope=_OURS
    )

    # Sending.
    PUSHES = _counter(
        "pushkeeper_pushes_settled",
        "Processed pushes by outcome and reason code (docs/reference/verdicts.md); "
        "provider `none` means not sent.",
        *("provider", "ending", "reason"),
    )
    ROUTE_ANSWERS = _counter(
        "pushkeeper_route_answers",
        "Provider responses: accepted, ambiguous or definite rejections, or other.",
        *(*_ROUTE, "result"),
    )
    SEND_DURATION = _histogram(
        "pushkeeper_send_duration_seconds",
        "Time from handing over a push to the provider's response, including the wait for a free stream.",
        "provider",
    )
    CLAIM_DELAY = _histogram(
        "pushkeeper_claim_delay_seconds",
        "Delay between a batch being due and claimed, including the wait in a paused or full lane.",
        "priority",
        bounds=_LATE_SECONDS,
    )
    CLAIM_DURATION = _histogram("pushkeeper_claim_duration_seconds", "Duration of a query for due batches.")
    CLAIMED = _counter("pushkeeper_claimed_devices", "Devices in claimed batches.")
    SETTLE_DURATION = _histogram("pushkeeper_settle_duration_seconds", "Duration of a settling transaction.")
    SETTLE_FACTS = _histogram(
        "pushkeeper_settle_facts", "Push outcomes per settling transaction.", unit="", bounds=_TOGETHER
    )
    WORKERS = _gauge("pushkeeper_workers", "Workers with a heartbeat in the last 15 seconds.")
    POLLING = _gauge(
        "pushkeeper_polling_workers",
        "Workers that receive no notifications and poll every 2 seconds instead.",
    )
    WORKER_CPU = _counter(
        "pushkeeper_worker_cpu_seconds",
        "CPU time of all worker processes, including those that exited.",
        unit="seconds",
    )
    WORKER_MEMORY = _gauge(
        "pushkeeper_worker_memory_bytes", "Resident memory of all running worker processes.", unit="bytes"
    )
    WORKER_LOG_DROPPED = _counter(
        "pushkeeper_worker_log_lines_dropped",
        "Dropped log lines of all worker processes, including those that exited.",
    )
    TASK_FAILURES = _counter(
        "pushkeeper_worker_task_failures",
        "Failures of worker tasks, which continue after a pause: `not_now` is caused by the database, `unexpected` is "
        "a bug; the log has its traceback.",
        *("task", "reason"),
    )
    UNSETTLED = _gauge("pushkeeper_unsettled_pushes", "Pushes claimed by workers but not yet settled.")

    # Routes.
    ROUTE_PAUSED = _gauge(
        "pushkeeper_route_paused",
        "1 for a paused route, by what paused it; 0 with kind `none` otherwise.",
        *(*_ROUTE, "kind"),
    )
    ROUTE_THROTTLED = _gauge(
        "pushkeeper_route_throttled", "1 while a route is rate-limited by its provider.", *_ROUTE
    )
    ROUTE_BREAKER = _gauge(
        "pushkeeper_route_breaker_open", "Workers whose circuit breaker for a route's host is open.", *_ROUTE
    )
    ROUTE_IN_FLIGHT = _gauge("pushkeeper_route_in_flight", "Pushes in flight on a route.", *_ROUTE)
    ROUTE_RATE = _gauge(
        "pushkeeper_route_rate_limit",
        "Rate limit of a route over all workers, in pushes per second; missing for unlimited routes.",
        *_ROUTE,
    )
    HELD_VERDICTS = _gauge(
        "pushkeeper_held_verdicts",
        "Rejections on hold: the route is not verified, or its guard stopped a spike.",
        *(*_ROUTE, "why"),
    )

    UNREADABLE_ROWS = _gauge(
        "pushkeeper_unreadable_rows",
        "Rows that could not be read in the last 24 hours and were skipped; the log has each row and the reason.",
        *("workspace", "table"),
    )

    # Queues.
    QUEUE_BATCHES = _gauge(
        "pushkeeper_queue_batches",
        "Queued batches: due, later (scheduled or retried), held by a paused route, parked (drafts and paused "
        "broadcasts), or claimed.",
        *_OF_QUEUE,
    )
    QUEUE_DEVICES = _gauge(
        "pushkeeper_queue_devices",
        "Devices in queued batches; a batch whose devices are chosen when it is claimed counts as one.",
        *_OF_QUEUE,
    )
    QUEUE_OLDEST = _gauge(
        "pushkeeper_queue_oldest_due_seconds",
        "Age of the oldest due batch that is not on hold.",
        *("workspace", "priority"),
        unit="seconds",
    )
    WEBHOOK_OUTBOX = _gauge(
        "pushkeeper_webhook_outbox", "Events queued for a webhook.", *("workspace", "webhook")
    )
    WEBHOOK_FAILING = _gauge(
        "pushkeeper_webhook_failing_seconds",
        "How long a webhook has been failing; 0 if it is healthy.",
        *("workspace", "webhook"),
        unit="seconds",
    )
    WEBHOOK_DISABLED = _gauge(
        "pushkeeper_webhook_disabled", "1 for a disabled webhook.", *("workspace", "webhook")
    )
    WEBHOOK_POSTS = _counter(
        "pushkeeper_webhook_posts",
        "Webhook requests: taken (2xx), refused (another status) or unanswered.",
        "outcome",
    )

    # Jobs.
    JOBS = _gauge(
        "pushkeeper_jobs",
        "Unfinished jobs: waiting, running, put_off (retried after a failure) or failed.",
        *("kind", "state"),
    )
    JOB_ATTEMPTS = _counter(
        "pushkeeper_job_attempts",
        "Attempts at jobs and maintenance items: done, put_off, failed, or given_back without counting.",
        *("kind", "outcome"),
    )

    # Totals, refreshed at most once a minute.
    DEVICES = _gauge(
        "pushkeeper_devices",
        "Devices by last status; `unused` means no push sent yet.",
        *("workspace", "platform", "status"),
    )
    DATABASE_SIZE = _gauge("pushkeeper_database_bytes", "Size of the database on disk.", unit="bytes")
