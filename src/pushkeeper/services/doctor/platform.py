"""The platform: data folder, database, its schema and partitions, and the clock."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509

from pushkeeper.errors import Misconfigured, Unreachable
from pushkeeper.services.doctor.finding import attention, ok, span, wrong
from pushkeeper.store.admin import diagnostics
from pushkeeper.store.db import cells, connection_budget, migrate, retention

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from pushkeeper.config import Settings
    from pushkeeper.services.doctor.finding import Finding
    from pushkeeper.store.admin.diagnostics import Server
    from pushkeeper.store.db.database import Database
    from pushkeeper.store.db.retention import Keep, Partition

_GIB = 1 << 30
_OTHERS = 0o077
_SOON = timedelta(days=14)
_LONG_TRANSACTION_S = 600.0
SKEW_S = (1.0, 30.0)
_NEXT_DAYS = 3
# The first releases whose `ipaddress` knows which addresses are private (CVE-2024-4032), with others' fixes.
_MENDED_PYTHONS = {(3, 11): (3, 11, 10), (3, 12): (3, 12, 4)}
# Hours in which workers may have been away without a partition being late.
_LATE_DAYS = 2


def folder(settings: Settings) -> list[Finding]:
    """Room on the disk, and who can read the secret key."""
    found = [_disk(settings.data_dir, embedded=settings.database_url is None)]
    key = settings.data_dir / "secret.key"
    if settings.secret_key is None and key.exists():
        if key.stat().st_mode & _OTHERS:
            found.append(wrong("secret key", f"{key} is readable by other users", f"chmod 600 {key}"))
        else:
            found.append(ok("secret key", f"in {key}; back it up separately from the database"))
    if settings.tls_cert is not None:
        found.append(certificate(settings.tls_cert, datetime.now(UTC)))
    elif settings.tls_self_signed:
        todo = "restart the service, which makes another, and give its clients the new ca.pem"
        found.append(certificate(settings.data_dir / "tls" / "server.pem", datetime.now(UTC), todo))
    return found


def python(version: tuple[int, int, int]) -> Finding:
    """Whether the interpreter has the security fixes that can be expected of it."""
    said = ".".join(map(str, version))
    least = _MENDED_PYTHONS.get(version[:2])
    if least is None or version >= least:
        return ok("python", said)
    wanted = ".".join(map(str, least))
    return attention(
        "python",
        f"{said} lacks security fixes, of CVE-2024-4032 among others (calls to users' addresses don't depend on that one)",
        f"update to {wanted} or later",
    )


def _disk(data_dir: Path, *, embedded: bool) -> Finding:
    there = next(folder for folder in (data_dir, *data_dir.resolve().parents) if folder.exists())
    usage = shutil.disk_usage(there)
    said = f"{usage.free / _GIB:,.1f} GiB of {usage.total / _GIB:,.1f} GiB free in {data_dir}"
    if not embedded:
        return ok("disk", f"{said}; the database's own disk cannot be seen from here")
    if usage.free < _GIB // 2 or usage.free < usage.total // 50:
        return wrong("disk", said, "free up disk space: PostgreSQL stops when the disk is full")
    if usage.free < 2 * _GIB or usage.free < usage.total // 10:
        return attention("disk", said, "free up disk space, or lower retention (the settings keep_…_days)")
    return ok("disk", said)


def certificate(file: Path, now: datetime, todo: str = "renew it, and restart the service") -> Finding:
    """Until when the certificate that is served is good."""
    try:
        ends_at = x509.load_pem_x509_certificates(file.read_bytes())[0].not_valid_after_utc
    except (OSError, ValueError) as error:
        return wrong("TLS certificate", f"{file} cannot be read: {error}", "set tls_cert to a PEM file")
    said = f"valid until {ends_at:%Y-%m-%d}"
    if ends_at <= now:
        return wrong("TLS certificate", f"expired on {ends_at:%Y-%m-%d}", todo)
    if ends_at - now < _SOON:
        return attention("TLS certificate", said, todo)
    return ok("TLS certificate", said)


async def server(database: Database, settings: Settings) -> list[Finding]:
    """PostgreSQL: what it is, what its settings promise, and how full it is."""
    found = await diagnostics.server(database)
    said = f"{found.version.split(' on ')[0]}, {found.size_bytes / _GIB:,.2f} GiB"
    return [
        ok("database", said),
        *_settings(found),
        *_business(found),
        *planned(settings, found.connections_limit),
        *await _writes(database),
    ]


async def _writes(database: Database) -> list[Finding]:
    try:
        await diagnostics.write(database)
    except Unreachable as error:
        todo = "until it can be written to, calls are answered with 503; make room on its disk, or point database_url at the primary"
        return [wrong("writing", error.message, todo)]
    return []


def _settings(server: Server) -> Iterator[Finding]:
    """What the durability of a 2xx, and the schema, depend on."""
    for setting, value, good, why in (
        ("fsync", server.fsync, ("on",), "what was acknowledged may be lost with the power"),
        ("full_page_writes", server.full_page_writes, ("on",), "a crash may leave half-written pages"),
        (
            "synchronous_commit",
            server.synchronous_commit,
            ("on", "local", "remote_write", "remote_apply"),
            "what was acknowledged may be lost in a crash",
        ),
        ("autovacuum", server.autovacuum, ("on",), "tables that are updated all the time grow without end"),
        ("server_encoding", server.encoding, ("UTF8",), "not every name and text can be stored"),
        (
            "default_transaction_isolation",
            server.isolation,
            ("read committed",),
            "our transactions expect read committed",
        ),
    ):
        if value not in good:
            yield wrong("database setting", f"{setting} = {value}: {why}", f"set {setting} = {good[0]}")
    if server.standby:
        yield wrong(
            "database", "it is a standby: nothing can be written", "point database_url at the primary"
        )


def planned(settings: Settings, limit: int) -> list[Finding]:
    """Whether the processes that the settings ask for may open all their connections."""
    wanted = connection_budget.wanted(settings)
    if connection_budget.fits(settings, limit):
        return []
    said = f"{settings.processes} processes that answer and {settings.workers} workers may open {wanted} of {limit} connections"
    return [attention("connections", said, "raise max_connections, or run fewer processes")]


def _business(server: Server) -> Iterator[Finding]:
    used = f"{server.connections} of {server.connections_limit} connections are in use"
    if server.connections > 0.8 * server.connections_limit:
        yield attention("connections", used, "raise max_connections, or run fewer processes")
    else:
        yield ok("connections", used)
    if server.oldest_transaction_s > _LONG_TRANSACTION_S:
        age = span(server.oldest_transaction_s)
        yield attention(
            "transactions",
            f"one has been open for {age}: nothing that was deleted since can be cleaned up",
            "look for it in pg_stat_activity, and end it",
        )


async def schema(database: Database) -> list[Finding]:
    """Whether the schema is the one that this release knows."""
    try:
        await migrate.check(database)
    except Misconfigured as error:
        return [wrong("migrations", error.message, "run the release that migrated it, or a newer one")]
    if behind := await migrate.pending(database):
        names = ", ".join(f"{migration.number:04d} {migration.name}" for migration in behind)
        return [wrong("migrations", f"not applied: {names}", "pushkeeper migrate, or start the service")]
    return [
        ok("migrations", f"up to date at {migrate.migrations()[-1].number:04d}"),
        await _cell(database),
        _row_security(database),
    ]


async def _cell(database: Database) -> Finding:
    """Which cell it is, and whether its numbers are that cell's alone."""
    cell = await cells.of(database)
    if astray := await cells.out_of_bounds(database):
        said = f"{cell}, but {', '.join(astray)} may give numbers of another cell"
        return wrong("cell", said, "pushkeeper migrate")
    return ok("cell", str(cell))


