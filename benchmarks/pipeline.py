"""The pipeline: one message to every device of a workspace, from its batches to the last status settled."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import processes
from benchmarks.figures import Figure
from benchmarks.fleet import fleet, queue_is_empty
from pushkeeper.core.model import Content
from pushkeeper.errors import Misconfigured

if TYPE_CHECKING:
    from benchmarks.fleet import Fleet

DEVICES = 200_000
QUICK_DEVICES = 2_000
_CONTENT = Content(
    title="A title of about thirty letters", message="A text of some length, as texts are. " * 3
)


async def measure(*, devices: int = DEVICES) -> list[Figure]:
    """Requests/s, CPU of the worker and PostgreSQL for 10,000 pushes, and the most memory that the worker held."""
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as folder:
        async with fleet(Path(folder), count=devices) as found:
            worker = processes.pushkeeper("worker", "--data", str(found.data_dir))
            with worker as started:
                return [await _broadcast(found, started["pid"], devices)]


async def _broadcast(found: Fleet, worker: int, devices: int) -> Figure:
    database = found.store.database
    used = (worker, processes.postmaster(found.data_dir))
    cpu_s, started = processes.cpu_s(*used), time.perf_counter()
    triggers = found.store.services.triggered
    await triggers.send_to_all(found.workspace_id, _CONTENT, send_to_unsubscribed=True)
    held_mb = [processes.rss_mb(worker)]
    await queue_is_empty(found, lambda: held_mb.append(processes.rss_mb(worker)))
    took_s, cpu_s = time.perf_counter() - started, processes.cpu_s(*used) - cpu_s
    sent = await database.value("select count(*) from devices where status = 'sent'")
    if sent != devices:
        raise Misconfigured(f"bench: {devices - sent:,} of {devices:,} devices were not sent to")
    return Figure(
        name=f"pipeline, {devices:,} devices",
        requests_per_s=devices / took_s,
        cpu_s_per_10k=cpu_s / devices * 10_000,
        rss_mb=max(held_mb),
        goal="CPU 1.0, floor 1.68; 250 MB",
    )
