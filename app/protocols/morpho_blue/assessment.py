"""Everything there is to say about one account in its market."""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.account import AccountSnapshot
from app.domain.risk import (
    Direction,
    LiquidationPrice,
    PositionRisk,
    Reason,
    Remedy,
    Restoration,
    RiskAssessment,
    RiskStatus,
)
from app.domain.units import BPS, WAD, div_truncated, mul_div_up
from app.protocols.calibration import Confirmation
from app.protocols.morpho_blue.accrual import to_assets_down
from app.protocols.morpho_blue.raw import LEAST_DEBT, MOST_MISSES, BlueMarket
from app.protocols.morpho_blue.solvency import (
    ORACLE_SCALE,
    Debtor,
    borrowing_room,
    collateral_value,
    health_factor_wad,
    last_liquidatable_price,
    least_addition,
    least_repayment,
)
from app.protocols.morpho_blue.terms import Holding, Terms, debtor_of, holding_of


def lltv_bps(market: BlueMarket) -> int:
    """The liquidation loan-to-value in whole basis points, truncated: for people, the rule uses all digits."""
    return market.params.lltv_wad * BPS // WAD


def assess(terms: Terms | None, confirmation: Confirmation, snapshot: AccountSnapshot) -> RiskAssessment:
    """The account's numbers, verdict and liquidation price; UNKNOWN with the reasons when a needed read failed."""
    holding = None if terms is None else holding_of(terms.market, snapshot)
    missing = list(_missing(terms, holding, confirmation))
    if missing or terms is None or holding is None:
        return RiskAssessment(RiskStatus.UNKNOWN, tuple(missing))
    debtor = debtor_of(terms, holding)
    value = collateral_value(holding.collateral, terms.price)
    bps = lltv_bps(terms.market)
    reasons = tuple(_reasons(terms, holding, confirmation))
    if debtor is None:
        return RiskAssessment(
            status=RiskStatus.NO_DEBT,
            reasons=reasons,
            collateral_value=value,
            debt_value=0,
            available_borrows_value=_first_room(terms, holding),
            liquidation_threshold_bps=bps,
            max_ltv_bps=bps,
            utilization_wad=0,
            debt_to_collateral_wad=0 if value else None,
            positions=tuple(_positions(terms, holding, None)),
        )
    borrowed, capacity = debtor.borrowed, debtor.max_borrow
    return RiskAssessment(
        status=RiskStatus.HEALTHY if capacity >= borrowed else RiskStatus.LIQUIDATABLE,
        reasons=reasons,
        collateral_value=value,
        debt_value=borrowed,
        available_borrows_value=borrowing_room(debtor),
        liquidation_threshold_bps=bps,
        max_ltv_bps=bps,
        health_factor_wad=health_factor_wad(capacity, borrowed),
        utilization_wad=mul_div_up(borrowed, WAD, capacity) if capacity else None,
        debt_to_collateral_wad=mul_div_up(borrowed, WAD, value) if value else None,
        positions=tuple(_positions(terms, holding, debtor)),
    )


def restore(market: BlueMarket, debtor: Debtor, target_wad: int) -> Restoration:
    """The least repayment and the least addition of collateral; empty when the target is reached already."""
    if debtor.max_borrow * WAD >= target_wad * debtor.borrowed:
        return Restoration(target_wad, (), ())
    repaid, added = least_repayment(debtor, target_wad), least_addition(debtor, target_wad)
    return Restoration(
        target_wad,
        () if repaid is None else (Remedy(market.loan_code, repaid, repaid),),
        () if not added else (Remedy(market.collateral_code, added, mul_div_up(added, debtor.price, ORACLE_SCALE)),),
    )


def _first_room(terms: Terms, holding: Holding) -> int | None:
    """What an account without debt may borrow; None where its collateral has no price."""
    if not holding.collateral:
        return 0
    if terms.totals is None or terms.price is None or collateral_value(holding.collateral, terms.price) is None:
        return None
    return borrowing_room(Debtor(terms.totals, terms.market.params.lltv_wad, terms.price, 0, holding.collateral))


