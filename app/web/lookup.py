"""What people paste into the search box, made into an address: hex, CAIP-10, an explorer's link."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from app.api.frame.addresses import BadAddress, WalletReference, parse_wallet, to_checksum
from app.domain.chain import Address

_BARE = re.compile(r"[0-9a-fA-F]{40}")
_HASH = re.compile(r"(0[xX])?[0-9a-fA-F]{64}")
_MISSPELT = re.compile(r"(?:eip155:[0-9]{1,18}:)?0[xX]([0-9a-fA-F]{40})")
"""Everything `parse_wallet` reads but for the checksum: what it refuses of this form fails its checksum."""
_INSIDE = re.compile(r"(?<![0-9a-zA-Z])0[xX][0-9a-fA-F]{40}(?![0-9a-zA-Z])")
_NAMED = re.compile(r"/(?:address|account|accounts|wallet|wallets|profile)/(0[xX][0-9a-fA-F]{40})(?![0-9a-zA-Z])")
_LINK = re.compile(r"(?:[a-z][a-z0-9+.-]*://|[\w-]+(?:\.[\w-]+)+(?::\d+)?/)", re.IGNORECASE)
_NAME = re.compile(r"[^\s/:@]+\.[^\s/:@.]{2,}")


@dataclass(frozen=True, slots=True)
class WrongChecksum:
    """Forty good digits whose letters' case is not their EIP-55 checksum."""

    given: str
    corrected: str

    @property
    def letters(self) -> tuple[tuple[str, bool], ...]:
        """Each character as given, and whether its case differs from the right one."""
        return tuple((mine, mine != right) for mine, right in zip(self.given, self.corrected, strict=True))


def read_query(text: str) -> WalletReference | WrongChecksum:
    """The wallet a search names.

    A link names the address in its path or its query; where it holds several, the one after `/address/` and the
    like, or a holder given as `?a=`, is meant. A link's chain is not taken over: the page shows every chain.

    Raises:
        BadAddress: no single address can be read out of it; the message is fit to be shown.
    """
    text = text.strip().strip("<>\"'`").strip()
    if _LINK.match(text):
        text = _address_in_link(text)
    elif _BARE.fullmatch(text):
        text = "0x" + text
    elif _HASH.fullmatch(text):
        raise BadAddress("that is a transaction or block hash (64 digits); an address has 40 hexadecimal digits")
    elif not text.lower().startswith("0x") and _NAME.fullmatch(text):
        raise BadAddress("names such as ENS are not resolved here; paste the address itself")
    return _checked(text)


def _address_in_link(link: str) -> str:
    try:
        parts = urlsplit(link if "://" in link else "//" + link)
    except ValueError:
        raise BadAddress("this link is broken; paste the address itself") from None
    holders = [value for value in parse_qs(parts.query).get("a", ()) if _INSIDE.fullmatch(value)]
    named = _NAMED.findall(parts.path) or _NAMED.findall("/" + parts.fragment)
    found = holders or named or _INSIDE.findall(link)
    if not found:
        raise BadAddress("this link holds no address (0x and 40 hexadecimal digits)")
    if len({address.lower() for address in found}) > 1:
        raise BadAddress("this link holds more than one address; paste the one you mean")
    return str(found[0])


def _checked(text: str) -> WalletReference | WrongChecksum:
    try:
        return parse_wallet(text)
    except BadAddress:
        found = _MISSPELT.fullmatch(text)
        if found is None:
            raise
        digits = found[1]
        return WrongChecksum("0x" + digits, to_checksum(Address.from_hex("0x" + digits)))
