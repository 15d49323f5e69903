"""Whose turn it is: calls that wait for their keys, in order for each key, and owners that take turns.

No I/O and no clock. Each call costs a few steps for each of its keys, however many others wait.
"""

from __future__ import annotations

from collections import Counter, deque
from enum import IntEnum
from itertools import islice
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

Item = TypeVar("Item")


class Keys(NamedTuple):
    """What a call locks (a device, a person's identifier, a workspace), and who shares that.

    Attributes:
        alone: with nobody.
        shared: with calls of the same group that share it too.
        within: with anybody who does not have it alone, in this group or another: the container of the locked things.
        owner: the caller's owner. Owners take turns; callers who share a key are one owner.
        serial: it needs separate statements. It is written with such calls of its owner alone, one after the other,
            so that keys need no waiting among them.
    """

    alone: tuple[Hashable, ...] = ()
    shared: tuple[Hashable, ...] = ()
    within: tuple[Hashable, ...] = ()
    owner: Hashable = None
    serial: bool = False


class _Mode(IntEnum):
    WITHIN = 1
    SHARED = 2
    ALONE = 3


_WITHIN, _SHARED, _ALONE = _Mode


class Waiting(Generic[Item]):
    """A call with its locks: `blocked` is how many of its keys others hold, or requested before."""

    __slots__ = ("blocked", "item", "modes", "owner", "serial")

    def __init__(self, item: Item, keys: Keys) -> None:
        self.item = item
        self.owner = keys.owner
        self.serial = keys.serial
        self.blocked = 0
        self.modes: dict[Hashable, _Mode] = {}
        for key in keys.within:
            self.modes[key] = _WITHIN
        for key in keys.shared:
            self.modes[key] = _SHARED
        for key in keys.alone:
            self.modes[key] = _ALONE


class _Line(Generic[Item]):
    """Those who want one key: how many have it, in which mode, and who waits for it, in order."""

    __slots__ = ("held", "mode", "waiting")

    def __init__(self, mode: _Mode) -> None:
        self.held = 1
        self.mode = mode
        self.waiting: deque[Waiting[Item]] | None = None  # most keys are one call's alone


class _Ready(Generic[Item]):
    """Calls that have all their keys, by owner."""

    def __init__(self) -> None:
        self._of: dict[Hashable, deque[Waiting[Item]]] = {}  # in the order of turns
        self.count = 0

    def add(self, waiting: Waiting[Item]) -> None:
        own = self._of.get(waiting.owner)
        if own is None:
            own = self._of[waiting.owner] = deque()
        own.append(waiting)
        self.count += 1

    def owners(self) -> Iterator[Hashable]:
        """Owners with calls here, in the order of their turns."""
        return iter(self._of)

    def take(self, owner: Hashable) -> deque[Waiting[Item]]:
        """An owner's calls; what is given back waits for the turn after all others'."""
        own = self._of.pop(owner, None) or deque()
        self.count -= len(own)
        return own

    def give_back(self, owner: Hashable, own: deque[Waiting[Item]]) -> None:
        if own:
            self._of[owner] = own
            self.count += len(own)


