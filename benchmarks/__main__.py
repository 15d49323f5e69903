"""`python -m benchmarks`, which `make bench` runs."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

import click
from msgspec import to_builtins

from pushkeeper.cli.common import answer, as_json, table

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from benchmarks.figures import Figure


class _Many(click.ParamType[int]):
    """A number, which may be told in thousands, millions or billions: 500k, 25M, 1bn."""

    name = "number"
    _UNITS = MappingProxyType({"": 1, "k": 10**3, "m": 10**6, "bn": 10**9})

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        read = re.fullmatch(r"(\d+)\s*(|k|m|bn)", str(value).replace(",", "").lower())
        if read is None or not int(read[1]):
            self.fail(f"{value!r} is no number of devices, such as 25M", param, ctx)
        return int(read[1]) * self._UNITS[read[2]]


MANY = _Many()

quick = click.option(
    "--quick", is_flag=True, help="A few requests, to see that it works; the figures say little."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def bench() -> None:
    """Measure, on folders and processes of its own that are gone afterwards.

    Each runs against a provider process of its own, beside h2load or the server's empty call in the same run. Absolute
    figures move from machine to machine and with whatever else it does: the ratios are what to hold on to.
    """
    signal.signal(signal.SIGTERM, _leave)


def _leave(*_: object) -> NoReturn:
    """End as if it were measured: what was started goes with it."""
    sys.exit(128 + signal.SIGTERM)


@bench.command(short_help="The sender's pool, beside h2load and node-apn.")
@quick
@as_json
def sender(*, quick: bool, json: bool) -> None:
    """Pushes sent, their answers read and handed back, on one core, beside h2load, against nghttpd and nginx."""
    from benchmarks import sender as benchmark

    size = {"requests": benchmark.QUICK_REQUESTS, "runs": 1} if quick else {}
    _show(benchmark.measure(**size), json=json)


@bench.command(short_help="Pushes to browsers, beside pywebpush.")
@quick
@as_json
def webpush(*, quick: bool, json: bool) -> None:
    """Pushes encrypted, sent and answered on one core, beside pywebpush, and what encryption is of that."""
    from benchmarks import webpush as benchmark

    size = {"requests": benchmark.QUICK_REQUESTS, "runs": 1} if quick else {}
    _show(benchmark.measure(**size), json=json)


@bench.command(short_help="One message to every device, to the last status.")
@click.option("--devices", type=click.IntRange(2), metavar="N", help="How many.  [default: 200,000]")
@quick
@as_json
def pipeline(*, devices: int | None, quick: bool, json: bool) -> None:
    """One message to every device: requests/s, CPU of worker and PostgreSQL, the worker's memory."""
    from benchmarks import pipeline as benchmark

    count = devices or (benchmark.QUICK_DEVICES if quick else benchmark.DEVICES)
    _show(_run(benchmark.measure(devices=count)), json=json)


@bench.command(short_help="What clients tell, beside the server's empty call.")
@quick
@as_json
def ingest(*, quick: bool, json: bool) -> None:
    """Devices, people and events over HTTP, durably, on 64 connections, compared with the server's empty call."""
    from benchmarks import ingest as benchmark

    count = benchmark.QUICK_REQUESTS if quick else benchmark.REQUESTS
    _show(_run(benchmark.measure(requests=count)), json=json)


@bench.command("import", short_help="A file of a million devices, beside a bare COPY.")
@click.option("--rows", type=click.IntRange(1), metavar="N", help="How many.  [default: 1,000,000]")
@quick
@as_json
def import_(*, rows: int | None, quick: bool, json: bool) -> None:
    """A file tried, applied into an empty workspace and verified, and applied again: rows/s, CPU, the worker's memory."""
    from benchmarks import imports as benchmark

    count = rows or (benchmark.QUICK_ROWS if quick else benchmark.ROWS)
    _show(_run(benchmark.measure(rows=count)), json=json)


