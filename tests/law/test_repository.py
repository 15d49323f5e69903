"""What is in the repository says nothing of the machine that it was written on."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = {str(ROOT), str(ROOT.parent / "shared"), sys.prefix, sys.base_prefix}
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
PIN = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[^ ;]+( ; [^\\]+)?( \\)?")
COMMENT = re.compile(r" *#.*")


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Every text file that is, or is about to be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a checkout: what is in the repository cannot be told")
    found = {}
    for name in listed.stdout.decode().split("\0"):
        file = ROOT / name
        if name and file.is_file():
            raw = file.read_bytes()
            if b"\0" not in raw:
                found[name] = raw.decode()
    return found


def test_no_file_holds_a_path_of_this_machine(texts: dict[str, str]) -> None:
    paths = [path for path in HERE if path.count("/") > 1 and not path.startswith("/usr")]
    holding = {name: path for name, text in texts.items() for path in paths if path in text}
    assert holding == {}


def test_lock_files_hold_pins_and_hashes_and_nothing_of_where_they_came_from(texts: dict[str, str]) -> None:
    locks = {name: text for name, text in texts.items() if name.endswith(".lock")}
    assert locks
    for name, text in locks.items():
        strange = [
            line
            for line in text.splitlines()
            if line and not any(kind.fullmatch(line) for kind in (HASH, PIN, COMMENT))
        ]
        assert strange == [], name
        assert "://" not in text, name
