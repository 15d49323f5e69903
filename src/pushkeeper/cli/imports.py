"""Imports: people and devices from the files of other services."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from pushkeeper.cli.common import answer, as_json, in_workspace, on_store, progress, run, table
from pushkeeper.cli.use_cases import actor, with_workspace
from pushkeeper.core.imports.sources import READERS
from pushkeeper.core.model import Environment
from pushkeeper.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pushkeeper.core.model import WorkspaceId
    from pushkeeper.services.imports.service import Import
    from pushkeeper.services.schemas.imports import ImportView
    from pushkeeper.services.services import Services

_LOOK_S = 0.25
_BLOCK_BYTES = 1 << 20
_FILE = click.Path(path_type=Path, dir_okay=False)
_LONGEST_DETAIL = 60


class _OfFiles(click.Group):
    """A group whose command `file` needs no name: `import FILE` is `import file FILE`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["file", *args]
        return super().resolve_command(ctx, args)


@click.group(
    "import",
    cls=_OfFiles,
    short_help="Import people and devices from the files of other services.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def import_() -> None:
    """Import people and devices from the files of other services.

    `pushkeeper import FILE --from onesignal --workspace NAME` is a dry run: it reads the whole file, says what would change,
    and changes nothing. With `--apply` it is imported, and then compared with what is there.
    """


_OPTIONS = (
    click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_FILE),
    click.option(
        "--from",
        "source",
        metavar="SERVICE",
        type=click.Choice(sorted(READERS)),
        required=True,
        help=f"The service whose export the file is: {', '.join(sorted(READERS))}; generic is any file with a token on "
        "each row.",
    ),
    click.option("--apply", is_flag=True, help="Import. Without it nothing is changed."),
    click.option(
        "--environment",
        type=click.Choice([environment.value for environment in Environment]),
        help="APNs environment of iPhones, if their row does not have one.",
    ),
    click.option(
        "--app",
        metavar="ID",
        help="The bundle ID or Firebase project of devices, if their row does not have one.",
    ),
    click.option(
        "--status",
        type=click.Choice(["unused", "keep"]),
        default="unused",
        show_default=True,
        help="keep: import last statuses. unused: devices start without one, and those that the service no longer sent to are skipped.",
    ),
    click.option(
        "--move", is_flag=True, help="Move devices of other people, where the file's last use is newer."
    ),
    click.option(
        "--map", "mapping", metavar="FILE", type=_FILE, help="TOML with the column names of a generic file."
    ),
    click.option(
        "--person-from",
        metavar="PATH",
        default="",
        help="Where CustomUserData of SNS has the person's ID: text for all of it, or a dotted path into its JSON.",
    ),
    click.option(
        "--probe",
        type=click.IntRange(0, 1_000),
        metavar="N",
        default=0,
        help="Ask FCM about N of the file's Android devices whether it would take a push; none is sent.",
    ),
    click.option("--no-wait", is_flag=True, help="Upload the file, and leave the rest to a worker."),
)


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@import_.command("file", short_help="Import a file; the name of this command can be omitted.")
@_with_options
@in_workspace
@on_store
@as_json
def import_file(*, files: tuple[Path, ...], name: str, json: bool, **options: Any) -> None:
    """Import the FILE of another service: CSV, JSON lines or a JSON array, compressed by gzip or not.

    Each row that cannot be imported is skipped with its line and reason; the rest is imported.
    """
    from pushkeeper.services.schemas.imports import ImportRequest, ImportView

    mapping: Path | None = options.pop("mapping")
    fields = ("source", "apply", "move", "environment", "app", "status", "person_from", "probe")
    request = ImportRequest(
        mapping=None if mapping is None else _opened(mapping).read().decode(errors="replace"),
        **{field: options.pop(field) for field in fields},
    )
    wait = not options.pop("no_wait")

    for file in files:
        _opened(file).close()  # all of them are there before the first is uploaded

    async def work(services: Services, workspace: WorkspaceId) -> list[Import]:
        done = []
        for file in files:
            wanted = request.wanted(file.name)
            made = await services.imports.make(actor(), workspace, wanted, _content(file))
            done.append(await _followed(services, workspace, made, quiet=json) if wait else made)
        return done

    found = [ImportView.of(one) for one in run(with_workspace(name, options, work))]
    for one in found:
        answer(one, _text(one), json=json)
    if any(one.state in {"failed", "cancelled"} for one in found):
        sys.exit(1)


