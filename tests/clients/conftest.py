import secrets

import pytest

from support.processes import running
from support.service import Workspace


@pytest.fixture(scope="session")
def service(folder):
    """The service as the official clients want it: over https."""
    with running("serve", "--data", folder / "clients", "--port", "0", "--tls-self-signed") as started:
        yield started


@pytest.fixture
def workspace(service, simulator):
    """A fresh workspace that sends through the simulator."""
    made = Workspace(f"clients-{secrets.token_hex(4)}", service, simulator)
    made.add_fcm()
    made.add_apns()
    return made
