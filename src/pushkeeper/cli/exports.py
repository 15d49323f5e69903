"""Exports: devices, people, history, pushes and members as files, streamed from the database."""

from __future__ import annotations

import os
import sys
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from pushkeeper.cli.common import (
    TaskGroup,
    answer,
    as_json,
    in_workspace,
    on_store,
    progress,
    run,
    table,
    unread,
)
from pushkeeper.cli.times import Moment
from pushkeeper.cli.use_cases import actor, with_workspace
from pushkeeper.core.exports.columns import Exportable
from pushkeeper.core.exports.writers import ExportFormat
from pushkeeper.errors import BadRequest, Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.exports.service import Export, NewExport
    from pushkeeper.services.services import Services

_TIMED = {Exportable.HISTORY, Exportable.PUSHES}


@click.group(cls=TaskGroup, short_help="Export devices, people, history, pushes and members of audiences.")
def export() -> None:
    """Export devices, people, history, pushes and members of audiences, as they are at one moment.

    The file goes to standard output, or with `--output` to a file that is there once it is whole.
    """


def _options_of(kind: Exportable) -> Iterator[Callable[[Any], Any]]:
    formats = [one.value for one in ExportFormat if kind is Exportable.DEVICES or one != "onesignal"]
    yield click.option(
        "--format", "form", type=click.Choice(formats), default="csv", show_default=True, help="Format."
    )
    if kind is Exportable.MEMBERS:
        yield click.option(
            "--audience", metavar="ID", type=click.IntRange(1), required=True, help="ID of the audience."
        )
    yield click.option("--filter", "text", metavar="FILTER", help="Export only what matches this filter.")
    yield click.option(
        "--columns", metavar="NAMES", help="Columns, separated by commas; attribute.NAME for an attribute."
    )
    if kind in _TIMED:
        yield click.option("--since", metavar="TIME", type=Moment(), help="Start, such as 2h or 2026-12-24.")
        yield click.option("--until", metavar="TIME", type=Moment(), help="End, exclusive.")
    yield click.option(
        "--tokens",
        type=click.Choice(["full", "masked"]),
        default="full",
        show_default=True,
        help="masked: export only the ends of tokens. Such a file cannot be imported.",
    )
    yield click.option(
        "--output",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write to this file.",
    )


def _command(kind: Exportable, text: str) -> None:
    def command(*, name: str, json: bool, **options: Any) -> None:
        output: Path | None = options.pop("output")
        wanted = _wanted(kind, options)

        async def work(services: Services, workspace: WorkspaceId) -> Export:
            return await _streamed(services, workspace, wanted, output, quiet=json)

        made = run(with_workspace(name, options, work))
        if output is not None:
            said = {"export": made.export_id, "kind": kind.value, "rows": made.lines, "file": str(output)}
            answer(said, f"{made.lines:,} rows written to {output}.", json=json)

    command.__doc__ = text
    wrapped = in_workspace(on_store(as_json(command)))
    for option in reversed(list(_options_of(kind))):
        wrapped = option(wrapped)
    export.command(kind.value)(wrapped)


_command(
    Exportable.DEVICES,
    "Export devices with the identifiers of their people.",
)
_command(Exportable.PEOPLE, "Export people, each with their devices.")
_command(
    Exportable.HISTORY,
    "Export what happened to devices. With a filter: to those that match it now.",
)
_command(Exportable.PUSHES, "Export pushes and their outcomes. With a filter: to devices that match it now.")
_command(Exportable.MEMBERS, "Export the devices or people of an audience.")


@export.command("list")
@in_workspace
@on_store
@as_json
def export_list(*, name: str, json: bool, **options: Any) -> None:
    """List the last hundred exports, the newest first."""
    from pushkeeper.services.schemas.exports import ExportListView, ExportView

    found = run(with_workspace(name, options, lambda services, workspace: services.exports.all(workspace)))
    views = [ExportView.of(one) for one in found]
    rows = [
        [
            str(one.id),
            one.kind,
            one.format,
            one.state,
            f"{one.rows:,}",
            one.created_by or "",
            f"{one.created_at:%Y-%m-%d %H:%M}",
        ]
        for one in views
    ]
    headings = ["id", "kind", "format", "state", "rows", "created by", "created (UTC)"]
    text = table(rows, headings) if rows else "No exports yet."
    answer(ExportListView(exports=views), text, json=json)


@export.command("cancel")
@click.argument("number", metavar="EXPORT", type=click.IntRange(1))
@in_workspace
@on_store
@as_json
def export_cancel(*, number: int, name: str, json: bool, **options: Any) -> None:
    """Cancel an EXPORT that is running."""

    async def work(services: Services, workspace: WorkspaceId) -> None:
        await services.exports.cancel(actor(), workspace, number)

    run(with_workspace(name, options, work))
    answer({"export": number, "cancelled": True}, f"Export {number} was cancelled.", json=json)


def _wanted(kind: Exportable, options: dict[str, Any]) -> NewExport:
    """What the options say.

    Raises:
        BadRequest: a time is none.
    """
    from pushkeeper.services.exports.service import NewExport

    columns: str | None = options.pop("columns")
    return NewExport(
        kind=kind,
        format=ExportFormat(options.pop("form")),
        filter=options.pop("text"),
        columns=None if columns is None else [one.strip() for one in columns.split(",")],
        audience=options.pop("audience", None),
        whole_tokens=options.pop("tokens") == "full",
        since=_time(options, "since"),
        until=_time(options, "until"),
    )


def _time(options: dict[str, Any], name: str) -> Any:
    from pushkeeper.core import times

    given = options.pop(name, None)
    if given is not None and (found := times.from_any(given)) is None:
        raise BadRequest(name, "expected an ISO 8601 time with a zone, or seconds since 1970")
    return None if given is None else found


async def _streamed(
    services: Services, workspace: WorkspaceId, wanted: NewExport, output: Path | None, *, quiet: bool
) -> Export:
    """The export once all of it is written."""
    with _file(output) as file:
        stream = await services.exports.stream(actor(), workspace, wanted)
        written = 0
        with progress("bytes", quiet=quiet or output is None or not sys.stderr.isatty()) as moved:
            async with aclosing(stream.parts) as parts:
                async for part in parts:
                    file.write(part)
                    written += len(part)
                    moved(written, 0)
    return await services.exports.one(workspace, stream.export.export_id)


@contextmanager
def _file(output: Path | None) -> Iterator[BinaryIO]:
    """Where to write: standard output, or a file beside the one of that name, which it becomes when it is whole.

    Raises:
        Misconfigured: it can't be written.
    """
    if output is None:
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except OSError as error:
            unread(error)
        return
    part = output.with_name(f"{output.name}.part")
    try:
        # What it holds is not for everybody who has an account here.
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(output)
    except OSError as error:
        raise Misconfigured(f"{output}: cannot be written ({error.strerror})") from error
    finally:
        part.unlink(missing_ok=True)
