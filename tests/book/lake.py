"""The pond with legs: the same protocol and exact rule, and accounts that can be columns of the book."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.account import AccountSnapshot
from app.domain.legs import Factor, Leg
from app.domain.market import Deployment, Market, MarketRecord
from app.domain.units import BPS
from app.protocols.base import Adapter, DeploymentState
from tests.fakes.pond import USD8, PondAdapter, PondPriced, PondState

UNLISTED = 40
"""Wallets whose first byte is below this have no legs."""


CONTRADICTING = 6666
"""A threshold with which nothing can be made of a state."""


@dataclass(frozen=True, slots=True)
class LakePriced(PondPriced):
    """Two factors: what one raw unit of each token is worth in dollars."""

    def factors(self) -> tuple[Factor, ...]:
        if self.threshold_bps == CONTRADICTING:
            raise ValueError("younger than its block")
        return tuple(
            Factor(code, None if price is None else price / USD8 / 10 ** self.decimals[code], code)
            for code, (price, _) in self.prices.items()
        )

    def legs(self, snapshot: AccountSnapshot) -> tuple[Leg, ...] | None:
        if snapshot.key.wallet[0] < UNLISTED:
            return None
        threshold = self.threshold_bps / BPS
        return tuple(
            Leg(p.market, float(p.supplied_raw), p.supplied_raw * threshold, float(p.borrowed_raw))
            for p in snapshot.positions
        )

    def legs_basis(self) -> object:
        return self.threshold_bps


@dataclass(frozen=True, slots=True)
class LakeState(PondState):
    """As the pond's."""

    def at(self, timestamp: int, block_number: int) -> LakePriced:
        bare = PondState.at(self, timestamp, block_number)
        return LakePriced(bare.prices, bare.decimals, bare.threshold_bps)


class LakeAdapter(PondAdapter):
    """The pond's code with a book."""

    def restore_state(
        self, deployment: Deployment, markets: Sequence[Market], records: Sequence[MarketRecord]
    ) -> DeploymentState:
        bare = PondAdapter.restore_state(self, deployment, markets, records)
        assert isinstance(bare, PondState)
        return LakeState(bare.deployment, bare.described, bare.stored, bare.value_currency)


def find_lake(slug: str) -> Adapter:
    """The adapter finder of a process that knows this protocol only."""
    assert slug == "pond"
    return LakeAdapter()
