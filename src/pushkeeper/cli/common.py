"""What every command shares: where the data is, how it answers, and how it fails."""

from __future__ import annotations

import asyncio
import errno
import functools
import gc
import os
import signal
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import click
import msgspec

from pushkeeper import config
from pushkeeper.errors import BadRequest, Misconfigured, PushkeeperError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from pushkeeper.config import Settings

P = ParamSpec("P")
T = TypeVar("T")

# Of Python's lock: each time that the event loop has waited for something, it waits this long again for a thread that reads a
# large body. The usual five milliseconds add up to what a neighbour feels.
_SWITCH_S = 0.0005


def as_json(command: Callable[P, T]) -> Callable[P, T]:
    """Give a command `--json`, and make our errors one line on standard error and exit code 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except PushkeeperError as error:
            _refuse(error, json=bool(kwargs.get("json")))

    return click.option("--json", is_flag=True, help="Output JSON.")(run)


def _refuse(error: PushkeeperError, *, json: bool) -> NoReturn:
    from pushkeeper.observability import logs

    field = {"field": error.field, "path": error.path} if isinstance(error, BadRequest) else {}
    said = (
        to_json({"error": {"code": error.code, **field, "message": error.sentence}})
        if json
        else f"{click.style('Error:', fg='red', bold=True)} {error.sentence}"
    )
    with suppress(OSError):  # the reader is gone; the exit code reports the failure too
        click.echo(said, err=True, file=logs.standard_error())
    sys.exit(1)


def on_store(command: Callable[P, T]) -> Callable[P, T]:
    """Give a command the options that say where the data is."""
    data = click.option(
        "--data",
        metavar="DIR",
        type=click.Path(path_type=Path, file_okay=False),
        help="Data folder, including the embedded PostgreSQL.  [default: /var/lib/pushkeeper for root, else "
        "pushkeeper in the user's data folder]",
    )
    url = click.option(
        "--database-url",
        metavar="URL",
        help="Use this PostgreSQL instead of the embedded one. If the URL has a password, set it with "
        "PUSHKEEPER_DATABASE_URL.",
    )
    file = click.option(
        "--config",
        "config_file",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Configuration file (TOML).",
    )
    return data(url(file(command)))


in_workspace = click.option("--workspace", "name", metavar="NAME", required=True, help="Workspace name.")


def settings_of(options: dict[str, Any]) -> Settings:
    """The settings that these options, the environment and the config file give; takes the options it knows."""
    file = options.pop("config_file", None)
    given = {"data_dir": options.pop("data", None), "database_url": options.pop("database_url", None)}
    return config.load({**given, **options}, file=file)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine on the fast event loop; what it may log goes to standard error, beside the answer."""
    import structlog
    import uvloop

    if not structlog.is_configured():
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    sys.setswitchinterval(_SWITCH_S)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def on_signals(stop: Callable[[], None]) -> None:
    """Call this when somebody ends the process, in place of its end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


def to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def answer(value: object, text: str, *, json: bool, file: Any = None) -> None:
    """Print the value as one line of JSON, or the text for people.

    `file` is other than standard output. Ends the process, as other programs do, when its reader has left.

    Raises:
        Misconfigured: standard output cannot be written to.
    """
    try:
        click.echo(to_json(value) if json else text, file=file)
    except OSError as error:
        unread(error)


def unread(error: OSError) -> NoReturn:
    """End the process, as other programs do, when the reader of standard output has left.

    Raises:
        Misconfigured: it cannot be written to for another reason.
    """
    # What is left in its buffer would be tried again at the end, and complained of.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno == errno.EPIPE:
        sys.exit(128 + signal.SIGPIPE)
    raise Misconfigured(f"standard output: cannot be written to ({error.strerror})") from error


@contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, updated by the callback it yields (done, total); with `quiet`, none."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    if quiet:
        yield lambda _, __: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def table(rows: list[list[str]], headings: list[str]) -> str:
    """Columns for people, aligned; numbers to the right."""
    cells = [headings, *rows]
    widths = [max(len(row[n]) for row in cells) for n in range(len(headings))]
    lines = []
    for index, row in enumerate(cells):
        padded = [
            cell.rjust(width) if index and cell.replace(",", "").isdigit() else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    lines[0] = click.style(lines[0], bold=True)
    return "\n".join(lines)


def collect_rarely() -> None:
    """Have the garbage collector look at new objects alone, and less often than Python does by itself.

    Few objects of a push or a call can be in a cycle: looking for those was a tenth of what a worker did, and two thirds of
    what reading a large body took.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
