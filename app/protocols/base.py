"""What a protocol has to provide. Everything here is pure: values in, values out, calls yielded as data.

Three values, each made from the one before:

    Adapter          a protocol's code                       "Aave V3"
    DeploymentState  one deployment's raw state at a block   "Aave on Arbitrum, indices and prices at block N"
    PricedState      that state with interest accrued to a timestamp; it answers for accounts
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeAlias

from app.domain.account import AccountKey, AccountSnapshot, AccountState
from app.domain.chain import Log, LogFilter, ReadPlan
from app.domain.legs import Factor, Leg
from app.domain.market import Coverage, Deployment, Market, MarketQuote, MarketRecord, ValueUnit
from app.domain.risk import Health, Restoration, RiskAssessment


class ProtocolKind(StrEnum):
    """What kind of debt a protocol is about."""

    LENDING = "lending"
    PERP = "perp"


@dataclass(frozen=True, slots=True)
class AccountTouched:
    """A log that changed the account's own state: read it again at the log's block."""

    key: AccountKey
    market: str | None = None
    """Market the log is about, when it names one."""


@dataclass(frozen=True, slots=True)
class ConfigurationTouched:
    """A log that changed markets or parameters: read the whole deployment again before any account."""


@dataclass(frozen=True, slots=True)
class RulesTouched:
    """A log that changed the contract's code: its rounding rules have to be confirmed anew."""


Touch: TypeAlias = AccountTouched | ConfigurationTouched | RulesTouched

Truth: TypeAlias = tuple[int, ...]
"""The contract's own numbers about an account, in the order the adapter documents (Aave: the six numbers of
getUserAccountData). Compared for equality only."""


class PricedState(ABC):
    """A deployment at one block with interest accrued to one timestamp. Immutable; cheap to ask often.

    Every method is exact: integer arithmetic with the contract's own rounding at each step.
    """

    @abstractmethod
    def health(self, snapshot: AccountSnapshot) -> Health:
        """Verdict and health factor only: the fast path for ranking every account of a deployment."""

    @abstractmethod
    def assess(self, snapshot: AccountSnapshot) -> RiskAssessment:
        """Everything about one account, liquidation prices included."""

    @abstractmethod
    def truth(self, snapshot: AccountSnapshot) -> Truth | None:
        """What the contract's own view answers for this account; None where that view would revert."""

    @abstractmethod
    def restoration(self, snapshot: AccountSnapshot, target_health_wad: int) -> Restoration:
        """The least repayments and the least additions of collateral that each alone reach the target."""

    @abstractmethod
    def with_price(self, market: str, price: int) -> PricedState:
        """The same state with another oracle price for one market: what-if, and proof of a liquidation price."""

    def with_prices(self, prices: Mapping[str, int]) -> PricedState:
        """`with_price` for several markets."""
        moved: PricedState = self
        for market, price in prices.items():
            moved = moved.with_price(market, price)
        return moved

    def prices_of(self, snapshot: AccountSnapshot) -> Mapping[str, int]:
        """Present price of every market the account is in, by market, as `assess` states them; those without one are
        left out, and all of an account that is UNKNOWN. To be had cheaper than by assessing, where it is overridden."""
        risk = self.assess(snapshot)
        held = {one.market: one.price for one in risk.positions}
        perps = {one.market: one.mark_price for one in risk.perps}
        return {market: price for market, price in (held | perps).items() if price}

    def raw_debt(self, market: str, units: int) -> int:
        """`LendingPosition.borrowed_raw` of a debt taken on now, of `units` in what the protocol counts debts in
        (scaled balance, shares, principal): above 0, and more units are more debt. For what-if only."""
        del market
        return units

    @property
    def truncates_threshold(self) -> bool:
        """Whether health is computed by the average liquidation threshold truncated to whole bps (older Aave)."""
        return False

    def factors(self) -> tuple[Factor, ...]:
        """Every factor that legs of this deployment name, at this block. See `app.domain.legs`."""
        return ()

    def legs(self, snapshot: AccountSnapshot) -> tuple[Leg, ...] | None:
        """The account as sums linear in the factors, without what integers truncate; None when it is UNKNOWN whatever
        the factors are. They hold until the account's own next change, as long as `legs_basis` stays equal."""
        del snapshot
        return None

    def legs_basis(self) -> object:
        """What legs depend on besides the account (thresholds, rules): when it differs, all legs are made anew."""
        return None

    def quotes(self) -> tuple[MarketQuote, ...]:
        """Prices, rates and thresholds of the markets, in the order of `markets()`, as far as they are known."""
        return ()


