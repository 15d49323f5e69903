"""Which addresses may be called on behalf of users: by our own lists, whatever Python's `ipaddress` knows."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkeeper.core.destination import Destinations, embedded, is_public

# The IANA registries of special-purpose addresses, row by row, with multicast, reserved and cloud addresses.
SPECIAL = (
    *(
        "0.0.0.0/8",
        "0.0.0.0/32",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
    ),
    *("192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/32"),
    *(
        "192.0.0.171/32",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
    ),
    *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4"),
    *("255.255.255.255/32", "224.0.0.0/4", "168.63.129.16/32", "192.0.0.192/32", "100.100.100.200/32"),
    *(
        "::1/128",
        "::/128",
        "::ffff:0:0/96",
        "::/96",
        "::ffff:0:0:0/96",
        "64:ff9b:1::/48",
        "100::/64",
        "100:0:0:1::/64",
    ),
    *(
        "2001::/23",
        "2001::/32",
        "2001:1::1/128",
        "2001:1::2/128",
        "2001:1::3/128",
        "2001:2::/48",
        "2001:3::/32",
    ),
    *("2001:4:112::/48", "2001:10::/28", "2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16"),
    *("2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    *(
        "fd00:ec2::254/128",
        "fd20:ce::254/128",
        "4000::/3",
        "6000::/3",
        "8000::/2",
        "c000::/3",
        "e000::/4",
        "f800::/6",
    ),
)
PUBLIC = (
    *(
        "1.1.1.1",
        "8.8.8.8",
        "93.184.216.34",
        "99.255.255.255",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
    ),
    *(
        "128.0.0.1",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
    ),
    *("192.169.0.0", "198.17.255.255", "198.20.0.0", "203.0.114.0", "223.255.255.255", "168.63.129.17"),
    *("2001:200::1", "2001:4860:4860::8888", "2606:4700:4700::1111", "2a00::1", "2003::1", "3000::1"),
    *("64:ff9b::8.8.8.8", "64:ff9b::93.184.216.34"),
)
LOCALS = st.sampled_from(SPECIAL[:32]).flatmap(
    lambda block: st.ip_addresses(network=block) if ":" not in block else st.nothing()
)
REMOTE = st.ip_addresses(v=4).filter(is_public)


def forms(address: IPv4Address, filler: int) -> dict[str, IPv6Address]:
    """Every IPv6 address that stands for an IPv4 address."""
    four, flipped = address.packed, bytes(byte ^ 0xFF for byte in address.packed)
    noise = filler.to_bytes(8, "big")
    local = bytes.fromhex("0064ff9b0001")
    made = {
        "compatible": bytes(12) + four,
        "mapped": bytes(10) + b"\xff\xff" + four,
        "translated": bytes(8) + b"\xff\xff\0\0" + four,
        "NAT64": bytes.fromhex("0064ff9b0000000000000000") + four,
        "local NAT64 /48": local + four[:2] + b"\0" + four[2:] + noise[:5],
        "local NAT64 /56": local + noise[:1] + four[:1] + b"\0" + four[1:] + noise[:4],
        "local NAT64 /64": local + noise[:2] + b"\0" + four + noise[:3],
        "local NAT64 /96": local + noise[:2] + b"\0" + noise[:3] + four,
        "6to4": bytes.fromhex("2002") + four + noise + noise[:2],
        "Teredo's server": bytes.fromhex("20010000") + four + noise,
        "Teredo's client": bytes.fromhex("20010000") + noise + flipped,
        "ISATAP": bytes.fromhex("2606470000000000") + bytes.fromhex("00005efe") + four,
        "ISATAP, universal": bytes.fromhex("2a00000000000001") + bytes.fromhex("02005efe") + four,
    }
    return {name: IPv6Address(raw) for name, raw in made.items()}


@given(LOCALS, st.integers(0, 2**64 - 1))
def test_a_local_address_is_refused_in_every_form_that_holds_it(address: IPv4Address, filler: int) -> None:
    assert not Destinations().permit("x", str(address))
    for name, form in forms(address, filler).items():
        assert address in set(embedded(form)), name
        assert not Destinations().permit("x", str(form)), name
        assert not Destinations().permit("x", f"{form}%eth0"), name


@given(REMOTE, st.integers(0, 2**64 - 1))
def test_of_a_public_address_only_the_form_that_ipv6_only_networks_use_is_called(
    address: IPv4Address, filler: int
) -> None:
    permitted = {
        name for name, form in forms(address, filler).items() if Destinations().permit("x", str(form))
    }
    assert permitted == {"NAT64"}


@given(
    st.sampled_from(["169.254.169.254", "168.63.129.16", "192.0.0.192", "100.100.100.200"]),
    st.integers(0, 2**64 - 1),
)
def test_a_metadata_service_is_refused_in_every_form_even_where_all_private_addresses_may_be_called(
    text: str, filler: int
) -> None:
    lenient = Destinations.of(["0.0.0.0/0", "::/0", "metadata.internal"], private=True)
    for form in (ip_address(text), *forms(IPv4Address(text), filler).values()):
        assert not lenient.permit("metadata.internal", str(form))
    assert Destinations.of([text]).permit("x", text)


@pytest.mark.parametrize("block", SPECIAL)
def test_no_address_of_a_special_block_is_public(block: str) -> None:
    network = ip_network(block)
    first, last = network.network_address, network.broadcast_address
    middle = type(first)((int(first) + int(last)) // 2)
    for address in (first, middle, last):
        assert not is_public(address)
        assert not Destinations().permit("x", str(address))


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_called_unless_it_is_this_machines(text: str) -> None:
    assert Destinations().permit("x", text)
    own = {text, *(str(one) for one in (embedded(IPv6Address(text)) if ":" in text else ()))}
    assert not Destinations().permit("x", text, own)
    assert Destinations.of([text]).permit("x", text, own)


def test_what_the_operator_lists_is_called_and_nothing_else() -> None:
    listed = Destinations.of(["10.20.0.0/16", "fd00:1::/32", "127.0.0.1", "Hooks.Internal."])
    for host, address, may in (
        ("x", "10.20.255.1", True),
        ("x", "10.21.0.1", False),
        ("x", "::ffff:10.20.0.1", False),
        ("x", "fd00:1::5", True),
        ("x", "fd00:2::5", False),
        ("x", "127.0.0.1", True),
        ("x", "127.0.0.2", False),
        ("hooks.internal", "192.168.1.1", True),
        ("HOOKS.internal.", "192.168.1.1", True),
        ("other.hooks.internal", "192.168.1.1", False),
        ("hooks.internal.evil.example", "192.168.1.1", False),
        ("hooks.internal", "169.254.169.254", False),
    ):
        assert listed.permit(host, address) is may, (host, address)


@pytest.mark.parametrize(
    "one", ["10.0.0.1/8", "300.1.1.1", "a b", "", "*", "http://x", "x:80", "10.0.0.0/33", "é.test"]
)
def test_what_is_neither_a_network_nor_a_host_is_refused_by_name(one: str) -> None:
    with pytest.raises(ValueError, match=r"^") as refused:
        Destinations.of(["10.0.0.0/8", one])
    assert str(refused.value) == one


@given(st.text(max_size=40))
def test_what_is_no_address_is_not_called(text: str) -> None:
    try:
        ip_address(text)
    except ValueError:
        assert not Destinations(private=True).permit("x", text)


def test_nothing_depends_on_what_this_python_calls_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """In some releases of Python it is wrong (CVE-2024-4032)."""

    def poisoned(_: object) -> bool:
        raise AssertionError

    for kind in (ipaddress.IPv4Address, ipaddress.IPv6Address):
        for name in [
            *(name for name in dir(kind) if name.startswith("is_")),
            "ipv4_mapped",
            "sixtofour",
            "teredo",
        ]:
            if hasattr(kind, name):
                monkeypatch.setattr(kind, name, property(poisoned))
    for text in (*PUBLIC, *(str(ip_network(block)[0]) for block in SPECIAL)):
        assert Destinations().permit("x", text) is (text in PUBLIC)
