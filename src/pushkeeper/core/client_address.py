"""Whose request it is: the address that calls us, or the one which proxies that are trusted say called them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Network: TypeAlias = IPv4Network | IPv6Network

_ONE_SITE = 64  # bits of an IPv6 address that one customer's network has; within it anybody may choose


def networks_of(given: Iterable[str]) -> tuple[Network, ...]:
    """Networks in CIDR notation, or single addresses; ValueError of the first that is neither."""
    found = []
    for one in given:
        try:
            found.append(ip_network(one.strip(), strict=False))
        except ValueError:
            raise ValueError(one) from None
    return tuple(found)


def is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    """Whether this is the address of a proxy that is trusted."""
    address = _read(peer)
    return address is not None and _is_in(address, trusted)


def client_of(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """The client address of a request; `peer` is the address of the connection.

    X-Forwarded-For is read from its right end, where each proxy appends its caller, up to the first address that is
    not a trusted proxy: anybody could have sent what is left of that.
    """
    client, hops = _read(peer), ",".join(forwarded_for).split(",")
    if client is None or not _is_in(client, trusted):
        return peer
    for hop in reversed(hops):
        before = _read(hop)
        if before is None:
            break  # a proxy that hides its caller, or does not name it
        client = before
        if not _is_in(client, trusted):
            break
    return str(client)


def network_of(address: str) -> str:
    """The key by which one attacker's attempts are counted: the address, or the /64 network of an IPv6 address; other text unchanged."""
    found = _read(address)
    if not isinstance(found, IPv6Address):
        return address if found is None else str(found)
    return str(ip_network((int(found) >> _ONE_SITE << _ONE_SITE, _ONE_SITE)))


def _is_in(address: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _read(text: str) -> IPv4Address | IPv6Address | None:
    """An address, as proxies write it: maybe with a port, in brackets, or an IPv4 one as IPv6."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
