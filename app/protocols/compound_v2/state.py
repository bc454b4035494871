"""One Compound V2 style deployment at one block, and the adapter that makes such states."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

from app.domain.account import AccountKey, AccountSnapshot, AccountState
from app.domain.chain import Log, LogFilter, ReadPlan
from app.domain.market import Deployment, Market, MarketRecord
from app.protocols.base import Adapter, DeploymentState, PricedState, ProtocolKind, Touch, Truth
from app.protocols.calibration import Confirmation
from app.protocols.compound_v2.account_reads import continued, read_account, read_truth
from app.protocols.compound_v2.accrual import Accrued
from app.protocols.compound_v2.coverage import COVERAGE
from app.protocols.compound_v2.deployments import DEPLOYMENTS, SLUG
from app.protocols.compound_v2.events import Watched
from app.protocols.compound_v2.legs import SHOWN_DECIMALS
from app.protocols.compound_v2.moving_reads import read_moving
from app.protocols.compound_v2.priced import CompoundPrices
from app.protocols.compound_v2.raw import Raw
from app.protocols.compound_v2.reads import Found, read_raw
from app.protocols.compound_v2.records import from_records, to_records
from app.protocols.compound_v2.rules import Rules, likeliest_first


@dataclass(frozen=True)
class CompoundState(DeploymentState):
    """Raw numbers, the rules they are taken to follow, and how these rules were confirmed."""

    continues_accounts: ClassVar[bool] = True

    deployment: Deployment
    raw: Raw
    rules: Rules
    confirmation: Confirmation = field(default_factory=Confirmation)
    value_decimals: int = field(init=False, default=SHOWN_DECIMALS)
    value_currency: str = field(init=False, default="USD")

    @cached_property
    def _markets(self) -> tuple[Market, ...]:
        return tuple(
            Market(self.deployment.id, listing.code, listing.asset, listing.symbol, listing.decimals)
            for listing in self.raw.listings
        )

    @cached_property
    def _watched(self) -> Watched:
        return Watched.of(self.deployment, self.raw)

    @cached_property
    def _log_filter(self) -> LogFilter:
        return self._watched.log_filter

    def markets(self) -> tuple[Market, ...]:
        return self._markets

    def records(self) -> tuple[MarketRecord, ...]:
        return tuple(to_records(self.deployment.id, self.raw, self.rules, self.confirmation))

    def log_filter(self) -> LogFilter:
        return self._log_filter

    def touched(self, log: Log) -> tuple[Touch, ...]:
        return self._watched.touched(log)

    def read_next(self, *, full: bool) -> ReadPlan[DeploymentState]:
        """A full read that finds answers of another shape goes back to suggested rules, not yet confirmed."""
        if not full:
            return replace(self, raw=(yield from read_moving(self.raw, self.rules)))
        found = yield from read_raw(self.deployment, Found(self.raw, self.rules))
        if found.rules == self.rules:
            return replace(self, raw=found.raw)
        return CompoundState(self.deployment, found.raw, found.rules)

    def read_account(self, key: AccountKey, block_number: int, markets: Set[str]) -> ReadPlan[AccountState]:
        return read_account(self.deployment, self.raw, self.rules, key, block_number, markets)

    def continued(self, before: AccountSnapshot, read: AccountSnapshot) -> AccountSnapshot:
        return continued(before, read)

    def read_truth(self, key: AccountKey) -> ReadPlan[Truth | None]:
        return read_truth(self.deployment.address, key)

    def candidates(self) -> tuple[DeploymentState, ...]:
        return tuple(CompoundState(self.deployment, self.raw, rules) for rules in likeliest_first(self.rules))

    def confirmed(self, *, samples: int, matches: int) -> DeploymentState:
        return replace(self, confirmation=Confirmation(samples, matches))

    @property
    def confirmed_samples(self) -> int | None:
        return None if self.confirmation.failed else self.confirmation.samples

    def at(self, timestamp: int, block_number: int) -> PricedState:
        accrued = Accrued(self.raw, self.rules, timestamp, block_number)
        stored = Accrued(self.raw, self.rules, timestamp, block_number, stored=True)
        return CompoundPrices(accrued, stored, self.confirmation, self.deployment.chain_id)


class CompoundAdapter(Adapter):
    """Compound V2 and its family."""

    slug = SLUG
    name = "Compound V2"
    kind = ProtocolKind.LENDING
    account_fields = ("pool", "vai_minted", "vai_past_interest", "vai_index")
    coverage = COVERAGE

    def deployments(self) -> Sequence[Deployment]:
        return DEPLOYMENTS

    def read_state(self, deployment: Deployment) -> ReadPlan[DeploymentState]:
        found = yield from read_raw(deployment)
        return CompoundState(deployment, found.raw, found.rules)

    def restore_state(
        self, deployment: Deployment, markets: Sequence[Market], records: Sequence[MarketRecord]
    ) -> DeploymentState:
        return CompoundState(deployment, *from_records(deployment, markets, records))
