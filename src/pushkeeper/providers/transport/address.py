"""Where a provider is, as a URL says it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from pushkeeper.errors import BadRequest

_HTTPS_PORT = 443


@dataclass(frozen=True, slots=True)
class Address:
    """A host and port, and how requests name them."""

    host: str
    port: int

    @classmethod
    def parse(cls, url: str, field: str) -> Address:
        """Read the origin of an HTTPS URL.

        Raises:
            BadRequest: it is no such URL.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or _HTTPS_PORT
        except ValueError:
            host = None
        if not host or parts.scheme != "https":
            raise BadRequest(field, "must be an HTTPS URL with a host.")
        return cls(host, port)

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _HTTPS_PORT else f"{host}:{self.port}"
