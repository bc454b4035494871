from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.domain.chain import Address
from app.domain.market import ValueUnit
from app.domain.units import WAD
from app.protocols.base import ProtocolKind
from app.valuation.assess import AccountAssessment, assess_account
from app.valuation.conversion import UsdPrice, counts_in_usd, price_in, usd_values
from tests.fakes.perp import LOT, USD6, tide_account
from tests.fakes.pond import DOLLAR, ETHER, USD8, USDC, WETH, pond_account
from tests.fakes.site import EPOCH
from tests.valuation.builders import pond_state, tide_state

ALICE = Address(b"\x01" * 20)
TARGET = 3 * WAD // 2


def _price(price: int, decimals: int = 8) -> UsdPrice:
    return UsdPrice(WETH.asset, price, decimals, "pond-devnet", WETH.code, None, None)


def _in_weth(cash: int, size: int, entry: int) -> AccountAssessment:
    account = tide_account(ALICE, cash=cash, size=size, entry=entry)
    return assess_account(ProtocolKind.PERP, tide_state(measure=WETH.asset), account, TARGET)


def test_the_price_is_the_lending_oracles_of_that_very_token_with_its_age() -> None:
    found = price_in(pond_state(updated_at=EPOCH - 9), WETH.asset)
    assert found == UsdPrice(WETH.asset, 3000 * USD8, 8, "pond-devnet", WETH.code, EPOCH - 9, 10)
    ahead = price_in(pond_state(updated_at=EPOCH + 9), WETH.asset)
    assert ahead is not None
    assert ahead.age_seconds == 0


def test_no_price_is_made_up_for_what_nobody_prices() -> None:
    assert price_in(pond_state(), Address(b"\x77" * 20)) is None
    assert price_in(pond_state(weth=None), WETH.asset) is None
    assert price_in(pond_state(weth=0), WETH.asset) is None


def test_who_does_not_count_in_dollars_cannot_say_what_a_dollar_buys() -> None:
    assert price_in(pond_state(in_usd=False), WETH.asset) is None
    assert price_in(tide_state(measure=WETH.asset), Address(b"\xca" * 20)) is None


def test_of_two_markets_for_a_token_the_first_with_a_price_speaks() -> None:
    state = pond_state(weth=None)
    twin = replace(WETH, deployment_id="pond-devnet", asset=USDC.asset)
    markets = {WETH.code: twin, **{code: m for code, m in state.market_by_code.items() if code != WETH.code}}
    found = price_in(replace(state, market_by_code=markets), USDC.asset)
    assert found is not None
    assert found.market == USDC.code


def test_a_token_that_calls_itself_usd_is_a_token() -> None:
    assert counts_in_usd(ValueUnit("USD", 8, 8))
    assert not counts_in_usd(ValueUnit("USD", 8, 8, WETH.asset))
    assert not counts_in_usd(ValueUnit("USDC", 6, 6, USDC.asset))
    assert not counts_in_usd(ValueUnit(None, 0, 0))


def test_what_is_in_dollars_stays_as_it_is_whatever_price_is_given() -> None:
    account = pond_account(ALICE, weth=ETHER, usdc_debt=1000 * DOLLAR)
    found = usd_values(assess_account(ProtocolKind.LENDING, pond_state(), account, TARGET), _price(7))
    assert found is not None
    assert (found.decimals, found.collateral, found.debt) == (8, 3000 * USD8, 1000 * USD8)
    assert found.equity is found.notional is found.unrealized_pnl is None


def test_without_a_price_there_are_no_dollars() -> None:
    assert usd_values(_in_weth(USD6, LOT, 3000 * USD6), None) is None


@given(
    cash=st.integers(0, 10**15),
    size=st.integers(-(10**22), 10**22).filter(bool),
    entry=st.integers(1, 10**11),
    price=st.integers(1, 10**14),
)
def test_rounding_never_flatters_the_account(cash: int, size: int, entry: int, price: int) -> None:
    account = _in_weth(cash, size, entry)
    margin = account.assessment.margin
    assert margin is not None
    found = usd_values(account, _price(price))
    assert found is not None
    assert (found.decimals, found.debt) == (8, None)
    for converted, own in (
        (found.collateral, account.assessment.collateral_value),
        (found.equity, margin.equity_value),
        (found.unrealized_pnl, margin.unrealized_pnl_value),
    ):
        assert converted is not None
        assert own is not None
        assert 0 <= own * price - converted * USD6 < USD6
    assert found.notional is not None
    assert 0 <= found.notional * USD6 - margin.notional_value * price < USD6
