"""One Comet at one block, and the adapter that makes such states."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

from app.domain.account import AccountKey, AccountSnapshot, AccountState
from app.domain.chain import Log, LogFilter, ReadPlan
from app.domain.market import Deployment, Market, MarketRecord, ValueUnit
from app.protocols.base import Adapter, DeploymentState, PricedState, ProtocolKind, Touch, Truth
from app.protocols.calibration import Confirmation
from app.protocols.compound_v3.account_reads import read_account, read_truth
from app.protocols.compound_v3.accrual import accrued_indices, stored_indices
from app.protocols.compound_v3.coverage import COVERAGE
from app.protocols.compound_v3.deployments import DEPLOYMENTS, SLUG
from app.protocols.compound_v3.events import Watched, explain_accrual, names_one_side
from app.protocols.compound_v3.legs import Book
from app.protocols.compound_v3.moving_reads import read_moving
from app.protocols.compound_v3.priced import CometPrices
from app.protocols.compound_v3.raw import PRICE_DECIMALS, Raw
from app.protocols.compound_v3.reads import read_raw
from app.protocols.compound_v3.records import from_records, to_records


@dataclass(frozen=True)
class CometState(DeploymentState):
    """Raw numbers, and how the rules were confirmed: there is one set of them, which fits or does not."""

    deployment: Deployment
    raw: Raw
    confirmation: Confirmation = field(default_factory=Confirmation)
    value_decimals: int = field(init=False, default=PRICE_DECIMALS)
    value_currency: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value_currency", self.raw.currency)

    @cached_property
    def _markets(self) -> tuple[Market, ...]:
        return tuple(
            Market(self.deployment.id, one.code, one.asset, one.symbol, one.decimals) for one in self.raw.assets
        )

    @cached_property
    def _watched(self) -> Watched:
        return Watched.of(self.deployment, self.raw)

    @cached_property
    def _log_filter(self) -> LogFilter:
        return self._watched.log_filter

    def value_unit(self, unit: str) -> ValueUnit:
        """The base asset itself is the measure where its feed is the constant 1.0 that named the currency after it."""
        base = self.raw.base
        is_measure = self.raw.currency == base.symbol and self.raw.prices.get(base.code) == 10**PRICE_DECIMALS
        asset = base.asset if is_measure else None
        return ValueUnit(self.value_currency, self.value_decimals, self.value_decimals, asset)

    def markets(self) -> tuple[Market, ...]:
        """The base asset first, then the collaterals in the Comet's order."""
        return self._markets

    def records(self) -> tuple[MarketRecord, ...]:
        return tuple(to_records(self.deployment.id, self.raw, self.confirmation))

    def log_filter(self) -> LogFilter:
        return self._log_filter

    def touched(self, log: Log) -> tuple[Touch, ...]:
        return self._watched.touched(log)

    def read_next(self, *, full: bool) -> ReadPlan[DeploymentState]:
        if full:
            return replace(self, raw=(yield from read_raw(self.deployment, self.raw)))
        return replace(self, raw=(yield from read_moving(self.deployment.address, self.raw)))

    def read_account(self, key: AccountKey, block_number: int, markets: Set[str]) -> ReadPlan[AccountState]:
        """The account's own flags name all it holds, so `markets` adds nothing."""
        return read_account(self.deployment.address, self.raw, key, block_number)

    accounts_change_unseen: ClassVar[bool] = True

    def may_have_changed_unseen(self, before: DeploymentState, *, logs: Sequence[Log] | None) -> bool:
        """Whether interest was accrued although no log says why, or a log tells of one side of a transfer only.

        Every write of a principal accrues first, so a transfer that no log tells of leaves the time of the last accrual
        changed. (So does claiming rewards, which changes no balance: then nothing is found.) Not told: a wholly silent
        transfer between two debts in blocks where other logs explain an accrual, or in the very second of the accrual
        before it. These the slow round finds.
        """
        assert isinstance(before, CometState)
        now, then = self.raw.totals, before.raw.totals
        if now is None or then is None or (logs and names_one_side(logs)):
            return True
        return now.accrued_at != then.accrued_at and not (logs and explain_accrual(logs))

    def may_change_unseen(self, snapshot: AccountSnapshot) -> bool:
        """Whether the account is or could become a borrower: it owes, or has collateral and no supply.

        `Transfer` names whoever a transfer takes supplied base from or gives it to. Unnamed is who goes from no supply
        to a debt, and who repays a part of one, or exactly all of it.
        """
        base = self.raw.base.code
        return bool(snapshot.positions) and not any(
            held.market == base and held.supplied_raw for held in snapshot.positions
        )

    def read_truth(self, key: AccountKey) -> ReadPlan[Truth | None]:
        return read_truth(self.deployment.address, key)

    def candidates(self) -> tuple[DeploymentState, ...]:
        return (CometState(self.deployment, self.raw),)

    def confirmed(self, *, samples: int, matches: int) -> DeploymentState:
        return replace(self, confirmation=Confirmation(samples, matches))

    @property
    def confirmed_samples(self) -> int | None:
        return None if self.confirmation.failed else self.confirmation.samples

    def at(self, timestamp: int, block_number: int) -> PricedState:
        """Interest runs by seconds: the block's number does not matter."""
        book = Book(self.raw, accrued_indices(self.raw, timestamp))
        return CometPrices(book, Book(self.raw, stored_indices(self.raw)), self.confirmation)


class CometAdapter(Adapter):
    """Compound V3: one deployment is one Comet, with one base asset and up to 24 collaterals."""

    slug = SLUG
    name = "Compound V3"
    kind = ProtocolKind.LENDING
    account_fields = ("assets_in",)
    coverage = COVERAGE

    def deployments(self) -> Sequence[Deployment]:
        return DEPLOYMENTS

    def read_state(self, deployment: Deployment) -> ReadPlan[DeploymentState]:
        return CometState(deployment, (yield from read_raw(deployment)))

    def restore_state(
        self, deployment: Deployment, markets: Sequence[Market], records: Sequence[MarketRecord]
    ) -> DeploymentState:
        return CometState(deployment, *from_records(deployment, markets, records))
