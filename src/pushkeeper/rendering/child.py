"""The rendering process: reads groups from its standard input, and renders them within limits of time and memory.

Run by `Renderer` as `python -m pushkeeper.rendering.child`. It opens no file or connection, and knows no secret and
no database.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import time
from collections import OrderedDict
from typing import BinaryIO

import msgspec

from pushkeeper.core.messages.liquid import RenderError
from pushkeeper.core.messages.personalize import BadContent, MessageRenderer
from pushkeeper.rendering.frames import (
    LENGTH_BYTES,
    Group,
    Message,
    NotRendered,
    Rendered,
    RenderReply,
    Said,
    framed,
)

SLICE_S = 0.1  # of one group, before somebody else's has its turn
MAX_SPEAKERS_CHARACTERS = 400_000
_NICENESS = 5  # slow templates must not take the processor from the processes that answer and send


class _Speakers:
    """The messages that were rendered lately."""

    def __init__(self) -> None:
        self._speakers: OrderedDict[bytes, MessageRenderer] = OrderedDict()
        self._characters = 0

    def of(self, message: bytes) -> MessageRenderer:
        """The message, compiled; BadContent when it is not Liquid."""
        if (found := self._speakers.get(message)) is not None:
            self._speakers.move_to_end(message)
            return found
        told = msgspec.json.decode(message, type=Message)
        made = self._speakers[message] = MessageRenderer(told.content, told.wording)
        self._characters += made.characters
        while self._characters > MAX_SPEAKERS_CHARACTERS and len(self._speakers) > 1:
            _, forgotten = self._speakers.popitem(last=False)
            self._characters -= forgotten.characters
        return made


class _Limits:
    """What the process holds itself to, by means of the kernel."""

    def __init__(self, deadline_s: float, memory_bytes: int) -> None:
        self._deadline_s = deadline_s
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _, allowed = resource.getrlimit(resource.RLIMIT_DATA)
        most = memory_bytes if allowed == resource.RLIM_INFINITY else min(memory_bytes, allowed)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))

    def begin(self) -> None:
        """From now on, this many seconds of CPU end the process by SIGPROF, even within one call into C."""
        signal.setitimer(signal.ITIMER_PROF, self._deadline_s)

    def end(self) -> None:
        """What began is over."""
        signal.setitimer(signal.ITIMER_PROF, 0)


def serve(requests: BinaryIO, answers: BinaryIO, limits: _Limits) -> None:
    """Answer groups until there are no more."""
    speakers = _Speakers()
    decoder = msgspec.json.Decoder(Group)
    while head := requests.read(LENGTH_BYTES):
        group = decoder.decode(requests.read(int.from_bytes(head, "big")))
        answers.write(framed(msgspec.json.encode(RenderReply(_render(speakers, group, limits)))))
        answers.flush()


def _render(speakers: _Speakers, group: Group, limits: _Limits) -> list[Said]:
    said: list[Said] = []
    ends_at = time.monotonic() + SLICE_S
    for reader, platform in group.readers:
        limits.begin()
        try:
            said.append(Rendered(speakers.of(bytes(group.message)).say(reader, platform)))
        except (RenderError, BadContent) as error:
            said.append(NotRendered(str(error)))
        finally:
            limits.end()
        if time.monotonic() > ends_at:
            break
    return said


def main() -> None:
    """Say that it is ready, and serve."""
    deadline_s, memory_bytes = float(sys.argv[1]), int(sys.argv[2])
    # Ctrl-C at a terminal is for the service, which ends this process by closing its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)
    limits = _Limits(deadline_s, memory_bytes)
    gc.freeze()
    answers = sys.stdout.buffer
    answers.write(framed(msgspec.json.encode(RenderReply([]))))
    answers.flush()
    serve(sys.stdin.buffer, answers, limits)


if __name__ == "__main__":
    main()
