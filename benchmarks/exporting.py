"""Exports of a large workspace, beside a bare COPY of its devices."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.figures import Beside, Figure
from benchmarks.fixtures import Size, loaded
from benchmarks.fleet import BY
from pushkeeper.core.exports.columns import Exportable
from pushkeeper.core.exports.writers import ExportFormat
from pushkeeper.services.exports.service import NewExport

if TYPE_CHECKING:
    from benchmarks.fixtures import Loaded

DEVICES = 1_000_000
QUICK_DEVICES = 2_000
_GOAL = "100,000 devices/s; 150 MB"
_CASES = (
    (Exportable.DEVICES, ExportFormat.CSV, _GOAL),
    (Exportable.DEVICES, ExportFormat.JSONL, _GOAL),
    (Exportable.DEVICES, ExportFormat.ONESIGNAL, ""),
    (Exportable.PEOPLE, ExportFormat.JSONL, ""),
)


async def measure(*, devices: int = DEVICES) -> list[Figure]:
    """Rows/s of each export, without writing a file, on a workspace with this number of devices."""
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as folder:
        size = Size(devices=devices, people=devices * 7 // 10, events=0, history=False)
        async with loaded(Path(folder), size) as found:
            copied = await _copied(found)
            return [await _exported(found, kind, form, copied, goal) for kind, form, goal in _CASES]


async def _copied(found: Loaded) -> float:
    """Devices/s of a COPY of the whole table by the server into nowhere."""
    began = time.perf_counter()
    done = await found.store.database.outside_transactions(
        lambda connection: connection.execute("copy devices to program 'cat > /dev/null'", timeout=3_600.0)
    )
    return int(done.rpartition(" ")[2]) / (time.perf_counter() - began)


async def _exported(found: Loaded, kind: Exportable, form: ExportFormat, copied: float, goal: str) -> Figure:
    exports, ourselves = found.store.services.exports, psutil.Process()
    wanted = NewExport(kind=kind, format=form, whole_tokens=True)
    stream = await exports.stream(BY, found.workspace_id, wanted)
    began, before = time.perf_counter(), sum(ourselves.cpu_times()[:2])
    with Path(os.devnull).open("wb") as nowhere:  # noqa: ASYNC230 - it takes no time
        async for part in stream.parts:
            nowhere.write(part)
    took_s = time.perf_counter() - began
    rows = (await exports.one(found.workspace_id, stream.export.export_id)).lines
    return Figure(
        name=f"export of {kind}, {form}",
        requests_per_s=rows / took_s,
        cpu_s_per_10k=(sum(ourselves.cpu_times()[:2]) - before) / rows * 10_000,
        rss_mb=ourselves.memory_info().rss / 1e6,
        beside=(Beside(name="COPY of devices", requests_per_s=copied),),
        goal=goal,
    )
