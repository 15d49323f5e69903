"""One TLS connection on the event loop: the peer, bytes in, bytes out.

asyncio's own TLS transport takes half of the sender's time when a server writes small records, so this one drives
OpenSSL itself: as much as the socket holds is read at once, and all its records are handed over together.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Protocol, cast

from pushkeeper.core.delivery.outcome import Silence
from pushkeeper.errors import BadRequest
from pushkeeper.providers.transport.response import NoResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushkeeper.core.model import Secret

HTTP2 = "h2"
_READ_BYTES = 1 << 18
# The alerts by which a server rejects a client's certificate (RFC 8446, 6.2), in OpenSSL's spelling.
_CERTIFICATE_ALERTS = (
    "ALERT_ACCESS_DENIED",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_REQUIRED",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_UNKNOWN_CA",
    "ALERT_UNSUPPORTED_CERTIFICATE",
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service is, and whom we trust to be it.

    Attributes:
        permits: whether an address that the host resolves to may be connected to; None where the operator named the host.
    """

    host: str
    port: int
    tls: ssl.SSLContext
    permits: Callable[[str], bool] | None = None


class NotHttp2(ConnectionRefusedError):
    """The server does not speak HTTP/2."""


class NotPermitted(PermissionError):
    """The host resolves to an address that may not be called."""


def tls_context(
    ca_pem: str | None = None,
    client_certificate: Secret | None = None,
    *,
    protocols: Sequence[str] = (HTTP2,),
) -> ssl.SSLContext:
    """A client's context: TLS 1.2 or newer, names and chains checked.

    `ca_pem` takes the place of the system's CAs; `client_certificate` is PEM with the chain and its private key;
    `protocols` are what is offered (ALPN), the best first.

    Raises:
        BadRequest: the CA, or the certificate with its key, cannot be read.
    """
    try:
        context = ssl.create_default_context(cadata=ca_pem)
    except (ssl.SSLError, ValueError) as error:
        raise BadRequest("ca_pem", "must be one or more certificates in PEM.") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(list(protocols))
    if client_certificate is not None:
        _load(context, client_certificate.value)
    return context


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    # OpenSSL reads a chain from a file alone; this one is ours to read and gone after.
    with NamedTemporaryFile(suffix=".pem") as file:
        file.write(pem)
        file.flush()
        try:
            context.load_cert_chain(file.name, password="")
        except (ssl.SSLError, ValueError) as error:
            message = "certificate must hold a chain and its private key, unencrypted, in PEM."
            raise BadRequest("certificate", message) from error


def failure(error: Exception) -> NoResponse:
    """What it means for a request that could not be sent because the connection failed so."""
    detail = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        return NoResponse(Silence.UNTRUSTED, detail)
    return NoResponse(
        Silence.NOT_SENT,
        detail,
        certificate_refused=_refuses_certificate(error),
        no_http2=isinstance(error, NotHttp2),
        not_permitted=isinstance(error, NotPermitted),
    )


def _refuses_certificate(error: Exception) -> bool:
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    return reason is not None and reason.endswith(_CERTIFICATE_ALERTS)


class Receiver(Protocol):
    """Who listens to a channel."""

    def received(self, data: memoryview) -> None:
        """Take these bytes; they are gone after the call."""

    def ended(self, error: Exception) -> None:
        """The connection is over; called once, unless the channel was closed from this side."""

    def writable(self) -> None:
        """Data that could not be written at once has left."""


