"""Accounts with other amounts, and what may be taken out: held against the exact rule of every adapter."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.account import AccountSnapshot
from app.domain.market import MarketQuote
from app.domain.risk import PositionRisk, RiskStatus
from app.domain.units import WAD
from app.errors import Refused
from app.protocols.base import PricedState
from app.protocols.registry import adapters
from app.valuation.buffers import buffer_of
from app.valuation.what_if import Action, AmountChange, CollateralChange, changed, position_in, with_position
from tests.protocols.aave_v3.builders import DAI, USDC, WETH, make_state, owed, snapshot, supplied
from tests.valuation.adapters import priced_case

every_adapter = pytest.mark.parametrize("slug", adapters())


def quotes_of(priced: PricedState) -> dict[str, MarketQuote]:
    return {quote.market: quote for quote in priced.quotes()}


def held(priced: PricedState, account: AccountSnapshot, market: str) -> PositionRisk | None:
    return next((p for p in priced.assess(account).positions if p.market == market), None)


@every_adapter
def test_amounts_asked_for_are_held_to_one_unit_and_the_way_back_is_open(slug: str) -> None:
    case = priced_case(slug)
    quotes, done = quotes_of(case.priced), set()
    for account in case.accounts:
        if case.priced.health(account).status is RiskStatus.UNKNOWN:
            continue
        for position in case.priced.assess(account).positions:
            code = position.market
            for more, less, now, name in (
                (Action.ADD, Action.WITHDRAW, position.supplied_assets, "supplied_assets"),
                (Action.BORROW, Action.REPAY, position.borrowed_assets, "borrowed_assets"),
            ):
                if now < 1000:
                    continue
                done.add(more)
                for action, expected in ((more, now + now // 3), (less, now - now // 3), (less, 0)):
                    change = AmountChange(code, action, abs(expected - now))
                    after = changed(case.priced, account, quotes, [change])
                    then = held(case.priced, after, code)
                    reached = 0 if then is None else getattr(then, name)
                    # one raw unit may be worth more than one unit of the asset (cTokens are)
                    assert expected <= reached <= expected + max(1, expected // 10**6), (slug, change)
    assert done >= ({Action.ADD} if slug == "perp-curie" else {Action.ADD, Action.BORROW})


@every_adapter
def test_more_debt_and_less_collateral_never_help(slug: str) -> None:
    case = priced_case(slug)
    quotes, compared = quotes_of(case.priced), 0
    for account in case.accounts:
        before = case.priced.health(account)
        if before.health_factor_wad is None:
            continue
        for position in case.priced.assess(account).positions:
            for action, amount in (
                (Action.BORROW, position.borrowed_assets // 2),
                (Action.WITHDRAW, position.supplied_assets // 2),
            ):
                if amount < 1000:
                    continue
                compared += 1
                after = changed(case.priced, account, quotes, [AmountChange(position.market, action, amount)])
                factor = case.priced.health(after).health_factor_wad
                assert factor is not None
                assert factor <= before.health_factor_wad
    assert compared


def test_what_is_added_anew_is_collateral_where_it_can_be_and_can_be_switched_off() -> None:
    priced = make_state().at(1_750_000_000, 1)
    account = snapshot(supplied(WETH, 10**18), owed(USDC, 2000 * 10**6))
    add = AmountChange(DAI.code, Action.ADD, 500 * 10**18)
    more = changed(priced, account, quotes_of(priced), [add])
    assert position_in(more, DAI.code).is_collateral
    assert (priced.health(more).health_factor_wad or 0) > (priced.health(account).health_factor_wad or 0)
    off = changed(priced, account, quotes_of(priced), [add, CollateralChange(DAI.code, is_collateral=False)])
    assert priced.health(off).health_factor_wad == priced.health(account).health_factor_wad
    naked = changed(priced, account, quotes_of(priced), [CollateralChange(WETH.code, is_collateral=False)])
    assert priced.health(naked).status is RiskStatus.LIQUIDATABLE
    free = changed(priced, account, quotes_of(priced), [AmountChange(USDC.code, Action.REPAY, 2000 * 10**6)])
    assert priced.health(free).status is RiskStatus.NO_DEBT
    assert len(free.positions) == 1


def test_what_cannot_be_is_refused() -> None:
    priced = make_state().at(1_750_000_000, 1)
    account = snapshot(supplied(WETH, 10**18), owed(USDC, 2000 * 10**6))
    quotes = quotes_of(priced)
    for change in (
        AmountChange(WETH.code, Action.WITHDRAW, 10**18 + 1),
        AmountChange(USDC.code, Action.REPAY, 2001 * 10**6),
        CollateralChange(DAI.code, is_collateral=True),
    ):
        with pytest.raises(Refused):
            changed(priced, account, quotes, [change])
    flat = {code: replace(quote, liquidation_threshold_bps=0) for code, quote in quotes.items()}
    for change in (AmountChange(USDC.code, Action.ADD, 1), AmountChange(WETH.code, Action.BORROW, 1)):
        with pytest.raises(Refused):
            changed(priced, account, flat, [change])


@every_adapter
def test_what_can_be_withdrawn_leaves_the_target_and_a_little_more_does_not(slug: str) -> None:
    case = priced_case(slug)
    some = none = 0
    for account in case.accounts:
        assessment = case.priced.assess(account)
        for target in (WAD, 3 * WAD // 2):
            buffer = buffer_of(case.priced, account, assessment, target)
            if assessment.status not in (RiskStatus.HEALTHY, RiskStatus.LIQUIDATABLE):
                assert buffer is None
                continue
            assert buffer is not None
            assert (buffer.headroom_value < 0) == (assessment.status is RiskStatus.LIQUIDATABLE)
            for out in buffer.withdrawable:
                position = position_in(account, out.market)
                assets = next(p for p in assessment.positions if p.market == out.market).supplied_assets
                if not out.assets and assets < 10**6:
                    continue
                if not out.assets:
                    none += 1
                    assert (assessment.health_factor_wad or 0) <= target + target // 10**6
                    continue
                some += 1
                for share, enough in ((out.assets, True), (out.assets + max(2, assets // 10**6), False)):
                    left = position.supplied_raw * max(0, assets - share) // assets
                    after = case.priced.health(with_position(account, replace(position, supplied_raw=left)))
                    if share >= assets or position.supplied_raw < 10**6:
                        continue
                    factor = after.health_factor_wad or 0
                    assert (factor >= target - target // 10**5) if enough else (factor < target + target // 10**5)
    assert some
    assert none


def test_a_buffer_is_capacity_less_debt_and_what_can_go_is_exact() -> None:
    """10 WETH of 3000 at 83 % against 20 000: capacity 24 900; 1.5 needs 30 000, 1.2 needs 24 000: 0.361445783 WETH."""
    priced = make_state().at(1_750_000_000, 1)
    account = snapshot(supplied(WETH, 10 * 10**18), owed(USDC, 20_000 * 10**6))
    buffer = buffer_of(priced, account, priced.assess(account), 12 * WAD // 10)
    assert buffer is not None
    assert (buffer.capacity_value, buffer.requirement_value) == (24_900 * 10**8, 20_000 * 10**8)
    assert buffer.headroom_value == 4_900 * 10**8
    (out,) = buffer.withdrawable
    assert 0 <= 361_445_783_132_530_120 - out.assets <= 10 * 10**18 // 2**32 + 1
    exact = snapshot(supplied(WETH, 10 * 10**18 - out.assets), owed(USDC, 20_000 * 10**6))
    assert (priced.health(exact).health_factor_wad or 0) >= 12 * WAD // 10