def _missing(terms: Terms | None, holding: Holding | None, confirmation: Confirmation) -> Iterator[Reason]:
    """What keeps the account from being judged."""
    if confirmation.failed:
        yield Reason(
            "rules_unconfirmed",
            f"the rules give the contract's own verdict on {confirmation.matches} of {confirmation.samples} accounts"
            " compared only",
        )
    elif terms is None or holding is None:
        yield Reason("market_state_missing", "the account's market is not followed")
    elif holding.needs_totals and terms.totals is None:
        known = terms.market.totals is not None
        detail = "the market's interest cannot be told" if known else "the market's totals could not be read"
        yield Reason("market_state_missing", detail, terms.market.loan_code)
    elif holding.borrow_shares and (terms.price is None or collateral_value(holding.collateral, terms.price) is None):
        yield Reason("price_unavailable", _why_no_price(terms.market), terms.market.collateral_code)


def _why_no_price(market: BlueMarket) -> str:
    """What is the matter with a market's price, for people."""
    symbol = market.collateral.symbol
    if not market.has_borrowers:
        return f"nobody owes anything in this market, so {symbol} was not priced"
    if market.agrees is False:
        return (
            f"the market's oracle tells the contract another price of {symbol} than it tells everybody: the contract's"
            f" verdict on {market.witness} is not the one that price gives"
        )
    if not market.wants_price:
        return f"all of this market's debts together are less than {LEAST_DEBT} units, so {symbol} was not priced"
    if market.is_silent:
        return (
            f"the market's oracle gave no price of {symbol} {MOST_MISSES} times in a row: it is asked again only now"
            " and then, and when the market moves"
        )
    return f"the market's oracle gives no usable price of {symbol}"


def _reasons(terms: Terms, holding: Holding, confirmation: Confirmation) -> Iterator[Reason]:
    """What qualifies a known verdict."""
    market = terms.market
    if not confirmation.samples:
        yield Reason("rules_unchecked", "the rules were not compared with the contract on any account yet")
    if holding.borrow_shares and terms.price == 0:
        detail = "the oracle's price is 0: the position is unhealthy, yet no liquidation can be worked out"
        yield Reason("liquidation_blocked", detail, market.collateral_code)
    if holding.collateral and terms.price is None:
        yield Reason("price_unavailable", _why_no_price(market), market.collateral_code)


def _positions(terms: Terms, holding: Holding, debtor: Debtor | None) -> Iterator[PositionRisk]:
    market, bps = terms.market, lltv_bps(terms.market)
    if holding.collateral:
        yield PositionRisk(
            market=market.collateral_code,
            supplied_assets=holding.collateral,
            borrowed_assets=0,
            is_collateral=True,
            price=terms.price,
            supplied_value=collateral_value(holding.collateral, terms.price),
            borrowed_value=0,
            liquidation_threshold_bps=bps,
            max_ltv_bps=bps,
            liquidation_price=None if debtor is None else _liquidation_price(market, debtor),
        )
    if holding.needs_totals and terms.totals is not None:
        totals = terms.totals
        supplied = to_assets_down(holding.supply_shares, totals.supply_assets, totals.supply_shares)
        borrowed = 0 if debtor is None else debtor.borrowed
        yield PositionRisk(
            market=market.loan_code,
            supplied_assets=supplied,
            borrowed_assets=borrowed,
            is_collateral=False,
            price=10**market.price_decimals,
            supplied_value=supplied,
            borrowed_value=borrowed,
            liquidation_threshold_bps=0,
            max_ltv_bps=0,
            liquidation_price=None,
        )


def _liquidation_price(market: BlueMarket, debtor: Debtor) -> LiquidationPrice | None:
    price = last_liquidatable_price(debtor)
    if price is None or not debtor.price:
        return None
    distance = div_truncated((price - debtor.price) * WAD, debtor.price)
    return LiquidationPrice(market.collateral_code, Direction.FALL, price, distance)
