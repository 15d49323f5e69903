import itertools
import tempfile
from pathlib import Path

import pytest

from support.processes import running
from support.service import Workspace

_NAMES = (f"workspace-{n}" for n in itertools.count())


@pytest.fixture(scope="session")
def folder():
    """A folder with a short path, as a socket's path has to be."""
    with tempfile.TemporaryDirectory(prefix="pk-") as path:
        yield Path(path)


@pytest.fixture(scope="session")
def simulator(folder):
    with running("simulate", "--data", folder / "simulator") as started:
        yield started


@pytest.fixture(scope="session")
def service(folder):
    with running("serve", "--data", folder / "data", "--port", "0") as started:
        yield started


@pytest.fixture
def workspace(service, simulator):
    """A fresh workspace that sends through the simulator."""
    made = Workspace(next(_NAMES), service, simulator)
    made.add_fcm()
    made.add_apns()
    return made
