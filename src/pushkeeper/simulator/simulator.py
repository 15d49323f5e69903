"""The simulator as a whole: five servers and a control API in the caller's event loop."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import uvicorn

from pushkeeper.simulator import keys
from pushkeeper.simulator.apns import Apns
from pushkeeper.simulator.apns_auth import SigningKey
from pushkeeper.simulator.control import Control, ControlServer, Service
from pushkeeper.simulator.exchange import Profile
from pushkeeper.simulator.fcm import Fcm
from pushkeeper.simulator.gate import OriginGuard
from pushkeeper.simulator.journal import JOURNAL_SIZE
from pushkeeper.simulator.listener import Listener
from pushkeeper.simulator.oauth import OAuth
from pushkeeper.simulator.profiles import DOCUMENTED, Behaviour
from pushkeeper.simulator.push_service import PushService
from pushkeeper.simulator.world import PROJECT, TOPIC, World

if TYPE_CHECKING:
    from collections.abc import Callable

_WEBPUSH_PORT = 5  # after the control API's, which has the same port as before there was Web Push
_OAUTH_CONNECTION = Profile(streams=100, http1=True)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """By which name it is reached, and at which six ports from the first on.

    They are those of FCM, its token endpoint, APNs, its sandbox, the control API, and the browsers' push services.

    Port 0 takes free ones. Unless the name is one of the loopback, it listens on every address.
    """

    host: str = "localhost"
    first_port: int = 0

    @property
    def listens_at(self) -> str:
        """The address to listen on."""
        return "127.0.0.1" if self.host in _LOOPBACK else "0.0.0.0"  # noqa: S104 - a name of its own asks for it

    def port(self, number: int) -> int:
        """The port of the service of this number."""
        return self.first_port and self.first_port + number


class Simulator:
    """FCM, its token endpoint, APNs in both environments, and the browsers' push services, on free ports of the loopback unless another place is named.

        async with Simulator(folder) as simulator:
            [token] = simulator.world.mint(1, Origin(platform="android"))
            ...  # push to simulator.fcm_url with simulator.service_account_file

    The folder keeps the keys and certificates; a simulator on the same folder has the same ones.
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
        journal_size: int = JOURNAL_SIZE,
        behaviour: Behaviour | None = None,
        place: Place | None = None,
    ) -> None:
        self.world = World(seed, clock, journal_size)
        self._data_dir = Path(data_dir)
        self._behaviour = behaviour or DOCUMENTED
        self._place = place or Place()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Make what the folder lacks, listen everywhere.

        Raises:
            OSError: the folder cannot be written, or a port is in use.
        """
        self._keys = keys.prepare(self._data_dir, self._place.host)
        keys.write_service_account(self._keys, PROJECT, "")
        self.oauth = OAuth(self.world, keys.account_name(self._keys), keys.account_key(self._keys))
        self._build()
        for number, listener in enumerate(self._listeners):
            await listener.start(self._place.port(number), self._place.listens_at)
        await self.webpush.start(self._place.port(_WEBPUSH_PORT), self._place.listens_at)
        self.oauth.audience = self.oauth_url
        keys.write_service_account(self._keys, PROJECT, self.oauth_url)
        self._start_control()

    async def stop(self) -> None:
        """Close every connection and every door."""
        self._control.should_exit = True
        await self._control_task
        self._control_socket.close()
        for listener in (*self._listeners, self.webpush):
            await listener.stop()

    def _build(self) -> None:
        behaviour = self._behaviour
        google = keys.server_context(self._keys, ["h2", "http/1.1"])
        apple = keys.server_context(self._keys, ["h2"], client_certificates=True)
        fcm = Fcm(self.world, self.oauth, behaviour.fcm, PROJECT)
        key = SigningKey(key_id=keys.KEY_ID, team_id=keys.TEAM_ID, public=keys.apns_key(self._keys))
        production = Apns(self.world, key, behaviour.apns, "production")
        sandbox = Apns(self.world, key, behaviour.apns, "sandbox")
        self.fcm = Listener(google, behaviour.fcm_connection, lambda _: fcm)
        self.token_endpoint = Listener(google, _OAUTH_CONNECTION, lambda _: self.oauth)
        self.apns = Listener(apple, behaviour.apns_connection, production.session)
        self.apns_sandbox = Listener(apple, behaviour.apns_connection, sandbox.session)
        push_service = PushService(self.world, behaviour.webpush)
        spoken = ["h2", "http/1.1"] if behaviour.webpush.speaks_http2 else ["http/1.1"]
        browsers = keys.server_context(self._keys, spoken)
        self.webpush = Listener(browsers, behaviour.webpush_connection, lambda _: push_service)
        self._listeners = (self.fcm, self.token_endpoint, self.apns, self.apns_sandbox)

    def _start_control(self) -> None:
        # Clients that connect before uvicorn is up wait here.
        self._control_socket = socket.create_server(
            (self._place.listens_at, self._place.port(len(self._listeners))), backlog=128
        )
        doors: dict[Service, Listener] = {
            "fcm": self.fcm,
            "oauth": self.token_endpoint,
            "apns": self.apns,
            "apns_sandbox": self.apns_sandbox,
            "webpush": self.webpush,
        }
        app = OriginGuard(
            Control(self.world, self.oauth, doors, self.client_certificate).app(), self._place.host
        )
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
        self._control = ControlServer(config)
        self._control_task = asyncio.create_task(self._control.serve(sockets=[self._control_socket]))

    def client_certificate(self, topic: str) -> bytes:
        """A key and a certificate in PEM that APNs takes in place of a provider token, for this topic alone."""
        return keys.client_certificate(self._keys, topic)

    @property
    def fcm_url(self) -> str:
        """FCM's origin."""
        return f"https://{self._place.host}:{self.fcm.port}"

    @property
    def oauth_url(self) -> str:
        """The token endpoint, whole."""
        return f"https://{self._place.host}:{self.token_endpoint.port}/token"

    @property
    def apns_url(self) -> str:
        """The origin of APNs' production environment."""
        return f"https://{self._place.host}:{self.apns.port}"

    @property
    def apns_sandbox_url(self) -> str:
        """The origin of APNs' sandbox."""
        return f"https://{self._place.host}:{self.apns_sandbox.port}"

    @property
    def webpush_url(self) -> str:
        """What is called in the place of all browsers' push services."""
        return f"https://{self._place.host}:{self.webpush.port}"

    @property
    def control_url(self) -> str:
        """The control API's origin, plain HTTP."""
        host = "127.0.0.1" if self._place.host in _LOOPBACK else self._place.host
        return f"http://{host}:{self._control_socket.getsockname()[1]}"

    @property
    def ca_file(self) -> str:
        """The CA that a client must trust."""
        return str(self._keys.ca_file)

    @property
    def service_account_file(self) -> str:
        """The key file of a service account that may send."""
        return str(self._keys.service_account_file)

    @property
    def apns_key_file(self) -> str:
        """The signing key of the team."""
        return str(self._keys.apns_key_file)

    @property
    def client_certificate_file(self) -> str:
        """A PEM file with a key and a certificate that APNs takes in place of a provider token, for `apns_topic`."""
        return str(self._keys.client_certificate_file)

    @property
    def apns_key_id(self) -> str:
        """The signing key's id."""
        return keys.KEY_ID

    @property
    def apns_team_id(self) -> str:
        """The team."""
        return keys.TEAM_ID

    @property
    def apns_topic(self) -> str:
        """The app that tokens are minted for unless another is named."""
        return TOPIC

    def describe(self) -> dict[str, str | int]:
        """Everything that a client needs to know, ready for JSON."""
        names = (
            *(
                "fcm_url",
                "oauth_url",
                "apns_url",
                "apns_sandbox_url",
                "webpush_url",
                "control_url",
                "ca_file",
            ),
            *("service_account_file", "apns_key_file", "apns_key_id", "apns_team_id", "apns_topic"),
            "client_certificate_file",
        )
        return {**{name: getattr(self, name) for name in names}, "pid": os.getpid()}
