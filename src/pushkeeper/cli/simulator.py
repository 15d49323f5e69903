"""The simulator, as a process."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pushkeeper.cli.common import answer, as_json, on_signals, run
from pushkeeper.config import default_data_dir, prepare_data_dir
from pushkeeper.errors import BadRequest, Conflict, Misconfigured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushkeeper.simulator import Behaviour


@click.command(short_help="Simulate the push services locally.")
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for its keys and certificates.  [default: simulator, in the data folder]",
)
@click.option(
    "--host",
    metavar="NAME",
    default="localhost",
    show_default=True,
    help="Host name to advertise. Non-loopback names bind all interfaces.",
)
@click.option(
    "--port",
    metavar="P",
    type=click.IntRange(0, 65_530),
    default=0,
    help="First of six ports: FCM, token endpoint, APNs, sandbox, control, browsers; 0 picks free ports.",
)
@click.option(
    "--seed", metavar="N", type=int, default=0, show_default=True, help="Seed for the generated tokens."
)
@click.option(
    "--profile",
    type=click.Choice(["friendly", "documented", "hostile"]),
    default="documented",
    show_default=True,
    help="friendly: no errors; documented: realistic; hostile: worst case.",
)
@click.option(
    "--set",
    "switches",
    metavar="NAME=VALUE",
    multiple=True,
    help="Override a setting of the profile; repeatable.",
)
@as_json
def simulate(*, data: Path | None, json: bool, **options: Any) -> None:
    """Simulate FCM, APNs and browsers' push services locally, over real TLS and HTTP/2."""
    run(_simulate(data or default_data_dir() / "simulator", options, json=json))


def _behaviour(profile: str, switches: Sequence[str]) -> Behaviour:
    from pushkeeper.simulator import PROFILES, UnknownFlag
    from pushkeeper.simulator.profiles import changed

    behaviour = PROFILES[profile]
    for switch in switches:
        name, _, value = switch.partition("=")
        try:
            behaviour = changed(behaviour, name, value)
        except UnknownFlag as error:
            raise BadRequest("set", f"--set {error}", is_sentence=True) from None
    return behaviour


async def _simulate(data: Path, options: dict[str, Any], *, json: bool) -> None:
    from pushkeeper.simulator import Place, Simulator

    prepare_data_dir(data)
    stopped = asyncio.Event()
    on_signals(stopped.set)
    simulator = Simulator(
        data,
        seed=options["seed"],
        behaviour=_behaviour(options["profile"], options["switches"]),
        place=Place(host=options["host"], first_port=options["port"]),
    )
    try:
        await simulator.start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise Misconfigured(f"simulator: {error}") from error
        raise Conflict(f"Port {options['port']} or one of the five ports after it is in use") from error
    try:
        facts = simulator.describe()
        width = max(map(len, facts))
        lines = [f"  {key:<{width}} {value}" for key, value in facts.items()]
        answer(
            facts,
            "\n".join(["The simulated push services are running:", *lines, "Press Ctrl-C to stop."]),
            json=json,
        )
        await stopped.wait()
    finally:
        await simulator.stop()
