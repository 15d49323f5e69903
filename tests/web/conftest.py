from datetime import UTC, datetime

import pytest

from pushkeeper.web.localhost_tls import self_signed


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for localhost."""
    return self_signed(tmp_path_factory.mktemp("tls"), "localhost", datetime.now(UTC))


@pytest.fixture(params=["tcp", "tls"])
def secured(request, certificate):
    """The certificate to serve with: none, and one."""
    return certificate if request.param == "tls" else None
