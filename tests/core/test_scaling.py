"""The model of `docs/scaling.md`: no push is lost or sent faster than FCM, PostgreSQL and workers allow."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import model
from benchmarks.model import Cores, Demand
from pushkeeper.core.delivery.rate_limit import FCM_PER_S
from support.examples import examples

demands = st.builds(
    Demand,
    devices=st.integers(1_000, 200_000_000),
    android=st.floats(0, 1),
    broadcasts=st.integers(0, 3),
    lone_pushes=st.floats(0, 2),
    refreshes=st.floats(0, 3),
    projects=st.integers(1, 20),
)
cores = st.builds(Cores, postgresql=st.integers(1, 32), workers=st.integers(1, 32), api=st.integers(1, 32))


@settings(max_examples=examples(30), deadline=None)
@given(demands)
def test_what_is_recommended_is_bounded_by_fcm_or_done_in_half_an_hour(demand: Demand) -> None:
    found = model.size(demand)
    assert demand.devices / found.cells <= model.MOST_DEVICES_OF_A_CELL
    assert found.day.api <= model.BUSY
    if demand.broadcasts:
        assert found.day.bound_by == model.FCM or found.day.broadcast_min <= model.SOON_MIN
    assert found.disk_gb * 1e9 >= demand.devices / found.cells * model.DEVICE_BYTES
    assert found.memory_gb >= demand.devices / found.cells * model.DEVICE_BYTES / 1e9


@settings(max_examples=examples(30), deadline=None)
@given(demands, cores)
def test_a_broadcast_takes_as_long_as_its_slowest_part(demand: Demand, with_cores: Cores) -> None:
    alone = replace(demand, devices=demand.devices / 100, broadcasts=1, lone_pushes=0.0, refreshes=0.0)
    found = model.day(replace(alone, new_devices=0.0), with_cores)
    a_minute = {
        model.FCM: FCM_PER_S * 60 * alone.projects / max(alone.android, 1e-9),
        model.WORKERS: with_cores.workers * model.BUSY * 60e6 / model.PUSH.ours_us,
        model.POSTGRESQL: with_cores.postgresql
        * model.BUSY
        * 60e6
        / (model.PUSH.postgresql_us + model.PLAN_US),
    }
    least = alone.devices / min(a_minute.values())
    assert math.floor(least) <= found.broadcast_min <= math.ceil(least) + 1
    assert found.wal_gb * 1e9 >= min(alone.devices, alone.devices * (24 - 9) * 60 / least) * 0.99


def test_people_do_as_much_in_a_day_as_they_do() -> None:
    minutes = [model.awake(minute) for minute in range(24 * 60)]
    assert math.isclose(sum(minutes), 1.0, rel_tol=1e-3)
    assert max(range(24 * 60), key=minutes.__getitem__) == 20 * 60