@bench.command(short_help="From accepted to the provider, at half load.")
@quick
@as_json
def transactional(*, quick: bool, json: bool) -> None:
    """Pushes to one person each, at half load: from accepted to the provider."""
    from benchmarks import transactional as benchmark

    count = benchmark.QUICK_REQUESTS if quick else benchmark.REQUESTS
    _show(_run(benchmark.measure(requests=count)), json=json)


@bench.command(short_help="Broadcasts: the first push, and the last after a cancel.")
@quick
@as_json
def broadcast(*, quick: bool, json: bool) -> None:
    """Broadcasts to all: how soon the first push leaves after the start, and the last after a cancel in mid-flight."""
    from benchmarks import broadcast as benchmark

    size = {"devices": benchmark.QUICK_DEVICES, "runs": 1} if quick else {}
    _show(_run(benchmark.measure(**size)), json=json)


@bench.command(short_help="What reads a million devices, beside SQL by hand.")
@click.option("--devices", type=click.IntRange(1_000), metavar="N", help="How many.  [default: 1,000,000]")
@quick
@as_json
def reading(*, devices: int | None, quick: bool, json: bool) -> None:
    """Audiences counted beside SQL by hand, a broadcast planned, and "why?" answered, after years of use."""
    from benchmarks import reading as benchmark

    count = devices or (benchmark.QUICK_DEVICES if quick else benchmark.DEVICES)
    _show(_run(benchmark.measure(devices=count)), json=json)


@bench.command("export", short_help="Exports of a million devices, beside a bare COPY.")
@click.option("--devices", type=click.IntRange(1_000), metavar="N", help="How many.  [default: 1,000,000]")
@quick
@as_json
def exporting(*, devices: int | None, quick: bool, json: bool) -> None:
    """Devices and people exported in each format: rows/s, CPU and memory of the process that does it."""
    from benchmarks import exporting as benchmark

    count = devices or (benchmark.QUICK_DEVICES if quick else benchmark.DEVICES)
    _show(_run(benchmark.measure(devices=count)), json=json)


@bench.command(short_help="The dashboard's pages, on a million devices.")
@click.option("--devices", type=click.IntRange(1_000), metavar="N", help="How many.  [default: 1,000,000]")
@quick
@as_json
def dashboard(*, devices: int | None, quick: bool, json: bool) -> None:
    """Each page of the dashboard, opened forty times, after years of use: how long the service takes for it."""
    from benchmarks import dashboard as benchmark

    count = devices or (benchmark.QUICK_DEVICES if quick else benchmark.DEVICES)
    _show(
        _run(benchmark.measure(devices=count, times=benchmark.QUICK_TIMES if quick else benchmark.TIMES)),
        json=json,
    )


@bench.command(short_help="Liquid, beside the library alone.")
@quick
@as_json
def rendering(*, quick: bool, json: bool) -> None:
    """Texts with variables, a condition and a loop, rendered for one person after the other."""
    from benchmarks import rendering as benchmark
    from pushkeeper.observability import logs

    logs.configure(json=not os.isatty(2))
    people = benchmark.QUICK_PEOPLE if quick else benchmark.PEOPLE
    _show(_run(benchmark.measure(people=people)), json=json)


@bench.command(short_help="How soon `serve` is ready, and its memory.")
@as_json
def startup(*, json: bool) -> None:
    """How soon `serve` is ready, and what it holds of memory while it is idle."""
    from benchmarks import startup as benchmark

    _show(benchmark.measure(), json=json)


