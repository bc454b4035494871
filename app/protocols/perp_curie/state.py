"""One Curie deployment at one block, and the adapter that makes such states.

The registry has no list of its markets and the vault none of its collaterals: besides those a deployment lists, a
state learns of them by the accounts in them (`expecting`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

from app.domain.account import AccountKey, AccountSnapshot, AccountState
from app.domain.chain import Address, Log, LogFilter, ReadPlan
from app.domain.market import Deployment, Market, MarketRecord
from app.protocols.base import Adapter, DeploymentState, PricedState, ProtocolKind, Touch, Truth
from app.protocols.calibration import Confirmation
from app.protocols.perp_curie.account_reads import ACCOUNT_FIELDS, PerpParams, read_account, read_truth
from app.protocols.perp_curie.coverage import COVERAGE
from app.protocols.perp_curie.deployments import DEPLOYMENTS, SLUG
from app.protocols.perp_curie.events import Watched
from app.protocols.perp_curie.margin import Book
from app.protocols.perp_curie.moving_reads import read_moving
from app.protocols.perp_curie.priced import CuriePrices
from app.protocols.perp_curie.raw import VALUE_DECIMALS, Raw
from app.protocols.perp_curie.reads import (
    listed_bases,
    read_configuration,
    read_entered,
    read_listings,
    read_roots,
)
from app.protocols.perp_curie.records import from_records, to_markets, to_records


@dataclass(frozen=True)
class CurieState(DeploymentState):
    """Raw numbers, how the rules were confirmed, and wallets told of whose markets have not been read yet."""

    deployment: Deployment
    raw: Raw
    confirmation: Confirmation = field(default_factory=Confirmation)
    awaited: tuple[Address, ...] = ()
    """Wallets that the next read asks what they are in; empty again after it, whatever it found."""
    value_decimals = VALUE_DECIMALS
    value_currency = "USD"
    accounts_move: ClassVar[bool] = True
    accounts_change_unseen: ClassVar[bool] = True

    @cached_property
    def _markets(self) -> tuple[Market, ...]:
        return tuple(to_markets(self.deployment.id, self.raw))

    @cached_property
    def _watched(self) -> Watched:
        return Watched.of(self.deployment, self.raw)

    @cached_property
    def _log_filter(self) -> LogFilter:
        return self._watched.log_filter

    def markets(self) -> tuple[Market, ...]:
        return self._markets

    def records(self) -> tuple[MarketRecord, ...]:
        return tuple(to_records(self.deployment.id, self.raw, self.confirmation))

    def log_filter(self) -> LogFilter:
        return self._log_filter

    def touched(self, log: Log) -> tuple[Touch, ...]:
        return self._watched.touched(log)

    def moves_by_itself(self, snapshot: AccountSnapshot) -> bool:
        """Whether the account has to be read again at every block.

        One with open orders has: its size, fees and funding move with every swap in its ranges and with time. So has
        one in a market whose funding nobody tells any more, because reading it finds a new witness.
        """
        for perp in snapshot.perps:
            market = self.raw.markets.get(perp.market)
            if PerpParams(*perp.params).orders or market is None or (perp.size_raw and market.growth is None):
                return True
        return False

    def may_have_changed_unseen(self, before: DeploymentState, *, logs: Sequence[Log] | None) -> bool:
        """Whether a market's funding was told and is not any more: then those in it are to be read, so that they tell.

        What does change unseen is where an account's funding was last settled, when what it settled was less than a
        unit: that makes no difference of a unit, and the slow round sets it right.
        """
        del logs
        assert isinstance(before, CurieState)
        told = {code for code, market in before.raw.markets.items() if market.growth is not None}
        return any(market.growth is None for code, market in self.raw.markets.items() if code in told)

    def may_change_unseen(self, snapshot: AccountSnapshot) -> bool:
        """Accounts in any market."""
        return bool(snapshot.perps)

    def expecting(self, keys: Iterable[AccountKey]) -> CurieState:
        """The wallets' markets and collaterals are read next, and their word on the funding is taken."""
        wallets = tuple(sorted({key.wallet for key in keys}))
        return replace(self, awaited=wallets) if wallets else self

    def read_next(self, *, full: bool) -> ReadPlan[DeploymentState]:
        raw = self.raw
        if full:
            raw = yield from read_configuration(self.deployment.address, raw)
        raw, holders = yield from read_entered(raw, self.awaited)
        return replace(self, raw=(yield from read_moving(raw, holders)), awaited=())

    def read_account(self, key: AccountKey, block_number: int, markets: Set[str]) -> ReadPlan[AccountState]:
        """The contracts name every market and collateral an account is in, so `markets` adds nothing."""
        del markets
        return read_account(self.raw, key, block_number)

    def read_truth(self, key: AccountKey) -> ReadPlan[Truth | None]:
        return read_truth(self.deployment.address, self.raw, key)

    def candidates(self) -> tuple[DeploymentState, ...]:
        """One set of rules: how a mark price comes about differed between versions, but it is read."""
        return (replace(self, confirmation=Confirmation()),)

    def confirmed(self, *, samples: int, matches: int) -> DeploymentState:
        return replace(self, confirmation=Confirmation(samples, matches))

    @property
    def confirmed_samples(self) -> int | None:
        return None if self.confirmation.failed else self.confirmation.samples

    def at(self, timestamp: int, block_number: int) -> PricedState:
        """Funding runs by seconds: the block number makes no difference.

        Raises:
            ValueError: the time lies before the block's.
        """
        del block_number
        elapsed = 0 if self.raw.timestamp is None else timestamp - self.raw.timestamp
        if elapsed < 0:
            raise ValueError(f"funding cannot be taken back from {self.raw.timestamp} to {timestamp}")
        return CuriePrices(Book(self.raw, elapsed), self.confirmation)


class CurieAdapter(Adapter):
    """Perpetual Protocol v2: one deployment is one clearing house with all its markets."""

    slug = SLUG
    name = "Perpetual Protocol v2"
    kind = ProtocolKind.PERP
    account_fields = ACCOUNT_FIELDS
    coverage = COVERAGE

    def deployments(self) -> Sequence[Deployment]:
        return DEPLOYMENTS

    def read_state(self, deployment: Deployment) -> ReadPlan[DeploymentState]:
        """A new state has the markets the deployment lists; the first accounts bring the others."""
        raw = yield from read_roots(deployment)
        raw = yield from read_configuration(deployment.address, raw)
        raw = yield from read_listings(raw, listed_bases(deployment), ())
        return CurieState(deployment, (yield from read_moving(raw, {})))

    def restore_state(
        self, deployment: Deployment, markets: Sequence[Market], records: Sequence[MarketRecord]
    ) -> DeploymentState:
        return CurieState(deployment, *from_records(deployment, markets, records))
