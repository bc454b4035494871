"""Which network addresses may be sent to: those of the public internet and no others.

Sources of the ranges: IANA's special-purpose address registries (RFC 6890 and what followed).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias

IPAddress: TypeAlias = IPv4Address | IPv6Address

_NOT_PUBLIC_4 = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # behind a carrier's NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, and the metadata of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_PUBLIC_6 = ip_network("2000::/3")
"""All that is given out of IPv6. Outside: loopback, link-local, unique-local (with the metadata of clouds), multicast,
IPv4 mapped, compatible and translated (64:ff9b::/96, 64:ff9b:1::/48)."""
_NOT_PUBLIC_6 = tuple(
    ip_network(text)
    for text in (
        "2001::/23",  # protocol assignments; Teredo and ORCHID are in it
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_ISATAP = (0x00005EFE, 0x02005EFE)
"""The upper half of an interface id that has an IPv4 address as its lower one (RFC 5214)."""


def is_public(address: IPAddress) -> bool:
    """Whether `address` is a host's on the public internet. What IPv6 has of IPv4 inside is never one."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address.scope_id is not None or address not in _PUBLIC_6:
        return False
    upper_half = int(address) >> 32 & 0xFFFFFFFF
    return upper_half not in _ISATAP and not any(address in network for network in _NOT_PUBLIC_6)


def parse_address(text: str) -> IPAddress | None:
    """The address that `text` is in its one usual spelling; None when it is none."""
    try:
        return ip_address(text)
    except ValueError:
        return None
