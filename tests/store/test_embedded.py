"""The wheel's PostgreSQL in a data folder: started, shared, killed, found again."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import psutil
import pytest
from structlog.testing import capture_logs

from pushkeeper.cli import server as cli_server
from pushkeeper.config import prepare_data_dir
from pushkeeper.errors import Conflict, Misconfigured
from pushkeeper.store.db.database import Database
from pushkeeper.store.db.embedded import EmbeddedPostgres, serving_alone
from support.engine import eventually
from support.scratch import PLACE

if TYPE_CHECKING:
    from collections.abc import Iterator

# Starts a server, says its URL, and leaves it as asked: by end of input, or as kill -9 does.
HOLDER = """
import sys
from pathlib import Path
from pushkeeper.store.db.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
print(server.start(), flush=True)
sys.stdin.read()
server.stop()
"""

SERVER_HOLDER = """
import sys
from pathlib import Path
from pushkeeper.store.db.embedded import serving_alone
with serving_alone(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""

# What the wheel imports is imported before the user changes, for the interpreter may lie where only root can read it;
# the wheel itself after it, for it looks for the user's runtime folder when imported.
AS_ORDINARY_USER = """
import asyncio, hashlib, json, os, platform, pwd, re, shutil, socket, stat, subprocess, sys, tempfile
import fasteners, typing_extensions
from pathlib import Path
from pushkeeper.errors import Misconfigured
from pushkeeper.store.db.database import Database
from pushkeeper.store.db.embedded import EmbeddedPostgres
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
sys.path_importer_cache.clear()
server = EmbeddedPostgres(Path(sys.argv[1]))
url = server.start()
async def look():
    database = await Database.open(url, connections=1)
    print(await database.value("select 6 * 7"))
    await database.close()
asyncio.run(look())
server.stop()
locked = Path(sys.argv[1]) / "locked"
locked.mkdir(mode=0o500)
try:
    EmbeddedPostgres(locked).start()
except Misconfigured as error:
    print(error.message)
"""


@contextmanager
def short_lived_folder() -> Iterator[Path]:
    """A folder that the server's user can reach: every start of pytest closes the one that `tmp_path` is in."""
    with tempfile.TemporaryDirectory(prefix="pk-", dir=PLACE, ignore_cleanup_errors=True) as made:
        yield Path(made)


@contextmanager
def running(data_dir: Path) -> Iterator[tuple[EmbeddedPostgres, str]]:
    server = EmbeddedPostgres(data_dir)
    url = server.start()
    try:
        yield server, url
    finally:
        server.stop()


@contextmanager
def another_process(script: str, *args: object) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", script, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def postmaster(data_dir: Path) -> psutil.Process:
    return psutil.Process(int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0]))


def ended(server: psutil.Process) -> bool:
    """Whether it is gone; it takes a moment from the last line that it writes to its end."""
    gone, _ = psutil.wait_procs([server], timeout=60)
    return len(gone) == 1


def kill_all_of(server: psutil.Process) -> None:
    processes = [server, *server.children(recursive=True)]
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=60)


async def write(url: str, number: int) -> None:
    database = await Database.open(url, connections=1)
    await database.owned.value("create table if not exists kept (number int)")
    await database.value("insert into kept values ($1)", number)
    await database.close()


async def kept(url: str) -> list[int]:
    database = await Database.open(url, connections=1)
    rows = await database.rows("select number from kept order by number")
    await database.close()
    return [row["number"] for row in rows]


@pytest.fixture(scope="module")
def made_once() -> Iterator[Path]:
    """A data folder in which the server has run before, to be copied: making one takes seconds."""
    with short_lived_folder() as data_dir:
        with running(data_dir):
            pass
        yield data_dir


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_lived_folder() as made:
        yield made


@pytest.fixture
def data_dir(made_once: Path, folder: Path) -> Path:
    copied = folder / "data"
    subprocess.run(["cp", "-a", str(made_once), str(copied)], check=True)
    return copied


async def test_what_was_written_is_there_after_a_stop_and_a_start(folder: Path) -> None:
    data_dir = folder / "new" / "data"
    with running(data_dir) as (_, url):
        await write(url, 1)
        server = postmaster(data_dir)
    assert ended(server)
    with running(data_dir) as (_, url):
        assert await kept(url) == [1]


async def test_the_settings_that_we_need_are_in_force(data_dir: Path) -> None:
    with running(data_dir) as (_, url):
        database = await Database.open(url, connections=1)
        found = [await database.value(f"show {name}") for name in ("timezone", "fsync", "synchronous_commit")]
        await database.close()
    assert found == ["UTC", "on", "on"]


async def test_nobody_but_local_users_reaches_it(data_dir: Path) -> None:
    with running(data_dir):
        server = postmaster(data_dir)
        assert [c for c in server.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN] == []