@import_.command("customerio", short_help="Import the people of a Customer.io workspace.")
@click.option(
    "--app-api-key",
    envvar="CUSTOMERIO_APP_API_KEY",
    help="App API key of the Customer.io workspace to import. Asked for when neither this nor the variable is set.",
    show_envvar=True,
)
@click.option("--region", type=click.Choice(["us", "eu"]), default="us", show_default=True)
@click.option("--api-url", metavar="URL", help="The App API's address, instead of the region's.")
@click.option("--apply", is_flag=True, help="Import. Without it nothing is changed.")
@click.option(
    "--environment",
    type=click.Choice([environment.value for environment in Environment]),
    help="APNs environment of iPhones, if the device does not have one.",
)
@click.option(
    "--status",
    type=click.Choice(["unused", "keep"]),
    default="unused",
    show_default=True,
    help="keep: import last statuses.",
)
@click.option("--move", is_flag=True, help="Move devices of other people, where the last use is newer.")
@click.option("--no-wait", is_flag=True, help="Leave all to a worker.")
@in_workspace
@on_store
@as_json
def import_customerio(
    *,
    app_api_key: str | None,
    region: str,
    api_url: str | None,
    no_wait: bool,
    name: str,
    json: bool,
    **options: Any,
) -> None:
    """Import all people of a Customer.io workspace with their devices, by its App API.

    Customer.io allows ten calls a second: a million people take about a quarter of an hour.
    """
    from pushkeeper.services.imports.fetching import CUSTOMERIO_API, CustomerioPeople
    from pushkeeper.services.schemas.imports import ImportRequest

    fields = {field: options.pop(field) for field in ("apply", "environment", "status", "move")}
    wanted = ImportRequest(source="customerio", **fields).wanted("Customer.io")
    key = app_api_key or click.prompt("App API key of Customer.io", hide_input=True)
    fetch = CustomerioPeople(app_api_key=key, api_url=api_url or CUSTOMERIO_API[region])

    async def work(services: Services, workspace: WorkspaceId) -> Import:
        made = await services.imports.make_from(actor(), workspace, wanted, fetch)
        return made if no_wait else await _followed(services, workspace, made, quiet=json)

    found = _view(run(with_workspace(name, options, work)))
    answer(found, _text(found), json=json)
    if found.state in {"failed", "cancelled"}:
        sys.exit(1)


@import_.command("verify", short_help="Show how the stored devices compare with the file.")
@click.argument("number", metavar="IMPORT", type=click.IntRange(1))
@in_workspace
@on_store
@as_json
def import_verify(*, number: int, name: str, json: bool, **options: Any) -> None:
    """Show how the stored devices compared with the file after the import was applied.

    Exits with 1 if some were missing or belonged to somebody else.
    """
    found = _one(name, number, options)
    verified = found.verified
    if verified is None:
        raise Misconfigured(f"import {number}: only a completely applied import is verified")
    lines = ", ".join(map(str, verified.lines))
    text = (
        f"{verified.devices:,} devices compared: {verified.missing:,} missing, "
        f"{verified.wrong_owner:,} of somebody else{f' (lines {lines})' if lines else ''}."
    )
    answer(verified, text, json=json)
    if verified.missing or verified.wrong_owner:
        sys.exit(1)


@import_.command("apply")
@click.argument("number", metavar="IMPORT", type=click.IntRange(1))
@click.option("--no-wait", is_flag=True, help="Leave the rest to a worker.")
@in_workspace
@on_store
@as_json
def import_apply(*, number: int, no_wait: bool, name: str, json: bool, **options: Any) -> None:
    """Import the file of a finished dry run, as a new import."""

    async def work(services: Services, workspace: WorkspaceId) -> Import:
        made = await services.imports.apply(actor(), workspace, number)
        return made if no_wait else await _followed(services, workspace, made, quiet=json)

    found = _view(run(with_workspace(name, options, work)))
    answer(found, _text(found), json=json)
    if found.state in {"failed", "cancelled"}:
        sys.exit(1)


@import_.command("cancel")
@click.argument("number", metavar="IMPORT", type=click.IntRange(1))
@in_workspace
@on_store
@as_json
def import_cancel(*, number: int, name: str, json: bool, **options: Any) -> None:
    """Stop an import. What it has written stays, and its file is deleted."""

    async def work(services: Services, workspace: WorkspaceId) -> Import:
        return await services.imports.cancel(actor(), workspace, number)

    found = _view(run(with_workspace(name, options, work)))
    answer(found, _text(found), json=json)


