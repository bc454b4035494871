"""Deploys a market shaped like a Comet, written for this devnet: no package carries the original's contracts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eth_utils.address import to_checksum_address

from app.domain.chain import Address, ContractCall, Returned
from devnet.assets import ADMIN, Token
from devnet.chain import DevChain
from devnet.codec import call_data, wallet_call_data, words
from devnet.compile import Unit, compiled

COMET = Unit(name="comet", entries=("own/CometMarket.sol",), roots={"own/": "devnet:contracts"})

WAD = 10**18
_YEAR = 365 * 86_400
_ASSET_INFO = "(uint8,address,address,uint64,uint64,uint64,uint64,uint128)"


@dataclass(frozen=True, slots=True)
class Terms:
    """One collateral; factors in basis points, the cap in whole tokens."""

    symbol: str
    borrow: int
    liquidate: int
    liquidation: int
    """What a liquidation credits of the value it takes."""
    cap: int = 10**9


BASE = "USDC"
BORROW_MIN = 100 * 10**6
COLLATERALS = (
    Terms("WETH", 8250, 8950, 9500),
    Terms("WBTC", 7000, 7700, 9500),
    Terms("wstETH", 8000, 8500, 9300),
    Terms("LINK", 5500, 6500, 9000),
)
CURVES = (
    *(800 * WAD // 1000, 0, 32 * WAD // 1000 // _YEAR, 400 * WAD // 1000 // _YEAR),
    *(800 * WAD // 1000, 15 * WAD // 1000 // _YEAR, 35 * WAD // 1000 // _YEAR, 350 * WAD // 1000 // _YEAR),
)
"""Kink, base, low and high slope of supplying and of borrowing; the latter three per second, with 18 decimals."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the contract says of one wallet."""

    principal: int
    """Signed: a debt is below zero."""
    supplied: int
    borrowed: int
    """Assets of the base, with interest to the newest block."""
    collaterals: Mapping[str, int]
    """By symbol, without what is 0."""
    is_liquidatable: bool
    is_borrow_collateralized: bool


@dataclass(frozen=True, slots=True)
class Comet:
    """One installation."""

    id: str
    name: str
    address: Address
    start_block: int
    base: Token
    collaterals: Mapping[str, Token]

    def as_row(self, chain_id: int) -> dict[str, object]:
        """In the shape of a deployments file."""
        return {
            "id": self.id,
            "chain_id": chain_id,
            "protocol": "compound-v3",
            "name": self.name,
            "address": to_checksum_address(self.address),
            "start_block": self.start_block,
            "contracts": {},
        }

    def read_account(self, chain: DevChain, wallet: Address, block_number: int | None = None) -> Account:
        """The contract's views on a wallet, all of one block. None of its feeds may be broken."""
        views = ("isLiquidatable", "isBorrowCollateralized", "userBasic", "balanceOf", "borrowBalanceOf")
        calls = [ContractCall(self.address, wallet_call_data(f"{view}(address)", wallet)) for view in views]
        calls += [
            ContractCall(self.address, call_data("userCollateral(address,address)", wallet, token.address))
            for token in self.collaterals.values()
        ]
        answers = chain.read(calls, block_number)
        assert all(isinstance(answer, Returned) for answer in answers)
        liquidatable, collateralized, basic, supplied, borrowed, *held = [words(answer.data) for answer in answers]
        principal = basic[0] - (basic[0] >> 255 << 256)
        balances = {symbol: balance[0] for symbol, balance in zip(self.collaterals, held, strict=True) if balance[0]}
        return Account(principal, supplied[0], borrowed[0], balances, bool(liquidatable[0]), bool(collateralized[0]))


def deploy(chain: DevChain, tokens: Mapping[str, Token], network: str) -> Comet:
    """Deploy the market; takes one block."""
    base = tokens[BASE]
    rows = [
        (
            place,
            tokens[terms.symbol].address,
            tokens[terms.symbol].feed,
            10 ** tokens[terms.symbol].decimals,
            *(factor * WAD // 10_000 for factor in (terms.borrow, terms.liquidate, terms.liquidation)),
            terms.cap * 10 ** tokens[terms.symbol].decimals,
        )
        for place, terms in enumerate(COLLATERALS)
    ]
    types = ("address", "address", "uint256", "uint256", "uint256[8]", f"{_ASSET_INFO}[]")
    numbers = (10**base.decimals, BORROW_MIN, CURVES, rows)
    address = chain.deploy(ADMIN, compiled(COMET)["CometMarket"], types, base.address, base.feed, *numbers)
    start_block = chain.mine().number
    collaterals = {terms.symbol: tokens[terms.symbol] for terms in COLLATERALS}
    name = f"Compound V3 {BASE} ({network})"
    return Comet(f"compound-v3-{network}", name, address, start_block, base, collaterals)
