"""Morpho Blue markets as anybody may create them: their oracles burn gas, flood, fail or lie, once there are debts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_utils.crypto import keccak

from app.domain.chain import Address
from devnet.assets import ADMIN, LIQUIDATOR, LIQUIDITY_PROVIDER
from devnet.chain import DevChain
from devnet.codec import arguments_data
from devnet.compile import Unit, compiled
from devnet.morpho_blue import PARAMS, Market, MorphoBlue

JUNK = Unit(
    name="morpho-junk",
    entries=("own/JunkOracle.sol",),
    roots={"own/": "devnet:contracts"},
    evm_version="paris",
    compiler="solc-0.8.19",
)
MODES = ("honest", "burns", "floods", "drains", "reverts", "reverts bare", "zero", "lies", "moody")
"""What an oracle can be told to do, in the contract's order."""
BORROWER = LIQUIDATOR
"""Who owes something in each of them."""
_PARAM_TYPES = ("address", "address", "address", "address", "uint256")
_PER_BLOCK = 100


@dataclass(frozen=True, slots=True)
class JunkMarket:
    """One such market."""

    id: bytes
    oracle: Address
    mode: str

    @property
    def unit(self) -> str:
        """As `AccountKey.unit` names it."""
        return "0x" + self.id.hex()


def add_junk(chain: DevChain, deployed: MorphoBlue, modes: Sequence[str]) -> list[JunkMarket]:
    """Create a market for each mode, like the installation's first but for its oracle; with a debt of BORROWER's.

    The oracles behave until `misbehave`: nothing could be borrowed otherwise.
    """
    code = compiled(JUNK)["JunkOracle"]
    like = deployed.markets[0]
    created = []
    for start in range(0, len(modes), _PER_BLOCK):
        for mode in modes[start : start + _PER_BLOCK]:
            oracle = chain.deploy(ADMIN, code, ("address", "address"), like.oracle, deployed.address)
            created.append(_create(chain, deployed, like, oracle, mode))
        chain.mine()
    return created


def misbehave(chain: DevChain, markets: Sequence[JunkMarket]) -> None:
    """From the next block on each oracle does what it is for."""
    for start in range(0, len(markets), _PER_BLOCK):
        for market in markets[start : start + _PER_BLOCK]:
            chain.execute(ADMIN, market.oracle, "set(uint8)", MODES.index(market.mode), gas=200_000)
        chain.mine()


def _create(chain: DevChain, deployed: MorphoBlue, like: Market, oracle: Address, mode: str) -> JunkMarket:
    morpho, loan, collateral = deployed.address, like.loan, like.collateral
    params = (loan.address, collateral.address, oracle, like.params[3], like.terms.lltv)
    chain.execute(ADMIN, morpho, f"createMarket({PARAMS})", params)
    supplied, owed, backing = 10**10, 10**8, 10**18
    chain.execute(
        LIQUIDITY_PROVIDER,
        morpho,
        f"supply({PARAMS},uint256,uint256,address,bytes)",
        params,
        supplied,
        0,
        LIQUIDITY_PROVIDER,
        b"",
    )
    chain.execute(BORROWER, morpho, f"supplyCollateral({PARAMS},uint256,address,bytes)", params, backing, BORROWER, b"")
    chain.execute(
        BORROWER, morpho, f"borrow({PARAMS},uint256,uint256,address,address)", params, owed, 0, BORROWER, BORROWER
    )
    return JunkMarket(keccak(arguments_data(_PARAM_TYPES, *params)), oracle, mode)
