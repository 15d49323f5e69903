"""What every command shares: where the data is, how it answers, and how it fails."""

from __future__ import annotations

import errno
import functools
import gc
import os
import shutil
import signal
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import click
import msgspec

from pushkeeper.errors import BadRequest, Misconfigured, PushkeeperError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterator

    from pushkeeper.config import Settings

P = ParamSpec("P")
T = TypeVar("T")

# Of Python's lock: each time that the event loop has waited for something, it waits this long again for a thread that reads a
# large body. The usual five milliseconds add up to what a neighbour feels.
_SWITCH_S = 0.0005
_LEAST_WIDTH = 12
_COLOURS = {
    **dict.fromkeys(("sent", "open", "active", "accepted", "done", "ok"), "green"),
    **dict.fromkeys(("bounced", "paused", "probing", "put_off", "pending"), "yellow"),
    **dict.fromkeys(("suppressed", "failed", "wrong", "refused"), "red"),
}


class TaskGroup(click.Group):
    """Commands in the order in which they are written down, which is that of tasks."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self.commands)


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
    field = {"field": error.field, "path": error.path} if isinstance(error, BadRequest) else {}
    field |= getattr(error, "where", {})
    said = (
        to_json({"error": {"code": error.code, **field, "message": error.sentence}})
        if json
        else f"{click.style('Error:', fg='red', bold=True)} {error.sentence}"
    )
    logs = sys.modules.get("pushkeeper.observability.logs")  # which may have put a pipe in its place
    with suppress(OSError):  # nobody reads it: the exit code says so too
        click.echo(said, err=True, file=logs.standard_error() if logs else sys.stderr)
    sys.exit(1)


def _with_place(command: Callable[P, T], *, hidden: bool) -> Callable[P, T]:
    """Give a command the options that say where a database is; if they are `hidden`, only the program's help names them."""
    data = click.option(
        "--data",
        metavar="DIR",
        type=click.Path(path_type=Path, file_okay=False),
        hidden=hidden,
        help="Data folder, including the embedded PostgreSQL.  [default: /var/lib/pushkeeper for root, else "
        "pushkeeper in the user's data folder]",
    )
    url = click.option(
        "--database-url",
        metavar="URL",
        hidden=hidden,
        help="Use this PostgreSQL instead of the embedded one. If the URL has a password, set it with "
        "PUSHKEEPER_DATABASE_URL.",
    )
    file = click.option(
        "--config",
        "config_file",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        hidden=hidden,
        help="Configuration file (TOML).",
    )
    return data(url(file(command)))


def on_store(command: Callable[P, T]) -> Callable[P, T]:
    """Give a command the options that say where the data is."""
    return _with_place(command, hidden=False)


in_workspace = click.option(
    "--workspace",
    "name",
    metavar="NAME",
    envvar="PUSHKEEPER_WORKSPACE",
    required=True,
    help="Workspace name.",
)


def on_api(command: Callable[P, T]) -> Callable[P, T]:
    """Give a command that calls the API the options that say which, and `--json`."""
    workspace = click.option(
        "--workspace",
        "name",
        metavar="NAME",
        envvar="PUSHKEEPER_WORKSPACE",
        help="Workspace name.  [default: PUSHKEEPER_WORKSPACE, or the only one]",
    )
    context = click.option(
        "--context",
        metavar="NAME",
        shell_complete=_context_names,
        help="The server to use, as `context list` shows it.",
    )
    return workspace(context(_with_place(as_json(command), hidden=True)))


