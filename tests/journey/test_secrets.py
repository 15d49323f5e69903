"""Where secrets are not: in the list of processes, in what the service logs and prints, in a dump of its database."""

import asyncio
import base64
import os
import re
import secrets
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

import psutil
import pytest

from pushkeeper.__main__ import holds_password, without_password
from pushkeeper.store.db.embedded import EmbeddedPostgres, programs
from support.dashboard import Browser
from support.processes import CLEAN, run, running
from support.service import Http, Workspace, eventually

DATABASE_PASSWORD = "hunter2-of-the-database"
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def database(folder):
    """The URL of an external PostgreSQL, with a password."""
    server = EmbeddedPostgres(folder / "secrets-db")
    url = server.start()
    assert "postgres:@" in url
    yield url.replace("postgres:@", f"postgres:{quote(DATABASE_PASSWORD)}@")
    server.stop()


@pytest.fixture(scope="module")
def env(database):
    return {
        "PUSHKEEPER_SECRET_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "PUSHKEEPER_METRICS_TOKEN": secrets.token_hex(20),
    }


@pytest.fixture(scope="module")
def service(folder, database, env):
    """A service that is told its database in the worst of ways."""
    command = (
        "serve",
        "--data",
        folder / "secrets",
        "--database-url",
        database,
        "--port",
        "0",
        "--workers",
        "2",
    )
    with running(*command, env=env) as started:
        eventually(lambda: len(workers(started)) == 2)
        yield started


def workers(service):
    return [one for one in psutil.Process(service["pid"]).children() if "worker" in one.cmdline()]


@pytest.fixture(scope="module")
def known(service, simulator, database, env):
    """Every secret that the service was told or told us, by what it is, after it has used them all."""
    workspace = Workspace("secrets", service, simulator, env={**env, "PUSHKEEPER_DATABASE_URL": database})
    workspace.add_fcm()
    workspace.add_apns()
    [token] = workspace.mint("ios")
    workspace.track("PUT", "/api/v1/customers/ann", {"email": "ann@private.example"})
    workspace.register("ann", token, "ios")
    workspace.push_and_wait("ann")
    hook = {"name": "ours", "endpoint": "https://nobody.invalid/", "events": ["push_sent"]}
    webhook = workspace.app("POST", "/v1/reporting_webhooks", hook)
    link, cookie = asyncio.run(logged_in(service, workspace))
    assert Http(service["url"], f"Bearer {secrets.token_hex(20)}").request("GET", "/api/v1/keys")[0] == 401
    return {
        **{name: workspace.keys[name] for name in ("site_id", "api_key", "app_api_key", "write_key")},
        "service account": key_of(simulator["service_account_file"]),
        "APNs key": key_of(simulator["apns_key_file"]),
        "signing key": webhook["signing_key"],
        "link": link,
        "session": cookie,
        "password": PASSWORD,
        "device token": token,
        "e-mail": "ann@private.example",
        "database password": DATABASE_PASSWORD,
        "secret key": env["PUSHKEEPER_SECRET_KEY"],
        "metrics token": env["PUSHKEEPER_METRICS_TOKEN"],
    }


async def logged_in(service, workspace):
    """The link by which the first admin came in, and the cookie of their session."""
    link = urlsplit(service["setup_url"]).path
    browser = Browser(urlsplit(service["url"]).port)
    given = {"name": "admin", "password": PASSWORD, "again": PASSWORD}
    seen = await browser.post(link, given)
    assert seen.status == 303, seen.text
    assert (await browser.get("/workspaces")).status == 200
    return link.rpartition("/")[2], browser.cookies["pushkeeper_session"]


def key_of(file):
    """A line from the middle of a private key."""
    text = Path(file).read_text()
    lines = re.split(r"\\n|\n", text)
    return max((line for line in lines if re.fullmatch(r"[A-Za-z0-9+/=]{40,64}", line)), key=len)


def held(known, text):
    return {name for name, secret in known.items() if secret in text}


def test_no_process_shows_a_secret_to_other_users(service, known):
    serving = psutil.Process(service["pid"])
    ours = [serving, *serving.children(recursive=True)]
    assert len(ours) >= 3
    for process in ours:
        assert held(known, Path(f"/proc/{process.pid}/cmdline").read_text()) == set()
        assert Path(f"/proc/{process.pid}/environ").stat().st_mode & 0o077 == 0
    everything = "".join(
        file.read_text(errors="replace") for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists()
    )
    assert "pushkeeper" in everything
    assert held(known, everything) == set()


