"""Logging in to a server, and the contexts that come of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pushkeeper.cli import contexts
from pushkeeper.cli.common import TaskGroup, answer, as_json, table
from pushkeeper.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from typing import Any

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


def _names(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    return [name for name in contexts.read().contexts if name.startswith(begun)]


@click.command(short_help="Log in to a server, to work with it from this machine.")
@click.argument("url")
@click.option(
    "--name", "context_name", metavar="NAME", help="Name of the context.  [default: the workspace's]"
)
@click.option("--ca", metavar="FILE", type=_FILE, help="Certificate authority of the server (PEM).")
@as_json
def login(*, url: str, context_name: str | None, ca: Path | None, json: bool) -> None:
    """Log in to the server at URL with an App API key, and use it from now on.

    The key is asked for; without a terminal it is read from standard input. It opens one workspace, and is stored in a file that
    only you can read. Create one with `pushkeeper keys add app`, or in the dashboard.

    \b
    Examples:
      pushkeeper login https://push.example.com
      pushkeeper login https://push.example.com --name staging < key.txt
    """
    from pushkeeper.cli import client

    key = (
        click.prompt("App API key", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    )
    if not key.strip():
        raise BadRequest("key", "no key was given on standard input", "missing")
    ca_file = None if ca is None else str(ca.resolve())
    tried = contexts.Context(url=url.rstrip("/"), key=key.strip(), workspace="", ca_file=ca_file)
    [found] = client.of_context(tried).get("/v1/workspaces")["workspaces"]
    made = contexts.Context(url=tried.url, key=tried.key, workspace=found["name"], ca_file=ca_file)
    known = contexts.read()
    name = context_name or made.workspace
    known.contexts[name] = made
    known.current = name
    contexts.write(known)
    text = f"Logged in to {made.url}, workspace {made.workspace!r}. Context {name!r} is in use."
    answer({"context": name, "url": made.url, "workspace": made.workspace}, text, json=json)


@click.command(short_help="Remove the context of a server, with its key.")
@click.argument("name", required=False, shell_complete=_names)
@as_json
def logout(*, name: str | None, json: bool) -> None:
    """Remove the context NAME (default: the one in use) with its key. The key itself stays valid; revoke it with `keys revoke`."""
    known = contexts.read()
    name = name or known.current
    if name is None:
        raise NotFound("No context is in use")
    contexts.named(name)
    del known.contexts[name]
    known.current = None if known.current == name else known.current
    contexts.write(known)
    answer({"context": name, "removed": True}, f"Removed the context {name!r} and its key.", json=json)


@click.group(cls=TaskGroup, short_help="List and choose the servers that you work with.")
def context() -> None:
    """List and choose the servers that you work with. `login` adds one.

    Without a context, commands use the database of this machine.
    """


@context.command("list")
@as_json
def context_list(*, json: bool) -> None:
    """List contexts; the one in use is marked."""
    known = contexts.read()
    shown: list[dict[str, Any]] = [
        {"context": name, "url": one.url, "workspace": one.workspace, "in_use": name == known.current}
        for name, one in sorted(known.contexts.items())
    ]
    rows = [["*" if one["in_use"] else "", one["context"], one["workspace"], one["url"]] for one in shown]
    text = (
        table(rows, ["", "context", "workspace", "url"])
        if rows
        else "No contexts. `pushkeeper login URL` adds one."
    )
    answer({"contexts": shown}, text, json=json)


@context.command("use")
@click.argument("name", required=False, shell_complete=_names)
@click.option("--none", "nothing", is_flag=True, help="Use the database of this machine.")
@as_json
def context_use(*, name: str | None, nothing: bool, json: bool) -> None:
    """Use the context NAME from now on."""
    if nothing == (name is not None):
        raise BadRequest("name", "Give the name of a context, or --none", is_sentence=True)
    known = contexts.read()
    if name is not None:
        contexts.named(name)
    known.current = name
    contexts.write(known)
    text = (
        "Using the database of this machine."
        if name is None
        else f"Using {name!r}: {known.contexts[name].url}."
    )
    answer({"context": name}, text, json=json)
