import secrets

import pytest

from support.processes import running
from support.service import Workspace


@pytest.fixture(scope="session")
def service(folder):
    with running("serve", "--data", folder / "journey", "--port", "0") as started:
        yield started


@pytest.fixture
def workspace(service, simulator):
    """A fresh workspace that sends through the simulator."""
    made = Workspace(f"journey-{secrets.token_hex(4)}", service, simulator)
    made.add_fcm()
    made.add_apns()
    return made
