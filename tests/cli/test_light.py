"""What a command loads: those that call a server start as fast as they do because they load nothing of ours but themselves."""

import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from pushkeeper.cli import SECTIONS, commands_of, main
from support.processes import CLEAN

# Each takes a tenth of a second or more.
HEAVY = (
    "asyncio",
    "asyncpg",
    "cryptography",
    "liquid",
    "rich",
    "starlette",
    "structlog",
    "uvloop",
    "pushkeeper.services",
)
_LOADED = """
import json, sys
from pushkeeper.cli import main
sys.argv = ["pushkeeper", *json.loads(sys.argv[1])]
try:
    main(prog_name="pushkeeper")
except SystemExit:
    pass
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["device", "show", "--help"],
        ["broadcast", "create", "--help"],
        ["completion", "bash"],
        ["context", "list"],
        ["device", "show", "token"],
        ["explain", "--person", "ann"],
    ],
    ids=" ".join,
)
def test_a_command_that_needs_no_database_loads_none(words, tmp_path):
    nowhere = {"PUSHKEEPER_URL": "http://127.0.0.1:1", "PUSHKEEPER_APP_API_KEY": "key"}
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, json.dumps(words)],
        capture_output=True,
        text=True,
        check=True,
        env={**CLEAN, **nowhere, "XDG_CONFIG_HOME": str(tmp_path)},
    )
    loaded = json.loads(done.stderr.splitlines()[-1])
    assert "pushkeeper.cli" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_the_list_of_commands_says_of_each_what_it_says_itself():
    shown = {name: place.help for section in SECTIONS.values() for name, place in section.items()}
    assert shown == {
        name: command.get_short_help_str(limit=200) for name, command in commands_of(main).items()
    }


def test_no_list_of_commands_is_cut():
    def groups(group, before=()):
        yield before, group
        for name, command in commands_of(group).items():
            if isinstance(command, click.Group):
                yield from groups(command, (*before, name))

    for path, group in groups(main):
        helped = CliRunner(env={"COLUMNS": "80"}).invoke(main, [*path, "--help"]).output
        assert [line for line in helped.splitlines() if line.endswith("...") and "Usage" not in line] == [], (
            group
        )
