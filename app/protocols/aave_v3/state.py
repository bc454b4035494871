"""One Aave V3 deployment at one block, and the adapter that makes such states."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property

from app.domain.account import AccountKey, AccountState
from app.domain.chain import ZERO_ADDRESS, Log, LogFilter, ReadPlan
from app.domain.market import Deployment, Market, MarketRecord, ValueUnit
from app.protocols.aave_v3.account_reads import read_account, read_truth
from app.protocols.aave_v3.accrual import Accrued
from app.protocols.aave_v3.coverage import COVERAGE
from app.protocols.aave_v3.deployments import DEPLOYMENTS, SLUG
from app.protocols.aave_v3.events import Watched
from app.protocols.aave_v3.price_reads import read_moving
from app.protocols.aave_v3.priced import AavePrices
from app.protocols.aave_v3.raw import Raw
from app.protocols.aave_v3.reads import read_raw
from app.protocols.aave_v3.records import from_records, to_records
from app.protocols.aave_v3.rules import Rules, likeliest_first, suggested_rules
from app.protocols.base import Adapter, DeploymentState, PricedState, ProtocolKind, Touch, Truth
from app.protocols.calibration import Confirmation


@dataclass(frozen=True)
class AaveState(DeploymentState):
    """Raw numbers, the rules they are taken to follow, and how these rules were confirmed."""

    deployment: Deployment
    raw: Raw
    rules: Rules
    confirmation: Confirmation = field(default_factory=Confirmation)
    value_decimals: int = field(init=False)
    value_currency: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value_decimals", len(str(self.raw.roots.base_unit)) - 1)
        object.__setattr__(self, "value_currency", self.raw.roots.base_symbol)

    @cached_property
    def _markets(self) -> tuple[Market, ...]:
        return tuple(
            Market(self.deployment.id, reserve.code, reserve.asset, reserve.symbol, reserve.decimals)
            for reserve in self.raw.reserves
        )

    @cached_property
    def _watched(self) -> Watched:
        return Watched.of(self.deployment, self.raw)

    @cached_property
    def _log_filter(self) -> LogFilter:
        return self._watched.log_filter

    def value_unit(self, unit: str) -> ValueUnit:
        """The pool's base currency: US dollars, or the token that stands in their place."""
        base = self.raw.roots.base_currency
        asset = None if base == ZERO_ADDRESS else base
        return ValueUnit(self.value_currency, self.value_decimals, self.value_decimals, asset)

    def markets(self) -> tuple[Market, ...]:
        return self._markets

    def records(self) -> tuple[MarketRecord, ...]:
        return tuple(to_records(self.deployment.id, self.raw, self.rules, self.confirmation))

    def log_filter(self) -> LogFilter:
        return self._log_filter

    def touched(self, log: Log) -> tuple[Touch, ...]:
        return self._watched.touched(log)

    def read_next(self, *, full: bool) -> ReadPlan[DeploymentState]:
        """A full read that finds another pool revision goes back to suggested rules, not yet confirmed."""
        if not full:
            return replace(self, raw=(yield from read_moving(self.raw)))
        raw = yield from read_raw(self.deployment, self.raw)
        if raw.roots.revision == self.raw.roots.revision:
            return replace(self, raw=raw)
        return AaveState(self.deployment, raw, suggested_rules(raw.roots.revision))

    def read_account(self, key: AccountKey, block_number: int, markets: Set[str]) -> ReadPlan[AccountState]:
        return read_account(self.raw, self.rules, key, block_number, markets)

    def read_truth(self, key: AccountKey) -> ReadPlan[Truth | None]:
        return read_truth(self.raw, key)

    def candidates(self) -> tuple[DeploymentState, ...]:
        likeliest = likeliest_first(suggested_rules(self.raw.roots.revision))
        return tuple(AaveState(self.deployment, self.raw, rules) for rules in likeliest)

    def confirmed(self, *, samples: int, matches: int) -> DeploymentState:
        return replace(self, confirmation=Confirmation(samples, matches))

    @property
    def confirmed_samples(self) -> int | None:
        return None if self.confirmation.failed else self.confirmation.samples

    def at(self, timestamp: int, block_number: int) -> PricedState:
        """Aave's interest runs by seconds: the block number makes no difference."""
        del block_number
        return AavePrices(Accrued(self.raw, self.rules, timestamp), self.confirmation)


class AaveAdapter(Adapter):
    """Aave V3 from 3.0 to 3.7 and forks that keep its views."""

    slug = SLUG
    name = "Aave V3"
    kind = ProtocolKind.LENDING
    account_fields = ("emode_category",)
    coverage = COVERAGE

    def deployments(self) -> Sequence[Deployment]:
        return DEPLOYMENTS

    def read_state(self, deployment: Deployment) -> ReadPlan[DeploymentState]:
        raw = yield from read_raw(deployment)
        return AaveState(deployment, raw, suggested_rules(raw.roots.revision))

    def restore_state(
        self, deployment: Deployment, markets: Sequence[Market], records: Sequence[MarketRecord]
    ) -> DeploymentState:
        return AaveState(deployment, *from_records(deployment, markets, records))