def test_others_can_not_list_the_folder(data_dir: Path) -> None:
    data_dir.chmod(0o755)
    with running(data_dir):
        others = stat.S_IMODE(data_dir.stat().st_mode) & 0o077
        # Root's PostgreSQL is another user's, which has to pass through.
        assert others == (0o011 if os.geteuid() == 0 else 0o055)
    new = data_dir / "new"
    prepare_data_dir(new)
    assert stat.S_IMODE(new.stat().st_mode) == 0o700


async def test_a_second_user_joins_the_server_and_the_last_one_stops_it(data_dir: Path) -> None:
    with running(data_dir) as (_, url):
        server = postmaster(data_dir)
        with running(data_dir) as (_, other_url):
            assert other_url == url
            assert postmaster(data_dir).pid == server.pid
        assert server.is_running()
        await write(url, 1)
    assert ended(server)


async def test_a_second_stop_does_nothing(data_dir: Path) -> None:
    with running(data_dir), running(data_dir) as (second, url):
        second.stop()
        second.stop()
        await write(url, 1)
        assert await kept(url) == [1]


async def test_a_killed_postgresql_starts_again_with_its_data(data_dir: Path) -> None:
    with running(data_dir) as (server, url):
        await write(url, 1)
        kill_all_of(postmaster(data_dir))
        assert server.restart() is True
        assert await kept(url) == [1]
        assert server.restart() is False
        kill_all_of(postmaster(data_dir))
    with running(data_dir) as (_, url):
        assert await kept(url) == [1]


async def test_a_postgresql_of_which_only_the_first_process_was_killed_starts_again(data_dir: Path) -> None:
    with running(data_dir) as (server, url):
        await write(url, 1)
        connection = await asyncpg.connect(url)
        at_work = asyncio.Event()
        connection.add_log_listener(lambda *_: at_work.set())
        # It never looks up, so it does not notice that its server is gone.
        endless = asyncio.create_task(
            connection.execute("do $$ begin raise notice ''; loop end loop; end $$")
        )
        await at_work.wait()
        first = postmaster(data_dir)
        first.kill()
        assert ended(first)
        assert server.restart() is True
        assert await kept(url) == [1]
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await endless


async def test_after_a_killed_user_the_next_one_joins_the_server_and_can_stop_it(data_dir: Path) -> None:
    with another_process(HOLDER, data_dir) as holder:
        url = said(holder)
        server = postmaster(data_dir)
        await write(url, 1)
        holder.kill()
        holder.wait(10)
        assert server.is_running()
        with running(data_dir) as (_, joined_url):
            assert postmaster(data_dir).pid == server.pid
            assert await kept(joined_url) == [1]
        assert ended(server)


async def test_users_in_two_processes_share_the_server_and_the_last_one_stops_it(data_dir: Path) -> None:
    with another_process(HOLDER, data_dir) as holder:
        url = said(holder)
        server = postmaster(data_dir)
        with running(data_dir):
            pass
        await write(url, 1)
        holder.communicate("", timeout=60)
        assert ended(server)


@pytest.mark.parametrize("reached", ["postgres*/PG_VERSION", "postgres/postmaster.pid"])
def test_a_first_start_that_was_killed_half_way_spoils_nothing(folder: Path, reached: str) -> None:
    with another_process(HOLDER, folder) as holder:
        while not list(folder.glob(reached)):
            assert holder.poll() is None
        at_work = psutil.Process(holder.pid).children(recursive=True)
        holder.kill()
        holder.wait(10)
        with running(folder):
            server = postmaster(folder)
            assert server.is_running()
        assert ended(server)
        for process in at_work:
            with suppress(psutil.NoSuchProcess):
                process.kill()


async def test_a_pid_file_that_names_somebody_else_is_not_believed(data_dir: Path) -> None:
    pid_file = data_dir / "postgres" / "postmaster.pid"
    with running(data_dir) as (_, url):
        await write(url, 1)
        lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    with running(data_dir) as (_, url):
        assert postmaster(data_dir).pid != os.getpid()
        assert await kept(url) == [1]


async def test_a_socket_lock_that_names_a_process_which_is_still_there_is_not_believed(
    data_dir: Path, made_once: Path
) -> None:
    # As a killed server leaves it, for as long as its parent has not taken note of its end.
    pgdata = data_dir / "postgres"
    lock = pgdata / ".s.PGSQL.5432.lock"
    with running(data_dir) as (_, url):
        await write(url, 1)
        lines = lock.read_text().splitlines()
    with running(made_once):
        lock.write_text("\n".join([str(postmaster(made_once).pid), *lines[1:]]))
        shutil.chown(lock, pgdata.stat().st_uid, pgdata.stat().st_gid)
        with running(data_dir) as (_, url):
            assert await kept(url) == [1]


