"""Which of a workspace's routes takes a push to a device. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from pushkeeper.core.model import Environment, Platform, Provider

if TYPE_CHECKING:
    from collections.abc import Sequence


class Addressed(Protocol):
    """What of a device decides its route.

    Attributes:
        app, environment: "" when the device does not say.
        of_apns: an iPhone's whose token has the shape of APNs' own, and not of FCM's.
    """

    @property
    def platform(self) -> Platform: ...
    @property
    def app(self) -> str: ...
    @property
    def environment(self) -> str: ...
    @property
    def of_apns(self) -> bool: ...


class Way(Protocol):
    """What of a route decides for whom it is."""

    @property
    def provider(self) -> Provider: ...
    @property
    def app(self) -> str: ...
    @property
    def environment(self) -> Environment: ...
    @property
    def leg(self) -> str: ...


AnyWay = TypeVar("AnyWay", bound=Way)


class Ways(Generic[AnyWay]):
    """A workspace's routes; which of them a kind of device goes by is found once."""

    __slots__ = ("_chosen", "_routes")

    def __init__(self, routes: Sequence[AnyWay]) -> None:
        self._routes = routes
        self._chosen: dict[tuple[Platform, str, str, bool], AnyWay | None] = {}

    def of(self, device: Addressed) -> AnyWay | None:
        """The route for a device."""
        kind = (device.platform, device.app, device.environment, device.of_apns)
        if kind not in self._chosen:
            self._chosen[kind] = choose_route(device, self._routes)
        return self._chosen[kind]


def choose_route(device: Addressed, routes: Sequence[AnyWay]) -> AnyWay | None:
    """The route for a device among its workspace's: None rather than a guess between several.

    An iPhone goes by APNs where there is a credential for it, and else by FCM's Apple leg; one whose token APNs cannot
    have given takes FCM's first. A device that does not say its app or environment takes the only one there is, and of the
    two environments production.
    """
    if device.platform is Platform.IOS:
        by_fcm = [r for r in routes if r.provider is Provider.FCM and r.leg == "apple" and _fits(device, r)]
        apns = [r for r in routes if r.provider is Provider.APNS and _fits(device, r)]
        if not device.environment:
            apns = [r for r in apns if r.environment is Environment.PRODUCTION] or apns
        first, second = (apns, by_fcm) if device.of_apns else (by_fcm, apns)
        return _only(first or second)
    if device.platform is Platform.ANDROID:
        return _only([r for r in routes if r.provider is Provider.FCM and not r.leg and _fits(device, r)])
    return None


def _fits(device: Addressed, route: Way) -> bool:
    if route.provider is Provider.FCM:
        # An iPhone's app id is a bundle id, which says nothing of the project that it is in.
        return device.platform is Platform.IOS or device.app in {"", route.app}
    return device.app in {"", route.app} and device.environment in {"", route.environment.value}


def _only(routes: Sequence[AnyWay]) -> AnyWay | None:
    return routes[0] if len(routes) == 1 else None
