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
    """The address that a request comes from, where `peer` is what is connected to us.

    The values of X-Forwarded-For are read from their right end, where each proxy writes whom it was called by, and no further than
    what a trusted one wrote: whatever stands to the left of that, anybody could have sent.
    """
    client, hops = _read(peer), ",".join(forwarded_for).split(",")
    if client is None or not _is_in(client, trusted):
        return peer
    for hop in reversed(hops):
        before = _read(hop)
        if before is None:
            break  # a proxy that says nothing, or hides whom it was called by
        client = before
        if not _is_in(client, trusted):
            break
    return str(client)


def network_of(address: str) -> str:
    """What has the attempts of one attacker in it: the address, or of IPv6 the network of 64 bits; any other text as it is."""
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
