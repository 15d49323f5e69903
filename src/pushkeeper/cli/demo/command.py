"""`pushkeeper demo`: the service and the simulators as separate processes, and a scripted story sent to them over HTTP."""

from __future__ import annotations

import json as jsonlib
import os
import signal
import subprocess
import sys
import tempfile
from base64 import b64encode
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pushkeeper.cli.common import as_json, to_json
from pushkeeper.cli.demo import story
from pushkeeper.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WORKSPACE = "demo"
END_WITHIN_S = 15.0


@click.command(short_help="Run an end-to-end demo.")
@click.option("--devices", metavar="N", type=click.IntRange(10, 200_000), default=3_000, show_default=True)
@click.option(
    "--once", is_flag=True, help="Exit when the demo finishes instead of keeping the dashboard open."
)
@as_json
def demo(*, devices: int, once: bool, json: bool) -> None:
    """Run an end-to-end demo: register simulated devices, send pushes in rounds, then send a broadcast.

    The dashboard stays open until you press Ctrl-C. Uses an embedded PostgreSQL and simulated push services in a
    temporary folder, which is removed at the end.
    """
    console = Console(stderr=json)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    with tempfile.TemporaryDirectory(prefix="pushkeeper-") as folder, ExitStack() as running:
        data = Path(folder) / "data"
        with console.status("Starting PostgreSQL, the service and the simulators…"):
            simulator = running.enter_context(_process("simulate", "--data", str(Path(folder) / "simulator")))
            service = running.enter_context(
                _process(
                    *("serve", "--data", str(data), "--port", "0"),
                    *("--simulator-url", simulator["control_url"]),
                )
            )
            keys = _set_up(data, simulator)
        basic = b64encode(f"{keys['site_id']}:{keys['api_key']}".encode()).decode()
        fleet = story.DemoDevices(
            track=story.Http(service["url"], f"Basic {basic}"),
            app=story.Http(service["url"], f"Bearer {keys['app_api_key']}"),
            simulator=story.Http(simulator["control_url"]),
            told=_bar(console),
        )
        rounds = story.tell(fleet, devices)
        broadcast = None if once else fleet.broadcast()
        if json:
            told = [{"name": r.name, "what": r.what, "before": r.before, "after": r.after} for r in rounds]
            click.echo(
                to_json(
                    {
                        "url": service["url"],
                        "setup_url": service["setup_url"],
                        "app_api_key": keys["app_api_key"],
                        "devices": devices,
                        "broadcast": broadcast,
                        "by_platform": fleet.by_platform(),
                        "answers": fleet.answers(),
                        "rounds": told,
                    }
                )
            )
        else:
            _show(console, rounds, fleet)
        if not once:
            _stay(console, service, simulator, keys, data)


def _leave(*_: object) -> NoReturn:
    """End as if the story were told: the processes go first, then their folder."""
    sys.exit(0)


@contextmanager
def _process(*command: str) -> Iterator[dict[str, Any]]:
    """Start `pushkeeper … --json` and return what it printed when ready; it ends with this process."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PUSHKEEPER_")}
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "pushkeeper", *command, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if command[0] == "serve" else None,
        env=environ,
        start_new_session=True,  # Ctrl-C is ours: the story ends before the processes do
    )
    assert process.stdout is not None  # noqa: S101 - asked for above
    try:
        said = process.stdout.readline()
        if not said:
            raise Unreachable(f"pushkeeper {command[0]}: ended with {process.wait()} before it was ready")
        yield jsonlib.loads(said)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _set_up(data: Path, simulator: dict[str, Any]) -> dict[str, Any]:
    """A workspace with the simulators' keys, made by the commands that a user would give."""
    on = ("--data", str(data))
    keys = _command("workspace", "create", WORKSPACE, *on)
    ca = ("--ca", simulator["ca_file"])
    _command(
        *("credentials", "add", "fcm", "--workspace", WORKSPACE, *on, *ca),
        *("--service-account", simulator["service_account_file"], "--endpoint", simulator["fcm_url"]),
    )
    _command(
        *("credentials", "add", "apns", "--workspace", WORKSPACE, *on, *ca),
        *("--key", simulator["apns_key_file"], "--key-id", simulator["apns_key_id"]),
        *("--team-id", simulator["apns_team_id"], "--topic", simulator["apns_topic"]),
        *("--environment", "production", "--endpoint", simulator["apns_url"]),
    )
    return keys


