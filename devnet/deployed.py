"""A protocol installation on the devnet, as everything above the deploy modules sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eth_utils.address import to_checksum_address

from app.domain.chain import Address


@dataclass(frozen=True, slots=True)
class Reserve:
    """One listed asset and the tokens that stand for deposits and debts in it."""

    symbol: str
    asset: Address
    decimals: int
    feed: Address
    a_token: Address
    v_token: Address


@dataclass(frozen=True, slots=True)
class Deployed:
    """One Aave V3 installation."""

    id: str
    name: str
    version: tuple[int, int]
    pool: Address
    addresses_provider: Address
    configurator: Address
    oracle: Address
    data_provider: Address
    start_block: int
    """The block the Pool came into being in: no event of it is older."""
    reserves: Mapping[str, Reserve]
    """By symbol, in the order of their ids."""

    def as_row(self, chain_id: int) -> dict[str, object]:
        """In the shape of a deployments file."""
        return {
            "id": self.id,
            "chain_id": chain_id,
            "protocol": "aave-v3",
            "name": self.name,
            "address": to_checksum_address(self.pool),
            "start_block": self.start_block,
            "contracts": {"pool_addresses_provider": to_checksum_address(self.addresses_provider)},
        }
