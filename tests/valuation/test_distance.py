from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.chain import Address, BlockRef, Hash32
from app.domain.risk import RiskStatus
from app.domain.units import RAY, SECONDS_PER_YEAR
from app.protocols.aave_v3.rules import V3_0, V3_6, Rules
from app.valuation.distance import Horizon, seconds_to_liquidation
from tests.fakes.perp import LOT, USD6, tide_account
from tests.fakes.site import EPOCH
from tests.protocols.aave_v3.builders import NOW, USDC, WETH, make_state, owed, snapshot, supplied
from tests.valuation.builders import tide_state

COSTLY = replace(USDC, borrow_rate=RAY // 5)
EARNING = replace(WETH, liquidity_rate=RAY // 50)


def block_at(timestamp: int) -> BlockRef:
    return BlockRef(1, 1, Hash32(bytes(32)), Hash32(bytes(32)), timestamp)


@pytest.mark.parametrize("rules", [V3_0, V3_6], ids=lambda rules: rules.name)
@settings(max_examples=40, deadline=None)
@given(debt=st.integers(20_500 * 10**6, 24_900 * 10**6), waited=st.integers(0, 10**6))
def test_at_the_second_named_the_account_is_liquidatable_and_not_one_before(
    rules: Rules, debt: int, waited: int
) -> None:
    state = make_state(EARNING, COSTLY, rules=rules)
    account = snapshot(supplied(EARNING, 10 * 10**18), owed(COSTLY, debt))
    start = NOW + waited
    seconds = seconds_to_liquidation(state, account, block_at(start))
    if isinstance(seconds, Horizon):
        assert seconds is Horizon.MORE_THAN_A_YEAR
        assert state.at(start + SECONDS_PER_YEAR, 1).health(account).status is RiskStatus.HEALTHY
        return
    assert seconds is not None
    assert state.at(start + seconds, 1).health(account).status is RiskStatus.LIQUIDATABLE
    if seconds:
        assert state.at(start + seconds - 1, 1).health(account).status is RiskStatus.HEALTHY


def test_a_debt_that_does_not_grow_never_gets_there() -> None:
    account = snapshot(supplied(WETH, 10 * 10**18), owed(USDC, 20_000 * 10**6))
    assert seconds_to_liquidation(make_state(WETH, USDC), account, block_at(NOW)) is Horizon.NEVER


def test_no_debt_never_gets_there() -> None:
    assert seconds_to_liquidation(make_state(), snapshot(supplied(WETH, 1)), block_at(NOW)) is Horizon.NEVER


def test_a_small_debt_takes_more_than_a_year() -> None:
    account = snapshot(supplied(WETH, 10 * 10**18), owed(COSTLY, 100 * 10**6))
    assert seconds_to_liquidation(make_state(WETH, COSTLY), account, block_at(NOW)) is Horizon.MORE_THAN_A_YEAR


def test_what_is_liquidatable_has_no_time_left() -> None:
    account = snapshot(supplied(WETH, 10 * 10**18), owed(USDC, 25_000 * 10**6))
    assert seconds_to_liquidation(make_state(), account, block_at(NOW)) == 0


def test_of_what_is_unknown_nothing_is_said() -> None:
    account = snapshot(supplied(WETH, 10 * 10**18), owed(USDC, 20_000 * 10**6))
    assert seconds_to_liquidation(make_state(matches=0), account, block_at(NOW)) is None


@pytest.mark.parametrize(
    ("funding", "seconds"),
    [(0, Horizon.NEVER), (-10, Horizon.NEVER), (1, Horizon.MORE_THAN_A_YEAR), (100, 8_125_001), (10**9, 1)],
)
def test_a_perp_gets_there_by_the_funding_it_pays_and_never_by_what_it_receives(
    funding: int, seconds: int | Horizon
) -> None:
    state = tide_state(funding=funding, funded_at=EPOCH + 1)
    account = tide_account(Address(b"\x01" * 20), cash=1000 * USD6, size=LOT)
    found = seconds_to_liquidation(state.state, account, state.block)
    assert found == seconds
    if isinstance(found, int):
        for moment, status in ((found, RiskStatus.LIQUIDATABLE), (found - 1, RiskStatus.HEALTHY)):
            assert state.state.at(state.block.timestamp + moment, 1).health(account).status is status


def test_a_perp_without_a_position_never_gets_there_and_one_past_the_line_is_there() -> None:
    state = tide_state(funding=1)
    posted = tide_account(Address(b"\x01" * 20), cash=USD6)
    assert seconds_to_liquidation(state.state, posted, state.block) is Horizon.NEVER
    past = tide_account(Address(b"\x01" * 20), cash=USD6, size=LOT)
    assert seconds_to_liquidation(state.state, past, state.block) == 0
