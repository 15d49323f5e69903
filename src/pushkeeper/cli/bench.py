"""Benchmarks from the command line."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click
from msgspec import to_builtins

from pushkeeper.cli.common import answer, as_json, table

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from pushkeeper.bench.figures import Figure

quick = click.option(
    "--quick", is_flag=True, help="A few requests, to see that it works; the figures say little."
)


@click.group(short_help="Measure this machine: the sender, the pipeline, the APIs.")
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
    from pushkeeper.bench import sender as benchmark

    size = {"requests": benchmark.QUICK_REQUESTS, "runs": 1} if quick else {}
    _show(benchmark.measure(**size), json=json)


@bench.command(short_help="One message to every device, to the last status.")
@click.option("--devices", type=click.IntRange(2), metavar="N", help="How many.  [default: 200,000]")
@quick
@as_json
def pipeline(*, devices: int | None, quick: bool, json: bool) -> None:
    """One message to every device: requests/s, CPU of worker and PostgreSQL, the worker's memory."""
    from pushkeeper.bench import pipeline as benchmark

    count = devices or (benchmark.QUICK_DEVICES if quick else benchmark.DEVICES)
    _show(_run(benchmark.measure(devices=count)), json=json)


@bench.command(short_help="What clients tell, beside the server's empty call.")
@quick
@as_json
def ingest(*, quick: bool, json: bool) -> None:
    """Devices, people and events told of over HTTP, durably, on 64 connections, beside the server's empty call."""
    from pushkeeper.bench import ingest as benchmark

    count = benchmark.QUICK_REQUESTS if quick else benchmark.REQUESTS
    _show(_run(benchmark.measure(requests=count)), json=json)


@bench.command(short_help="From accepted to the provider, at half load.")
@quick
@as_json
def transactional(*, quick: bool, json: bool) -> None:
    """Pushes to one person each, at half load: from accepted to the provider."""
    from pushkeeper.bench import transactional as benchmark

    count = benchmark.QUICK_REQUESTS if quick else benchmark.REQUESTS
    _show(_run(benchmark.measure(requests=count)), json=json)


@bench.command(short_help="Broadcasts: the first push, and the last after a cancel.")
@quick
@as_json
def broadcast(*, quick: bool, json: bool) -> None:
    """Broadcasts to all: how soon the first push leaves after the start, and the last after a cancel in mid-flight."""
    from pushkeeper.bench import broadcast as benchmark

    size = {"devices": benchmark.QUICK_DEVICES, "runs": 1} if quick else {}
    _show(_run(benchmark.measure(**size)), json=json)


@bench.command(short_help="What reads a million devices, beside SQL by hand.")
@click.option("--devices", type=click.IntRange(1_000), metavar="N", help="How many.  [default: 1,000,000]")
@quick
@as_json
def reading(*, devices: int | None, quick: bool, json: bool) -> None:
    """Audiences counted beside SQL by hand, a broadcast planned, and "why?" answered, after years of use."""
    from pushkeeper.bench import reading as benchmark

    count = devices or (benchmark.QUICK_DEVICES if quick else benchmark.DEVICES)
    _show(_run(benchmark.measure(devices=count)), json=json)


@bench.command(short_help="The dashboard's pages, on a million devices.")
@click.option("--devices", type=click.IntRange(1_000), metavar="N", help="How many.  [default: 1,000,000]")
@quick
@as_json
def dashboard(*, devices: int | None, quick: bool, json: bool) -> None:
    """Each page of the dashboard, opened forty times, after years of use: how long the service takes for it."""
    from pushkeeper.bench import dashboard as benchmark

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
    from pushkeeper import telemetry
    from pushkeeper.bench import rendering as benchmark

    telemetry.configure(json=not os.isatty(2))
    people = benchmark.QUICK_PEOPLE if quick else benchmark.PEOPLE
    _show(_run(benchmark.measure(people=people)), json=json)


@bench.command(short_help="How soon `serve` is ready, and its memory.")
@as_json
def startup(*, json: bool) -> None:
    """How soon `serve` is ready, and what it holds of memory while it is idle."""
    from pushkeeper.bench import startup as benchmark

    _show(benchmark.measure(), json=json)


@bench.command(short_help="What a workspace sees of another at its worst.")
@click.option(
    "--seconds", type=click.IntRange(1), metavar="N", help="How long each trouble lasts.  [default: 12]"
)
@click.option("--people", type=click.IntRange(1), metavar="N", help="Of the neighbour.  [default: 60,000]")
@quick
@as_json
def neighbour(*, seconds: int | None, people: int | None, quick: bool, json: bool) -> None:
    """Pushes, registrations, broadcasts, webhooks and pages of one workspace while another is quiet, and while it does its worst.

    Each figure stands beside what it is in quiet, in the same run: 2 x is the goal.
    """
    from pushkeeper.bench import neighbour as benchmark

    found = asyncio.run(
        benchmark.measure(
            seconds=seconds or (benchmark.QUICK_SECONDS if quick else benchmark.SECONDS),
            people=people or (benchmark.QUICK_PEOPLE if quick else benchmark.PEOPLE),
            scale=benchmark.QUICK_SCALE if quick else 1.0,
        )
    )
    shown = table([one.row() for one in found], benchmark.HEADINGS)
    answer({"goal": benchmark.GOAL, "neighbours": [to_builtins(one) for one in found]}, shown, json=json)


def _run(measured: Coroutine[Any, Any, list[Figure]]) -> list[Figure]:
    # The plain loop: it starts processes, and is not what is measured.
    return asyncio.run(measured)


def _show(figures: list[Figure], *, json: bool) -> None:
    from pushkeeper.bench.figures import HEADINGS

    shown = table([figure.row() for figure in figures], HEADINGS)
    answer({"figures": [figure.shown() for figure in figures]}, shown, json=json)
