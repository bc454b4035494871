"""What the book says at its block: everybody screened by floats, and whoever is near a line by the exact rule."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from app.domain.account import AccountKey
from app.domain.market import ValueUnit
from app.domain.risk import Health, RiskStatus
from app.store.blocks import StoredBlock
from app.valuation.assess import NO_UNIT, StateAt
from app.valuation.book import Screen


@dataclass(frozen=True, slots=True)
class Reading:
    """The verdict on every account at one block. Good until the keeper moves on; until then `status` may be asked."""

    block: StoredBlock
    screen: Screen
    confirmed: Mapping[AccountKey, Health]
    """By the contract's exact rule: everybody who is liquidatable, near that, among the riskiest, owes next to nothing,
    or cannot be in the book; and only what is in here may be shown as the contract's own number."""
    unknown: Set[AccountKey]
    """Accounts that are unknown although their deployment is valued."""
    exact_only: Set[AccountKey]
    """Accounts that have no legs: they are in `confirmed` and not in the book. Accounts of `unvalued` are left out."""
    exposed: Set[AccountKey]
    """Accounts in the book that owe something or have a position. The keeper's own set: it moves with the keeper."""
    unvalued: Mapping[str, str]
    """By deployment: why all of its accounts are unknown."""
    states: Mapping[str, StateAt]
    """By deployment: its state at the block; those in `unvalued` may be missing or overtaken."""
    accounts: int
    """All there are, in the book or not."""

    def status(self, key: AccountKey) -> RiskStatus:
        """The verdict on one account that there is."""
        if key.deployment_id in self.unvalued:
            return RiskStatus.UNKNOWN
        health = self.confirmed.get(key)
        if health is not None:
            return health.status
        if key in self.unknown:
            return RiskStatus.UNKNOWN
        return RiskStatus.HEALTHY if key in self.exposed else RiskStatus.NO_DEBT

    def liquidatable(self) -> list[AccountKey]:
        """Everybody the contracts would let be liquidated."""
        return [key for key, health in self.confirmed.items() if health.status is RiskStatus.LIQUIDATABLE]

    def value_unit(self, key: AccountKey) -> ValueUnit:
        """What the account's values are counted in."""
        state = self.states.get(key.deployment_id)
        return NO_UNIT if state is None else state.state.value_unit(key.unit)
