"""The log's thread: nobody waits for it, lines stay whole and in order, and what is missing is counted at its place."""

import contextlib
import fcntl
import gc
import os
import subprocess
import sys
import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from pushkeeper.observability.log_writer import LogWriter
from support.examples import examples

PIPE_BYTES = 4096


class Pipe:
    """A pipe of 4 kB with a writer on it; nobody reads until `read_all` is called."""

    def __init__(self, *, blocking=True, max_queued_bytes=10_000):
        self._read, self._write = os.pipe()
        fcntl.fcntl(self._write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(self._write, blocking)
        self.writer = LogWriter(
            self._write, tell_gap="{} missing\n".format, max_queued_bytes=max_queued_bytes
        )

    def read_all(self):
        """Close the writer while somebody reads, and return the lines that were read."""
        lines: list[str] = []
        reader = threading.Thread(target=self._read_into, args=(lines,))
        reader.start()
        self.writer.close(within_s=30)
        os.close(self._write)
        reader.join()
        return lines

    def _read_into(self, lines):
        with os.fdopen(self._read) as file:
            lines.extend(file.read().splitlines())

    def leave(self):
        """Close both ends, whatever is in between."""
        for fd in (self._read, self._write):
            with contextlib.suppress(OSError):
                os.close(fd)


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.integers(0, 3000), max_size=60), st.booleans(), st.sampled_from([3_000, 10_000]))
def test_lines_come_whole_and_in_order_and_gaps_count_what_is_missing(lengths, blocking, room):
    pipe = Pipe(blocking=blocking, max_queued_bytes=room)
    for number, length in enumerate(lengths):
        pipe.writer.write(f"{number} {'x' * length}\n")
    lines, dropped = pipe.read_all(), pipe.writer.dropped
    expected = 0
    for line in lines:
        first, _, rest = line.partition(" ")
        if rest == "missing":
            expected += int(first)
        else:
            assert line == f"{expected} {'x' * lengths[expected]}"
            expected += 1
    assert expected == len(lengths)
    assert dropped == sum(int(line.split()[0]) for line in lines if line.endswith(" missing"))
    if sum(lengths) < room // 2:
        assert dropped == 0


def test_a_reader_that_stalls_costs_lines_and_no_time_and_the_end_of_the_process_is_not_put_off():
    pipe = Pipe(max_queued_bytes=10_000)
    for _ in range(10_000):
        pipe.writer.write("a line that nobody reads\n")  # would hang after 163 of them
    pipe.writer.close(within_s=0.01)
    assert pipe.writer.dropped > 9_000
    pipe.leave()


def test_a_file_on_a_full_disk_gets_its_lines_once_there_is_room(tmp_path):
    """A file that may not grow is refused like one on a full disk: with an error, after a part of what was written."""
    file = tmp_path / "log"
    program = """
import resource, signal, sys
from pushkeeper.observability.log_writer import LogWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
with open(sys.argv[1], "wb", buffering=0) as file:
    writer = LogWriter(file.fileno(), tell_gap="{} missing\\n".format, max_queued_bytes=5000)
    for number in range(1000):
        writer.write(f"{number:09d}\\n")
    print("full", flush=True)
    input()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    writer.close(30)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "full\n"
    assert file.stat().st_size <= 1000
    process.communicate("go on\n", timeout=60)
    lines = file.read_text().splitlines()
    kept = len(lines) - 1
    assert kept >= 500
    assert lines == [*(f"{number:09d}" for number in range(kept)), f"{1000 - kept} missing"]


def test_a_file_descriptor_that_is_closed_fails_nobody():
    read, write = os.pipe()
    os.close(read)
    writer = LogWriter(write, tell_gap="{} missing\n".format)
    writer.write("nobody reads this\n")
    writer.close(within_s=10)
    assert not any(thread.name == "log-writer" and thread.is_alive() for thread in [writer._thread])
    os.close(write)


def test_what_the_garbage_collector_logs_while_a_line_is_queued_does_not_wait_for_itself():
    pipe = Pipe(max_queued_bytes=1_000_000)

    class Last:
        def __init__(self):
            self.itself = self

        def __del__(self):
            pipe.writer.write("collected\n")

    with pipe.writer._lock:  # as in the middle of `write_lines`
        Last()
        gc.collect()
    assert pipe.read_all() == ["collected"]


def test_many_threads_lose_nothing():
    pipe = Pipe(max_queued_bytes=10_000_000)

    def write(name):
        for number in range(500):
            pipe.writer.write(f"{name} {number}\n")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = pipe.read_all()
    for name in "abcd":
        assert [line for line in lines if line[0] == name] == [f"{name} {number}" for number in range(500)]
