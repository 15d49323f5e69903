"""A process in which all is imported already, and which forks for each command that a test gives.

A command costs its own work then, and not another start of Python. The order in which a process of its own would import our
modules is the same to it, as there are no circles of imports. Run as a script, with the path of its socket; ends when its
standard input is closed.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import select
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

_LARGEST = 1 << 17  # of arguments and environment together


def main() -> None:
    """Serve commands, each by a process of its own that another waits for."""
    _import_all()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            asked, _ = listener.accept()
            with asked:
                if os.fork() == 0:
                    listener.close()
                    _serve(asked)
                    return


def _import_all() -> None:
    import pushkeeper

    for module in pkgutil.walk_packages(pushkeeper.__path__, "pushkeeper."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    gc.collect()
    gc.freeze()


def _serve(asked: socket.socket) -> None:
    """In a process of its own: start the command, say its pid, and then how it ended; in the command's: run it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    data, files, *_ = socket.recv_fds(asked, _LARGEST, 2)
    told = json.loads(data)
    command = os.fork()
    if command == 0:
        asked.close()
        _become(told, files)
        return
    asked.send(str(command).encode())
    _, status = os.waitpid(command, 0)
    with suppress(OSError):  # the client has left
        asked.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(told: dict[str, Any], files: list[int]) -> None:
    """Be a `python -m pushkeeper` with these arguments and this environment, to its very end."""
    for number, file in zip((1, 2), files, strict=True):
        os.dup2(file, number)
        os.close(file)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(told["folder"])
    os.environ.clear()
    os.environ.update(told["environment"])
    words: list[str] = told["words"]
    sys.argv = ["pushkeeper", *words]
    sys.orig_argv = [sys.executable, "-m", "pushkeeper", *words]
    from pushkeeper.__main__ import main as command

    try:
        command()
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
        status = ended.code or 0
    else:
        status = 0
    # To take all those modules down again would take nearly half of what most commands take.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