def _context_names(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    from pushkeeper.cli import contexts

    with suppress(PushkeeperError):
        return [name for name in contexts.read().contexts if name.startswith(begun)]
    return []


yes_option = click.option("--yes", is_flag=True, help="Don't ask for confirmation.")


def confirm(question: str, *, yes: bool, json: bool = False) -> None:
    """Ask before something that cannot be undone.

    Raises:
        BadRequest: there is nobody to ask, and no `--yes`.
    """
    if yes:
        return
    if json or not sys.stdin.isatty():
        raise BadRequest(
            "yes",
            f"{question} Nothing was changed. Add --yes to confirm, as this is not an interactive terminal",
            "missing",
            is_sentence=True,
        )
    click.confirm(question, abort=True, err=True)


def settings_of(options: dict[str, Any]) -> Settings:
    """The settings that these options, the environment and the config file give; takes the options it knows."""
    from pushkeeper import config

    options.pop("context", None)
    file = options.pop("config_file", None)
    given = {"data_dir": options.pop("data", None), "database_url": options.pop("database_url", None)}
    return config.load({**given, **options}, file=file)


@contextmanager
def runner() -> Iterator[asyncio.Runner]:
    """What runs coroutines on the fast event loop; what they may log goes to standard error, beside the answer."""
    import asyncio

    import structlog
    import uvloop

    if not structlog.is_configured():
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    sys.setswitchinterval(_SWITCH_S)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as made:
        yield made


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine to its end."""
    with runner() as made:
        return made.run(main)


def on_signals(stop: Callable[[], None]) -> None:
    """Call this when somebody ends the process, in place of its end."""
    import asyncio

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
    """Show a progress bar on standard error, unless `quiet`; yields a function that takes how much is done, of how much."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    if quiet:
        yield lambda _, __: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def table(rows: list[list[str]], headings: list[str], below: list[str] | None = None) -> str:
    """Columns for people, aligned, numbers to the right; on a terminal, the widest text column is cut to fit it.

    `below` has what is too long for a column and must not be cut, such as an ID to copy: a line under each row.
    """
    cells = [[_plain(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(headings))]
    _fit(widths, headings)
    lines = []
    for index, row in enumerate(cells):
        padded = []
        for cell, width in zip(row, widths, strict=True):
            shown = cell if len(cell) <= width else f"{cell[: width - 1]}…"
            is_number = index and cell.replace(",", "").isdigit()
            padded.append(_painted(shown, shown.rjust(width) if is_number else shown.ljust(width), index))
        lines.append("  ".join(padded).rstrip())
        if below is not None and index:
            lines.append(click.style(f"  {below[index - 1]}", dim=True))
    lines[0] = click.style(lines[0], bold=True)
    return "\n".join(lines)


def _plain(cell: str) -> str:
    """One line, without anything that moves a terminal's cursor: names and texts come from anybody."""
    return "".join(character if character.isprintable() else " " for character in cell)


def _fit(widths: list[int], headings: list[str]) -> None:
    """Make the widest columns narrower, where all of them do not fit the terminal."""
    if not sys.stdout.isatty():
        return
    room = shutil.get_terminal_size().columns - 2 * (len(widths) - 1)
    while sum(widths) > room:
        widest = max(range(len(widths)), key=widths.__getitem__)
        least = max(len(headings[widest]), _LEAST_WIDTH)
        if widths[widest] <= least:
            return
        widths[widest] -= 1


def _painted(cell: str, padded: str, row: int) -> str:
    colour = _COLOURS.get(cell) if row else None
    return padded if colour is None else padded.replace(cell, click.style(cell, fg=colour), 1)


def status_text(status: str | None) -> str:
    """A last status for people, in its colour."""
    shown = "-" if status is None else status or "unused"
    return click.style(shown, fg=_COLOURS.get(shown))


def fields(shown: dict[str, Any]) -> str:
    """Names and values for people, one a line; absent ones as a dash."""
    width = max(map(len, shown), default=0)
    return "\n".join(
        f"{name:<{width}}  {'-' if value in ('', None, [], {}) else value}" for name, value in shown.items()
    )


def collect_rarely() -> None:
    """Have the garbage collector look at new objects alone, and less often than Python does by itself.

    Few objects of a push or a call can be in a cycle: looking for those was a tenth of what a worker did, and two thirds of
    what reading a large body took.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