class DeploymentState(ABC):
    """Raw state of a whole deployment at one block, without any account. Immutable."""

    deployment: Deployment
    value_decimals: int
    """Decimals of every value and price this deployment states (Aave: 8)."""
    value_currency: str | None
    """What values are counted in: `USD`, or the symbol of the base asset. None where that differs from account to
    account: then only `value_unit` says."""

    def value_unit(self, unit: str) -> ValueUnit:
        """What values and prices of the accounts with this `AccountKey.unit` are counted in."""
        del unit
        return ValueUnit(self.value_currency, self.value_decimals, self.value_decimals)

    @abstractmethod
    def markets(self) -> tuple[Market, ...]:
        """Static descriptions of every market, in the protocol's own order."""

    @abstractmethod
    def records(self) -> tuple[MarketRecord, ...]:
        """The state as storable records. `Adapter.restore_state` of them gives an equal state back."""

    @abstractmethod
    def log_filter(self) -> LogFilter:
        """Every log that can touch an account or the configuration."""

    @abstractmethod
    def touched(self, log: Log) -> tuple[Touch, ...]:
        """Whom a log changed. Logs of other deployments give (): callers pass a merged stream.

        A log this filter asked for that does not have its event's shape gives ConfigurationTouched: reading
        everything again is safe, missing something is not.
        """

    def expecting(self, keys: Iterable[AccountKey]) -> DeploymentState:
        """This state, told whose accounts are about to be read: what `read_next` has to read besides for them.

        For protocols that have no list of their markets and learn of them by the accounts in them. `self` where
        nothing is missing; otherwise the state that `read_next` then gives is the one to read the accounts with.
        """
        del keys
        return self

    @abstractmethod
    def read_next(self, *, full: bool) -> ReadPlan[DeploymentState]:
        """The state at the block the plan is driven at, given that `self` is the state at an earlier one.

        With `full` the configuration (list of markets, risk parameters) is read too; without it only what moves
        by itself: prices, indices, rates. What cannot be read becomes None in its record, never zero.
        """

    @abstractmethod
    def read_account(self, key: AccountKey, block_number: int, markets: Set[str]) -> ReadPlan[AccountState]:
        """The account's raw state.

        `markets`: those it is known to have held or touched, read besides the ones its own flags name; a code this
        state does not list (a fork may have dropped it) is passed over. They are looked up while the plan's first
        calls are on their way, so what is in it may be looked at only after these are answered.

        Any needed read that reverts or is malformed gives Unreadable.
        """

    continues_accounts: ClassVar[bool] = False
    """Whether `continued` does anything: only then are stored states looked up for it."""

    def continued(self, before: AccountSnapshot, read: AccountSnapshot) -> AccountSnapshot:
        """The account just read, given its newest state stored before.

        For protocols whose views show raw state only rounded: what the earlier state knows exactly, and the new
        read does not contradict, stays as it was.
        """
        del before
        return read

    accounts_move: ClassVar[bool] = False
    """Whether there are accounts that `moves_by_itself` says yes to."""

    def moves_by_itself(self, snapshot: AccountSnapshot) -> bool:
        """Whether the account's raw state changes with no log naming it, by what others do (the maker of a perp's
        pool). Such accounts are read at every block that is stored."""
        del snapshot
        return False

    accounts_change_unseen: ClassVar[bool] = False
    """Whether an account's raw state can change now and then with no log naming it. Then every stored account is
    read again in a slow round besides."""

    def may_have_changed_unseen(self, before: DeploymentState, *, logs: Sequence[Log] | None) -> bool:
        """Whether some account may have changed since `before`, an earlier state, that no log names.

        Says yes whenever it can be told. `logs`: those that touched this deployment meanwhile, in order, which may be
        what made the difference; None after a gap, where they would explain too much.
        """
        del before, logs
        return False

    def may_change_unseen(self, snapshot: AccountSnapshot) -> bool:
        """Whether this account is one that can: only these are read at once when the state may have changed so."""
        del snapshot
        return True

    @abstractmethod
    def read_truth(self, key: AccountKey) -> ReadPlan[Truth | None]:
        """The contract's own answer about the account; None if that view reverts."""

    @abstractmethod
    def candidates(self) -> tuple[DeploymentState, ...]:
        """This state under each set of rounding rules the protocol has ever had, likeliest first."""

    @abstractmethod
    def confirmed(self, *, samples: int, matches: int) -> DeploymentState:
        """This state with the outcome of comparing its rules with the contract on `samples` accounts.

        `matches < samples` makes every assessment UNKNOWN (`rules_unconfirmed`): the rules are known not to fit.
        `samples == 0` keeps the rules the contract's revision suggests and says so in the reasons.
        """

    @property
    @abstractmethod
    def confirmed_samples(self) -> int | None:
        """Accounts the present rules were compared on; None when never, or when the comparison failed."""

    @abstractmethod
    def at(self, timestamp: int, block_number: int) -> PricedState:
        """Accrue interest to a block (its own time and number: an eth_call at block N sees N's).

        Both, because some protocols' interest runs by seconds and others' by blocks. For a time to come the caller
        estimates the number from the chain's pace.
        """


class Adapter(ABC):
    """A protocol's code: stateless, one instance a protocol, found by the registry as `ADAPTER`."""

    slug: str
    """Folder name with dashes: `aave-v3`."""
    name: str
    kind: ProtocolKind
    account_fields: tuple[str, ...]
    """Names of `AccountSnapshot.params`, in order."""
    accounts_by_wallet: ClassVar[bool] = True
    """Whether every account is named by its wallet alone (`AccountKey.unit` is empty): then a wallet can be looked up
    before any log has named it."""
    coverage: ClassVar[Coverage] = Coverage()
    """What its answers are worth: what is proven equal to the contract, what is compared, estimated or left out."""

    @abstractmethod
    def deployments(self) -> Sequence[Deployment]:
        """The real deployments this project knows, over all chains."""

    @abstractmethod
    def read_state(self, deployment: Deployment) -> ReadPlan[DeploymentState]:
        """Everything about a deployment from its roots: the start of following it.

        Raises (inside the plan):
            Refused: a root contract does not answer as this protocol; the message names deployment and role. Then
                this deployment is set aside and tried again later; the same holds for `read_next`, and for Fatal.
        """

    @abstractmethod
    def restore_state(
        self, deployment: Deployment, markets: Sequence[Market], records: Sequence[MarketRecord]
    ) -> DeploymentState:
        """The state that `DeploymentState.records()` and `.markets()` described.

        Raises:
            Fatal: the records are not this adapter's, or incomplete.
        """
