"""The curve in dollars, the summary, who owes most, and who decides near the line."""

from __future__ import annotations

import pytest

from app.domain.legs import Leg
from app.domain.risk import Health, RiskStatus
from app.domain.units import WAD
from app.valuation.assess import restore_at
from app.valuation.groups import DEFAULT_GROUPS, ETH, STABLE, VOLATILE
from app.valuation.market_risk import concentration, decided, risk_curve, screen_under, summarise, verdict_under
from app.valuation.shocks import Shock
from tests.fakes.pond import (
    DOLLAR,
    ETHER,
    PondAdapter,
    pond_account,
    pond_deployment,
    pond_markets,
    pond_records,
)
from tests.fakes.site import block_ref, wallet
from tests.valuation.market_risk.builders import PERPS, POOL, TOKENS, VAULT, holds, key, market_of, owes

LONG = [holds("WETH", 10), owes("DAI", 7200)]
"""Falls at -10 %."""
SHORT = [holds("DAI", 10_000), owes("WETH", 6.4)]
"""Falls at +25 %."""


def test_a_curve_says_accounts_debt_and_collateral_at_each_move() -> None:
    market = market_of({key(1): LONG, key(2): SHORT})
    found = risk_curve(market, market.of_group(ETH), [0.5, 0.85, 1.0, 1.3])
    assert found.lending.accounts == (1, 1, 0, 1)
    assert found.lending.debt == pytest.approx((7200, 7200, 0, 8320))
    assert found.lending.collateral == pytest.approx((5000, 8500, 0, 10_000))
    assert found.by_deployment[POOL] == found.lending
    assert found.perps.accounts == (0, 0, 0, 0)


def test_what_is_counted_in_a_token_is_converted_at_the_tokens_own_moved_price() -> None:
    """1,000 DAI against 0.6 WETH falls at +33 %: WETH is 1,500 dollars dear then, and so is what it owes."""
    market = market_of({key(1, VAULT): [holds("DAI", 1000), owes("WETH", 0.6)]})
    for move in (market.of_group(ETH), market.of_asset(TOKENS["WETH"])):
        found = risk_curve(market, move, [1.0, 1.5])
        assert found.lending.debt == pytest.approx((0, 900))
        assert found.lending.collateral == pytest.approx((0, 1000))


def test_a_token_moves_alone_and_volatile_moves_all_that_is_not_stable() -> None:
    accounts = {key(1): LONG, key(2): [holds("WBTC", 1), owes("DAI", 15_000)]}
    market = market_of(accounts)
    assert risk_curve(market, market.of_asset(TOKENS["WBTC"]), [0.8]).lending.accounts == (1,)
    assert risk_curve(market, market.of_group(VOLATILE), [0.8]).lending.accounts == (2,)
    assert risk_curve(market, market.of_group(STABLE), [1.3]).lending.accounts == (2,)


def test_what_no_oracle_converts_is_counted_apart() -> None:
    market = market_of({key(1, VAULT): [holds("DAI", 1000), owes("WETH", 0.9)]}, converts_weth=False)
    found = risk_curve(market, market.of_group(ETH), [1.0]).lending
    assert (found.accounts, found.unconverted, found.debt) == ((1,), (1,), (0.0,))
    summary = summarise(market)[VAULT]
    assert (summary.indebted, summary.unconverted, summary.sums.requirement) == (1, 1, 0.0)


def test_margin_is_not_added_to_debt() -> None:
    market = market_of({key(1, PERPS): [Leg("WETH", 10, 10, 0.6), Leg("", -9_900, -9_900, 0)], key(2): LONG})
    found = risk_curve(market, market.of_group(ETH), [0.85])
    assert (found.perps.accounts, found.lending.accounts) == ((1,), (1,))
    assert found.perps.debt == pytest.approx((510,))
    assert summarise(market)[PERPS].sums.bad_debt == 0
    assert concentration([market]).debt == pytest.approx(7200)


def test_a_summary_says_who_is_where_and_what_is_short() -> None:
    market = market_of(
        {
            key(1): LONG,
            key(2): [holds("WETH", 1), owes("DAI", 1500)],
            key(3): [holds("DAI", 50)],
            key(4): None,
            key(5): [owes("DAI", 7)],
        }
    )
    found = summarise(market)[POOL]
    assert (found.accounts, found.unknown, found.indebted, found.liquidatable) == (5, 1, 3, 2)
    assert found.sums.collateral == pytest.approx(11_050)
    assert found.sums.requirement == pytest.approx(8707)
    assert found.sums.bad_debt == pytest.approx(507)
    assert [(band.above, band.accounts) for band in found.health if band.accounts] == [(None, 2), (1.1, 1)]
    assert [(band.above, band.accounts) for band in found.utilization if band.accounts] == [(0.75, 1), (1.0, 2)]


def test_concentration_is_of_accounts_and_of_wallets() -> None:
    accounts = {
        key(1, wallet=7): [holds("WETH", 10), owes("DAI", 500)],
        key(2, wallet=7): [holds("WETH", 10), owes("DAI", 600)],
        key(3, wallet=8): [holds("WETH", 1), owes("DAI", 900)],
    }
    market = market_of(accounts)
    found = concentration([market], 1)
    assert found.debt == 2000
    assert [(one.account, one.debt) for one in found.accounts] == [(key(3, wallet=8), 900)]
    assert [(one.wallet, one.debt) for one in found.wallets] == [(key(1, wallet=7).wallet, 1100)]
    assert (found.account_share, found.wallet_share) == (0.45, 0.55)
    assert concentration([market, market], 1).wallets[0].debt == 2200
    assert concentration([market_of({})]).account_share is None


def test_near_the_line_the_exact_rule_decides_and_elsewhere_it_is_not_asked() -> None:
    at_line = [holds("WETH", 10), owes("DAI", 7200)]
    a_hair_below = [holds("WETH", 10), owes("DAI", 7200.001)]
    market = market_of(
        {key(1): at_line, key(2): a_hair_below, key(3): at_line, key(4): SHORT, key(5): [owes("DAI", 9)], key(6): None}
    )
    screened = screen_under(market, Shock({ETH: WAD * 9 // 10}))
    assert screened.doubtful == {key(1), key(2), key(3)}
    assert screened.liquidatable == {key(5)}
    found = decided(
        screened,
        {
            key(1): Health(RiskStatus.LIQUIDATABLE, WAD - 1, None, None),
            key(2): Health(RiskStatus.HEALTHY, WAD, None, None),
        },
    )
    assert found.liquidatable == {key(1), key(5)}
    assert found.undecided == {key(3)}


def test_the_exact_verdict_is_the_protocols_own_at_the_moved_prices() -> None:
    state = restore_at(PondAdapter(), pond_deployment(), pond_markets(), pond_records(), block_ref(5))
    account = pond_account(wallet(1), weth=ETHER, usdc_debt=1200 * DOLLAR)
    for percent, status in ((49, RiskStatus.LIQUIDATABLE), (50, RiskStatus.HEALTHY)):
        shock = Shock({ETH: WAD * percent // 100})
        assert verdict_under(state, account, shock, DEFAULT_GROUPS).status is status
    assert verdict_under(None, account, Shock(), DEFAULT_GROUPS).status is RiskStatus.UNKNOWN
