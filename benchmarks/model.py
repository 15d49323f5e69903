"""The model behind `docs/scaling.md`: a day of an installation, minute by minute, from what operations were measured to cost.

It is arithmetic on the figures of `bench size`; nothing is run. What it leaves out: the network, disks slower than the
log that is written to them, and whatever else a machine does.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass, replace

import msgspec

from pushkeeper.core.delivery.rate_limit import FCM_PER_S

SIZES = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
FCM, WORKERS, POSTGRESQL = "FCM's quota", "workers", "PostgreSQL"
_DAY_MIN, _NINE = 24 * 60, 9 * 60
_MINUTE_US = 60e6
_MB, _GB = 1e6, 1e9
_FULL = 0.75  # how full a disk is planned to be


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one operation costs: CPU-µs of our process and of PostgreSQL, and bytes of write-ahead log without page images."""

    ours_us: float
    postgresql_us: float
    wal_bytes: float


# Measured with 20,000 devices on two quiet cores, and made dearer by as much as `python -m benchmarks size` found with 10 M beside
# 100 k (docs/scaling.md, "How each part grows"); the log is without page images, which `page_images` computes.
# A push is one to a device whose status stays; where it changes, 2.7 kB were measured.
PUSH = Work(ours_us=37.0, postgresql_us=73.0, wal_bytes=900.0)
REFRESH = Work(ours_us=73.0, postgresql_us=56.0, wal_bytes=300.0)
NEW_DEVICE = Work(ours_us=80.0, postgresql_us=76.0, wal_bytes=1_650.0)
PLAN_US = 6.0  # of a device
COUNT_US = 1.5  # of a device, for a condition on its attributes
VACUUM_US = 2.8  # of a device, with its indexes
# Bytes on disk: a device's row; with its indexes, its person and two identifiers; a push, and a line of history, with theirs.
ROW_BYTES = 494.0
DEVICE_BYTES = 1_075.0
PUSH_BYTES = 361.0
HISTORY_BYTES = 345.0

