"""Which of a workspace's routes takes a push to a device. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from pushkeeper.core.model import Environment, Platform, Provider, TokenShape

if TYPE_CHECKING:
    from collections.abc import Sequence


class RoutedDevice(Protocol):
    """The fields of a device that decide its route.

    Attributes:
        app, environment: "" when the device does not say.
        shape: of an iPhone's token or a browser's endpoint.
    """

    @property
    def platform(self) -> Platform: ...
    @property
    def app(self) -> str: ...
    @property
    def environment(self) -> str: ...
    @property
    def shape(self) -> TokenShape: ...


class RouteTarget(Protocol):
    """The fields of a route that decide which devices it is for."""

    @property
    def provider(self) -> Provider: ...
    @property
    def app(self) -> str: ...
    @property
    def environment(self) -> Environment: ...
    @property
    def leg(self) -> str: ...


AnyWay = TypeVar("AnyWay", bound=RouteTarget)


class RouteTable(Generic[AnyWay]):
    """A workspace's routes; which of them a kind of device goes by is found once."""

    __slots__ = ("_chosen", "_routes")

    def __init__(self, routes: Sequence[AnyWay]) -> None:
        self._routes = routes
        self._chosen: dict[tuple[Platform, str, str, TokenShape], AnyWay | None] = {}

    def of(self, device: RoutedDevice) -> AnyWay | None:
        """The route for a device."""
        kind = (device.platform, device.app, device.environment, device.shape)
        if kind not in self._chosen:
            self._chosen[kind] = choose_route(device, self._routes)
        return self._chosen[kind]


def choose_route(device: RoutedDevice, routes: Sequence[AnyWay]) -> AnyWay | None:
    """The route for a device among its workspace's: None rather than a guess between several.

    An iPhone's token goes only to the service that can have issued it: any other would reject it as a bad token,
    which says nothing about the device. A token of neither shape goes by FCM's Apple leg if there is one, and
    otherwise by APNs. A device without app or environment takes the only route there is, and of the two environments
    production.
    """
    fitting = _fitting(device, routes)
    return fitting[0] if len(fitting) == 1 else None


def no_route_reason(device: RoutedDevice, routes: Sequence[AnyWay]) -> str:
    """Why `choose_route` finds no route for a device."""
    if device.platform is Platform.WEB:
        several = _fitting(device, routes)
        return "several VAPID keys match; register the device with its app" if several else "no VAPID key"
    if _fitting(device, routes):
        return "several credentials match; register the device with its app and environment"
    if device.platform is Platform.ANDROID:
        return "no FCM credentials for the device's app"
    match device.shape:
        case TokenShape.APNS:
            return "no APNs credentials for the device's app and environment (the token was issued by APNs)"
        case TokenShape.FCM:
            return "no FCM credentials (the token was issued by FCM)"
    return "no credentials for the device's app and environment"


def _fitting(device: RoutedDevice, routes: Sequence[AnyWay]) -> list[AnyWay]:
    fitting = [route for route in routes if _fits(device, route)]
    if device.platform is Platform.WEB:
        # Each push service has a route of its own, so that one in trouble does not stop the others.
        return [r for r in fitting if r.provider is Provider.WEBPUSH and r.leg == device.shape]
    if device.platform is Platform.ANDROID:
        return [r for r in fitting if r.provider is Provider.FCM and not r.leg]
    by_fcm = [r for r in fitting if r.provider is Provider.FCM and r.leg == "apple"]
    # Of one that says its environment, only routes of that are left.
    by_apns = [r for r in fitting if r.provider is Provider.APNS]
    by_apns = [r for r in by_apns if r.environment is Environment.PRODUCTION] or by_apns
    match device.shape:
        case TokenShape.APNS:
            return by_apns
        case TokenShape.FCM:
            return by_fcm
    return by_fcm or by_apns


def _fits(device: RoutedDevice, route: RouteTarget) -> bool:
    if route.provider is Provider.WEBPUSH:
        return device.platform is Platform.WEB and device.app in {"", route.app}
    if route.provider is Provider.FCM:
        # An iPhone's app id is a bundle id, which says nothing of the project that it is in.
        return device.platform is Platform.IOS or device.app in {"", route.app}
    return device.app in {"", route.app} and device.environment in {"", route.environment.value}
