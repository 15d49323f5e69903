"""Metrics: the one table of what Prometheus is told.

What apps tell of their pushes is Customer.io's "metrics", in `api/customerio/delivery_reports.py`; these are of the service itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum


class Kind(StrEnum):
    """What Prometheus calls it."""

    COUNTER = "counter"  # only grows
    GAUGE = "gauge"  # how it stands now
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
        """The name as it is asked for in PromQL; a histogram's has `_bucket`, `_sum` and `_count` behind it."""
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
    """Every metric there is; `docs/reference/metrics.md` is written from here."""

    BUILD = Definition(
        name="pushkeeper_build",
        kind=Kind.INFO,
        help="Which Pushkeeper answers, on which Python and PostgreSQL.",
        scope=_OURS,
        labels=("version", "python", "postgresql"),
    )
    PROCESSES = _gauge(
        "pushkeeper_processes",
        "Processes of this service that answer calls.",
        scope=_OURS,
        merge=Merge.OWN,
    )
    CHILD_EXITS = _counter(
        "pushkeeper_child_exits",
        "Processes of this service, of the kind `api` or `worker`, that ended by themselves and were started again.",
        "kind",
        scope=_OURS,
    )

    CELL = Definition(
        name="pushkeeper_cell",
        kind=Kind.INFO,
        help="Which cell this is: one of several databases behind one address; 0 where there is only one.",
        scope=_OURS,
        labels=("cell",),
    )

    # The APIs.
    HTTP_REQUESTS = _counter(
        "pushkeeper_http_requests",
        "Calls that were answered, by the template of their path; 499 is a caller who left.",
        *("surface", "path", "method", "status"),
        scope=_OURS,
    )
    HTTP_DURATION = _histogram(
        "pushkeeper_http_request_duration_seconds",
        "From a call's first line to its answer, by the class of its status (2xx).",
        *("surface", "status"),
        scope=_OURS,
    )
    HTTP_REFUSED = _counter(
        "pushkeeper_http_refused",
        "Requests that the server refused, and connections that it closed, before an API was asked, by the limit that was met.",
        "reason",
        scope=_OURS,
    )
    INGEST_DROPPED = _counter(
        "pushkeeper_ingest_dropped",
        "Bodies, items, and attributes of people or devices that an API dropped while it accepted the rest; the log has the errors.",
        *("surface", "kind", "reason"),
        scope=_OURS,
    )
    MISROUTED = _counter(
        "pushkeeper_misrouted",
        "Requests that named another cell, by what named it: key or delivery_id. The proxy in front of the cells sends them wrong.",
        "named_by",
        scope=_OURS,
    )
    COMMIT_CALLS = _histogram(
        "pushkeeper_commit_calls",
        "Calls that were written in one group commit.",
        "room",
        scope=_OURS,
        unit="",
        bounds=_TOGETHER,
    )
    COMMIT_WAIT = _histogram(
        "pushkeeper_commit_wait_seconds",
        "How long the oldest call of a group commit had waited when it began.",
        "room",
        scope=_OURS,
    )
    COMMIT_DURATION = _histogram(
        "pushkeeper_commit_duration_seconds", "How long a group commit took.", "room", scope=_OURS
    )
    POOL_CONNECTIONS = _gauge(
        "pushkeeper_database_connections",
        "Connections of the processes that answer to the database: in use, or idle.",
        "state",
        scope=_OURS,
    )
    POOL_LIMIT = _gauge(
        "pushkeeper_database_connections_limit",
        "Connections that these processes may have at once.",
        scope=_OURS,
    )
    DATABASE_UP = _gauge(
        "pushkeeper_database_up",
        "1 when the database answered this scrape; else what is of the database and of the workers is left out.",
        scope=_OURS,
        merge=Merge.OWN,
    )
    REPLICA_READS = _counter(
        "pushkeeper_replica_reads",
        "Counts, previews, reports and series by the server that answered: the replica, or the primary and why the replica did "
        "not.",
        *("server", "reason"),
        scope=_OURS,
    )
    REPLICA_UP = _gauge(
        "pushkeeper_replica_up", "1 while the replica is asked; 0 while the primary answers in its place."
    )
    REPLICA_LAG = _gauge(
        "pushkeeper_replica_lag_seconds",
        "How long the replica took to have what the primary had, or, above replica_max_lag_s, the age of what it has; left out "
        "while that is not known.",
        unit="seconds",
    )
    PROCESS_CPU = _counter(
        "process_cpu_seconds",
        "CPU time of the processes that answer, of their own and in the system.",
        scope=_OURS,
        unit="seconds",
    )
    PROCESS_MEMORY = _gauge(
        "process_resident_memory_bytes", "Memory of the processes that answer.", scope=_OURS, unit="bytes"
    )
    PROCESS_STARTED = _gauge(
        "process_start_time_seconds",
        "When the service started, as a Unix time.",
        scope=_OURS,
        unit="seconds",
        merge=Merge.LEAST,
    )
    PROCESS_FILES = _gauge(
        "process_open_fds", "Files and sockets that the processes that answer have open.", scope=_OURS
    )
    LOG_DROPPED = _counter(
        "pushkeeper_log_lines_dropped",
        "Lines of the log that were dropped, as standard error did not take them.",
        scope=_OURS,
    )
    GC_RUNS = _counter("python_gc_collections", "Runs of the garbage collector.", "generation", scope=_OURS)
    GC_FOUND = _counter("python_gc_objects_collected", "Objects that it freed.", "generation", scope=_OURS)

    # Sending.
    PUSHES = _counter(
        "pushkeeper_pushes_settled",
        "Pushes that are over, by how they ended and by reason code (docs/reference/verdicts.md); "
        "`none` is no provider: it was not sent.",
        *("provider", "ending", "reason"),
    )
    ROUTE_ANSWERS = _counter(
        "pushkeeper_route_answers",
        "Answers of push services: accepted, ambiguous and definite refusals, or other.",
        *(*_ROUTE, "result"),
    )
    SEND_DURATION = _histogram(
        "pushkeeper_send_duration_seconds",
        "From the hand-over of a push to its provider's answer, with its wait for a free stream.",
        "provider",
    )
    CLAIM_DELAY = _histogram(
        "pushkeeper_claim_delay_seconds",
        "How long after it was due a batch was claimed, with its wait in a lane that was paused or full.",
        "priority",
        bounds=_LATE_SECONDS,
    )
    CLAIM_DURATION = _histogram("pushkeeper_claim_duration_seconds", "How long a look for due batches took.")
    CLAIMED = _counter("pushkeeper_claimed_devices", "Devices in batches that were claimed.")
    SETTLE_DURATION = _histogram(
        "pushkeeper_settle_duration_seconds", "How long the transaction of a slice took."
    )
    SETTLE_FACTS = _histogram(
        "pushkeeper_settle_facts", "What came of pushes, written in one slice.", unit="", bounds=_TOGETHER
    )
    WORKERS = _gauge("pushkeeper_workers", "Workers that gave a sign of life in the last 15 seconds.")
    POLLING = _gauge(
        "pushkeeper_polling_workers",
        "Workers that hear no notifications now, and look every two seconds for what is due, halted or moved.",
    )
    WORKER_CPU = _counter(
        "pushkeeper_worker_cpu_seconds",
        "CPU time of all processes that send, of those that have ended too.",
        unit="seconds",
    )
    WORKER_MEMORY = _gauge(
        "pushkeeper_worker_memory_bytes", "Memory of all processes that send now.", unit="bytes"
    )
    WORKER_LOG_DROPPED = _counter(
        "pushkeeper_worker_log_lines_dropped",
        "Lines of the logs of all processes that send that were dropped, of those that have ended too.",
    )
    TASK_FAILURES = _counter(
        "pushkeeper_worker_task_failures",
        "Failures of workers' tasks, each of which goes on after a pause: `not_now` is the database's doing, `unexpected` is "
        "a bug, with its traceback in the log.",
        *("task", "reason"),
    )
    UNSETTLED = _gauge("pushkeeper_unsettled_pushes", "Pushes that workers have claimed and not yet settled.")

    # Routes.
    ROUTE_PAUSED = _gauge(
        "pushkeeper_route_paused",
        "1 for a route that is paused, by who paused it; 0 with the kind `none` for one that is not.",
        *(*_ROUTE, "kind"),
    )
    ROUTE_THROTTLED = _gauge(
        "pushkeeper_route_throttled", "1 while a route rests, as its provider asked.", *_ROUTE
    )
    ROUTE_BREAKER = _gauge(
        "pushkeeper_route_breaker_open", "Workers whose breaker keeps them from a route's host.", *_ROUTE
    )
    ROUTE_IN_FLIGHT = _gauge(
        "pushkeeper_route_in_flight", "Pushes on a route that are handed over and not yet settled.", *_ROUTE
    )
    ROUTE_RATE = _gauge(
        "pushkeeper_route_rate_limit",
        "Pushes that all workers together may send in a second; a route that nothing bounds is left out.",
        *_ROUTE,
    )
    HELD_VERDICTS = _gauge(
        "pushkeeper_held_verdicts",
        "Refusals that are held: the route is unproven, or its guard stopped a wave.",
        *(*_ROUTE, "why"),
    )

    UNREADABLE_ROWS = _gauge(
        "pushkeeper_unreadable_rows",
        "Rows that could not be read in the last 24 hours and were skipped; the log has each row and the reason.",
        *("workspace", "table"),
    )

    # What waits.
    QUEUE_BATCHES = _gauge(
        "pushkeeper_queue_batches",
        "Batches that wait: due, later (scheduled, or to be tried again), held by a paused route, parked (drafts and paused "
        "broadcasts), or claimed.",
        *_OF_QUEUE,
    )
    QUEUE_DEVICES = _gauge(
        "pushkeeper_queue_devices",
        "Devices in those batches; one whose person's devices are picked when it is claimed counts as one.",
        *_OF_QUEUE,
    )
    QUEUE_OLDEST = _gauge(
        "pushkeeper_queue_oldest_due_seconds",
        "For how long the oldest batch that nothing holds back has been due.",
        *("workspace", "priority"),
        unit="seconds",
    )
    WEBHOOK_OUTBOX = _gauge(
        "pushkeeper_webhook_outbox", "What waits to be posted to a webhook.", *("workspace", "webhook")
    )
    WEBHOOK_FAILING = _gauge(
        "pushkeeper_webhook_failing_seconds",
        "For how long a webhook's endpoint has not taken what it was sent; 0 for one that does.",
        *("workspace", "webhook"),
        unit="seconds",
    )
    WEBHOOK_DISABLED = _gauge(
        "pushkeeper_webhook_disabled", "1 for a webhook that is disabled.", *("workspace", "webhook")
    )
    WEBHOOK_POSTS = _counter(
        "pushkeeper_webhook_posts",
        "Calls to webhooks: taken (2xx), refused (another status), or unanswered.",
        "outcome",
    )

    # Jobs.
    JOBS = _gauge(
        "pushkeeper_jobs",
        "Jobs that are not done: waiting, running, put off after a failed attempt, or failed for good.",
        *("kind", "state"),
    )
    JOB_ATTEMPTS = _counter(
        "pushkeeper_job_attempts",
        "Attempts at jobs and at the items of chores: done, put_off, failed, or given_back without counting.",
        *("kind", "outcome"),
    )

    # What there is, asked at most once a minute.
    DEVICES = _gauge(
        "pushkeeper_devices",
        "Devices by last status; `unused` is none yet.",
        *("workspace", "platform", "status"),
    )
    DATABASE_SIZE = _gauge("pushkeeper_database_bytes", "Size of the database on disk.", unit="bytes")