async def test_a_pid_file_that_names_another_folders_postgresql_is_not_believed(
    data_dir: Path, made_once: Path
) -> None:
    pid_file = data_dir / "postgres" / "postmaster.pid"
    with running(made_once) as (_, other_url):
        await write(other_url, 1)
        other = postmaster(made_once)
        shutil.copy2(made_once / "postgres" / "postmaster.pid", pid_file)
        with running(data_dir) as (_, url):
            assert url != other_url
            await write(url, 2)
            assert await kept(url) == [2]
        assert other.is_running()
        assert await kept(other_url) == [1]


async def test_a_folder_reached_by_a_link_is_the_same_folder(data_dir: Path, folder: Path) -> None:
    link = folder / "link"
    link.symlink_to(data_dir)
    with running(data_dir) as (_, url), running(link) as (linked, linked_url):
        assert linked_url == url
        assert linked.restart() is False


def test_a_folder_that_cannot_be_written_is_named(folder: Path) -> None:
    (folder / "file").write_text("a file, not a folder")
    below = folder / "file" / "data"
    with pytest.raises(Misconfigured, match=f"data folder: {below} is not writable"):
        EmbeddedPostgres(below).start()


@pytest.mark.parametrize("name", ["x" * 70, "ü" * 40])
def test_a_path_too_long_for_a_socket_is_refused_and_named(folder: Path, name: str) -> None:
    too_long = folder / name
    with pytest.raises(Misconfigured, match=f"data folder: {too_long} is longer than"):
        EmbeddedPostgres(too_long).start()
    assert not too_long.exists()


def test_a_folder_of_the_longest_allowed_path_works(data_dir: Path) -> None:
    longest = data_dir.parent / ("x" * (79 - len(str(data_dir.parent))))
    data_dir.rename(longest)
    with running(longest) as (_, url):
        assert str(longest) in url.replace("%2F", "/")


def test_a_start_that_fails_says_where_and_holds_nothing(data_dir: Path) -> None:
    control = data_dir / "postgres" / "global" / "pg_control"
    whole = control.read_bytes()
    control.write_bytes(b"")
    broken = EmbeddedPostgres(data_dir)
    with pytest.raises(
        Misconfigured, match=r"data folder: PostgreSQL does not start in .*postgres: .*; its log is"
    ):
        broken.start()
    control.write_bytes(whole)
    with running(data_dir):
        server = postmaster(data_dir)
    assert ended(server)
    broken.stop()


def test_something_else_where_the_server_should_be_is_an_error_that_names_the_folder(folder: Path) -> None:
    (folder / "postgres").write_text("a file, not a folder")
    with pytest.raises(Misconfigured, match=f"data folder: .*{folder}"):
        EmbeddedPostgres(folder).start()


def test_a_lock_that_cannot_be_opened_is_an_error_that_names_the_folder(folder: Path) -> None:
    (folder / "postgres.users").mkdir()
    with pytest.raises(Misconfigured, match=f"data folder: .*{folder}"):
        EmbeddedPostgres(folder).start()


def test_a_folder_is_for_one_serve_and_the_other_is_named_by_its_pid(folder: Path) -> None:
    with another_process(SERVER_HOLDER, folder) as holder:
        assert said(holder) == "held"
        with (
            pytest.raises(Conflict, match=rf"in use by another `pushkeeper serve` \(pid {holder.pid}\)"),
            serving_alone(folder),
        ):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        with serving_alone(folder):
            assert (folder / "serve.lock").read_text() == str(os.getpid())


def test_two_serves_of_one_process_conflict_too(folder: Path) -> None:
    with serving_alone(folder), pytest.raises(Conflict, match=f"pid {os.getpid()}"), serving_alone(folder):
        pass
    with serving_alone(folder):
        pass


def test_preparing_a_folder_leaves_nothing_in_it(folder: Path) -> None:
    prepare_data_dir(folder / "a" / "b")
    assert list((folder / "a" / "b").iterdir()) == []


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can become somebody else; as a user every test here shows it"
)
def test_it_runs_as_an_ordinary_user_too() -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    with tempfile.TemporaryDirectory() as made:
        os.chown(made, nobody, nobody)
        done = subprocess.run(
            [sys.executable, "-c", AS_ORDINARY_USER, made, str(nobody)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "XDG_RUNTIME_DIR": made, "HOME": made},
        )
        assert done.stdout.splitlines() == [
            "42",
            f"data folder: {made}/locked is not writable (Permission denied)",
        ], done.stderr
        assert (Path(made) / "postgres").stat().st_uid == nobody


async def test_who_looks_after_the_server_outlives_any_error(tmp_path: Path) -> None:
    """A file in the folder's place, or a full disk: a retry may succeed."""
    (tmp_path / "file").touch()
    with capture_logs() as said:
        looking = asyncio.create_task(
            cli_server._keep_running(EmbeddedPostgres(tmp_path / "file" / "folder").restart)
        )
        await eventually(lambda: asyncio.sleep(0, len(said) >= 2))
        assert {line["event"] for line in said} == {"postgres_does_not_start"}
        assert not looking.done()
        looking.cancel()
