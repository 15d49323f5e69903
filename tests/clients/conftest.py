import itertools
import tempfile
from pathlib import Path

import pytest

from support.processes import running
from support.service import Workspace

_NAMES = (f"client-{n}" for n in itertools.count())


@pytest.fixture(scope="session")
def folder():
    with tempfile.TemporaryDirectory(prefix="pk-") as path:
        yield Path(path)


@pytest.fixture(scope="session")
def simulator(folder):
    with running("simulate", "--data", folder / "simulator") as started:
        yield started


@pytest.fixture(scope="session")
def service(folder):
    """The service as the official clients want it: over https."""
    with running("serve", "--data", folder / "data", "--port", "0", "--tls-self-signed") as started:
        yield started


@pytest.fixture
def workspace(service, simulator):
    made = Workspace(next(_NAMES), service, simulator)
    made.add_fcm()
    made.add_apns()
    return made
