"""A PostgreSQL of any version, from the folder of its programs, beside the wheel's that `EmbeddedPostgres` runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from support.scratch import PLACE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def server_of(programs: Path) -> Iterator[str]:
    """The address of a new server, set as `initdb` sets it; PostgreSQL refuses to run as root, so root's is nobody's."""
    user = "nobody" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="pk-", dir=PLACE) as made:
        if user is not None:
            shutil.chown(made, user)

        def do(program: str, *arguments: str) -> None:
            command = [str(programs / program), "-D", f"{made}/data", *arguments]
            subprocess.run(
                command,
                user=user,
                extra_groups=None if user is None else [],
                cwd=made,
                stdout=subprocess.DEVNULL,
                check=True,
            )

        do("initdb", "--auth=trust", "--encoding=utf8", "--username=postgres", "--no-sync")
        do("pg_ctl", "-w", "-l", f"{made}/log", "-o", f"-h '' -k {made}", "start")
        try:
            yield f"postgresql://postgres:@/postgres?host={made}"
        finally:
            do("pg_ctl", "-w", "-m", "immediate", "stop")
