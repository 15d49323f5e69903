"""Who calls, behind proxies: nobody can say that he is somebody else."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.client_address import client_of, network_of, networks_of

TRUSTED = networks_of(["10.0.0.0/8", "127.0.0.1", "fd00::/8"])
PROXIES = st.one_of(
    st.integers(0, 2**24 - 1).map(lambda n: str(IPv4Address(0x0A000000 + n))),
    st.integers(0, 2**64).map(lambda n: str(IPv6Address((0xFD << 120) + n))),
    st.just("127.0.0.1"),
)
CLIENTS = (
    (st.ip_addresses(v=4) | st.ip_addresses(v=6))
    .map(str)
    .filter(lambda text: client_of(text, [], TRUSTED) == client_of(text, ["203.0.113.9"], TRUSTED))
)
ANYTHING = st.lists(st.one_of(CLIENTS, PROXIES, st.text(max_size=20)), max_size=4)


def plain(address: str) -> str:
    """As we write it: an IPv4 address that is written as IPv6 is the same one."""
    found = IPv6Address(address) if ":" in address else IPv4Address(address)
    return str(getattr(found, "ipv4_mapped", None) or found)


@given(peer=CLIENTS, said=ANYTHING)
def test_who_is_no_proxy_of_ours_is_who_connects_whatever_is_said(peer: str, said: list[str]) -> None:
    assert client_of(peer, said, TRUSTED) == peer
    assert client_of(peer, said, ()) == peer


@given(made_up=ANYTHING, client=CLIENTS, chain=st.lists(PROXIES, min_size=1, max_size=3), lines=st.booleans())
def test_behind_proxies_the_client_is_whom_the_first_of_them_was_called_by(
    made_up: list[str],
    client: str,
    chain: list[str],
    lines: bool,  # noqa: FBT001 - drawn
) -> None:
    """What the client sent itself is left of what the first proxy writes; each proxy appends its caller."""
    written = [*made_up, client, *chain[:-1]]
    said = written if lines else [", ".join(written)]
    assert client_of(chain[-1], said, TRUSTED) == plain(client)


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ([], "10.0.0.1"),
        ([""], "10.0.0.1"),
        (["unknown"], "10.0.0.1"),
        (["203.0.113.7, unknown"], "10.0.0.1"),
        (["203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7:51234"], "203.0.113.7"),
        (["[2001:db8::7]:51234"], "2001:db8::7"),
        (["2001:db8::7"], "2001:db8::7"),
        (["::ffff:203.0.113.7"], "203.0.113.7"),
        (["203.0.113.66, 203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        (["203.0.113.66", "203.0.113.7", "10.0.0.2"], "203.0.113.7"),
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    ],
)
def test_what_proxies_write_is_read_from_the_right(said: list[str], client: str) -> None:
    assert client_of("10.0.0.1", said, TRUSTED) == client
    assert client_of("::ffff:10.0.0.1", said, TRUSTED) == client


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_addresses_of_one_ipv6_network_are_one_attacker(address: IPv6Address, other: int) -> None:
    if address.ipv4_mapped is None:
        sibling = IPv6Address(int(address) >> 64 << 64 | other)
        if sibling.ipv4_mapped is None:
            assert network_of(str(address)) == network_of(str(sibling))
        assert network_of(str(address)) != network_of(str(IPv6Address(int(address) ^ 1 << 64)))


def test_addresses_of_ipv4_are_one_each() -> None:
    assert network_of("203.0.113.7") == "203.0.113.7" == network_of("::ffff:203.0.113.7")
    assert network_of("") == ""


@pytest.mark.parametrize("wrong", ["", "proxy", "10.0.0.0/33"])
def test_what_is_no_network_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=f"^{wrong}$"):
        networks_of(["10.0.0.1", wrong])
