"""The command line: `pushkeeper …`. Commands call rooms."""

from __future__ import annotations

import click

from pushkeeper import __version__
from pushkeeper.cli import (
    audiences,
    bench,
    broadcasts,
    credentials,
    demo,
    devices,
    doctor,
    explain,
    jobs,
    keys,
    people,
    postgres,
    routes,
    serving,
    simulating,
    undo,
    users,
    workspaces,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="pushkeeper")
def main() -> None:
    """Push notifications through FCM and APNs, and the truth about who is getting them.

    Start with `pushkeeper demo`. To run your own: `pushkeeper serve`, then, beside it, `pushkeeper workspace create`
    and `pushkeeper credentials add`.
    """


for command in (
    demo.demo,
    serving.serve,
    serving.worker,
    simulating.simulate,
    serving.migrate,
    doctor.doctor,
    postgres.postgres,
    workspaces.workspace,
    keys.keys,
    users.user,
    credentials.credentials,
    routes.routes,
    jobs.jobs,
    devices.device,
    people.person,
    explain.explain,
    audiences.audience,
    broadcasts.broadcast,
    undo.undo,
    devices.send,
    bench.bench,
):
    main.add_command(command)