class Turns(Generic[Item]):
    """Calls that wait to be written in groups.

    Of two calls that have a key in common, the one that was added first is written first; both in one group only where
    both share it, or both are serial. Beyond that owners take turns: each has the same share of a group as the others who
    wait, and what one leaves is for the rest.
    """

    def __init__(self, *, most: int, most_serial: int, most_groups_of_one: int) -> None:
        """`most` calls are in a group, or `most_serial`; one owner's calls in so many groups at once."""
        self._most = most
        self._most_serial = most_serial
        self._most_groups_of_one = most_groups_of_one
        self._lines: dict[Hashable, _Line[Item]] = {}
        self._ready: _Ready[Item] = _Ready()
        self._serial: _Ready[Item] = _Ready()
        self._unfinished: Counter[Hashable] = Counter()
        self._groups_of: Counter[Hashable] = Counter()
        self._serial_owners: set[Hashable] = set()

    @property
    def ready(self) -> int:
        """How many calls could be written at once by the next group."""
        return self._ready.count

    @property
    def serial_ready(self) -> int:
        return self._serial.count

    def unfinished(self, owner: Hashable) -> int:
        """How many calls an owner has that wait or are under way."""
        return self._unfinished[owner]

    def add(self, waiting: Waiting[Item]) -> None:
        """Let a call wait behind those that want what it wants."""
        self._unfinished[waiting.owner] += 1
        for key, mode in waiting.modes.items():
            line = self._lines.get(key)
            if line is None:
                self._lines[key] = _Line(mode)
            elif mode is line.mode is _WITHIN and not line.waiting:
                line.held += 1
            else:
                if line.waiting is None:
                    line.waiting = deque()
                line.waiting.append(waiting)
                waiting.blocked += 1
        if not waiting.blocked:
            self._is_ready(waiting)

    def next_group(self) -> list[Waiting[Item]]:
        """The next calls to write together, from all owners; `finished` is called for each, `ended` for the group."""
        group: list[Waiting[Item]] = []
        allowed = (one for one in self._ready.owners() if self._groups_of[one] < self._most_groups_of_one)
        owners = list(islice(allowed, self._most))
        # What an owner does not need of their share is for those who do, in a second round.
        for shares in (len(owners), 1):
            for owner in owners:
                upto = min(self._most, len(group) + max(self._most // shares, 1))
                self._fill(group, self._ready, owner, upto)
        self._groups_of.update({waiting.owner for waiting in group})
        return group

    def next_serial_group(self) -> list[Waiting[Item]]:
        """The next calls of one owner to write one after the other; of an owner without calls in progress."""
        group: list[Waiting[Item]] = []
        owner = next((one for one in self._serial.owners() if one not in self._serial_owners), None)
        if owner is not None:
            self._serial_owners.add(owner)
            self._fill(group, self._serial, owner, self._most_serial)
        return group

    def finished(self, waiting: Waiting[Item]) -> None:
        """A call was written, or cannot be: what it had is for the next."""
        self._unfinished[waiting.owner] -= 1
        if not self._unfinished[waiting.owner]:
            del self._unfinished[waiting.owner]
        for key in waiting.modes:
            line = self._lines[key]
            line.held -= 1
            if not line.held:
                self._pass_on(key, line)

    def ended(self, group: list[Waiting[Item]]) -> None:
        """Nothing of a group is under way any more."""
        owners = {waiting.owner for waiting in group}
        if group[0].serial:
            self._serial_owners -= owners
            return
        self._groups_of.subtract(owners)
        for owner in owners:
            if not self._groups_of[owner]:
                del self._groups_of[owner]

    def _is_ready(self, waiting: Waiting[Item]) -> None:
        (self._serial if waiting.serial else self._ready).add(waiting)

    def _fill(self, group: list[Waiting[Item]], ready: _Ready[Item], owner: Hashable, upto: int) -> None:
        if len(group) >= upto:
            return
        own = ready.take(owner)
        lent: dict[Waiting[Item], list[_Line[Item]]] = {}
        while own and len(group) < upto:
            self._join(own.popleft(), group, upto, lent)
        ready.give_back(owner, own)
        for behind, lines in lent.items():
            behind.blocked += len(lines)

    def _join(
        self,
        waiting: Waiting[Item],
        group: list[Waiting[Item]],
        upto: int,
        lent: dict[Waiting[Item], list[_Line[Item]]],
    ) -> None:
        """Put a call into a group, and those that wait only for keys that calls of the group have, and may have beside them.

        `lent` says in which lines those may be next who have something else to wait for.
        """
        joining = deque([waiting])
        while joining:
            one = joining.popleft()
            group.append(one)
            for key, mode in one.modes.items():
                line = self._lines[key]
                while mode is not _WITHIN and line.waiting and len(group) + len(joining) < upto:
                    behind = line.waiting[0]
                    both_share = mode is behind.modes[key] is _SHARED
                    may = one.serial is behind.serial and (both_share or one.serial)
                    if not may or not _lend(line, behind, lent):
                        break
                    joining.append(behind)

    def _pass_on(self, key: Hashable, line: _Line[Item]) -> None:
        if not line.waiting:
            del self._lines[key]
            return
        line.mode = line.waiting[0].modes[key]
        while line.waiting and (not line.held or line.mode is line.waiting[0].modes[key] is _WITHIN):
            behind = line.waiting.popleft()
            line.held += 1
            behind.blocked -= 1
            if not behind.blocked:
                self._is_ready(behind)


def _lend(line: _Line[Item], behind: Waiting[Item], lent: dict[Waiting[Item], list[_Line[Item]]]) -> bool:
    """Let the first who waits in a line be next; whether that was all that they waited for."""
    lines = lent.setdefault(behind, [])
    if line in lines:
        return False
    lines.append(line)
    behind.blocked -= 1
    if behind.blocked:
        return False
    for theirs in lent.pop(behind):
        assert theirs.waiting is not None  # noqa: S101 - this call waits there
        theirs.waiting.popleft()
        theirs.held += 1
    return True
