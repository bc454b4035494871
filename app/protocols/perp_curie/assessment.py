"""Everything there is to say about one account."""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.account import AccountSnapshot
from app.domain.risk import MarginRisk, PerpRisk, PositionRisk, Reason, RiskAssessment, RiskStatus
from app.domain.units import BPS, WAD
from app.protocols.calibration import Confirmation
from app.protocols.perp_curie.liquidation import collateral_liquidation_price, perp_liquidation_price
from app.protocols.perp_curie.margin import ONE, Book, Held, Posted, Standing, read_standing
from app.protocols.perp_curie.raw import RATIO, Raw, Status


def assess(book: Book, confirmation: Confirmation, snapshot: AccountSnapshot) -> RiskAssessment:
    """The account's numbers, verdict and liquidation prices; UNKNOWN with the reasons when a needed read failed."""
    if confirmation.failed:
        return RiskAssessment(RiskStatus.UNKNOWN, (_unconfirmed(confirmation),))
    standing = read_standing(book, snapshot)
    if not isinstance(standing, Standing):
        return RiskAssessment(RiskStatus.UNKNOWN, standing)
    return RiskAssessment(
        status=standing.verdict.status,
        reasons=tuple(_reasons(book, confirmation, standing)),
        collateral_value=standing.collateral_value,
        health_factor_wad=standing.verdict.health_factor_wad,
        utilization_wad=standing.verdict.utilization_wad,
        positions=tuple(_position(book.raw, standing, one) for one in standing.posted),
        perps=tuple(_perp(standing, one) for one in standing.held),
        margin=_margin(standing),
    )


def _margin(standing: Standing) -> MarginRisk:
    totals = standing.totals
    equity = totals.equity
    return MarginRisk(
        equity_value=equity,
        requirement_value=totals.requirement,
        notional_value=totals.notional,
        unrealized_pnl_value=standing.unrealized_pnl,
        pending_funding_value=standing.pending_funding,
        leverage_wad=-(-totals.notional * WAD // equity) if equity > 0 else None,
    )


def _perp(standing: Standing, held: Held) -> PerpRisk:
    """Of who has orders no entry price is stated: what the pool trades for him has no one price."""
    size, entry = held.position.size_raw, None
    if held.size and not held.orders:
        entry = abs(held.position.entry_notional_raw) * ONE // abs(size)
    return PerpRisk(
        market=held.position.market,
        size_raw=size,
        entry_price=entry,
        mark_price=held.price,
        notional_value=abs(held.value),
        unrealized_pnl_value=held.unrealized_pnl,
        pending_funding_value=held.funding,
        pending_fee_value=held.fee,
        maintenance_margin_bps=standing.totals.mm_ratio * BPS // RATIO,
        liquidation_price=perp_liquidation_price(standing, held),
    )


def _position(raw: Raw, standing: Standing, posted: Posted) -> PositionRisk:
    """A token posted as margin; what of it counts is stated as its threshold."""
    position, bps = posted.position, posted.ratio * BPS // RATIO
    token = raw.collaterals.get(position.market)
    return PositionRisk(
        market=position.market,
        supplied_assets=position.supplied_raw,
        borrowed_assets=position.borrowed_raw,
        is_collateral=position.is_collateral,
        price=posted.price,
        supplied_value=max(posted.value, 0),
        borrowed_value=max(-posted.value, 0),
        liquidation_threshold_bps=bps,
        max_ltv_bps=bps,
        liquidation_price=collateral_liquidation_price(standing, posted, None if token is None else token.decimals),
    )


def _unconfirmed(confirmation: Confirmation) -> Reason:
    return Reason(
        "rules_unconfirmed",
        "the rules of Perpetual Protocol v2 do not give the contracts' own answers: they fit"
        f" {confirmation.matches} of {confirmation.samples} accounts compared",
    )


def _reasons(book: Book, confirmation: Confirmation, standing: Standing) -> Iterator[Reason]:
    """What qualifies a known verdict."""
    if not confirmation.samples:
        yield Reason("rules_unchecked", "the rules were not compared with these contracts on any account yet")
    if standing.totals.equity < 0:
        yield Reason("bad_debt", "the account value is below zero: not even closing everything would cover it")
    terms, exposed = book.raw.terms, standing.verdict.status is not RiskStatus.NO_DEBT
    if terms is not None and terms.paused and exposed:
        yield Reason("liquidation_blocked", "the clearing house is paused: nobody is liquidated, nothing is closed")
    for one in standing.held:
        name, code = one.market.symbol, one.position.market
        if one.market.status is Status.PAUSED:
            detail = f"{name} is paused: valued at its last index price, and not liquidated"
            yield Reason("market_paused", detail, code)
        elif one.market.status is Status.CLOSED:
            yield Reason("market_closed", f"{name} is closed for good: valued at its closing price", code)
        if one.position.size_raw and not one.size:
            yield Reason("position_dust", f"{name}: a position this small is not counted", code)
    if standing.has_orders:
        detail = "a liquidation first cancels the open orders, which anybody may do once the account is liquidatable"
        yield Reason("maker_orders", detail)
    if any(one.position.market != standing.settlement.code for one in standing.posted) and exposed:
        detail = "posted tokens may be sold for settlement debts by a rule of its own, which is not assessed here"
        yield Reason("collateral_liquidation_not_assessed", detail)
