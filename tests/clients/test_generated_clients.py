"""The description of our own API is what linters and generators of clients want, and the clients that they make work."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pushkeeper.api.openapi import document

HERE = Path(__file__).parent
NODE = HERE / "node"
PYTHON = HERE / "openapi" / ".venv" / "bin" / "python"


def run(*command, cwd, **more):
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **more,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """A folder with the description, in which Node finds its packages."""
    folder = tmp_path_factory.mktemp("openapi")
    (folder / "openapi.json").write_text(json.dumps(document()))
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


@pytest.fixture
def shop(workspace):
    """A workspace with somebody whom the clients ask for: its key."""
    [token] = workspace.mint("ios")
    workspace.track("PUT", "/api/v1/customers/ann", {"plan": "pro"})
    workspace.track("PUT", "/api/v1/customers/ann/devices", {"device": {"id": token, "platform": "ios"}})
    return workspace.keys["app_api_key"]


TSC = {"strict": True, "target": "es2022", "lib": ["es2022", "dom"], "module": "nodenext", "types": []}
# The generator's own client class has errors of its own, and it does not import what it writes for a body of two types.
MYPY = (
    "[mypy]\nstrict = true\n[mypy-pushkeeper_client.client]\nignore_errors = true\n"
    "[mypy-pushkeeper_client.api.imports.create_import]\ndisable_error_code = name-defined\n"
)
EXPECTED = {"people": 1, "template": {"de": {"title": "Hallo"}}, "devices": ["ios"], "error": "not_found"}


def test_every_operation_has_a_name_a_tag_and_a_description():
    described = document()
    operations = [one for methods in described["paths"].values() for one in methods.values()]
    names = [one["operationId"] for one in operations]
    assert len(set(names)) == len(names) == len({name.lower() for name in names})
    tags = {tag["name"] for tag in described["tags"]}
    for one in operations:
        assert set(one["tags"]) <= tags
        assert one["description"].endswith(".")
        assert one["description"].rstrip(".") != one["summary"]
        assert all(parameter["description"] for parameter in one["parameters"])


def test_spectral_finds_nothing(node, described):
    (described / ".spectral.yaml").write_text("extends: ['spectral:oas']")
    said = run(
        *("node_modules/.bin/spectral", "lint", "--fail-severity=hint", "--quiet", "openapi.json"),
        cwd=described,
    )
    assert "warning" not in said


def test_redocly_finds_nothing(node, described):
    quiet = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    found = run(
        "node_modules/.bin/redocly", "lint", "--format=json", "openapi.json", cwd=described, env=quiet
    )
    assert json.loads(found)["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}


def test_typescript_types_of_it_compile_and_work(node, described, service, shop):
    run("node_modules/.bin/openapi-typescript", "openapi.json", "-o", "api.d.ts", cwd=described)
    (described / "use.ts").write_text((HERE / "openapi" / "use.ts").read_text())
    (described / "node.d.ts").write_text("declare const process: { argv: string[] };")
    (described / "tsconfig.json").write_text(json.dumps({"compilerOptions": TSC, "include": ["*.ts"]}))
    run("node_modules/.bin/tsc", cwd=described)
    trusting = {**os.environ, "NODE_EXTRA_CA_CERTS": service["ca_file"]}
    found = json.loads(run("node", "use.js", service["url"], shop, cwd=described, env=trusting))
    assert found == EXPECTED


def test_a_python_client_of_it_type_checks_and_works(described, service, shop):
    if not PYTHON.exists():
        pytest.skip("openapi-python-client is not installed")
    run(
        *(PYTHON.with_name("openapi-python-client"), "generate", "--path", "openapi.json"),
        *("--meta", "none", "--output-path", "pushkeeper_client", "--overwrite", "--fail-on-warning"),
        cwd=described,
        env={**os.environ, "PATH": f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}"},
    )
    use = described / "use.py"
    use.write_text((HERE / "openapi" / "use.py").read_text())
    (described / "mypy.ini").write_text(MYPY)
    run(
        *(sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--python-executable", PYTHON),
        *("use.py", "pushkeeper_client"),
        cwd=described,
    )
    found = json.loads(run(PYTHON, use, described, service["url"], service["ca_file"], shop, cwd=described))
    assert {**found, "template": {"de": {"title": found["template"]["de"]["title"]}}} == EXPECTED
