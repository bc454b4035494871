"""Every kind of address that is not somebody's on the public internet, in every disguise."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from app.alerts.addresses import is_public, parse_address

REFUSED = {
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"],
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "link-local": ["169.254.0.1", "fe80::1", "fe80::1%1"],
    "cgnat": ["100.64.0.1", "100.127.255.255"],
    "metadata": ["169.254.169.254", "fd00:ec2::254"],
    "unspecified": ["0.0.0.0", "0.1.2.3", "::"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "192.0.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"],
    "mapped": ["::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8"],
    "compatible": ["::127.0.0.1", "::8.8.8.8"],
    "nat64": ["64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1"],
    "6to4": ["2002:7f00:1::", "2002:808:808::1", "192.88.99.1"],
    "teredo": ["2001::1", "2001:0:53aa:64c::1"],
    "isatap": ["2a00:1450:4001:81b::5efe:7f00:1", "2a00:1450:4001:81b:200:5efe:a00:1"],
    "unique-local": ["fc00::1", "fdff::1"],
    "site-local": ["fec0::1"],
    "documentation": ["2001:db8::1", "3fff::1", "192.0.2.1"],
    "segments": ["5f00::1", "100::1"],
}
PUBLIC = ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450::5e"]


@pytest.mark.parametrize("text", [text for texts in REFUSED.values() for text in texts])
def test_what_is_not_public_is_not(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_public_is(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", ["0x7f.0.0.1", "0177.0.0.1", "127.1", "2130706433", "127.0.0.1.", " 127.0.0.1", "x"])
def test_unusual_spellings_are_no_addresses(text: str) -> None:
    assert parse_address(text) is None
