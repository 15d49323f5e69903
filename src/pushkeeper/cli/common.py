"""What every command shares: where the data is, how it answers, and how it fails."""

from __future__ import annotations

import asyncio
import functools
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click
import msgspec

from pushkeeper import config
from pushkeeper.errors import PushkeeperError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from pushkeeper.config import Settings

P = ParamSpec("P")
T = TypeVar("T")


def as_json(command: Callable[P, T]) -> Callable[P, T]:
    """Give a command `--json`, and make our errors one line on standard error and exit code 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except PushkeeperError as error:
            if kwargs.get("json"):
                click.echo(to_json({"error": {"code": error.code, "message": error.message}}), err=True)
            else:
                click.echo(f"{click.style('Error:', fg='red', bold=True)} {error.message}", err=True)
            sys.exit(1)

    return click.option("--json", is_flag=True, help="Answer in JSON, for machines.")(run)


def on_store(command: Callable[P, T]) -> Callable[P, T]:
    """Give a command the options that say where the data is."""
    data = click.option(
        "--data",
        metavar="DIR",
        type=click.Path(path_type=Path, file_okay=False),
        help="Data folder, with the embedded PostgreSQL in it.  [default: /var/lib/pushkeeper for root, else "
        "pushkeeper in the user's data folder]",
    )
    url = click.option(
        "--database-url",
        metavar="URL",
        help="A PostgreSQL of your own, instead of the embedded one; one with a password belongs into "
        "PUSHKEEPER_DATABASE_URL.",
    )
    file = click.option(
        "--config",
        "config_file",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Settings in TOML.",
    )
    return data(url(file(command)))


in_workspace = click.option(
    "--workspace", "name", metavar="NAME", required=True, help="The workspace's name."
)


def settings_of(options: dict[str, Any]) -> Settings:
    """The settings that these options, the environment and the config file give; takes the options it knows."""
    file = options.pop("config_file", None)
    given = {"data_dir": options.pop("data", None), "database_url": options.pop("database_url", None)}
    return config.load({**given, **options}, file=file)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine on the fast event loop."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def answer(value: object, text: str, *, json: bool) -> None:
    """Print the value as one line of JSON, or the text for people."""
    click.echo(to_json(value) if json else text)


@contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, moved by whoever is given it: how much is done, of how much; with `quiet`, none."""
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
