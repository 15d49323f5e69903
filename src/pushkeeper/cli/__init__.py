"""The command line: `pushkeeper …`. A command is loaded when it is used; those about a workspace call the API."""

from __future__ import annotations

import os
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import click

from pushkeeper import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Place(NamedTuple):
    """Where a command is, and what the list of commands says of it."""

    module: str
    name: str
    help: str


# In the order in which somebody needs them. The help is the command's own: it is repeated here so that none is loaded for it.
SECTIONS: Mapping[str, Mapping[str, _Place]] = {
    "Get started": {
        "demo": _Place("demo.command", "demo", "Run an end-to-end demo."),
        "serve": _Place("server", "serve", "Run the service: HTTP APIs, dashboard and a worker."),
        "login": _Place("login", "login", "Log in to a server, to work with it from this machine."),
        "logout": _Place("login", "logout", "Remove the context of a server, with its key."),
        "context": _Place("login", "context", "List and choose the servers that you work with."),
        "workspace": _Place("workspaces", "workspace", "Manage workspaces."),
        "credentials": _Place("credentials", "credentials", "Manage the credentials of push services."),
        "keys": _Place("keys", "keys", "Manage API keys."),
        "user": _Place("accounts", "user", "Manage dashboard users."),
        "import": _Place("imports", "import_", "Import people and devices from the files of other services."),
        "export": _Place(
            "exports", "export", "Export devices, people, history, pushes and members of audiences."
        ),
    },
    "Send": {
        "send": _Place("send", "send", "Queue a push to a person."),
        "broadcast": _Place("broadcasts", "broadcast", "Create, send and monitor broadcasts."),
        "template": _Place("templates", "template", "Manage message templates."),
        "audience": _Place("audiences", "audience", "Count, sample, compare and save audiences."),
    },
    "Look up": {
        "person": _Place("people", "person", "Show and erase people."),
        "device": _Place("devices", "device", "Show devices and their history."),
        "message": _Place("messages", "message", "Show what was sent to whom, and the outcome."),
        "explain": _Place("explain", "explain", "Explain why a push was or wasn't delivered."),
        "events": _Place("events", "events", "Show what happens, as it happens."),
    },
    "Operate": {
        "routes": _Place("routes", "routes", "Manage routes (credential + app + environment)."),
        "sending": _Place("sending", "sending", "Pause and resume all sending of a workspace."),
        "undo": _Place("strikes", "undo", "Revert bounces caused by an error on your side."),
        "jobs": _Place("jobs", "jobs", "List, retry and cancel background jobs."),
        "webhook": _Place("webhooks", "webhook", "Manage reporting webhooks."),
        "audit": _Place("audit", "audit", "Show who changed what."),
        "doctor": _Place("doctor", "doctor", "Run health checks and suggest fixes."),
    },
    "Run the service": {
        "worker": _Place("server", "worker", "Run a worker that sends queued pushes."),
        "migrate": _Place("server", "migrate", "Apply database migrations."),
        "postgres": _Place("postgres", "postgres", "Run PostgreSQL tools against the service's database."),
        "simulate": _Place("simulator", "simulate", "Simulate the push services locally."),
        "completion": _Place(
            "completion", "completion", "Print a script that completes commands in your shell."
        ),
    },
}
_PLACES = {name: place for section in SECTIONS.values() for name, place in section.items()}


class LazyGroup(click.Group):
    """The commands by their sections; each is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; `route` is `routes`, too, and `devices` is `device`."""
        del ctx
        names = (cmd_name, f"{cmd_name}s", cmd_name.removesuffix("s"))
        place = next((_PLACES[name] for name in names if name in _PLACES), None)
        if place is None:
            return None
        found: click.Command = getattr(import_module(f"{__name__}.{place.module}"), place.name)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve the command; for an unknown one, suggest a similar name."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            close = get_close_matches(args[0], _PLACES, n=1)
            meant = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"No such command {args[0]!r}.{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, by section."""
        del ctx
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, place.help) for name, place in commands.items()], col_max=12)


def commands_of(group: click.Group) -> dict[str, click.Command]:
    """The commands of a group by their names, loaded."""
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="pushkeeper")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Send push notifications through FCM and APNs, and see who receives them.

    \b
    Examples:
      pushkeeper demo                            # see it work, in two minutes
      pushkeeper serve                           # run your own service
      pushkeeper login https://push.example.com  # use one on another machine
      pushkeeper send --to ann --title Hello     # send a push

    Commands about a workspace use the server of your context (`login`), or the database of this machine; --data, --database-url
    and --config choose another database. Set PUSHKEEPER_WORKSPACE instead of repeating --workspace.
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False
    elif os.environ.get("FORCE_COLOR"):
        ctx.color = True
