"""Which addresses may be called on behalf of users: public ones, and those that the operator allows besides.

The lists are our own, taken from the IANA registries of special-purpose addresses (IPv4 and IPv6, 2025). What Python's
`ipaddress` calls global or private differs between its releases (CVE-2024-4032) and leaves out embedded and metadata addresses,
so that nothing here asks for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Self, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from ipaddress import IPv4Network, IPv6Network

    Address: TypeAlias = IPv4Address | IPv6Address
    Network: TypeAlias = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(map(ip_network, texts))


_NOT_PUBLIC_V4 = _networks(
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *(
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
    ),
    *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/4", "240.0.0.0/4"),  # multicast, reserved and broadcast
    "168.63.129.16/32",  # Azure's platform, in a block that is otherwise public
)
# Only these may be public at all, which leaves out loopback, link-local, site-local, unique local and multicast addresses
# and all that IANA has not assigned.
_GLOBAL_UNICAST_V6 = ip_network("2000::/3")
_NOT_PUBLIC_V6 = _networks(
    "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID, AMT and others
    "2001:db8::/32",
    "2002::/16",  # 6to4
    "2620:4f:8000::/48",
    "3ffe::/16",  # the former 6bone
    "3fff::/20",
)
# An IPv6-only network with DNS64 reaches every IPv4 host through this one: as public as the address that is embedded in it.
_NAT64 = ip_network("64:ff9b::/96")
# Where IPv6 addresses hold an IPv4 address: the block, and which of the 16 bytes.
_LAST = (12, 13, 14, 15)
_EMBEDDED = tuple(
    (ip_network(block), places)
    for block, places in (
        ("::/96", _LAST),  # IPv4-compatible
        ("::ffff:0:0/96", _LAST),  # IPv4-mapped
        ("::ffff:0:0:0/96", _LAST),  # IPv4-translated
        ("64:ff9b::/96", _LAST),
        # NAT64 with a local prefix: /48, /56, /64 or /96 (RFC 6052, 2.2; byte 8 is always zero).
        ("64:ff9b:1::/48", (6, 7, 9, 10)),
        ("64:ff9b:1::/48", (7, 9, 10, 11)),
        ("64:ff9b:1::/48", (9, 10, 11, 12)),
        ("64:ff9b:1::/48", _LAST),
        ("2002::/16", (2, 3, 4, 5)),  # 6to4
        ("2001::/32", (4, 5, 6, 7)),  # Teredo's server
    )
)
# As in RFC 1035, with the underscores that some names have.
_LABEL = re.compile(r"[a-z0-9_-]{1,63}", re.IGNORECASE | re.ASCII)
_LONGEST_NAME = 253
_TEREDO = ip_network("2001::/32")
_ISATAP = (bytes.fromhex("00005efe"), bytes.fromhex("02005efe"))
# Where clouds hand out credentials to callers inside: AWS (also ECS and EKS), Google, Azure, Oracle, Alibaba,
# Tencent, Scaleway, OpenStack.
_METADATA = _networks(
    *("169.254.0.0/16", "168.63.129.16/32", "192.0.0.192/32", "100.100.100.200/32"),
    *("fd00:ec2::/32", "fd20:ce::254/128", "fd00:42::42/128", "fe80::a9fe:a9fe/128"),
)


def is_public(address: Address) -> bool:
    """Whether an address belongs to a host on the Internet, as opposed to this machine, its network or nobody."""
    if isinstance(address, IPv4Address):
        return not _is_in(address, _NOT_PUBLIC_V4)
    if address in _NAT64:
        return all(map(is_public, embedded(address)))
    return (
        address in _GLOBAL_UNICAST_V6
        and not _is_in(address, _NOT_PUBLIC_V6)
        and not _is_isatap(address)
        and address.scope_id is None
    )


def is_metadata(address: Address) -> bool:
    """Whether an address leads to a cloud's metadata service, itself or by an IPv4 address that is embedded in it."""
    return any(_is_in(one, _METADATA) for one in _reached(address))


def embedded(address: IPv6Address) -> Iterator[IPv4Address]:
    """Every IPv4 address to which a gateway, a tunnel or this machine may pass on what is sent to an IPv6 address."""
    raw = address.packed
    plain = IPv6Address(raw)
    for block, places in _EMBEDDED:
        if plain in block:
            yield IPv4Address(bytes(raw[place] for place in places))
    if plain in _TEREDO:
        yield IPv4Address(bytes(byte ^ 0xFF for byte in raw[12:]))
    if _is_isatap(plain):
        yield IPv4Address(raw[12:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """What the operator lets webhooks and other calls to users' addresses go to, besides public addresses.

    Attributes:
        private: every private, local and special address, except the metadata services of clouds.
        networks: these; a metadata service only where it is listed alone, as /32 or /128.
        hosts: whatever these names resolve to, except a metadata service.
    """

    private: bool = False
    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, listed: Iterable[str], *, private: bool = False) -> Self:
        """Read a list of networks in CIDR notation, single addresses and host names; a ValueError is one that is neither."""
        networks: list[Network] = []
        hosts: set[str] = set()
        for one in listed:
            try:
                networks.append(ip_network(one))
            except ValueError:
                if not _is_host_name(one):
                    raise ValueError(one) from None
                hosts.add(_plain_name(one))
        return cls(private=private, networks=tuple(networks), hosts=frozenset(hosts))

    def permit(self, host: str, text: str, own: Collection[str] = ()) -> bool:
        """Whether this address, to which a host name resolved, may be connected to.

        `own` are the addresses of this machine, which count as local even where they are public.
        """
        try:
            address = ip_address(text)
        except ValueError:
            return False
        if is_metadata(address):
            return any(
                network.prefixlen == network.max_prefixlen and address in network for network in self.networks
            )
        return (
            self.private
            or _plain_name(host) in self.hosts
            or _is_in(address, self.networks)
            or (is_public(address) and not any(str(one) in own for one in _reached(address)))
        )


def url_fault(text: str) -> str | None:
    """What is wrong with a URL to call, as in "expected …"; None if it is valid.

    The one check for all URLs that users configure, as far as it is possible without DNS.
    """
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        return "expected a URL of ASCII characters without spaces"
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        usable = usable and ("[" in parts.netloc) == (":" in (parts.hostname or ""))
    except ValueError:
        usable = False
    if not usable:
        return "expected https://host/path, optionally with a port from 1 to 65535"
    if parts.username is not None or parts.password is not None:
        return "expected a URL without a user and password"
    if not _is_callable(parts.hostname or ""):
        return "expected a host name of labels of 1 to 63 letters, digits and hyphens, or an IP address"
    return None


def _is_callable(host: str) -> bool:
    if ":" in host:
        try:
            return bool(IPv6Address(host))
        except ValueError:
            return False
    labels = host.removesuffix(".").split(".")
    return len(host) <= _LONGEST_NAME and all(map(_LABEL.fullmatch, labels))


def _reached(address: Address) -> tuple[Address, ...]:
    """The address without its zone, and those that are embedded in it."""
    return (
        (address,) if isinstance(address, IPv4Address) else (IPv6Address(address.packed), *embedded(address))
    )


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _is_isatap(address: IPv6Address) -> bool:
    return address.packed[8:12] in _ISATAP


def _plain_name(host: str) -> str:
    return host.rstrip(".").lower()


def _is_host_name(text: str) -> bool:
    labels = _plain_name(text).split(".")
    return (
        all(label.isascii() and label.replace("-", "").replace("_", "").isalnum() for label in labels)
        and not labels[-1].isdigit()
    )
