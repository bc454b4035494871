"""One Morpho Blue deployment at one block, and the adapter that makes such states.

The contract has no list of its markets, and anybody may create them by the thousand. A state follows those in which
an account is to be read: it is told of them (`expecting`) and reads what they are by their ids. What each block
costs is bounded twice: at most `MOST_MARKETS` are followed, and the oracle and rate model of one are asked only
while somebody borrows in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from app.domain.account import AccountKey, AccountState
from app.domain.chain import Log, LogFilter, ReadPlan
from app.domain.market import Deployment, Market, MarketRecord, ValueUnit
from app.protocols.base import Adapter, DeploymentState, PricedState, ProtocolKind, Touch, Truth
from app.protocols.morpho_blue.account_reads import read_account, read_truth
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
)
from app.protocols.morpho_blue.records import Confirmation, from_records, to_markets, to_records

MOST_MARKETS = 2_000
"""No more markets than this are followed; accounts in others are Unreadable."""


@dataclass(frozen=True)
class MorphoState(DeploymentState):
    """Raw numbers, how the rules were confirmed, and markets told of but not read yet."""

    deployment: Deployment
    raw: Raw
    confirmation: Confirmation = field(default_factory=Confirmation)
    awaited: tuple[str, ...] = ()
    """Ids of markets that the next read asks about; empty again after it, whatever it found."""
    value_decimals = 0
    value_currency = None

    @cached_property
    def _watched(self) -> Watched:
        return Watched(self.deployment.id, self.deployment.address, self.raw.fee_recipient)

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
        """Markets not followed yet are read next, as many as there is room for."""
        units = {key.unit for key in keys} - self.raw.markets.keys()
        new = sorted(unit for unit in units if market_id(unit) is not None)
        new = new[: max(0, MOST_MARKETS - len(self.raw.markets))]
        return replace(self, awaited=tuple(new)) if new else self

    def read_next(self, *, full: bool) -> ReadPlan[DeploymentState]:
        """Markets themselves never change, so a full read asks besides for the fee recipient, and once more for the
        decimals of tokens that did not state them."""
        contract, raw = self.deployment.address, self.raw
        if full:
            raw = yield from read_root(self.deployment, raw)
            raw = replace(raw, markets=retold(raw.markets, (yield from read_tokens(silent_tokens(raw)))))
        raw = yield from read_markets(contract, raw, self.awaited)
        raw = yield from read_moving(contract, raw)
        return replace(self, raw=raw, awaited=())

    def read_account(self, key: AccountKey, block_number: int, markets: frozenset[str]) -> ReadPlan[AccountState]:
        """One call; an account has one position, so there are no other markets to look into."""
        del markets
        return read_account(self.deployment.address, self.raw, key, block_number)

    def read_truth(self, key: AccountKey) -> ReadPlan[Truth | None]:
        return read_truth(self.deployment.address, self.raw, key)

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

    def deployments(self) -> Sequence[Deployment]:
        return DEPLOYMENTS

    def read_state(self, deployment: Deployment) -> ReadPlan[DeploymentState]:
        """A new state follows no market: the first accounts bring them."""
        return MorphoState(deployment, (yield from read_root(deployment)))

    def restore_state(
        self, deployment: Deployment, markets: Sequence[Market], records: Sequence[MarketRecord]
    ) -> DeploymentState:
        return MorphoState(deployment, *from_records(deployment, markets, records))
