"""Our own API does what its description says: whatever is asked, no 5xx and no answer that is not described."""

from __future__ import annotations

import secrets

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from pushkeeper.api.openapi import document
from pushkeeper.api.openapi.operations import OPERATIONS
from support.examples import examples
from support.service import Workspace

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 40
UNAUTHORIZED = 401


def operations():
    results = schemathesis.openapi.from_dict(document()).get_all_operations()
    found = [result.ok() for result in results if isinstance(result, Ok)]
    return {f"{operation.method.upper()} {operation.path}": operation for operation in found}


FOUND = operations()


@pytest.fixture(scope="module")
def asked(service, simulator):
    """A workspace of its own, by a session that has its key."""
    workspace = Workspace(f"openapi-{secrets.token_hex(4)}", service, simulator)
    workspace.add_fcm()
    with requests.Session() as session:
        session.headers["authorization"] = f"Bearer {workspace.keys['app_api_key']}"
        yield session, service


def test_all_of_it_is_tried():
    assert FOUND.keys() == {f"{method} {path}" for method, path in OPERATIONS}


@pytest.mark.parametrize("name", sorted(FOUND))
@pytest.mark.parametrize("mode", [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
def test_every_answer_is_described(asked, name, mode):
    session, service = asked
    cases = FOUND[name].as_strategy(generation_mode=mode)

    @settings(
        max_examples=examples(EXAMPLES),
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def run(case):
        answer = case.call_and_validate(
            base_url=service["url"], session=session, checks=CHECKS, verify=service["ca_file"]
        )
        # To be asked by nobody is one of the wrong questions; the right ones must get further than that.
        assert mode is schemathesis.GenerationMode.NEGATIVE or answer.status_code != UNAUTHORIZED

    run()
