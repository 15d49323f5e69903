"""The rejection guard: a wave of rejections that our own configuration may have caused is held for a decision. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from pushkeeper.core.model import DeviceId


class Result(StrEnum):
    """What a response says about a route's health."""

    ACCEPTED = "accepted"
    AMBIGUOUS = "ambiguous"  # "this token is wrong" or "your setting is wrong"
    DEFINITE = "definite"  # this device is gone
    OTHER = "other"  # neither: throttling, outages, malformed messages


class Wave(StrEnum):
    """What a guard saw."""

    HOLD = "hold"  # too many ambiguous refusals: hold them, pause the route, ask an operator
    NOTICE = "notice"  # too many definite ones: each is true of its device, but somebody should know


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When a wave is one. The numbers are ours; nobody publishes better ones."""

    window_s: float = 600.0
    window_results: int = 200
    ambiguous_devices: int = 20
    ambiguous_share: float = 0.2
    above_norm: float = 5.0
    definite_devices: int = 100
    definite_share: float = 0.5


DEFAULT_BARS = Thresholds()
_NOBODY = DeviceId(b"")


class RefusalGuard:
    """Watches the last 200 results of one route, none older than ten minutes."""

    def __init__(self, bars: Thresholds = DEFAULT_BARS) -> None:
        self._bars = bars
        self._results: deque[tuple[float, Result, DeviceId]] = deque()
        self._devices: dict[Result, dict[DeviceId, int]] = {Result.AMBIGUOUS: {}, Result.DEFINITE: {}}
        self._refusals = dict.fromkeys(self._devices, 0)

    def observe(self, result: Result, device: DeviceId, now: float) -> None:
        """Take one answer in."""
        self._results.append((now, result, device))
        if (devices := self._devices.get(result)) is not None:
            devices[device] = devices.get(device, 0) + 1
            self._refusals[result] += 1
        self._forget(now)

    def observe_accepted(self, count: int, now: float) -> None:
        """Take so many acceptances in."""
        self._results.extend([(now, Result.ACCEPTED, _NOBODY)] * min(count, self._bars.window_results))
        self._forget(now)

    def wave(self, norm: float) -> Wave | None:
        """The state of the window; `norm` is the usual share of ambiguous rejections on this route."""
        seen, bars = len(self._results), self._bars
        if len(self._devices[Result.AMBIGUOUS]) >= bars.ambiguous_devices:
            share = self._refusals[Result.AMBIGUOUS] / seen
            if share > bars.ambiguous_share and share > bars.above_norm * norm:
                return Wave.HOLD
        if len(self._devices[Result.DEFINITE]) >= bars.definite_devices:
            share = self._refusals[Result.DEFINITE] / seen
            if share > bars.definite_share:
                return Wave.NOTICE
        return None

    def _forget(self, now: float) -> None:
        results, oldest_at = self._results, now - self._bars.window_s
        while results and (len(results) > self._bars.window_results or results[0][0] < oldest_at):
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, result, device = self._results.popleft()
        if (devices := self._devices.get(result)) is None:
            return
        self._refusals[result] -= 1
        devices[device] -= 1
        if not devices[device]:
            del devices[device]
