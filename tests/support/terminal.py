"""A command in a terminal: what it shows there, and what somebody answers to it."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time

from support.processes import CLEAN

ROWS, COLUMNS = 24, 80


class Terminal:
    """A process whose standard files are a terminal of 80 columns; ends with `with`."""

    def __init__(self, *words, env=None):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._ours, self.shown = ours, ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pushkeeper", *map(str, words)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**CLEAN, "TERM": "xterm-256color", **(env or {})},
            start_new_session=True,
        )
        os.close(theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def until(self, text, within_s=60.0):
        """Read until it shows a text."""
        end = time.monotonic() + within_s
        while text not in self.shown:
            assert self._read(end), f"{text!r} was not shown: {self.shown}"
        return self.shown

    def says(self, text):
        """Type a line."""
        os.write(self._ours, f"{text}\n".encode())

    def ends(self, within_s=60.0):
        """The exit code, and all that was shown."""
        end = time.monotonic() + within_s
        while self._read(end):
            pass
        return self.process.wait(within_s), self.shown.replace("\r\n", "\n")

    def _read(self, end):
        ready, _, _ = select.select([self._ours], [], [], max(end - time.monotonic(), 0))
        try:
            read = os.read(self._ours, 65_536) if ready else b""
        except OSError:  # the other side is closed
            return False
        self.shown += read.decode(errors="replace")
        return bool(read)


def seen(*words, env=None):
    """What a command shows in a terminal, to its end."""
    with Terminal(*words, env=env) as terminal:
        code, shown = terminal.ends()
        assert code == 0, shown
        return shown