@import_.command("show")
@click.argument("number", metavar="IMPORT", type=click.IntRange(1))
@in_workspace
@on_store
@as_json
def import_show(*, number: int, name: str, json: bool, **options: Any) -> None:
    """Show an import and its result so far."""
    found = _one(name, number, options)
    answer(found, _text(found), json=json)


@import_.command("list")
@in_workspace
@on_store
@as_json
def import_list(*, name: str, json: bool, **options: Any) -> None:
    """List the last hundred imports, the newest first."""
    from pushkeeper.services.schemas.imports import ImportListView, ImportView

    found = run(with_workspace(name, options, lambda services, workspace: services.imports.all(workspace)))
    views = [ImportView.of(one) for one in found]
    rows = [
        [
            str(one.id),
            one.source,
            one.name,
            "import" if one.apply else "dry run",
            one.state,
            f"{one.progress:.0%}",
            f"{one.rows:,}",
            f"{one.created_at:%Y-%m-%d %H:%M}",
        ]
        for one in views
    ]
    headings = ["id", "source", "file", "mode", "state", "read", "rows", "created (UTC)"]
    text = table(rows, headings) if rows else "No imports yet."
    answer(ImportListView(imports=views), text, json=json)


def _view(found: Import) -> ImportView:
    from pushkeeper.services.schemas.imports import ImportView

    return ImportView.of(found)


def _one(name: str, number: int, options: dict[str, Any]) -> ImportView:
    async def work(services: Services, workspace: WorkspaceId) -> Import:
        return await services.imports.one(workspace, number)

    return _view(run(with_workspace(name, options, work)))


async def _content(file: Path) -> AsyncIterator[bytes]:
    with _opened(file) as opened:
        while block := await asyncio.to_thread(opened.read, _BLOCK_BYTES):
            yield block


def _opened(file: Path) -> BinaryIO:
    """A file that is read.

    Raises:
        Misconfigured: it can't be.
    """
    try:
        return file.open("rb")
    except OSError as error:
        raise Misconfigured(f"{file}: cannot be read ({error.strerror})") from error


async def _followed(services: Services, workspace: WorkspaceId, made: Import, *, quiet: bool) -> Import:
    """The import once a worker is done with it, with a bar until then."""
    found = made
    if not await services.jobs.workers():
        click.echo("No worker is running; the import waits for one (pushkeeper serve).", err=True)
    with progress(f"import {made.import_id}", quiet=quiet) as moved:
        while found.state == "pending":
            moved(found.read_bytes, found.bytes)
            await asyncio.sleep(_LOOK_S)
            found = await services.imports.one(workspace, made.import_id)
    return found


def _text(one: ImportView) -> str:
    """An import for people."""
    if one.state in {"failed", "cancelled"}:
        return f"Import {one.id} {one.state}{f': {one.failure}' if one.failure else ''}"
    if one.state != "done":
        left = f", about {one.remaining_s:,.0f} s left" if one.remaining_s is not None else ""
        return f"Import {one.id} is {one.state}: {one.progress:.0%} done{left}."
    would = "" if one.apply else "would be "
    people, devices = one.people, one.devices
    mode = "" if one.apply else " (dry run: nothing was changed)"
    lines = [
        f"Import {one.id}: {one.rows:,} rows of {one.name}{mode}",
        f"  people   {people.new:,} {would}new, {people.known:,} known",
        f"  devices  {devices.new:,} {would}new, {devices.known:,} known, {devices.moved:,} {would}moved"
        + (f", {devices.anonymous:,} anonymous" if devices.anonymous else ""),
    ]
    if one.skipped:
        lines.append(
            f"  skipped  {', '.join(f'{count:,} {reason}' for reason, count in one.skipped.items())}"
        )
        rows = [[str(e.line), e.reason, e.field, e.detail[:_LONGEST_DETAIL]] for e in one.examples]
        lines += ["", table(rows, ["line", "reason", "field", "detail"])]
    if one.verified is not None:
        found = one.verified
        lines += [
            "",
            f"Verified: {found.devices:,} devices, {found.missing:,} missing, {found.wrong_owner:,} of somebody else.",
        ]
    if not one.apply:
        lines += ["", f"Apply it with: pushkeeper import apply {one.id}"]
    return "\n".join(lines)
