"""What is deployed for several cells fits together: the map, the proxy and the compose file."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pushkeeper.api.customerio.cdp import MAX_BATCH_BYTES
from pushkeeper.cli import main
from pushkeeper.web.limits import Limits
from support.cells import HAPROXY
from support.processes import CLEAN

ROOT = Path(__file__).parents[2]
CELLS = ROOT / "deploy" / "cells"
PROXY = (CELLS / "haproxy.cfg").read_text()
SERVICES = yaml.safe_load((CELLS / "compose.yaml").read_text())["services"]


def test_the_map_of_the_cells_is_what_the_command_prints():
    done = CliRunner().invoke(main, ["keys", "map", "0", "1"])
    assert (done.exit_code, done.output) == (0, (CELLS / "cells.map").read_text())


def test_each_cell_of_the_map_has_its_back_end_and_its_processes():
    cells = {line.split()[1] for line in (CELLS / "cells.map").read_text().splitlines()}
    assert set(re.findall(r"^backend (\w+)$", PROXY, re.MULTILINE)) == cells
    assert f"default_backend {min(cells)}\n" in PROXY
    for cell in cells:
        number = cell.removeprefix("cell")
        assert SERVICES[f"migrate-{number}"]["command"] == ["migrate", "--cell", number]
        own = [SERVICES[f"{what}-{number}"]["environment"] for what in ("migrate", "api", "worker")]
        assert {env["PUSHKEEPER_DATABASE_URL"].partition("@")[2] for env in own} == {
            f"db-{number}/pushkeeper"
        }
        assert len({env["PUSHKEEPER_SECRET_KEY"] for env in own}) == 1
        assert cell in own[1]["PUSHKEEPER_PUBLIC_URL"]


def test_what_the_proxy_takes_from_its_environment_is_there():
    wanted = set(re.findall(r"^ +[^#\n]*\"\$\{(\w+)\}\"", PROXY, re.MULTILINE))
    assert wanted == set(SERVICES["proxy"]["environment"])


def test_what_is_to_be_filled_in_for_the_cells_is_what_the_example_names():
    named = set(re.findall(r"^(\w+)=", (CELLS / "env.example").read_text(), re.MULTILINE))
    assert named == set(re.findall(r"\$\{(\w+)", (CELLS / "compose.yaml").read_text()))
    for ignored in (".gitignore", ".dockerignore"):
        assert "deploy/cells/.env" in (ROOT / ignored).read_text().splitlines()


def test_the_proxy_holds_the_largest_body_that_names_a_cell():
    (buffer,) = re.findall(r"tune\.bufsize (\d+)", PROXY)
    assert int(buffer) > MAX_BATCH_BYTES + Limits().head_bytes


@pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed")
def test_haproxy_has_nothing_against_its_file():
    given = SERVICES["proxy"]["environment"]
    # The names are those of the containers.
    env = {**CLEAN, **{name: re.sub(r"^api-\d", "127.0.0.1", value) for name, value in given.items()}}
    env["PUSHKEEPER_CELLS_MAP"] = str(CELLS / "cells.map")
    done = subprocess.run(
        [HAPROXY, "-c", "-f", CELLS / "haproxy.cfg"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