def test_only_settings_are_in_the_environment(service, known):
    serving = psutil.Process(service["pid"])
    settings = {"database password", "secret key", "metrics token"}
    for process in (serving, *workers(service)):
        assert held(known, "\0".join(process.environ().values())) <= settings


def test_no_secret_is_logged_or_printed(service, known):
    assert '"route":"/v1/send/push"' in service.log()
    assert held(known, service.log()) == set()
    facts = {name: fact for name, fact in service.facts.items() if name != "setup_url"}
    assert held(known, str(facts)) == set()
    assert "…" in service["database_url"]


def test_a_dump_of_the_database_holds_what_is_stored_and_no_secret(service, known, database, env):
    said = run("postgres", "--", programs() / "pg_dump", env={**env, "PUSHKEEPER_DATABASE_URL": database})
    assert said.returncode == 0, said.stderr
    assert held(known, said.stdout) == {"site_id", "device token", "e-mail"}


def test_a_password_on_the_command_line_warns_of_a_better_place(service, database, env):
    on = ("--database-url", database)
    for command in ((*on,), (f"--database-url={database}",)):
        done = run("workspace", "list", *command, "--json", env=env)
        assert done.returncode == 0
        assert "secrets" in done.stdout
        assert done.stderr.startswith("Warning: --database-url holds a password")
        assert "PUSHKEEPER_DATABASE_URL" in done.stderr
        assert DATABASE_PASSWORD not in done.stderr
    bare = database.replace(f":{DATABASE_PASSWORD}@", "@")
    quiet = run("workspace", "list", "--database-url", bare, env={**env, "PGPASSWORD": DATABASE_PASSWORD})
    assert (quiet.returncode, quiet.stderr) == (0, "")


def test_the_installed_program_hides_it_too(service, database, env):
    """As pip makes it: `pushkeeper` is a script beside the interpreter."""
    script = Path(sys.executable).parent / "pushkeeper"
    command = [script, "postgres", "--database-url", database, "--", "sh", "-c", "cat /proc/$PPID/cmdline"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**CLEAN, **env})
    assert done.returncode == 0, done.stderr
    assert "postgres" in done.stdout
    assert DATABASE_PASSWORD not in done.stdout


URL = "postgresql://ann:pw@db/x"


@pytest.mark.parametrize(
    ("given", "kept", "url"),
    [
        (["serve", "--database-url", URL, "--port", "0"], ["serve", "--port", "0"], URL),
        (["serve", f"--database-url={URL}"], ["serve"], URL),
        (["serve", "--database-url", "x", "--database-url", URL], ["serve"], URL),
        (
            ["serve", "--data", "--database-url", "--database-url", URL],
            ["serve", "--data", "--database-url"],
            URL,
        ),
        (["postgres", "--database-url", URL, "--", "psql"], ["postgres", "--", "psql"], URL),
        (["postgres", "mine", "--database-url", URL], None, None),
        (["postgres", "--", "mine", "--database-url", URL], None, None),
        (["serve", "--database-url", "postgresql://ann@db/x"], None, None),
        (["serve", "--database-url"], None, None),
        ([], None, None),
    ],
)
def test_only_our_own_option_is_moved(given, kept, url):
    assert without_password(given, "--database-url") == (given if kept is None else kept, url)


def test_the_replicas_url_is_moved_too():
    given = ["serve", "--database-url", "--replica-url", "--replica-url", URL, "--port", "0"]
    kept = ["serve", "--database-url", "--replica-url", "--port", "0"]
    assert without_password(given, "--replica-url") == (kept, URL)


@pytest.mark.parametrize(
    ("url", "holds"),
    [
        (URL, True),
        ("postgresql://ann@db/x?password=pw", True),
        ("postgresql://db/x?sslmode=require&sslpassword=pw", True),
        ("postgresql://ann:pw@[::1/x", True),
        ("postgresql://ann:p%40w@a:1,b:2/x", True),
        ("postgresql://ann:@/x?host=/tmp", False),
        ("postgresql://ann@db/x", False),
        ("postgresql:///x", False),
    ],
)
def test_a_password_is_found_wherever_a_url_may_hold_one(url, holds):
    assert holds_password(url) is holds


def test_workers_are_told_nothing_by_their_arguments(service):
    for number, one in enumerate(sorted(workers(service), key=lambda one: one.cmdline()), 1):
        assert one.cmdline()[1:] == ["-m", "pushkeeper", "worker", "--child", f"worker-{number}", "--json"]
