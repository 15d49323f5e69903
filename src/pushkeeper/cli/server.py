"""The processes: the service and a worker; and the migration that they all begin with."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pushkeeper import config
from pushkeeper.cli.common import answer, as_json, collect_rarely, on_signals, on_store, run, settings_of
from pushkeeper.errors import Conflict, Misconfigured

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pushkeeper.cli.children import Children
    from pushkeeper.config import Settings
    from pushkeeper.interprocess import Place
    from pushkeeper.web.localhost_tls import ServedCertificate
    from pushkeeper.wiring import Store
    from pushkeeper.worker.worker import Worker

PEM_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Run the service: HTTP APIs, dashboard and a worker.")
@click.option("--host", metavar="H", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", metavar="P", type=int, help="Port to listen on; 0 picks a free one.  [default: 8383]")
@click.option("--tls-cert", metavar="F", type=PEM_FILE, help="TLS certificate chain (PEM).")
@click.option("--tls-key", metavar="F", type=PEM_FILE, help="TLS private key (PEM).")
@click.option(
    "--tls-self-signed", is_flag=True, default=None, help="Create a CA and a certificate for localhost."
)
@click.option(
    "--simulator-url", metavar="URL", help="A simulator's `control_url`, for the dashboard's simulator page."
)
@click.option(
    "--replica-url",
    metavar="URL",
    help="A PostgreSQL standby for counts and reports. If the URL has a password, set it with PUSHKEEPER_REPLICA_URL.",
)
@click.option("--no-worker", is_flag=True, help="API only; run `pushkeeper worker` separately.")
@click.option(
    "--processes",
    metavar="N|auto",
    help="Number of API processes; `auto` is one per two CPUs.  [default: 1]",
)
@click.option(
    "--workers",
    metavar="N",
    type=int,
    help="Number of separate worker processes, instead of a worker inside an API process.",
)
@click.option("--child", metavar="NAME", hidden=True, help="Be a child of a service, and end with it.")
@click.option(
    "--inherited", type=(int, int, int), hidden=True, help="Its socket, its memory, and the place in it."
)
@on_store
@as_json
def serve(
    *,
    no_worker: bool,
    processes: str | None,
    child: str | None,
    inherited: tuple[int, int, int] | None,
    json: bool,
    **options: Any,
) -> None:
    """Run the service: HTTP APIs, dashboard and, unless --no-worker is given, a worker that sends."""
    from pushkeeper.observability import logs

    count = None if processes is None else config.read("processes", processes, "--processes")
    settings = settings_of({**options, "processes": count, "worker": False if no_worker else None})
    if child is not None and inherited is not None:
        run(_serve_as_child(settings, child, *inherited))
        return

    def ready(facts: dict[str, Any]) -> None:
        lines = [
            f"Pushkeeper is ready at {click.style(facts['url'], bold=True)}  (pid {facts['pid']})",
            f"  data folder  {facts['data_dir']}",
            f"  database     {facts['database_url']}",
        ]
        if facts["ca_file"]:
            lines.append(f"  trust        {facts['ca_file']}")
        if facts["setup_url"]:
            lines.append(
                f"  first admin  {click.style(facts['setup_url'], bold=True)}  (works once, expires after a day)"
            )
        told = "\n".join([*lines, "Press Ctrl-C to shut down gracefully."])
        answer(facts, told, json=json, file=logs.standard_output())

    run(_serve(settings, ready))


async def _serve(settings: Settings, ready: Callable[[dict[str, Any]], None]) -> None:
    from pushkeeper import wiring
    from pushkeeper.cli.starting import opened_store
    from pushkeeper.cli.supervisor import supervise
    from pushkeeper.observability import logs
    from pushkeeper.services.metrics_snapshot import MetricsSnapshot

    several = settings.processes > 1
    beside = several or settings.workers > 0
    logs.configure(json=not os.isatty(2), process="serve" if beside else None)
    certificate = _certificate(settings)
    connections = config.SUPERVISOR_CONNECTIONS if several else settings.database_connections
    with _listen(settings) as listener, wiring.only_server(settings):
        async with opened_store(settings, listener, certificate, connections=connections) as opened:
            if settings.worker:
                await wiring.require_notifications(opened.database)
            if beside:
                settings = await wiring.fitted(settings, opened.database)
            url = _url(settings, listener, secure=certificate is not None)
            facts = {
                "url": url,
                "ca_file": str(certificate.ca_file) if certificate and certificate.ca_file else None,
                "data_dir": str(settings.data_dir.resolve()),
                "database_url": wiring.shown_url(opened),
                "setup_url": await _setup_url(settings, opened, url),
                "pid": os.getpid(),
            }
            async with _kept_running(opened):
                if several:
                    await supervise(
                        settings, MetricsSnapshot(opened.database), listener, lambda: ready(facts)
                    )
                else:
                    await _answer(settings, opened, listener, certificate, lambda: ready(facts))


async def _serve_as_child(settings: Settings, name: str, socket_fd: int, memory_fd: int, slot: int) -> None:
    """Answer at the parent's socket, beside others."""
    from pushkeeper.cli.children import end_with_parent, heartbeat
    from pushkeeper.cli.starting import opened_store
    from pushkeeper.interprocess import Place, SharedMemory
    from pushkeeper.observability import logs

    logs.configure(json=not os.isatty(2), process=name)
    end_with_parent()
    place = Place(SharedMemory(memory_fd, settings.processes), slot)
    certificate = _certificate(settings)

    def ready() -> None:
        answer({"pid": os.getpid()}, "", json=True, file=logs.standard_output())

    with socket.socket(fileno=socket_fd) as listener:
        async with (
            heartbeat(),
            opened_store(
                settings, listener, certificate, connections=settings.database_connections, place=place
            ) as opened,
        ):
            await _answer(settings, opened, listener, certificate, ready, place)


