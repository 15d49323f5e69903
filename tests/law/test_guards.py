"""What guards us against what others send exists once, and nothing goes past it."""

from __future__ import annotations

import ast
import json
import re
import runpy
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from support.sources import nodes

SRC = Path(__file__).parents[2] / "src" / "pushkeeper"


@cache
def modules() -> dict[str, tuple[ast.AST, ...]]:
    """The nodes of every module of ours, by its path."""
    return {str(file.relative_to(SRC)): nodes(file) for file in SRC.rglob("*.py")}


def name_of(called: ast.expr) -> str:
    """The last name of what is called; of what has none, such as a call, nothing."""
    match called:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def importers_of(name: str) -> set[str]:
    """The modules that import a module or anything of it, wherever in them."""
    found = set()
    for path, module in modules().items():
        for node in module:
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(one == name or one.startswith(f"{name}.") for one in names):
                found.add(path)
    return found


def test_csv_is_written_by_one_module_and_read_by_another() -> None:
    assert importers_of("csv") == {"core/csv_text.py", "core/imports/records.py"}


def test_tokens_that_callers_write_are_read_by_one_module() -> None:
    """A token made of a text as it came would miss the device that has it in another spelling."""
    made = {
        path
        for path, module in modules().items()
        for node in module
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Token"
    }
    # Those that made tokens themselves, or read rows, where all are canonical.
    own = {path for path in made if path.startswith(("providers/", "store/"))}
    assert made - own == {"core/devices/tokens.py", "dashboard/pages/messages.py"}
    assert own


# Who else makes a time of a text or a number, and of which.
OTHER_TIMES = {
    "cli/times.py": "what somebody types, in the zone of their machine, and answers of our API",
    "core/filters/values.py": "values of JSON, as the functions of the database read them too",
    "core/model.py": "a UUIDv7 of ours",
    "dashboard/pages/attention.py": "what is kept of a certificate",
    "services/doctor/sending.py": "what is kept of a certificate",
    "services/exports/customerio.py": "what is kept of an export",
    "services/strikes.py": "what is kept of an undo",
    "providers/fcm/schema.py": "whether a text is a time as Google has it; the time itself is not kept",
    "providers/shared/retry_after.py": "dates of HTTP, which are bounded there",
    "providers/credentials.py": "our clock",
    "worker/results.py": "our clock",
}


def test_times_from_outside_are_read_by_one_module() -> None:
    readers = re.compile(
        r"datetime\.(fromisoformat|fromtimestamp|utcfromtimestamp|strptime)|parsedate_to_datetime"
    )
    found = {
        path
        for path, module in modules().items()
        for node in module
        if isinstance(node, ast.Call)
        and (
            readers.fullmatch(ast.unparse(node.func))
            or (ast.unparse(node.func).endswith("convert") and "datetime" in map(ast.unparse, node.args))
        )
    }
    # The simulator and the benchmarks are programs of their own.
    found = {path for path in found if not path.startswith("simulator/")}
    assert found == {"core/times.py", *OTHER_TIMES}


def test_no_guard_asks_python_which_addresses_are_public() -> None:
    """Its answer depends on the release (CVE-2024-4032); core.destination has lists of our own."""
    asked = {
        node.attr
        for path in ("core/destination.py", "worker/http_client.py")
        for node in modules()[path]
        if isinstance(node, ast.Attribute)
    }
    of_python = {name for kind in (IPv4Address, IPv6Address) for name in dir(kind) if name.startswith("is_")}
    assert asked.isdisjoint(of_python | {"ipv4_mapped", "sixtofour", "teredo"})
    assert len(of_python) > 5


def test_what_calls_addresses_that_users_name_goes_through_the_guard() -> None:
    # Commands and benchmarks call what they were started with.
    service = {path: module for path, module in modules().items() if not path.startswith("cli/")}
    pools = {
        path: [ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg == "network_backend"]
        for path, module in service.items()
        for node in module
        if isinstance(node, ast.Call) and name_of(node.func).endswith(("ConnectionPool", "HTTPConnection"))
    }
    # The simulator's control is where the operator says that it is.
    assert pools.pop("dashboard/pages/simulator.py") == []
    assert {path: given[0].partition("(")[0] for path, given in pools.items()} == dict.fromkeys(
        pools, "Checked"
    )
    assert {
        *("worker/jobs/remote_files.py", "worker/jobs/customerio_people.py", "worker/jobs/webhooks.py"),
    } <= set(pools)
    others = {
        path
        for name in ("httpx", "requests", "aiohttp", "urllib3", "urllib.request")
        for path in importers_of(name)
    }
    assert others & set(service) == set()


AUDIT = runpy.run_path(str(SRC.parents[1] / "requirements" / "audit.py"))
GOOD = {"name": "anyio", "version": "4.0", "vulns": []}
BAD = {"name": "h11", "version": "0.1", "vulns": [{"id": "CVE-2025-43859", "fix_versions": ["0.16.0"]}]}
UNKNOWN = {"name": "idna", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("said", "text", "code"),
    [
        ("", "skipped", 0),
        ("Traceback: no such host", "skipped", 0),
        (json.dumps({"dependencies": [UNKNOWN]}), "skipped", 0),
        (json.dumps({"dependencies": [GOOD, UNKNOWN]}), "no known vulnerability in 1 of 2", 0),
        (json.dumps({"dependencies": [GOOD, BAD]}), "h11 0.1: CVE-2025-43859, mended in 0.16.0", 1),
    ],
)
def test_known_vulnerabilities_fail_the_check_and_nobody_to_ask_does_not(
    said: str, text: str, code: int
) -> None:
    found, ended = AUDIT["verdict"](said)
    assert text in found
    assert ended == code


def test_every_file_that_the_security_page_names_is_there() -> None:
    root = SRC.parents[1]
    named = re.findall(
        r"`(tests/[a-z_/]+\.py|test_[a-z_]+\.py)`", (root / "SECURITY.md").read_text(encoding="utf-8")
    )
    assert len(named) > 5
    for name in named:
        assert list(root.glob(name) if "/" in name else (root / "tests").rglob(name)), name
