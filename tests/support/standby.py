"""Standbys of a PostgreSQL on this machine, by its own programs, each on a socket in its own folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import asyncpg
import psutil

from pushkeeper.observability.meters import PROCESS
from pushkeeper.observability.metrics import Metric
from pushkeeper.store.db.database import Database
from support.engine import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pushkeeper.store.db.replica import Replica

_LONGEST_S = 60


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server: its address, where its programs are, and the user of this machine that it runs as."""

    url: str
    folder: Path
    programs: Path
    user: str

    @property
    def pid(self) -> int:
        """Of its postmaster."""
        return int((self.folder / "postmaster.pid").read_text().split("\n", 1)[0])

    async def value(self, query: str, *args: object) -> object:
        """What it answers on a connection of its own."""
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetchval(query, *args)
        finally:
            await connection.close()

    async def set(self, setting: str, value: str) -> None:
        """Change a setting, for all that is begun from now on."""
        await self.value(f"alter system set {setting} = '{value}'")
        await self.value("select pg_reload_conf()")
        await eventually(lambda: self.value("select current_setting($1) = $2", setting, value))

    async def pause(self) -> None:
        """Replay nothing from now on, though it is received."""
        await self.value("select pg_wal_replay_pause()")
        await eventually(lambda: self.value("select pg_get_wal_replay_pause_state() = 'paused'"))

    async def resume(self) -> None:
        await self.value("select pg_wal_replay_resume()")

    async def cut(self) -> None:
        """Receive nothing from now on."""
        await self.set("primary_conninfo", "host=/nowhere")
        await eventually(lambda: self.value("select not exists (select from pg_stat_wal_receiver)"))

    async def follow(self, primary: Server) -> None:
        """Receive what this one writes."""
        await self.set("primary_conninfo", _conninfo(primary.url))
        await eventually(lambda: self.value("select status = 'streaming' from pg_stat_wal_receiver"))

    async def promote(self) -> None:
        assert await self.value(f"select pg_promote(true, {_LONGEST_S})")

    def signal(self, number: int) -> None:
        """Send a signal to all of its processes."""
        postmaster = psutil.Process(self.pid)
        for process in (postmaster, *postmaster.children()):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill(self) -> None:
        """As when its machine dies."""
        postmaster = psutil.Process(self.pid)
        self.signal(signal.SIGKILL)
        postmaster.wait(_LONGEST_S)

    def start(self) -> None:
        # What one that died left, or the copy of a running server's.
        for lock in (self.folder / "postmaster.pid", *self.folder.glob(".s.PGSQL.*")):
            lock.unlink(missing_ok=True)
        options = f"-k {self.folder} -c listen_addresses= -c fsync=off -c shared_buffers=16MB"
        self.run(
            "pg_ctl",
            "start",
            "-w",
            "-t",
            _LONGEST_S,
            "-D",
            self.folder,
            "-l",
            self.folder / "log",
            "-o",
            options,
        )

    def stop(self) -> None:
        if (self.folder / "postmaster.pid").exists() and psutil.pid_exists(self.pid):
            self.signal(signal.SIGCONT)
            self.run("pg_ctl", "stop", "-w", "-t", _LONGEST_S, "-m", "immediate", "-D", self.folder)

    def run(self, program: str, *args: object) -> None:
        """One of its programs, as its user."""
        command = [str(self.programs / program), *map(str, args)]
        user = self.user if os.geteuid() == 0 else None
        done = subprocess.run(
            command,
            user=user,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        log = self.folder / "log"
        assert done.returncode == 0, done.stdout + (log.read_text() if log.exists() else "")


async def server_of(url: str) -> Server:
    """The server at an address, which is on this machine."""
    connection = await asyncpg.connect(url)
    try:
        folder = await connection.fetchval("show data_directory")
        programs = await connection.fetchval("select setting from pg_config where name = 'BINDIR'")
    finally:
        await connection.close()
    folder = Path(folder)
    return Server(url=url, folder=folder, programs=Path(programs), user=folder.owner())


@contextmanager
def standby_of(primary: Server) -> Iterator[Server]:
    """Another that follows it, as a copy made now."""
    with _beside(primary) as made:
        made.run(
            "pg_basebackup",
            "-D",
            made.folder,
            "-d",
            _conninfo(primary.url),
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
        )
        made.start()
        yield made


@contextmanager
def stranger_to(primary: Server) -> Iterator[Server]:
    """A standby of its make that follows nobody: another cluster."""
    with _beside(primary) as made:
        made.run(
            "initdb",
            "-D",
            made.folder,
            "-U",
            "postgres",
            "--auth=trust",
            "--no-sync",
            "--locale=C",
            "--encoding=UTF8",
        )
        (made.folder / "standby.signal").touch()
        made.start()
        yield made


@contextmanager
def _beside(primary: Server) -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="pk-"))
    if os.geteuid() == 0:
        user = pwd.getpwnam(primary.user)
        os.chown(folder, user.pw_uid, user.pw_gid)
    parts = urlsplit(primary.url)
    url = f"postgresql://{parts.username}@{parts.path}?host={folder}"
    made = Server(url=url, folder=folder, programs=primary.programs, user=primary.user)
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)


def _conninfo(url: str) -> str:
    parts = urlsplit(url)
    return f"host={parse_qs(parts.query)['host'][0]} user={parts.username}"


@asynccontextmanager
async def reading_from(
    url: str, database: Database, *, max_lag_s: float = _LONGEST_S
) -> AsyncIterator[Database]:
    """The database, with a replica at an address."""
    opened = await Database.open(database.url, connections=4)
    try:
        await opened.add_replica(url, max_lag_s=max_lag_s)
        yield opened
    finally:
        await opened.close()


def answered_by(server: str, reason: str = "none") -> float:
    """How many reads a server answered, the primary for a reason."""
    return PROCESS.count(Metric.REPLICA_READS, server, reason).value


def replica_of(database: Database) -> Replica:
    assert database.replica is not None
    return database.replica