async def _answer(
    settings: Settings,
    opened: Store,
    listener: socket.socket,
    certificate: ServedCertificate | None,
    ready: Callable[[], None],
    place: Place | None = None,
) -> None:
    """Answer calls until told to stop; and send, where there is no other process for it."""
    from pushkeeper import wiring
    from pushkeeper.cli.starting import uvicorn_config
    from pushkeeper.services.metrics_snapshot import MetricsSnapshot, publish
    from pushkeeper.web.limits import limits_of
    from pushkeeper.web.server import Server

    stopping = asyncio.Event()
    url = _url(settings, listener, secure=certificate is not None)
    app = wiring.api(opened, url, settings, stopping, place)
    server = Server(
        uvicorn_config(app, certificate), limits_of(settings), ready, place.turns if place else None
    )
    sender = None if place else _sender(settings, opened)
    collect_rarely()

    def stop() -> None:
        server.should_exit = True
        stopping.set()
        if sender is not None:
            sender.stop()
        if place is not None:
            place.leave()

    on_signals(stop)
    async with asyncio.TaskGroup() as group:
        publishing = None
        if sender is not None:
            group.create_task(sender.run())
        if place is not None:
            publishing = group.create_task(publish(MetricsSnapshot(opened.database), place.figures))
        await server.serve([listener])
        stop()
        if publishing is not None:
            publishing.cancel()


async def _setup_url(settings: Settings, opened: Store, url: str) -> str | None:
    """Where the first admin of the dashboard is made; None where there is somebody, or no dashboard."""
    entry = await opened.services.accounts.setup_link() if settings.dashboard else None
    return None if entry is None else f"{url}/link/{entry.token}"


def _sender(settings: Settings, opened: Store) -> Worker | Children | None:
    """Who sends: this process, others that it looks after, or nobody here."""
    from pushkeeper import wiring
    from pushkeeper.cli.children import Children, workers

    if settings.workers:
        return Children(settings, workers(settings.workers))
    return wiring.worker(opened, settings) if settings.worker else None


def _certificate(settings: Settings) -> ServedCertificate | None:
    from pushkeeper.web import localhost_tls

    if settings.tls_self_signed:
        config.prepare_data_dir(settings.data_dir)
        return localhost_tls.self_signed(settings.data_dir, settings.host, datetime.now(UTC))
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return localhost_tls.given(settings.tls_cert, settings.tls_key)


