"""What a wallet gains and loses with each asset, over all its accounts of lending and perps.

Assets are added up by the name they are known under (WETH, ETH and a perp's vETH as ETH) and by group: by symbol,
which proves nothing, so nothing is judged by it. Values in USD as in the wallet's totals; what cannot be stated in USD
is left out of the values and counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.domain.account import AccountKey
from app.domain.market import ValueUnit
from app.domain.risk import RiskStatus
from app.protocols.base import ProtocolKind
from app.valuation.assess import AccountAssessment
from app.valuation.conversion import UsdPrice, counts_in_usd
from app.valuation.groups import OTHER, AssetGroups, underlying_of


@dataclass(frozen=True, slots=True)
class AssetExposure:
    """One asset. Amounts with `decimals` decimals, values with the exposure's."""

    asset: str
    group: str
    symbols: tuple[str, ...]
    """What it is called where it is held."""
    decimals: int
    supplied: int
    """Lent, collateral or not, and posted as margin."""
    borrowed: int
    perp_size: int
    """Signed: below 0 is short."""
    net_value: int | None
    """Of supplied - borrowed + perp size at each one's own price, in USD: what is gained when the price doubles.
    None when any part has no price in USD."""

    @property
    def net_amount(self) -> int:
        """Supplied - borrowed + perp size."""
        return self.supplied - self.borrowed + self.perp_size

    @property
    def hedge_amount(self) -> int:
        """What to buy of it (below 0: to sell) for a price move of this asset to change nothing."""
        return -self.net_amount


@dataclass(frozen=True, slots=True)
class GroupExposure:
    """One group."""

    group: str
    net_value: int | None
    """None when that of any of its assets is."""

    @property
    def hedge_value(self) -> int | None:
        """What to buy of the group in USD (below 0: to sell) for a joint move of it to change nothing."""
        return None if self.net_value is None else -self.net_value


@dataclass(frozen=True, slots=True)
class Exposure:
    """Values in USD with `decimals` decimals."""

    decimals: int
    assets: tuple[AssetExposure, ...]
    """By size of the net value, largest first; those without one last."""
    groups: tuple[GroupExposure, ...]
    """By name; assets of no group are not added up: they do not move together."""
    left_out_accounts: int
    """Unknown: their amounts are not in here."""
    unpriced_accounts: int
    """Known, their amounts are in here and their values are not."""


@dataclass(slots=True)
class _Sum:
    """One asset while it is added up: (amount, decimals) and (value, decimals) of each part."""

    symbols: set[str] = field(default_factory=set)
    supplied: list[tuple[int, int]] = field(default_factory=list)
    borrowed: list[tuple[int, int]] = field(default_factory=list)
    perp_size: list[tuple[int, int]] = field(default_factory=list)
    values: list[tuple[int, int] | None] = field(default_factory=list)


def wallet_exposure(
    accounts: Sequence[AccountAssessment], prices: Mapping[AccountKey, UsdPrice], groups: AssetGroups
) -> Exposure:
    """Add up every account that is known. `prices`: what converts the accounts not counted in USD."""
    sums: dict[str, _Sum] = {}
    known = [a for a in accounts if a.assessment.status is not RiskStatus.UNKNOWN and a.state is not None]
    for account in known:
        _add(sums, account, prices.get(account.key))
    every_value = [value for each in sums.values() for value in each.values if value is not None]
    decimals = max((places for _, places in every_value), default=8)
    assets = [_asset(name, each, decimals, groups) for name, each in sums.items()]
    assets.sort(key=lambda a: (a.net_value is None, -abs(a.net_value or 0), a.asset))
    return Exposure(
        decimals,
        tuple(assets),
        tuple(_by_group(assets)),
        len(accounts) - len(known),
        sum(not counts_in_usd(a.value_unit) and a.key not in prices for a in known),
    )


def _add(sums: dict[str, _Sum], account: AccountAssessment, price: UsdPrice | None) -> None:
    assert account.state is not None
    unit, markets = account.value_unit, account.state.market_by_code
    for held in account.assessment.positions:
        market = markets[held.market]
        into = sums.setdefault(underlying_of(market.symbol), _Sum())
        into.symbols.add(market.symbol)
        into.supplied.append((held.supplied_assets, market.decimals))
        into.borrowed.append((held.borrowed_assets, market.decimals))
        if held.supplied_assets:
            into.values.append(_in_usd(held.supplied_value, unit, price))
        if held.borrowed_assets:
            into.values.append(_in_usd(None if held.borrowed_value is None else -held.borrowed_value, unit, price))
    for perp in account.assessment.perps:
        market = markets[perp.market]
        is_perp = account.kind is ProtocolKind.PERP
        into = sums.setdefault(underlying_of(market.symbol, is_perp=is_perp), _Sum())
        into.symbols.add(market.symbol)
        into.perp_size.append((perp.size_raw, market.decimals))
        into.values.append(_in_usd(perp.notional_value * (1 if perp.size_raw >= 0 else -1), unit, price))


def _in_usd(value: int | None, unit: ValueUnit, price: UsdPrice | None) -> tuple[int, int] | None:
    """The value in USD and its decimals, rounded down (below zero: away from zero)."""
    if value is None:
        return None
    if counts_in_usd(unit):
        return value, unit.decimals
    return None if price is None else (value * price.price // 10**unit.decimals, price.decimals)


def _asset(name: str, parts: _Sum, decimals: int, groups: AssetGroups) -> AssetExposure:
    amounts = (*parts.supplied, *parts.borrowed, *parts.perp_size)
    places = max((each for _, each in amounts), default=0)
    known = [value for value in parts.values if value is not None]
    # in the group of what it is held as: a perp's base may be in the list by its virtual name alone
    by_symbol = [group for s in sorted(parts.symbols) if (group := groups.group_of(s)) != OTHER]
    own = groups.group_of(name)
    return AssetExposure(
        name,
        own if own != OTHER or not by_symbol else by_symbol[0],
        tuple(sorted(parts.symbols)),
        places,
        _total(parts.supplied, places),
        _total(parts.borrowed, places),
        _total(parts.perp_size, places),
        _total(known, decimals) if len(known) == len(parts.values) else None,
    )


def _total(parts: Iterable[tuple[int, int]], decimals: int) -> int:
    return sum(amount * 10 ** (decimals - places) for amount, places in parts)


def _by_group(assets: Sequence[AssetExposure]) -> Iterator[GroupExposure]:
    for group in sorted({asset.group for asset in assets} - {OTHER}):
        values = [asset.net_value for asset in assets if asset.group == group]
        known = [value for value in values if value is not None]
        yield GroupExposure(group, sum(known) if len(known) == len(values) else None)
