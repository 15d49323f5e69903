"""One push at a time to a device: the last two outcomes are then in the order in which they were sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from pushkeeper.core.model import Push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pushkeeper.core.model import DeviceId

P = TypeVar("P", bound=Push)


class DeviceOrder(Generic[P]):
    """Pushes by the device that they wait for."""

    def __init__(self) -> None:
        self._waiting: dict[DeviceId, list[P] | None] = {}

    def take(self, push: P) -> bool:
        """Whether nothing is under way to this device; else the push waits for that."""
        if push.device_id not in self._waiting:
            self._waiting[push.device_id] = None
            return True
        if (waiting := self._waiting[push.device_id]) is None:
            self._waiting[push.device_id] = [push]
        else:
            waiting.append(push)
        return False

    def withdraw(self, unwanted: Callable[[P], bool]) -> list[P]:
        """Withdraw pushes that wait for their turn."""
        taken: list[P] = []
        for device, waiting in self._waiting.items():
            if waiting and any(map(unwanted, waiting)):
                taken += filter(unwanted, waiting)
                self._waiting[device] = [push for push in waiting if not unwanted(push)] or None
        return taken

    def end(self, heard: Iterable[P]) -> list[P]:
        """Finish these pushes; returns those that waited for their devices, and leave now."""
        following = []
        for push in heard:
            waiting = self._waiting.pop(push.device_id, None)
            if waiting:
                following.append(waiting.pop(0))
                self._waiting[push.device_id] = waiting or None
        return following
