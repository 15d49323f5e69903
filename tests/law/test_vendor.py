"""What was copied from elsewhere is what its table says: its version, its licence, and not a byte of ours."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "src" / "pushkeeper" / "dashboard" / "static" / "vendor"
ROW = re.compile(r"^\| `([^`]+)` \| .* \| ([0-9.]+) \| (\w+) \| `([0-9a-f]{64})` \|$", re.MULTILINE)


def test_every_file_is_listed_with_its_version_licence_and_hash() -> None:
    listed = ROW.findall((FOLDER / "VENDOR.md").read_text(encoding="utf-8"))
    there = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in FOLDER.iterdir()
        if file.name != "VENDOR.md"
    }
    assert {name: digest for name, _, _, digest in listed} == there
