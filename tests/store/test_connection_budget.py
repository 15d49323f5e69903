"""The connections of a service's processes, which together are no more than the server has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.config import Settings
from pushkeeper.errors import Misconfigured
from pushkeeper.store.db.connection_budget import LEAST, fitted, wanted

EMBEDDED = 217  # of 220, three are for superusers


@given(
    processes=st.integers(1, 64),
    workers=st.integers(0, 64),
    connections=st.integers(2, 100),
    of_workers=st.integers(2, 100),
    limit=st.integers(20, 1_000),
)
def test_they_fit_or_are_refused(
    processes: int, workers: int, connections: int, of_workers: int, limit: int
) -> None:
    asked = Settings(
        data_dir=Path(),
        processes=processes,
        workers=workers,
        database_connections=connections,
        worker_connections=of_workers,
    )
    try:
        found = fitted(asked, limit)
    except Misconfigured:
        least = replace(asked, database_connections=LEAST, worker_connections=LEAST)
        assert wanted(least) > limit - 10
        return
    assert wanted(found) < limit
    assert LEAST <= found.database_connections <= connections
    assert LEAST <= found.worker_connections <= of_workers
    if found != asked:
        assert wanted(asked) >= limit - 10


@pytest.mark.parametrize("processes", [1, 8])
def test_as_many_processes_as_are_chosen_by_themselves_have_what_is_set(processes: int) -> None:
    asked = Settings(data_dir=Path(), processes=processes)
    assert fitted(asked, EMBEDDED) == asked