class Channel:
    """An open TLS connection.

    Attributes:
        congested: the socket did not take all that was written; hold back until `writable`.
    """

    def __init__(
        self, sock: socket.socket, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._tls = tls
        self._incoming = incoming
        self._outgoing = outgoing
        self._raw = memoryview(bytearray(_READ_BYTES))
        self._plain = memoryview(bytearray(_READ_BYTES))
        self._unsent = b""
        self._receiver: Receiver | None = None
        self.congested = False

    @classmethod
    async def open(cls, endpoint: Endpoint, timeout_s: float) -> Channel:
        """Resolve the name, connect and shake hands.

        Raises:
            OSError: any of it failed; `ssl.SSLError`, `socket.gaierror` and `TimeoutError` are of that kind.
        """
        async with asyncio.timeout(timeout_s):
            sock = await connected(endpoint, timeout_s)
            try:
                return await cls._shake_hands(sock, endpoint)
            except BaseException:
                sock.close()
                raise

    @classmethod
    async def _shake_hands(cls, sock: socket.socket, endpoint: Endpoint) -> Channel:
        loop = asyncio.get_running_loop()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = endpoint.tls.wrap_bio(incoming, outgoing, server_hostname=endpoint.host)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await loop.sock_sendall(sock, outgoing.read())
                data = await loop.sock_recv(sock, _READ_BYTES)
                if not data:
                    raise ConnectionResetError(
                        "the server closed the connection in the TLS handshake"
                    ) from None
                incoming.write(data)
            except ssl.SSLError:
                with suppress(OSError):  # the alert that says why, if there is still anybody to hear it
                    await loop.sock_sendall(sock, outgoing.read())
                raise
        await loop.sock_sendall(sock, outgoing.read())
        if tls.selected_alpn_protocol() != HTTP2:
            raise NotHttp2("the server does not speak HTTP/2")
        return cls(sock, tls, incoming, outgoing)

    def start(self, receiver: Receiver) -> None:
        """Tell the receiver what comes from now on, never from inside this call."""
        self._receiver = receiver
        self._loop.add_reader(self._sock, self._read)
        if self._incoming.pending or self._tls.pending():
            self._loop.call_soon(self._decrypt)

    def write(self, data: bytes) -> None:
        """Send all of it, now or when the socket takes it."""
        if self._receiver is None:
            return
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            self._end(error)
        else:
            self._send()

    def close(self) -> None:
        """Say goodbye and close; the receiver hears nothing more."""
        if self._receiver is None:
            return
        self._receiver = None
        with suppress(OSError):  # the server's own goodbye is not waited for
            self._tls.unwrap()
        with suppress(OSError):  # it was a courtesy
            self._sock.send(self._unsent + self._outgoing.read())
        self._release()

    def _release(self) -> None:
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()

    def _end(self, error: Exception) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            self._release()
            receiver.ended(error)

    def _read(self) -> None:
        try:
            count = self._sock.recv_into(self._raw)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        if count:
            self._incoming.write(self._raw[:count])
            self._decrypt()
        else:
            self._end(ConnectionResetError("the server closed the connection abruptly"))

    def _decrypt(self) -> None:
        error: Exception | None = None
        filled = 0
        plain, incoming, tls = self._plain, self._incoming, self._tls
        try:
            while incoming.pending or tls.pending():
                # With a buffer to fill, a count comes back, which typeshed does not know.
                count = cast("int", tls.read(_READ_BYTES - filled, plain[filled:]))
                if not count:
                    error = ConnectionResetError("the server closed the connection")
                    break
                filled += count
                if filled == _READ_BYTES:
                    self._deliver(filled)
                    filled = 0
        except ssl.SSLWantReadError:
            pass  # the rest of a record is still on its way
        except ssl.SSLError as broken:
            error = broken
        if filled:
            self._deliver(filled)
        if error is not None:
            self._end(error)
        elif self._outgoing.pending:
            self._send()

    def _deliver(self, count: int) -> None:
        if self._receiver is not None:
            self._receiver.received(self._plain[:count])

    def _send(self) -> None:
        data = self._unsent + self._outgoing.read() if self._unsent else self._outgoing.read()
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            # Why the server hung up may be waiting to be read: its last words come before our failure to write.
            self._read()
            self._end(error)
            return
        self._unsent = data[sent:] if sent < len(data) else b""
        if bool(self._unsent) != self.congested:
            self._turn_congestion()

    def _turn_congestion(self) -> None:
        self.congested = not self.congested
        if self.congested:
            self._loop.add_writer(self._sock, self._send)
        else:
            self._loop.remove_writer(self._sock)
            if self._receiver is not None:
                self._receiver.writable()


async def connected(endpoint: Endpoint, timeout_s: float) -> socket.socket:
    """Ask DNS again, and take the first address that answers; none may use up the time of the others.

    Where one of the addresses may not be called, none is: a mixed answer is a mistake or an attack.

    Raises:
        OSError: none of them answers, or one is not permitted (`NotPermitted`).
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"no host name: {error}") from error
    if endpoint.permits is not None and not all(endpoint.permits(str(address[0])) for *_, address in found):
        raise NotPermitted("the host resolves to an address that is not public")
    last = OSError("the name has no address")
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)  # noqa: FBT003 - the standard library's own spelling
        try:
            async with asyncio.timeout(timeout_s / len(found)):
                await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            last = error
        except BaseException:
            sock.close()
            raise
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    raise last