def _command(*command: str) -> dict[str, Any]:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "pushkeeper", *command, "--json"], capture_output=True, check=False
    )
    if done.returncode:
        raise Unreachable(f"pushkeeper {command[0]}: {done.stderr.decode(errors='replace').strip()}")
    said: dict[str, Any] = jsonlib.loads(done.stdout)
    return said


def _bar(console: Console) -> Any:
    def told(label: str, total: int, done: Iterable[None]) -> None:
        columns = (
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        # A bar is for somebody who looks; in a log it would be empty lines.
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(label, total=total)
            for _ in done:
                progress.advance(task)

    return told


def _show(console: Console, rounds: list[story.Round], fleet: story.DemoDevices) -> None:
    told = Table(
        title="Devices by status after each round", title_justify="left", box=None, header_style="bold"
    )
    told.add_column("round")
    for status in story.STATUSES:
        told.add_column(status, justify="right")
    for played in rounds:
        told.add_row(played.what, *(f"{played.after[status]:,}" for status in story.STATUSES))
    console.print("\n", told, sep="")
    console.print("\n", _by_platform(fleet), sep="")
    console.print("\n", _answers(fleet), sep="")


def _by_platform(fleet: story.DemoDevices) -> Table:
    counts = fleet.by_platform()
    shown = Table(
        title="Devices by platform and last status", title_justify="left", box=None, header_style="bold"
    )
    shown.add_column("platform")
    for status in (*story.STATUSES, "all"):
        shown.add_column(status, justify="right")
    for platform in sorted({count["platform"] for count in counts}):
        of = {c["last_status"] or "unused": c["devices"] for c in counts if c["platform"] == platform}
        shown.add_row(
            platform, *(f"{of.get(status, 0):,}" for status in story.STATUSES), f"{sum(of.values()):,}"
        )
    return shown


def _answers(fleet: story.DemoDevices) -> Table:
    shown = Table(title="Provider responses", title_justify="left", box=None, header_style="bold")
    shown.add_column("service")
    shown.add_column("response")
    shown.add_column("outcome")
    shown.add_column("pushes", justify="right")
    for count in fleet.answers():
        words = [str(count["provider_status"] or ""), count["provider_reason"] or ""]
        answer = " ".join(word for word in words if word) or "not sent"
        ending = count["ending"] if count["ending"] != "skipped" else f"skipped ({count['reason']})"
        shown.add_row(count["provider"] or "-", answer, ending, f"{count['pushes']:,}")
    return shown


def _stay(
    console: Console, service: dict[str, Any], simulator: dict[str, Any], keys: dict[str, Any], data: Path
) -> NoReturn:
    console.print(
        f"\n[bold]Open the dashboard: {service['setup_url']}[/bold]\n"
        "Create an admin account to see the devices, their delivery status and a broadcast in progress. "
        "On the simulator page you can uninstall apps, break keys and throttle providers.\n"
        f"\nService: [bold]{service['url']}[/bold], simulator control: {simulator['control_url']}\n"
        f"Show a device: [bold]pushkeeper device history TOKEN --workspace {WORKSPACE} --data {data}[/bold]\n"
        f"App API key of this demo: {keys['app_api_key']}\n"
        "Press Ctrl-C to stop.",
        highlight=False,
    )
    if console.is_terminal and _has_screen():
        click.launch(service["setup_url"])
    while True:
        signal.pause()


def _has_screen() -> bool:
    """Whether a browser that is opened here is one to look at."""
    return sys.platform in {"darwin", "win32"} or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