@bench.command(short_help="What a workspace sees of another at its worst.")
@click.option(
    "--seconds", type=click.IntRange(1), metavar="N", help="How long each trouble lasts.  [default: 12]"
)
@click.option("--people", type=click.IntRange(1), metavar="N", help="Of the neighbour.  [default: 60,000]")
@click.option(
    "--only", multiple=True, metavar="NAME", help="One trouble, or a control; several times for several."
)
@quick
@as_json
def neighbour(
    *, seconds: int | None, people: int | None, only: tuple[str, ...], quick: bool, json: bool
) -> None:
    """Pushes, registrations, broadcasts, webhooks and pages of one workspace while another is quiet, and while it does its worst.

    Each result is compared with the quiet one of the same run: 2 x is the goal.
    """
    from benchmarks import neighbour as benchmark
    from benchmarks.troubles import ALL

    for name in only:
        if name not in ALL:
            raise click.BadParameter(f"{name!r} is none of {', '.join(ALL)}", param_hint="--only")
    found = asyncio.run(
        benchmark.measure(
            seconds=seconds or (benchmark.QUICK_SECONDS if quick else benchmark.SECONDS),
            people=people or (benchmark.QUICK_PEOPLE if quick else benchmark.PEOPLE),
            scale=benchmark.QUICK_SCALE if quick else 1.0,
            only=only,
        )
    )
    shown = table([one.row() for one in found], benchmark.HEADINGS)
    answer({"goal": benchmark.GOAL, "neighbours": [to_builtins(one) for one in found]}, shown, json=json)


@bench.command(short_help="What grows with the number of devices.")
@click.option("--devices", type=click.IntRange(1_000), metavar="N", help="How many.  [default: 100,000]")
@as_json
def size(*, devices: int | None, json: bool) -> None:
    """The cost of registrations, pushes, counts, plans and vacuum with a number of devices.

    CPU, write-ahead log and pages of each, and the bytes on disk of tables and indexes. 10,000,000 devices want 25 GB.
    """
    from benchmarks import meter
    from benchmarks import size as benchmark
    from pushkeeper.observability import logs

    logs.configure(json=not os.isatty(2))
    found = asyncio.run(benchmark.measure(devices=devices or benchmark.DEVICES))
    costs = table([one.row() for one in found.costs], meter.HEADINGS)
    relations = table([one.row() for one in found.relations], benchmark.RELATION_HEADINGS)
    answer(to_builtins(found), f"{costs}\n\n{relations}", json=json)


@bench.command(short_help="What installations of a size want, by arithmetic.")
@click.option(
    "--devices", type=MANY, multiple=True, metavar="N", help="How many, as in 25M.  [default: 1M to 1bn]"
)
@click.option("--android", type=click.FloatRange(0, 1), metavar="SHARE", help="Of them.  [default: 0.7]")
@click.option("--broadcasts", type=click.IntRange(0), metavar="N", help="To all, a day.  [default: 1]")
@click.option(
    "--projects", type=click.IntRange(1), metavar="N", help="Of FCM, each with a quota.  [default: 1]"
)
@click.option("--keep-pushes-days", type=click.IntRange(1), metavar="N", help="[default: 30]")
@as_json
def model(*, devices: tuple[int, ...], json: bool, **asked: Any) -> None:
    """Cells, cores, memory and disk for a number of devices, and what a day is like there.

    Computed from what `bench size` measured; nothing is run.
    """
    from benchmarks import model as benchmark

    demand = {name: value for name, value in asked.items() if value is not None}
    found = [
        benchmark.size(benchmark.Demand(devices=count, **demand)) for count in devices or benchmark.SIZES
    ]
    shown = table([benchmark.row(one) for one in found], benchmark.HEADINGS)
    answer({"sizes": [to_builtins(one) for one in found]}, shown, json=json)


def _run(measured: Coroutine[Any, Any, list[Figure]]) -> list[Figure]:
    # The plain loop: it starts processes, and is not what is measured.
    return asyncio.run(measured)


def _show(figures: list[Figure], *, json: bool) -> None:
    from benchmarks.figures import HEADINGS

    shown = table([figure.row() for figure in figures], HEADINGS)
    answer({"figures": [figure.shown() for figure in figures]}, shown, json=json)


if __name__ == "__main__":
    bench()
