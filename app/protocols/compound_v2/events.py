"""Which logs matter, and whom they touch.

Every change of a wallet's cTokens makes its market emit `Transfer`, seizures included (so Mint and Redeem add
nothing), every change of a debt `Borrow`, `RepayBorrow` or one of the isolated pools' write-offs. Members of the
family differ in which arguments are indexed, never in their order: arguments are taken as one row of words, topics
first where they are indexed. Event signatures: the sources named in `rules`; `Upgraded` is ERC-1967's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.account import AccountKey
from app.domain.chain import ZERO_ADDRESS, Address, Hash32, Log, LogFilter
from app.domain.market import Deployment
from app.protocols.abi import topic
from app.protocols.base import AccountTouched, ConfigurationTouched, RulesTouched, Touch
from app.protocols.compound_v2.raw import Raw

TRANSFER = topic("Transfer(address,address,uint256)")
BORROW = topic("Borrow(address,uint256,uint256,uint256)")
REPAY_BORROW = topic("RepayBorrow(address,address,uint256,uint256,uint256)")
LIQUIDATE_BORROW = topic("LiquidateBorrow(address,address,uint256,address,uint256)")
HEAL_BORROW = topic("HealBorrow(address,address,uint256)")
BAD_DEBT_INCREASED = topic("BadDebtIncreased(address,uint256,uint256,uint256)")
MARKET_ENTERED = topic("MarketEntered(address,address)")
MARKET_EXITED = topic("MarketExited(address,address)")
POOL_SELECTED = topic("PoolSelected(address,uint96,uint96)")
MINT_VAI = topic("MintVAI(address,uint256)")
REPAY_VAI = topic("RepayVAI(address,address,uint256)")
LIQUIDATE_VAI = topic("LiquidateVAI(address,address,uint256,address,uint256)")

MARKET_WALLETS: Mapping[Hash32, tuple[int, tuple[int, ...]]] = {
    TRANSFER: (3, (0, 1)),
    BORROW: (4, (0,)),
    REPAY_BORROW: (5, (1,)),
    LIQUIDATE_BORROW: (5, (1,)),
    HEAL_BORROW: (3, (1,)),
    BAD_DEBT_INCREASED: (4, (0,)),
}
"""A market's own events: how many arguments there are, and which of them are wallets."""
COMPTROLLER_WALLETS = {MARKET_ENTERED: (2, 1, 0), MARKET_EXITED: (2, 1, 0), POOL_SELECTED: (3, 0, None)}
"""The Comptroller's: how many arguments, which is the wallet, which the market."""
VAI_WALLETS = {MINT_VAI: (2, 0), REPAY_VAI: (3, 1), LIQUIDATE_VAI: (5, 1)}
"""The VAI controller's: how many arguments, and which is the wallet."""

RULES_TOPICS = frozenset(
    {
        topic("Upgraded(address)"),
        topic("NewImplementation(address,address)"),
        topic("NewComptrollerLens(address,address)"),
        topic("DiamondCut((address,uint8,bytes4[])[])"),
    }
)
CONFIGURATION_TOPICS = frozenset(
    {
        topic("MarketListed(address)"),
        topic("MarketUnlisted(address)"),
        topic("NewCollateralFactor(address,uint256,uint256)"),
        topic("NewCollateralFactor(uint96,address,uint256,uint256)"),
        topic("NewLiquidationThreshold(address,uint256,uint256)"),
        topic("NewLiquidationThreshold(uint96,address,uint256,uint256)"),
        topic("NewLiquidationIncentive(uint256,uint256)"),
        topic("NewLiquidationIncentive(uint96,address,uint256,uint256)"),
        topic("NewCloseFactor(uint256,uint256)"),
        topic("NewPriceOracle(address,address)"),
        topic("NewVAIController(address,address)"),
        topic("NewReserveFactor(uint256,uint256)"),
        topic("NewMarketInterestRateModel(address,address)"),
        topic("NewComptroller(address,address)"),
        topic("PoolCreated(uint96,string)"),
        topic("PoolMarketInitialized(uint96,address)"),
        topic("PoolMarketRemoved(uint96,address)"),
        topic("PoolActiveStatusUpdated(uint96,bool,bool)"),
        topic("PoolFallbackStatusUpdated(uint96,bool,bool)"),
    }
)
ALL_TOPICS = (
    RULES_TOPICS | CONFIGURATION_TOPICS | MARKET_WALLETS.keys() | COMPTROLLER_WALLETS.keys() | VAI_WALLETS.keys()
)

