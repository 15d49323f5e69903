"""What the pages print can be typed: commands and options that there are, paths that are answered, and a site that is whole."""

import re
import shutil
import subprocess

import pytest
import yaml
from starlette.routing import Match

from pushkeeper import wiring
from pushkeeper.config import OF_COMMANDS, Settings
from pushkeeper.core.delivery.delivery_id import DeliveryIds
from pushkeeper.core.model import Secret
from pushkeeper.store.admin.vault import Vault
from pushkeeper.store.db.database import Database
from pushkeeper.web.router import PathRouter
from support.command_line import parsed, resolved
from support.pages import DOCS, blocks, commands
from support.pictures import PICTURES, size

ROOT = DOCS.parent
PAGES = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))
SITE = ROOT / ".venv-site" / "bin" / "zensical"
TYPED = [(page, words) for page in PAGES for words in commands(page)]


@pytest.mark.parametrize(
    ("page", "words"), TYPED, ids=[f"{page}: {' '.join(words)}"[:80] for page, words in TYPED]
)
def test_a_command_that_is_printed_is_one(page, words):
    rest = [re.sub(r"^([a-z]+)(\|[a-z]+)+$", r"\1", word) for word in words]  # count|sample|preview
    if "…" in rest:
        rest = rest[: rest.index("…")]  # said in passing: that there is such a command
        resolved(rest)
        return
    parsed(rest)


def test_commands_are_found_at_all():
    assert ("quickstart/first-push.md", ["doctor"]) in TYPED
    assert len(TYPED) > 40


@pytest.fixture(scope="module")
async def routes():
    """All that is answered, as a service answers it; nobody asks its database, but its pools want a running loop."""
    store = wiring.Store(Database("", DeliveryIds(Secret(bytes(32)))), Vault(Secret(bytes(32))), None, ())
    doors = wiring.api(store, "http://push.example.com")
    assert isinstance(doors, PathRouter)
    return doors.routes


def asked(page):
    """Method and path of each curl to a service of ours, and of what is printed as METHOD /path."""
    for block in blocks(page):
        text = re.sub(r"\\\n\s*", " ", block)
        for line in re.findall(r"curl [^\n]*", text):
            for path in re.findall(r"https?://(?:push\.example\.com|localhost:8383)(/[^\s\"'?]*)", line):
                given = re.search(r"-X ([A-Z]+)", line)
                body = re.search(r"\s-d\s", line)
                yield (given[1] if given else "POST" if body else "GET"), path
    prose = re.sub(r"^```.*?^```", "", (DOCS / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    for method, path in re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^\s`?]*)", prose):
        yield method, path


ASKED = [(page, method, path) for page in PAGES if "simulator" not in page for method, path in asked(page)]


@pytest.mark.parametrize(("page", "method", "path"), ASKED)
def test_a_path_that_is_printed_is_answered(page, method, path, routes):
    first = re.sub(r"\|[a-z]+", "", path)  # pause|resume|apply
    scope = {"type": "http", "method": method, "path": first, "root_path": "", "headers": []}
    found = [route for route in routes if route.matches(scope)[0] is not Match.NONE]
    answered = {name for route in found for name in getattr(route.app, "handlers", {"GET": None})}
    assert method in answered, (page, method, path)


def test_paths_are_found_at_all():
    assert ("how-to/customerio-sdks.md", "DELETE", "/api/v1/customers/42/devices/$TOKEN") in ASKED
    assert len(ASKED) > 25


def test_a_setting_that_is_named_in_the_environment_is_one():
    known = {f"PUSHKEEPER_{name.upper()}" for name in Settings.__dataclass_fields__} | OF_COMMANDS
    for page in PAGES:
        named = set(re.findall(r"PUSHKEEPER_[A-Z_]+[A-Z]", (DOCS / page).read_text()))
        assert named <= known, page


def pages_of(nav):
    for entry in nav:
        if isinstance(entry, str):
            yield entry
        else:
            for below in entry.values():
                yield from [below] if isinstance(below, str) else pages_of(below)


def test_every_page_has_its_place_in_the_sites_navigation():
    placed = list(pages_of(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert sorted(placed) == PAGES


@pytest.mark.parametrize("folder", ["concepts", "how-to", "reference"])
def test_every_page_of_a_folder_is_listed_on_its_first_page(folder):
    listed = (DOCS / folder / "README.md").read_text()
    for page in (DOCS / folder).glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in listed, page.name


def test_the_readme_leads_to_each_part_of_the_documentation():
    readme = (ROOT / "README.md").read_text()
    for page in ("quickstart/first-push.md", "concepts/README.md", "how-to/README.md", "reference/README.md"):
        assert f"docs/{page}" in readme, page


def test_every_picture_is_one_that_the_browser_tests_take_and_is_shown_and_small():
    files = list((DOCS / "images").iterdir())
    assert {file.stem for file in files} == set(PICTURES), "run `make screenshots`"
    shown = "".join((DOCS / page).read_text() for page in PAGES)
    for file in files:
        assert size(file.read_bytes()) == PICTURES[file.stem].size, f"{file.name}: run `make screenshots`"
        assert PICTURES[file.stem].size[0] <= 1_280
        assert f"images/{file.name}" in shown, file.name
    assert sum(file.stat().st_size for file in files) < 600_000


def test_the_pictures_of_the_readme_are_there():
    found = re.findall(r'(?:src|srcset)="([^"]+)"', (ROOT / "README.md").read_text())
    assert found
    assert all((ROOT / path).is_file() for path in found)


def test_the_landing_page_is_a_screenful():
    text = (DOCS / "index.md").read_text()
    assert len(text.splitlines()) < 50


@pytest.mark.skipif(not SITE.exists(), reason="`make site` has not been asked for")
def test_the_site_is_whole_and_asks_nobody_else_for_anything(tmp_path):
    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    built = subprocess.run(
        [SITE, "build", "--strict"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(PAGES) - 2
    for page in pages:
        text = page.read_text()
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]* src=\"([^\"]+)\"", text)
        loaded += re.findall(
            r"<link[^>]* rel=\"?(?:stylesheet|preload|preconnect|icon)\"?[^>]* href=\"([^\"]+)\"", text
        )
        assert [address for address in loaded if re.match(r"(https?:)?//", address)] == [], page
    sheets = "".join(sheet.read_text() for sheet in (tmp_path / "site").rglob("*.css"))
    assert re.findall(r"(?:@import|url\()[^;)]*https?:", sheets) == []