def _row_security(database: Database) -> Finding:
    if database.rows_are_secured:
        return ok("row security", "workspaces are kept apart by PostgreSQL, too")
    return attention(
        "row security",
        "off: the database user may not make the roles pushkeeper_tenant and pushkeeper_jobs",
        "as an administrator: create role pushkeeper_tenant; create role pushkeeper_jobs; "
        "grant pushkeeper_tenant, pushkeeper_jobs to that user; then run pushkeeper migrate",
    )


async def partitions(database: Database, keep: Keep) -> list[Finding]:
    """Whether the days ahead have their place, and old ones go."""
    today = await diagnostics.today(database)
    present = await retention.partitions(database)
    missing = [
        f"{table} of {day}"
        for table, day in _wanted(today)
        if not any(one.table == table and one.start <= day < one.end for one in present)
    ]
    if missing:
        return [
            wrong("partitions", f"missing: {', '.join(missing)}", "start a worker, or run pushkeeper migrate")
        ]
    waiting = await retention.days_that_wait(database)
    late = [one.name for one in present if _is_late(one, keep, today, waiting)]
    if late:
        said = f"older than they are kept: {', '.join(late[:3])}{' and more' if late[3:] else ''}"
        return [attention("partitions", said, "start a worker: one looks every hour")]
    return [ok("partitions", f"{len(present)}, up to {max(one.end for one in present)}")]


def _wanted(today: date) -> Iterator[tuple[str, date]]:
    for days in range(_NEXT_DAYS + 1):
        yield "pushes", today + timedelta(days=days)
    next_month = (today.replace(day=1) + timedelta(days=31)).replace(day=1)
    for table in ("device_history", "events"):
        yield table, today
        yield table, next_month


def _is_late(partition: Partition, keep: Keep, today: date, waiting: set[date]) -> bool:
    days = keep.of_table(partition.table)
    if days is None or (partition.table == "pushes" and partition.start in waiting):
        return False
    return partition.end <= today - timedelta(days=days + _LATE_DAYS)


async def clock(database: Database) -> list[Finding]:
    """This machine's clock against the database's."""
    before = datetime.now(UTC)
    theirs = await diagnostics.clock(database)
    after = datetime.now(UTC)
    skew_s = (theirs - (before + (after - before) / 2)).total_seconds()
    return [skewed("the database", skew_s, *SKEW_S)]


def skewed(whose: str, skew_s: float, attention_s: float, wrong_s: float) -> Finding:
    """What a difference between a clock and ours amounts to."""
    said = f"{abs(skew_s):,.1f} s {'ahead of' if skew_s > 0 else 'behind'} this host's"
    todo = "synchronize both clocks with NTP"
    if abs(skew_s) > wrong_s:
        return wrong("clock", said, todo, about=whose)
    if abs(skew_s) > attention_s:
        return attention("clock", said, todo, about=whose)
    return ok("clock", "in sync with this host", about=whose)