_CONFIGURATION = (ConfigurationTouched(),)
_RULES = (ConfigurationTouched(), RulesTouched())
_PADDING = bytes(12)


@dataclass(frozen=True, slots=True)
class Watched:
    """The contracts of one deployment whose logs matter, by what they are."""

    deployment_id: str
    comptroller: Address
    vai_controller: Address | None
    markets: Mapping[Address, str]
    """Market code by cToken."""

    @classmethod
    def of(cls, deployment: Deployment, raw: Raw) -> Watched:
        """Everything the state names."""
        markets = {listing.token: listing.code for listing in raw.listings}
        return cls(deployment.id, deployment.address, raw.roots.vai_controller, markets)

    @property
    def log_filter(self) -> LogFilter:
        """Every log that can touch an account, the configuration or the rules."""
        others = {self.comptroller} | ({self.vai_controller} if self.vai_controller is not None else set())
        return LogFilter(frozenset(others | self.markets.keys()), ALL_TOPICS)

    def touched(self, log: Log) -> tuple[Touch, ...]:
        """Whom the log changed; () for logs nobody here asked for; everything when its shape is not its event's."""
        if not log.topics or log.topics[0] not in ALL_TOPICS:
            return ()
        kind, market = log.topics[0], self.markets.get(log.address)
        if market is None and log.address not in (self.comptroller, self.vai_controller):
            return ()
        if kind in RULES_TOPICS:
            return _RULES
        if market is not None and kind in MARKET_WALLETS:
            return self._market_event(log, market, *MARKET_WALLETS[kind])
        if log.address == self.comptroller and kind in COMPTROLLER_WALLETS:
            return self._comptroller_event(log, *COMPTROLLER_WALLETS[kind])
        if log.address == self.vai_controller and kind in VAI_WALLETS:
            count, at = VAI_WALLETS[kind]
            return self._named(_wallet(_arguments(log, count), at), None)
        return _CONFIGURATION

    def _market_event(self, log: Log, market: str, count: int, places: tuple[int, ...]) -> tuple[Touch, ...]:
        """Everybody the event names, but the market itself and nobody (minted from, redeemed to)."""
        words = _arguments(log, count)
        wallets = [_wallet(words, place) for place in places]
        touches: dict[AccountTouched, None] = {}
        for wallet in wallets:
            if wallet is None:
                return _CONFIGURATION
            if wallet not in (ZERO_ADDRESS, log.address):
                touches[self._account(wallet, market)] = None
        return tuple(touches)

    def _comptroller_event(self, log: Log, count: int, at: int, market_at: int | None) -> tuple[Touch, ...]:
        words = _arguments(log, count)
        if market_at is None:
            return self._named(_wallet(words, at), None)
        token = _wallet(words, market_at)
        if token is None or token not in self.markets:
            return _CONFIGURATION
        return self._named(_wallet(words, at), self.markets[token])

    def _named(self, wallet: Address | None, market: str | None) -> tuple[Touch, ...]:
        return _CONFIGURATION if wallet is None else (self._account(wallet, market),)

    def _account(self, wallet: Address, market: str | None) -> AccountTouched:
        return AccountTouched(AccountKey(self.deployment_id, wallet), market)


def _arguments(log: Log, count: int) -> list[bytes] | None:
    """The event's static arguments in order when the indexed ones come first; None when their number is another."""
    data = [log.data[at : at + 32] for at in range(0, len(log.data), 32)]
    words: list[bytes] = [*log.topics[1:], *data]
    return words if len(words) == count and len(log.data) % 32 == 0 else None


def _wallet(words: list[bytes] | None, place: int) -> Address | None:
    """One argument as an address; None when it is none."""
    if words is None or words[place][:12] != _PADDING:
        return None
    return Address(words[place][12:])
