"""Which logs matter, and whom they touch.

Every change of a scaled balance makes its token emit `Transfer`, even of amount 0; flags that change without one
have their own pool events. Event signatures: the protocol's interfaces of releases 3.0 to 3.7 (IPool,
IPoolConfigurator, IPoolAddressesProvider, IAaveOracle) and ERC-20; `Upgraded` is ERC-1967's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from app.domain.account import AccountKey
from app.domain.chain import ZERO_ADDRESS, Address, Hash32, Log, LogFilter
from app.domain.market import Deployment
from app.protocols.aave_v3.deployments import PROVIDER_ROLE
from app.protocols.aave_v3.raw import Raw
from app.protocols.abi import topic
from app.protocols.base import AccountTouched, ConfigurationTouched, RulesTouched, Touch

TRANSFER = topic("Transfer(address,address,uint256)")
COLLATERAL_ENABLED = topic("ReserveUsedAsCollateralEnabled(address,address)")
COLLATERAL_DISABLED = topic("ReserveUsedAsCollateralDisabled(address,address)")
USER_EMODE_SET = topic("UserEModeSet(address,uint8)")
UPGRADED = topic("Upgraded(address)")

POOL_UPDATED = topic("PoolUpdated(address,address)")
PROVIDER_TOPICS = frozenset(
    {
        POOL_UPDATED,
        topic("PoolConfiguratorUpdated(address,address)"),
        topic("PriceOracleUpdated(address,address)"),
        topic("PriceOracleSentinelUpdated(address,address)"),
        topic("AddressSet(bytes32,address,address)"),
        topic("AddressSetAsProxy(bytes32,address,address,address)"),
        topic("ProxyCreated(bytes32,address,address)"),
    }
)
ORACLE_TOPICS = frozenset({topic("AssetSourceUpdated(address,address)"), topic("FallbackOracleUpdated(address)")})
CONFIGURATOR_TOPICS = frozenset(
    {
        topic("ReserveInitialized(address,address,address,address,address)"),
        topic("ReserveBorrowing(address,bool)"),
        topic("ReserveFlashLoaning(address,bool)"),
        topic("CollateralConfigurationChanged(address,uint256,uint256,uint256)"),
        topic("ReserveStableRateBorrowing(address,bool)"),
        topic("ReserveActive(address,bool)"),
        topic("ReserveFrozen(address,bool)"),
        topic("ReservePaused(address,bool)"),
        topic("ReserveDropped(address)"),
        topic("ReserveFactorChanged(address,uint256,uint256)"),
        topic("BorrowCapChanged(address,uint256,uint256)"),
        topic("SupplyCapChanged(address,uint256,uint256)"),
        topic("LiquidationProtocolFeeChanged(address,uint256,uint256)"),
        topic("UnbackedMintCapChanged(address,uint256,uint256)"),
        topic("ReserveInterestRateStrategyChanged(address,address,address)"),
        topic("ReserveInterestRateDataChanged(address,address,bytes)"),
        topic("ATokenUpgraded(address,address,address)"),
        topic("StableDebtTokenUpgraded(address,address,address)"),
        topic("VariableDebtTokenUpgraded(address,address,address)"),
        topic("DebtCeilingChanged(address,uint256,uint256)"),
        topic("SiloedBorrowingChanged(address,bool,bool)"),
        topic("BorrowableInIsolationChanged(address,bool)"),
        topic("PendingLtvChanged(address,uint256)"),
        topic("LiquidationGracePeriodChanged(address,uint40)"),
        topic("LiquidationGracePeriodDisabled(address)"),
        topic("EModeAssetCategoryChanged(address,uint8,uint8)"),
        topic("EModeCategoryAdded(uint8,uint256,uint256,uint256,address,string)"),
        topic("AssetCollateralInEModeChanged(address,uint8,bool)"),
        topic("AssetBorrowableInEModeChanged(address,uint8,bool)"),
        topic("AssetLtvzeroInEModeChanged(address,uint8,bool)"),
        topic("EModeCategoryIsolationChanged(uint8,bool)"),
    }
)
POOL_TOPICS = frozenset({COLLATERAL_ENABLED, COLLATERAL_DISABLED, USER_EMODE_SET})
ALL_TOPICS = frozenset({TRANSFER, UPGRADED}) | POOL_TOPICS | PROVIDER_TOPICS | ORACLE_TOPICS | CONFIGURATOR_TOPICS

_PADDING = bytes(12)
_CONFIGURATION = (ConfigurationTouched(),)
_RULES = (ConfigurationTouched(), RulesTouched())
_REMEMBERED = 16_384
"""Transfers by their sides, some 0.5 kB each."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The contracts of one deployment whose logs matter, by what they are."""

    deployment_id: str
    pool: Address
    configurator: Address
    oracle: Address
    provider: Address
    tokens: Mapping[Address, str]
    """Market code by aToken or debt token."""
    markets: Mapping[Hash32, str]
    """Market code by the reserve's address as a topic."""

    @classmethod
    def of(cls, deployment: Deployment, raw: Raw) -> Watched:
        """Everything the state names."""
        tokens = {
            token: reserve.code
            for reserve in raw.reserves
            for token in (reserve.stable_debt_token, reserve.variable_debt_token, reserve.a_token)
            if token != ZERO_ADDRESS
        }
        return cls(
            deployment_id=deployment.id,
            pool=raw.roots.pool,
            configurator=raw.roots.configurator,
            oracle=raw.roots.oracle,
            provider=deployment.contracts[PROVIDER_ROLE],
            tokens=tokens,
            markets={Hash32(_PADDING + reserve.asset): reserve.code for reserve in raw.reserves},
        )

    @property
    def log_filter(self) -> LogFilter:
        """Every log that can touch an account, the configuration or the rules."""
        contracts = {self.pool, self.configurator, self.oracle, self.provider}
        return LogFilter(frozenset(contracts | self.tokens.keys()), ALL_TOPICS)

    def touched(self, log: Log) -> tuple[Touch, ...]:
        """Whom the log changed; () for logs nobody here asked for; everything when its shape is not its event's."""
        if not log.topics or log.topics[0] not in ALL_TOPICS:
            return ()
        kind, emitter = log.topics[0], log.address
        market = self.tokens.get(emitter)
        if market is not None:
            if kind == TRANSFER:
                return self._transfer(log, market)
            return _RULES if kind == UPGRADED else _CONFIGURATION
        if emitter == self.pool:
            if kind in POOL_TOPICS:
                return self._flag(log, kind)
            return _RULES if kind == UPGRADED else _CONFIGURATION
        if emitter == self.provider:
            return _RULES if kind == POOL_UPDATED else _CONFIGURATION
        if emitter in (self.configurator, self.oracle):
            return _CONFIGURATION
        return ()

    def _transfer(self, log: Log, market: str) -> tuple[Touch, ...]:
        if len(log.topics) != 3 or len(log.data) != 32:
            return _CONFIGURATION
        return _transferred(self.deployment_id, market, log.topics[1], log.topics[2])

    def _flag(self, log: Log, kind: Hash32) -> tuple[Touch, ...]:
        """The pool's three account events."""
        if any(word[:12] != _PADDING for word in log.topics[1:]):
            return _CONFIGURATION
        if kind == USER_EMODE_SET:
            if len(log.topics) != 2 or len(log.data) != 32:
                return _CONFIGURATION
            return (self._account(log.topics[1], None),)
        if len(log.topics) != 3 or log.data or log.topics[1] not in self.markets:
            return _CONFIGURATION
        return (self._account(log.topics[2], self.markets[log.topics[1]]),)

    def _account(self, wallet: Hash32, market: str | None) -> AccountTouched:
        return AccountTouched(AccountKey(self.deployment_id, Address(wallet[12:])), market)


@lru_cache(maxsize=_REMEMBERED)
def _transferred(deployment_id: str, market: str, sender: Hash32, receiver: Hash32) -> tuple[Touch, ...]:
    """Both sides of a transfer, but not nobody; everything when one is no address. One object for equal ones: most are
    a wallet's deposits and withdrawals, from and to nobody, and those come again."""
    if sender[:12] != _PADDING or receiver[:12] != _PADDING:
        return _CONFIGURATION
    wallets = (sender,) if sender == receiver else (sender, receiver)
    return tuple(
        AccountTouched(AccountKey(deployment_id, Address(wallet[12:])), market) for wallet in wallets if any(wallet)
    )
