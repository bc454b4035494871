from __future__ import annotations

import pytest

from app.api.frame.addresses import BadAddress, WalletReference
from app.web.lookup import WrongChecksum, read_query
from tests.web.builders import CHECKSUMMED, USDC, WALLET

BAD = CHECKSUMMED.replace("Ef1", "EF1")


@pytest.mark.parametrize(
    "text",
    [
        CHECKSUMMED,
        CHECKSUMMED.lower(),
        "0X" + CHECKSUMMED[2:].upper(),
        f"  {CHECKSUMMED}\n",
        f'"{CHECKSUMMED}"',
        CHECKSUMMED[2:],
        f"https://etherscan.io/address/{CHECKSUMMED}",
        f"https://etherscan.io/address/{CHECKSUMMED.lower()}#tokentxns",
        f"etherscan.io/address/{CHECKSUMMED}",
        f"https://etherscan.io/token/{USDC}?a={CHECKSUMMED}",
        f"https://debank.com/profile/{CHECKSUMMED}?chain=arb",
        f"https://app.example.org/#/account/{CHECKSUMMED}/positions",
        f"https://portfolio.example.org/?wallet={CHECKSUMMED}",
        f"<https://basescan.org/address/{CHECKSUMMED}>",
    ],
)
def test_every_way_of_writing_an_address_is_read(text: str) -> None:
    assert read_query(text) == WalletReference(WALLET)


def test_a_caip10_account_keeps_its_chain() -> None:
    assert read_query(f"eip155:42161:{CHECKSUMMED}") == WalletReference(WALLET, 42161)


@pytest.mark.parametrize("text", [BAD, f"eip155:1:{BAD}", f"https://etherscan.io/address/{BAD}", BAD[2:]])
def test_a_wrong_checksum_is_named_with_its_correction(text: str) -> None:
    found = read_query(text)
    assert isinstance(found, WrongChecksum)
    assert found.corrected == CHECKSUMMED
    assert "".join(letter for letter, wrong in found.letters if wrong) == "F"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("vitalik.eth", "not resolved here"),
        ("0x" + "ab" * 32, "transaction or block hash"),
        (f"https://etherscan.io/tx/0x{'ab' * 32}", "holds no address"),
        (f"https://x.org/swap?from={USDC}&to={CHECKSUMMED}", "more than one address"),
        ("0x1234", "40 hexadecimal digits"),
        ("solana:1:" + CHECKSUMMED, "CAIP-2"),
        ("hello", "starts with 0x"),
        ("https://[", "link"),
        ("0x" + "g" * 40, "hexadecimal digits"),
    ],
)
def test_what_is_no_address_is_refused_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(BadAddress, match=hint):
        read_query(text)
