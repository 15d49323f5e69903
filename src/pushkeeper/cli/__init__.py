"""The command line: `pushkeeper …`. Commands call services."""

from __future__ import annotations

import os

import click

from pushkeeper import __version__
from pushkeeper.cli import (
    accounts,
    audiences,
    broadcasts,
    credentials,
    devices,
    doctor,
    explain,
    exports,
    imports,
    jobs,
    keys,
    people,
    postgres,
    routes,
    sending,
    server,
    simulator,
    strikes,
    workspaces,
)
from pushkeeper.cli.demo import command as demo_command


@click.group(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        # https://no-color.org: any value but an empty one.
        "color": False if os.environ.get("NO_COLOR") else None,
    }
)
@click.version_option(__version__, prog_name="pushkeeper")
def main() -> None:
    """Send push notifications through FCM and APNs, and see who receives them.

    Start with `pushkeeper demo`. To run your own service, start `pushkeeper serve`, then run
    `pushkeeper workspace create` and `pushkeeper credentials add`.
    """


for command in (
    demo_command.demo,
    server.serve,
    server.worker,
    simulator.simulate,
    server.migrate,
    doctor.doctor,
    postgres.postgres,
    workspaces.workspace,
    keys.keys,
    accounts.user,
    credentials.credentials,
    routes.routes,
    sending.sending,
    jobs.jobs,
    devices.device,
    people.person,
    imports.import_,
    exports.export,
    explain.explain,
    audiences.audience,
    broadcasts.broadcast,
    strikes.undo,
    devices.send,
):
    main.add_command(command)