# The largest that is recommended: its devices are counted in half a minute, and fit into the memory of a usual server.
MOST_DEVICES_OF_A_CELL = 25_000_000
CHECKPOINT_MIN = 30
_PAGE_BYTES = 8_192.0
_CORES = (1, 2, 4, 8, 16, 32, 64)
_MEMORY_GB = (4, 8, 16, 32, 64, 128, 256)
BUSY = 0.6  # what of cores is planned for; the rest is for vacuum, counts, bursts and the loss of a machine
SOON_MIN = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """The load of an installation in a day.

    Attributes:
        android: the share of devices that FCM sends to.
        broadcasts: how many a day go to every device, the first at 9:00 and each when the one before it is sent.
        lone_pushes, refreshes, new_devices: for each device, spread over the day as people are awake.
        status_changes: lines of history for each device.
        projects: FCM projects that the devices are in, each with a quota of its own.
        keep_pushes_days, keep_history_days: as in the settings.
    """

    devices: float
    android: float = 0.7
    broadcasts: int = 1
    lone_pushes: float = 0.2
    refreshes: float = 1.0
    new_devices: float = 0.003
    status_changes: float = 0.02
    projects: float = 1.0
    keep_pushes_days: int = 30
    keep_history_days: int = 400

    @property
    def pushes(self) -> float:
        """How many a day."""
        return self.devices * (self.broadcasts + self.lone_pushes)

    def of_one(self, cells: int) -> Demand:
        """The share of the load for one of a number of cells, which share the quotas of their projects."""
        return replace(self, devices=self.devices / cells, projects=self.projects / cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """The cores of a cell: of its PostgreSQL, and of its workers and its API, on whichever machines."""

    postgresql: int = 1
    workers: int = 1
    api: int = 1


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What a day comes to in one cell.

    Attributes:
        broadcast_min: from the start of a broadcast to its last push, whichever day that is on.
        bound_by: what it waited for most of that time.
        postgresql, api: how busy their cores are in the busiest minute.
        wal_mb_s: the log of the busiest minute; `wal_gb` of the day, `wal_checkpoint_gb` the most between two checkpoints.
    """

    broadcast_min: int
    bound_by: str
    postgresql: float
    api: float
    wal_mb_s: float
    wal_gb: float
    wal_checkpoint_gb: float


def awake(minute: int) -> float:
    """How much of a day's doings falls into a minute: a wave between a quarter and seven quarters of the mean, highest at 20:00."""
    return (1 + 0.75 * math.cos((minute - 20 * 60) / _DAY_MIN * math.tau)) / _DAY_MIN


def day(demand: Demand, cores: Cores) -> Day:
    """Go through a day of a cell: what people do is done at once, and broadcasts get what room there is besides."""
    left = _Left()
    waits: Counter[str] = Counter()
    postgresql, api, wal = [], [], []
    begun = 0
    for minute in itertools.count():
        if minute >= _DAY_MIN and not left.total:
            break
        if minute >= _NINE and begun < demand.broadcasts and not left.total:
            begun += 1
            left = _Left(demand.devices * demand.android, demand.devices * (1 - demand.android))
        now = demand.devices * awake(minute)
        refreshes, new, lone = now * demand.refreshes, now * demand.new_devices, now * demand.lone_pushes
        used_us = (
            refreshes * REFRESH.postgresql_us + new * NEW_DEVICE.postgresql_us + lone * PUSH.postgresql_us
        )
        rooms = {
            POSTGRESQL: (cores.postgresql * BUSY * _MINUTE_US - used_us) / (PUSH.postgresql_us + PLAN_US),
            WORKERS: cores.workers * BUSY * _MINUTE_US / PUSH.ours_us - lone,
        }
        tightest = min(rooms, key=rooms.__getitem__)
        room = max(rooms[tightest], 0.0)
        if left.total:
            quota = max(FCM_PER_S * 60 * demand.projects - lone * demand.android, 0.0)
            sent = left.send(room, quota)
            waits[tightest if left.total and sent > room - 1 else FCM] += 1
        else:
            sent = 0.0
        used_us += sent * (PUSH.postgresql_us + PLAN_US)
        postgresql.append(used_us / (cores.postgresql * _MINUTE_US))
        api.append((refreshes * REFRESH.ours_us + new * NEW_DEVICE.ours_us) / (cores.api * _MINUTE_US))
        wal.append(
            refreshes * REFRESH.wal_bytes
            + new * NEW_DEVICE.wal_bytes
            + (sent + lone) * PUSH.wal_bytes
            + page_images(demand.devices, refreshes)
        )
    return Day(
        broadcast_min=round(waits.total() / max(begun, 1)),
        bound_by=waits.most_common(1)[0][0] if waits else "",
        postgresql=max(postgresql),
        api=max(api),
        wal_mb_s=max(wal) / 60 / _MB,
        wal_gb=sum(wal[:_DAY_MIN]) / _GB,
        wal_checkpoint_gb=max(
            sum(wal[first : first + CHECKPOINT_MIN]) for first in range(0, _DAY_MIN, CHECKPOINT_MIN)
        )
        / _GB,
    )


@dataclass(slots=True)
class _Left:
    """What of a broadcast is still to be sent."""

    fcm: float = 0.0
    apns: float = 0.0

    @property
    def total(self) -> float:
        return self.fcm + self.apns

    def send(self, room: float, quota: float) -> float:
        """Send what there is room for; by FCM, what its quota allows."""
        by_fcm = min(self.fcm, quota, room)
        by_apns = min(self.apns, room - by_fcm)
        self.fcm, self.apns = self.fcm - by_fcm, self.apns - by_apns
        return by_fcm + by_apns


def page_images(devices: float, changes: float) -> float:
    """Bytes that a minute logs of pages as a whole: each page of the table is, at its first change after a checkpoint.

    `changes` are of devices by chance, in a minute.
    """
    pages = devices * ROW_BYTES / _PAGE_BYTES
    return pages * (1 - math.exp(-changes * CHECKPOINT_MIN / pages)) / CHECKPOINT_MIN * _PAGE_BYTES


class Sizing(msgspec.Struct, frozen=True, kw_only=True):
    """What an installation wants: `cells` alike, each with these cores, memory and disk, and what its day is."""

    devices: int
    pushes: float
    cells: int
    postgresql_cores: int
    worker_cores: int
    api_cores: int
    memory_gb: int
    disk_gb: float
    vacuum_s: float
    count_s: float
    day: Day

    @property
    def max_wal_gb(self) -> int:
        """So large that it is time, and not the log, that makes checkpoints."""
        return max(4, math.ceil(self.day.wal_checkpoint_gb * 1.5 / 4) * 4)


def size(demand: Demand) -> Sizing:
    """The fewest cores with which a broadcast waits for nothing but FCM, or takes half an hour, and nobody else waits."""
    cells = max(1, math.ceil(demand.devices / MOST_DEVICES_OF_A_CELL))
    one = demand.of_one(cells)
    cores = Cores()
    while True:
        found = day(one, cores)
        if found.api > BUSY:
            cores = _more(cores, "api")
        elif found.bound_by == FCM or (found.broadcast_min <= SOON_MIN and found.postgresql <= BUSY):
            break
        else:
            cores = _more(cores, "postgresql" if found.bound_by == POSTGRESQL else "workers")
    kept = (
        one.devices * DEVICE_BYTES
        + one.pushes * one.keep_pushes_days * PUSH_BYTES
        + one.devices * (one.status_changes + one.new_devices) * one.keep_history_days * HISTORY_BYTES
    )
    hot_gb = one.devices * DEVICE_BYTES / _GB
    return Sizing(
        devices=round(demand.devices),
        pushes=demand.pushes,
        cells=cells,
        postgresql_cores=cores.postgresql,
        worker_cores=cores.workers,
        api_cores=cores.api,
        memory_gb=next((gb for gb in _MEMORY_GB if gb * BUSY >= hot_gb), _MEMORY_GB[-1]),
        disk_gb=kept / _GB / _FULL,
        vacuum_s=one.devices * VACUUM_US / 1e6,
        count_s=one.devices * COUNT_US / 1e6,
        day=found,
    )


def _more(cores: Cores, what: str) -> Cores:
    now = getattr(cores, what)
    return replace(cores, **{what: next(more for more in _CORES if more > now)})


HEADINGS = [
    "devices", "pushes a day", "cells", "PostgreSQL: cores", "memory", "disk", "worker cores", "API cores",
    "a broadcast to all", "waits for", "log, a day", "log, at most", "`max_wal_size`", "a count", "a vacuum",
]  # fmt: skip


def row(sizing: Sizing) -> list[str]:
    """Cells for a table; of one cell from the fourth on."""
    found = sizing.day
    return [
        _short(sizing.devices),
        _short(sizing.pushes),
        f"{sizing.cells}",
        f"{sizing.postgresql_cores}",
        f"{sizing.memory_gb} GB",
        f"{sizing.disk_gb:,.0f} GB" if sizing.disk_gb < 1_000 else f"{sizing.disk_gb / 1_000:.1f} TB",  # noqa: PLR2004
        f"{sizing.worker_cores}",
        f"{sizing.api_cores}",
        f"{found.broadcast_min} min" if found.broadcast_min < 120 else f"{found.broadcast_min / 60:.1f} h",  # noqa: PLR2004
        found.bound_by,
        f"{found.wal_gb:,.0f} GB",
        f"{found.wal_mb_s:.0f} MB/s",
        f"{sizing.max_wal_gb} GB",
        f"{sizing.count_s:.0f} s",
        f"{sizing.vacuum_s:.0f} s",
    ]


def tables() -> str:
    """The tables of `docs/scaling.md`, in Markdown."""
    rows = [HEADINGS, ["---"] * len(HEADINGS), *(row(size(Demand(devices=devices))) for devices in SIZES)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _short(number: float) -> str:
    for unit, name in ((1e9, " bn"), (1e6, " M"), (1e3, " k")):
        if number >= unit:
            return f"{number / unit:g}{name}"
    return f"{number:g}"
