"""PostgreSQL's own programs, on the database that the service uses."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import click

from pushkeeper.cli.common import as_json, on_store, settings_of
from pushkeeper.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping


@click.command(
    short_help="Run PostgreSQL tools against the service's database.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@on_store
@as_json
def postgres(*, command: tuple[str, ...], json: bool, **options: Any) -> None:
    """Run COMMAND (psql, pg_dump, pg_restore or your own script) against the service's database.

    The embedded PostgreSQL is started if necessary, and its tools come first in PATH. With --database-url, your own PATH
    comes first; use tools of the server's version. The exit code is that of COMMAND.
    """
    from pushkeeper import wiring

    del json  # errors are written in English; COMMAND's own output is unchanged
    settings = settings_of(options)
    with wiring.postgres(settings) as (url, programs):
        environ = {**os.environ, **variables(url)}
        places = [environ.get("PATH", os.defpath), str(programs)]
        environ["PATH"] = os.pathsep.join(places if settings.database_url else reversed(places))
        code = _run(command, environ)
    sys.exit(code)


def variables(url: str) -> Mapping[str, str]:
    """The address as libpq's programs take it from their environment."""
    parts = urlsplit(url)
    told = {
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or ""),
        "PGDATABASE": unquote(parts.path.removeprefix("/")),
        **{f"PG{name.upper()}": value for name, value in parse_qsl(parts.query)},
    }
    return {name: value for name, value in told.items() if value}


def _run(command: tuple[str, ...], environ: dict[str, str]) -> int:
    program = shutil.which(command[0], path=environ["PATH"])
    if program is None:
        raise BadRequest("command", f"program not found: {command[0]}")
    process = subprocess.Popen([program, *command[1:]], env=environ)  # noqa: S603 - what the operator says
    # Ctrl-C is for the program: it ends, and we with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return process.wait()
