"""An account with other amounts or other collateral flags: what the exact rule would say of it.

Only solvency is answered. Whether the protocol would let it happen (caps, LTV, isolation, liquidity in the market,
paused reserves) is not looked at, and rates stay what they are. Raw amounts are found by search on the protocol's own
conversion, so the account holds the amount asked for to one unit of the token (rounded up).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from app.domain.account import AccountSnapshot, LendingPosition
from app.domain.market import MarketQuote
from app.domain.risk import PositionRisk
from app.errors import Refused
from app.protocols.base import PricedState
from app.protocols.boundary import least_unbounded

_MOST_RAW = 2**200


class Action(StrEnum):
    """What is done with an amount."""

    ADD = "add"
    WITHDRAW = "withdraw"
    BORROW = "borrow"
    REPAY = "repay"


@dataclass(frozen=True, slots=True)
class AmountChange:
    """More or less of one asset."""

    market: str
    action: Action
    assets: int
    """In the asset's own units, above 0."""


@dataclass(frozen=True, slots=True)
class CollateralChange:
    """Whether a position counts as collateral."""

    market: str
    is_collateral: bool


Change = AmountChange | CollateralChange


def changed(
    priced: PricedState, snapshot: AccountSnapshot, quotes: Mapping[str, MarketQuote], changes: Sequence[Change]
) -> AccountSnapshot:
    """The account after `changes`, one after the other. What is added to a market the account is not in counts as
    collateral where the market can be.

    Raises:
        Refused: more is withdrawn or repaid than there is; the account or market cannot be valued; supply and debt of
            an asset that is never collateral would come to stand beside each other (some protocols net them out).
    """
    for change in changes:
        match change:
            case CollateralChange():
                snapshot = _flagged(snapshot, change)
            case AmountChange():
                snapshot = _resized(priced, snapshot, quotes, change)
    return snapshot


def with_position(snapshot: AccountSnapshot, position: LendingPosition) -> AccountSnapshot:
    """The account with this in place of what it has in the market; without it when it is empty."""
    others = [held for held in snapshot.positions if held.market != position.market]
    kept = others if position.is_empty else [*others, position]
    return replace(snapshot, positions=tuple(sorted(kept, key=lambda held: held.market)))


def position_in(snapshot: AccountSnapshot, market: str) -> LendingPosition:
    """What the account has in the market, which may be nothing."""
    found = (held for held in snapshot.positions if held.market == market)
    return next(found, LendingPosition(market, 0, 0, is_collateral=False))


def _flagged(snapshot: AccountSnapshot, change: CollateralChange) -> AccountSnapshot:
    position = position_in(snapshot, change.market)
    if position.is_empty:
        raise Refused(f"{change.market}: the account holds nothing there that could be collateral")
    return with_position(snapshot, replace(position, is_collateral=change.is_collateral))


def _resized(
    priced: PricedState, snapshot: AccountSnapshot, quotes: Mapping[str, MarketQuote], change: AmountChange
) -> AccountSnapshot:
    before = position_in(snapshot, change.market)
    valued = _valued(priced, with_position(snapshot, before), change.market)
    quote = quotes.get(change.market)
    never_collateral = quote is None or not quote.liquidation_threshold_bps
    nets_out = never_collateral and not (before.supplied_raw and before.borrowed_raw)
    match change.action:
        case Action.ADD | Action.WITHDRAW:
            if change.action is Action.ADD and nets_out and before.borrowed_raw:
                raise Refused(f"{change.market}: the account owes this asset: repay it")
            held = 0 if valued is None else valued.supplied_assets
            target = _target(held, change, change.action is Action.ADD)
            flag = before.is_collateral or (not before.supplied_raw and not never_collateral)

            def supply(raw: int) -> LendingPosition:
                return replace(before, supplied_raw=raw, is_collateral=flag and raw > 0)

            return _reached(priced, snapshot, supply, lambda risk: risk.supplied_assets, target)
        case Action.BORROW | Action.REPAY:
            if change.action is Action.BORROW and nets_out and before.supplied_raw:
                raise Refused(f"{change.market}: the account has supplied this asset: withdraw it first")
            owed = 0 if valued is None else valued.borrowed_assets
            target = _target(owed, change, change.action is Action.BORROW)

            def debt(units: int) -> LendingPosition:
                return replace(before, borrowed_raw=priced.raw_debt(change.market, units) if units else 0)

            return _reached(priced, snapshot, debt, lambda risk: risk.borrowed_assets, target)


def _target(now: int, change: AmountChange, is_more: bool) -> int:
    target = now + change.assets if is_more else now - change.assets
    if target < 0:
        raise Refused(f"{change.market}: cannot {change.action.value} more than the account's {now}")
    return target


def _reached(
    priced: PricedState,
    snapshot: AccountSnapshot,
    position_of: Callable[[int], LendingPosition],
    part: Callable[[PositionRisk], int],
    target: int,
) -> AccountSnapshot:
    """The account with the least raw amount that is `target` assets or more."""
    if not target:
        return with_position(snapshot, position_of(0))
    market = position_of(0).market

    def enough(raw: int) -> bool:
        valued = _valued(priced, with_position(snapshot, position_of(raw)), market)
        return valued is not None and part(valued) >= target

    raw = least_unbounded(enough, 1, _MOST_RAW)
    if raw is None:
        raise Refused(f"{market}: no such amount can be held there")
    return with_position(snapshot, position_of(raw))


def _valued(priced: PricedState, snapshot: AccountSnapshot, market: str) -> PositionRisk | None:
    """The position in assets; None where there is none.

    Raises:
        Refused: the account is unknown as it is or would be.
    """
    assessment = priced.assess(snapshot)
    if assessment.debt_value is None and assessment.collateral_value is None:
        why = assessment.reasons[0].detail if assessment.reasons else "unknown"
        raise Refused(f"{market}: the account cannot be valued: {why}")
    return next((held for held in assessment.positions if held.market == market), None)
