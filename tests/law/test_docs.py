"""The documentation says what the code says, and points at what is there."""

import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pushkeeper.api.openapi.operations import OPERATIONS

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


def test_generated_pages_are_what_the_code_says():
    assert runpy.run_path(str(ROOT / "docs" / "generate.py"))["stale"]() == [], "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_make_target_that_is_shown_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        shown = set(
            re.findall(r"`make ([a-z]+)`|^make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
        )
        assert {a or b for a, b in shown} <= targets


def test_every_decision_is_listed():
    folder = ROOT / "docs" / "decisions"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    assert all(page.name in listed for page in folder.glob("0*.md"))


def test_our_own_api_is_described_whole():
    """Each path of ours beside those that Customer.io's Track API has."""
    source = ROOT / "src" / "pushkeeper" / "api"
    routed = {
        path
        for file in source.rglob("*.py")
        if file.name not in {"track_v1.py", "delivery_reports.py"} and file.parent.name != "openapi"
        for path in re.findall(r'"(/api/v1/[^"]*)"', file.read_text(encoding="utf-8"))
    }
    assert routed == {path for _, path in OPERATIONS}


def test_every_fragment_of_the_changelog_is_rendered():
    """Fragments of a type that towncrier is not told about are left out without an error."""
    types = {
        one["directory"]
        for one in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]["type"]
    }
    fragments = list((ROOT / "changelog.d").glob("*.md"))
    named = [fragment.name for fragment in fragments]
    assert [
        name for name in named if not re.fullmatch(rf"[0-9]+\.({'|'.join(sorted(types))})\.md", name)
    ] == []
    rendered = subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "1.0.0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = {line.removeprefix("- ").strip() for line in rendered.splitlines()}
    missing = [
        line
        for fragment in fragments
        for line in fragment.read_text(encoding="utf-8").splitlines()
        if line.removeprefix("- ").strip() not in lines
    ]
    assert missing == []
    assert "\n- - " not in rendered