def _listen(settings: Settings) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Conflict(
                f"port: {settings.port} on {settings.host} is in use by another program"
            ) from error
        raise Misconfigured(
            f"host, port: cannot listen on {settings.host}:{settings.port} ({error.strerror})"
        ) from error


def _url(settings: Settings, listener: socket.socket, *, secure: bool) -> str:
    if settings.public_url is not None:
        return settings.public_url.rstrip("/")
    host = "localhost" if settings.host in {"0.0.0.0", "::", "127.0.0.1", "::1"} else settings.host  # noqa: S104 - compared
    return f"{'https' if secure else 'http'}://{host}:{listener.getsockname()[1]}"


@asynccontextmanager
async def _kept_running(opened: Store) -> AsyncIterator[None]:
    """While this is active, restart the embedded PostgreSQL if it is killed; any of its users may restart it."""
    keeper = asyncio.create_task(_keep_running(opened.embedded.restart)) if opened.embedded else None
    try:
        yield
    finally:
        if keeper:
            keeper.cancel()


async def _keep_running(restart: Callable[[], bool]) -> None:
    from pushkeeper.observability.isolation import isolated
    from pushkeeper.observability.logs import logger

    log = logger("serve")
    while True:
        await asyncio.sleep(1.0)
        try:
            with isolated(log, "postgres_not_looked_after", passing=Misconfigured):
                if await asyncio.to_thread(restart):
                    log.warning("postgres_was_gone_and_runs_again")
        except Misconfigured as error:
            log.warning("postgres_does_not_start", error=error.message)


@click.command(short_help="Run a worker that sends queued pushes.")
@click.option("--child", metavar="NAME", hidden=True, help="Be a child of a service, and end with it.")
@on_store
@as_json
def worker(*, child: str | None, json: bool, **options: Any) -> None:
    """Run a worker that sends queued pushes. Any number of workers can share a database."""
    from pushkeeper.observability import logs

    settings = settings_of(options)

    def ready(facts: dict[str, Any]) -> None:
        told = f"Worker is running (pid {facts['pid']}). Press Ctrl-C to shut down gracefully."
        answer(facts, told, json=json, file=logs.standard_output())

    run(_work(settings, ready, child))


async def _work(settings: Settings, ready: Callable[[dict[str, Any]], None], child: str | None) -> None:
    from pushkeeper import wiring
    from pushkeeper.cli.children import end_with_parent, heartbeat
    from pushkeeper.observability import logs

    logs.configure(json=not os.isatty(2), process=child)
    if child is not None:
        end_with_parent()
    connections = settings.worker_connections
    async with (
        heartbeat() if child is not None else nullcontext(),
        wiring.store(settings, connections=connections, on_wait=lambda _: None) as opened,
    ):
        await wiring.require_notifications(opened.database)
        sender = wiring.worker(opened, settings)
        collect_rarely()
        on_signals(sender.stop)
        ready({"database_url": wiring.shown_url(opened), "pid": os.getpid()})
        async with _kept_running(opened):
            await sender.run()


@click.command(short_help="Apply database migrations.")
@click.option(
    "--cell",
    "cell_wanted",
    metavar="N",
    type=int,
    help="Make an empty database cell N (0 to 999) of several behind one address. This is permanent.",
)
@on_store
@as_json
def migrate(*, cell_wanted: int | None, json: bool, **options: Any) -> None:
    """Apply database migrations. The service also applies them on start."""
    from pushkeeper import wiring

    async def work() -> tuple[Store, int]:
        async with wiring.store(settings_of(options)) as opened:
            if cell_wanted is not None:
                await opened.services.workspaces.become_cell(cell_wanted)
            return opened, await opened.services.workspaces.cell()

    opened, cell = run(work())
    applied = [{"number": one.number, "name": one.name} for one in opened.applied]
    lines = [f"{one.number:04d} {one.name}" for one in opened.applied] or [
        f"Up to date at {opened.latest:04d}."
    ]
    answer(
        {"applied": applied, "latest": opened.latest, "cell": cell},
        "\n".join([*lines, f"Cell {cell}."] if cell else lines),
        json=json,
    )
