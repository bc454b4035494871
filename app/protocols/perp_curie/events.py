"""Which logs matter, and whom they touch. Event signatures: the protocol's own interfaces.

`PoolAdded` and `FundingUpdated` are not asked for: a market nobody is in concerns nobody, and whoever enters it is
touched by logs of the clearing house; the growth of funding is read with every block. Delegates act by the same events,
whose trader always is the account's owner. Fees and bad debts are booked to the insurance fund's account, in part
without naming it.

One change leaves no log: settling funding of less than one unit of 10^-18 dollars moves the point it was settled at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.account import AccountKey
from app.domain.chain import ZERO_ADDRESS, Address, Hash32, Log, LogFilter
from app.domain.market import Deployment
from app.protocols.abi import topic
from app.protocols.base import AccountTouched, ConfigurationTouched, RulesTouched, Touch
from app.protocols.perp_curie.raw import Raw

POSITION_CHANGED = topic("PositionChanged(address,address,int256,int256,uint256,int256,int256,uint256)")
LIQUIDITY_CHANGED = topic("LiquidityChanged(address,address,address,int24,int24,int256,int256,int128,uint256)")
POSITION_LIQUIDATED = topic("PositionLiquidated(address,address,uint256,uint256,uint256,address)")
POSITION_CLOSED = topic("PositionClosed(address,address,int256,int256,int256,int256,uint256)")
FUNDING_PAYMENT_SETTLED = topic("FundingPaymentSettled(address,address,int256)")
PNL_REALIZED = topic("PnlRealized(address,int256)")
DEPOSITED = topic("Deposited(address,address,uint256)")
WITHDRAWN = topic("Withdrawn(address,address,uint256)")
COLLATERAL_LIQUIDATED = topic("CollateralLiquidated(address,address,address,uint256,uint256,uint256,uint24)")
BAD_DEBT_SETTLED = topic("BadDebtSettled(address,uint256)")


@dataclass(frozen=True, slots=True)
class _Shape:
    """One event: which topic the account's wallet is, which a market (0: none), how many topics and words of data."""

    wallet: int
    market: int
    topics: int
    words: int
    fund: bool = False
    """Whether the insurance fund's balance changes with it."""


SHAPES: Mapping[Hash32, _Shape] = {
    POSITION_CHANGED: _Shape(1, 2, 3, 6),
    LIQUIDITY_CHANGED: _Shape(1, 2, 4, 6),
    POSITION_LIQUIDATED: _Shape(1, 2, 3, 4),
    POSITION_CLOSED: _Shape(1, 2, 3, 5),
    FUNDING_PAYMENT_SETTLED: _Shape(1, 2, 3, 1),
    PNL_REALIZED: _Shape(1, 0, 2, 1),
    DEPOSITED: _Shape(2, 1, 3, 1),
    WITHDRAWN: _Shape(2, 1, 3, 1),
    COLLATERAL_LIQUIDATED: _Shape(1, 2, 4, 4, fund=True),
    BAD_DEBT_SETTLED: _Shape(1, 0, 2, 1, fund=True),
}
"""A liquidator's own account is named by a `PositionChanged` of its own."""

CONFIGURATION = frozenset(
    {
        topic("StatusUpdated(uint8)"),
        topic("LiquidationPenaltyRatioChanged(uint24)"),
        topic("TwapIntervalChanged(uint256)"),
        topic("MaxFundingRateChanged(uint24)"),
        topic("CollateralRatioChanged(address,uint24)"),
        topic("PriceFeedChanged(address,address)"),
        topic("CollateralAdded(address,address,uint24,uint24,uint256)"),
        topic("CollateralManagerChanged(address)"),
        topic("Paused(address)"),
        topic("Unpaused(address)"),
    }
)
"""The margin ratios have no setter and no event: they change with the code."""
UPGRADED = topic("Upgraded(address)")
"""ERC-1967: another implementation behind one of the proxies."""

ALL_TOPICS = frozenset((*SHAPES, *CONFIGURATION, UPGRADED))

_CONFIGURATION = (ConfigurationTouched(),)
_PADDING = bytes(12)


@dataclass(frozen=True)
class Watched:
    """The contracts of one deployment whose logs matter."""

    deployment_id: str
    addresses: frozenset[Address]
    fund: Address
    codes: frozenset[str]
    """Of the markets there are."""

    @classmethod
    def of(cls, deployment: Deployment, raw: Raw) -> Watched:
        """The clearing house, what it names, and the base tokens."""
        bases = (market.base for market in raw.markets.values())
        contracts = frozenset((deployment.address, *raw.roots, *bases)) - {raw.roots.insurance_fund}
        return cls(deployment.id, contracts, raw.roots.insurance_fund, raw.codes)

    @property
    def log_filter(self) -> LogFilter:
        """Every log that can touch an account, the configuration or the rules."""
        return LogFilter(self.addresses, ALL_TOPICS)

    def touched(self, log: Log) -> tuple[Touch, ...]:
        """Whom the log changed; () for logs nobody here asked for; everything when its shape is not its event's."""
        if log.address not in self.addresses or not log.topics:
            return ()
        kind = log.topics[0]
        if kind == UPGRADED:
            return (ConfigurationTouched(), RulesTouched())
        if kind in CONFIGURATION:
            return _CONFIGURATION
        shape = SHAPES.get(kind)
        if shape is None:
            return ()
        if len(log.topics) != shape.topics or len(log.data) != 32 * shape.words:
            return _CONFIGURATION
        wallet = _address(log.topics[shape.wallet])
        market = _address(log.topics[shape.market]) if shape.market else None
        if wallet is None or (shape.market and market is None):
            return _CONFIGURATION
        code = str(market) if market is not None and str(market) in self.codes else None
        touches = [self._account(wallet, code)] if wallet != ZERO_ADDRESS else []
        if shape.fund and wallet != self.fund:
            touches.append(self._account(self.fund, None))
        return tuple(touches)

    def _account(self, wallet: Address, market: str | None) -> AccountTouched:
        return AccountTouched(AccountKey(self.deployment_id, wallet), market)


def _address(word: Hash32) -> Address | None:
    """A topic as an address; None when it is none."""
    return Address(word[12:]) if word[:12] == _PADDING else None
