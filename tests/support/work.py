"""What something costs as its input grows: processor time, the least of several measurements, without the garbage collector."""

from __future__ import annotations

import gc
import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

TIMES = 8  # how much larger the larger input is, in three doublings
MOST = 2.5  # what one doubling may cost: 2.3, and what the caches of a busy machine add
_TRIES = 40


@contextmanager
def no_collections() -> Iterator[None]:
    """Nothing but the work itself is measured: no garbage collection, and no memory asked of the kernel and given back."""
    gc.disable()
    held = [[0] for _ in range(300_000)][::1_000]  # one here and there keeps what is free between them
    try:
        yield
    finally:
        del held
        gc.enable()


async def growth(do: Callable[[int], Awaitable[object]], size: int) -> float:
    """How many times more each doubling costs, from `size` to `TIMES` of it: measured again while that looks like too much.

    Where what is small fits a processor's cache and what is large does not there is one step; so the least counts of all three
    doublings together and of the last two. What grows with the square is too much in each.
    """
    least: dict[int, float] = {}

    async def cost(of: int) -> float:
        started = time.process_time()
        await do(size * of)
        least[of] = min(least.get(of, math.inf), time.process_time() - started)
        return least[of]

    found = math.inf
    for _ in range(_TRIES):
        whole = await cost(TIMES)
        found = (whole / await cost(1)) ** (1 / 3)
        if found > MOST:
            half = await cost(TIMES // 2)
            found = min(found, whole / half, half / await cost(TIMES // 4))
        if found <= MOST:
            break
    return found


def shapes() -> dict[str, Callable[[int], bytes]]:
    """JSON of about so many bytes that is the worst for somebody: for walkers, copiers, patterns, numbers, messages."""
    return {
        "a long key over a long list": lambda n: (
            b'{"%s":[%s"\\u0000"]}' % (b"k" * (n // 2), b"0," * (n // 4))
        ),
        "a long key over many keys": lambda n: b'{"%s":{%s"\\u0000":0}}' % (b"k" * (n // 2), _keys(n // 2)),
        "long keys within each other": lambda n: (
            b'{"%s":' % (b"k" * (n // 90)) * 90 + b'"\\u0000"' + b"}" * 90
        ),
        "deep lists": lambda n: b"[" * (n // 2) + b"]" * (n // 2),
        "deep objects": lambda n: b'{"a":' * (n // 6) + b"0" + b"}" * (n // 6),
        "deep lists side by side": lambda n: (
            b"[%s0]" % ((b'["ab",' * 30 + b"0" + b"]" * 30 + b",") * (n // 212))
        ),
        "many keys": lambda n: b'{%s"a":0}' % _keys(n),
        "one key many times": lambda n: b'{%s"a":0}' % (b'"a":0,' * (n // 6)),
        "many numbers": lambda n: b"[%s0]" % (b"0," * (n // 2)),
        "many lists": lambda n: b"[%s[]]" % (b"[]," * (n // 3)),
        "many objects": lambda n: b"[%s{}]" % (b"{}," * (n // 3)),
        "many texts": lambda n: b'[%s""]' % (b'"ab",' * (n // 5)),
        "long numbers": lambda n: b"[%s0]" % ((b"1" * 99 + b",") * (n // 100)),
        "a number without end": lambda n: b"1" * n,
        "a fraction without end": lambda n: b"0." + b"1" * n,
        "a long text": lambda n: b'"%s"' % (b"a" * n),
        "a text of escapes": lambda n: b'"%s"' % (b"\\u00e9" * (n // 6)),
        "a text of digits": lambda n: b'"%s"' % (b"1" * n),
        "a text of blanks": lambda n: b'"a%sb"' % (b" " * n),
        "a text of dots": lambda n: b'"%s"' % (b"a." * (n // 2)),
        "a text of brackets": lambda n: b'"%s"' % (b"(" * n),
        "a text of conditions": lambda n: b'"%s a = 1"' % (b"a = 1 and " * (n // 10)),
        "a text of values": lambda n: b'"a in (%s 1)"' % (b"1, " * (n // 3)),
        "a text of variables": lambda n: b'"%s"' % (b"{{ a }}" * (n // 7)),
        "a text of tags that are not closed": lambda n: b'"%s"' % (b"{% if a %}" * (n // 10)),
    }


def _keys(n: int) -> bytes:
    return b"".join(b'"%x":0,' % key for key in range(n // 9))
