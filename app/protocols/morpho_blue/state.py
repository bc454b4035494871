"""One Morpho Blue deployment at one block, and the adapter that makes such states.

The contract has no list of its markets, and anybody may create them by the thousand. A state follows those in which
an account is to be read: it is told of them (`expecting`) and reads what they are by their ids. What a block costs
is bounded: at most `MOST_NEW_MARKETS` join in one, at most `MOST_MARKETS` are followed (those with debts, a price
and the latest activity; the others' accounts are unknown), and an oracle is asked only while the market's debts are
worth it and it has answered of late (`raw`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property

from app.domain.account import AccountKey, AccountState
from app.domain.chain import Address, Log, LogFilter, ReadPlan
from app.domain.market import Deployment, Market, MarketRecord, ValueUnit
from app.domain.specs import chain_spec
from app.protocols.base import Adapter, DeploymentState, PricedState, ProtocolKind, Touch, Truth
from app.protocols.calibration import Confirmation
from app.protocols.morpho_blue import witnesses
from app.protocols.morpho_blue.account_reads import read_account
from app.protocols.morpho_blue.coverage import COVERAGE
from app.protocols.morpho_blue.deployments import DEPLOYMENTS, SLUG
from app.protocols.morpho_blue.events import Watched
from app.protocols.morpho_blue.priced import MorphoPrices
from app.protocols.morpho_blue.raw import Raw, market_id
from app.protocols.morpho_blue.reads import (
    read_markets,
    read_moving,
    read_root,
    read_tokens,
    retold,
    silent_tokens,
    within_bounds,
)
from app.protocols.morpho_blue.records import from_records, to_markets, to_records

MOST_MARKETS = 2_000
"""No more markets than this are followed; accounts in others are Unreadable, or UNKNOWN if they were read before."""
MOST_NEW_MARKETS = 200
"""So many are read for the first time in one block; the accounts of the rest are Unreadable, and soon read again."""


@dataclass(frozen=True)
class MorphoState(DeploymentState):
    """Raw numbers, how the rules were confirmed, and markets told of but not read yet."""

    deployment: Deployment
    raw: Raw
    confirmation: Confirmation = field(default_factory=Confirmation)
    awaited: tuple[str, ...] = ()
    """Ids of markets that the next read asks about; empty again after it, whatever it found."""
    asking: tuple[tuple[str, tuple[Address, ...]], ...] = ()
    """Market ids and wallets whose verdicts the next read compares."""
    value_decimals = 0
    value_currency = None

    @cached_property
    def _watched(self) -> Watched:
        return Watched(self.deployment.id, self.deployment.address, self.raw.fee_recipient)

    @property
    def _multicall3(self) -> Address:
        return chain_spec(self.deployment.chain_id).multicall3

    @cached_property
    def _markets(self) -> tuple[Market, ...]:
        return tuple(to_markets(self.deployment.id, self.raw))

    def value_unit(self, unit: str) -> ValueUnit:
        """The market's loan token; no measure to convert by where that token does not state its decimals."""
        market = self.raw.markets.get(unit)
        if market is None:
            return ValueUnit(None, 0, 0)
        asset = None if market.loan.decimals is None else market.params.loan_token
        return ValueUnit(market.currency, market.loan_decimals, market.price_decimals, asset)

    def markets(self) -> tuple[Market, ...]:
        return self._markets

    def records(self) -> tuple[MarketRecord, ...]:
        return tuple(to_records(self.deployment.id, self.raw, self.confirmation))

    def log_filter(self) -> LogFilter:
        return self._watched.log_filter

    def touched(self, log: Log) -> tuple[Touch, ...]:
        return self._watched.touched(log)

    def expecting(self, keys: Iterable[AccountKey]) -> MorphoState:
        """Markets not followed yet are read next, and markets without a witness get one."""
        asking = witnesses.chosen(self.raw, (key for key in keys if market_id(key.unit) is not None))
        new = [unit for unit in asking if unit not in self.raw.markets][:MOST_NEW_MARKETS]
        if not asking:
            return self
        return replace(self, awaited=tuple(new), asking=tuple(asking.items()))

    def read_next(self, *, full: bool) -> ReadPlan[DeploymentState]:
        """Markets themselves never change, so a full read asks besides for the fee recipient, once more for the
        decimals of tokens that did not state them, and compares the witnesses' verdicts again."""
        contract, raw = self.deployment.address, replace(self.raw, dropped=())
        if full:
            raw = yield from read_root(self.deployment, raw)
            raw = replace(raw, markets=retold(raw.markets, (yield from read_tokens(silent_tokens(raw)))))
        raw = yield from read_markets(contract, raw, self.awaited)
        raw = within_bounds(self.raw, (yield from read_moving(contract, raw, full=full)), MOST_MARKETS)
        wanted = dict(self.asking) | (witnesses.standing(raw) if full else {})
        raw = yield from witnesses.compare(contract, self._multicall3, raw, wanted)
        return replace(self, raw=raw, awaited=(), asking=())

    def read_account(self, key: AccountKey, block_number: int, markets: Set[str]) -> ReadPlan[AccountState]:
        """One call; an account has one position, so there are no other markets to look into."""
        del markets
        return read_account(self.deployment.address, self.raw, key, block_number)

    def read_truth(self, key: AccountKey) -> ReadPlan[Truth | None]:
        return witnesses.read_truth(self.deployment.address, self._multicall3, self.raw, key)

    def candidates(self) -> tuple[DeploymentState, ...]:
        """The contract cannot be changed and has one version: one set of rules, to be compared all the same."""
        return (replace(self, confirmation=Confirmation()),)

    def confirmed(self, *, samples: int, matches: int) -> DeploymentState:
        return replace(self, confirmation=Confirmation(samples, matches))

    @property
    def confirmed_samples(self) -> int | None:
        return None if self.confirmation.failed else self.confirmation.samples

    def at(self, timestamp: int, block_number: int) -> PricedState:
        """Interest runs by seconds: the block number makes no difference."""
        del block_number
        return MorphoPrices(self.raw, self.confirmation, timestamp)


class MorphoAdapter(Adapter):
    """Morpho Blue, the immutable singleton."""

    slug = SLUG
    name = "Morpho Blue"
    kind = ProtocolKind.LENDING
    account_fields = ()
    accounts_by_wallet = False
    coverage = COVERAGE

    def deployments(self) -> Sequence[Deployment]:
        return DEPLOYMENTS

    def read_state(self, deployment: Deployment) -> ReadPlan[DeploymentState]:
        """A new state follows no market: the first accounts bring them."""
        return MorphoState(deployment, (yield from read_root(deployment)))

    def restore_state(
        self, deployment: Deployment, markets: Sequence[Market], records: Sequence[MarketRecord]
    ) -> DeploymentState:
        return MorphoState(deployment, *from_records(deployment, markets, records))
