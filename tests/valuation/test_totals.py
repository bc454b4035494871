from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.account import AccountKey, AccountState, Unreadable
from app.domain.chain import Address
from app.domain.risk import RiskStatus
from app.domain.units import WAD
from app.protocols.base import ProtocolKind
from app.valuation.assess import AccountAssessment, StateAt, assess_account
from app.valuation.conversion import UsdPrice, price_in
from app.valuation.totals import wallet_totals
from tests.fakes.perp import LOT, USD6, tide_account
from tests.fakes.pond import DOLLAR, ETHER, USD8, WETH, PondState, pond_account, pond_markets, pond_records
from tests.valuation.builders import pond_state, tide_state

ALICE = Address(b"\x01" * 20)
TARGET = 3 * WAD // 2


def lent(account: AccountState, state: StateAt | None = None) -> AccountAssessment:
    return assess_account(ProtocolKind.LENDING, state or pond_state(), account, TARGET)


def perp(account: AccountState, state: StateAt | None = None) -> AccountAssessment:
    return assess_account(ProtocolKind.PERP, state or tide_state(), account, TARGET)


def unreadable(deployment_id: str) -> Unreadable:
    return Unreadable(AccountKey(deployment_id, ALICE), 4, "reverts")


def test_totals_sum_the_known_and_count_the_rest() -> None:
    accounts = [
        lent(pond_account(ALICE, weth=ETHER, usdc_debt=1000 * DOLLAR)),
        lent(unreadable("pond-devnet")),
        lent(pond_account(ALICE, weth=ETHER), pond_state(in_usd=False)),
    ]
    totals = wallet_totals(accounts, {})
    assert (totals.collateral, totals.debt, totals.decimals) == (3000 * USD8, 1000 * USD8, 8)
    assert (totals.accounts, totals.unknown_accounts, totals.other_currency_accounts) == (3, 1, 1)
    assert totals.converted_accounts == 0
    assert (totals.worst_status, totals.worst_health_factor_wad) == (RiskStatus.UNKNOWN, 24 * WAD // 10)


def test_totals_of_nothing_known_are_not_known_and_of_nothing_at_all_are_zero() -> None:
    totals = wallet_totals([lent(unreadable("pond-devnet"))], {})
    assert totals.collateral is totals.debt is totals.net is None
    nothing = wallet_totals([], {})
    assert (nothing.collateral, nothing.debt, nothing.net, nothing.perp_equity) == (0, 0, 0, 0)
    assert (nothing.accounts, nothing.worst_status) == (0, None)


def test_deployments_with_other_decimals_are_summed_in_the_finer_ones() -> None:
    coarse = pond_state()

    class Finer(PondState):
        value_decimals = 18

    finer = replace(coarse, state=Finer(coarse.state.deployment, pond_markets(), pond_records()))
    account = pond_account(ALICE, weth=ETHER)
    totals = wallet_totals([lent(account, coarse), lent(account, finer)], {})
    assert totals.decimals == 18
    assert totals.collateral == 3000 * 10**18 + 3000 * USD8


def test_a_perp_account_counts_as_its_equity_once_and_never_as_collateral() -> None:
    accounts = [
        lent(pond_account(ALICE, weth=ETHER, usdc_debt=1000 * DOLLAR)),
        perp(tide_account(ALICE, cash=1000 * USD6, size=4 * LOT, entry=2900 * USD6)),
        perp(tide_account(ALICE, cash=50 * USD6, unit="posted only")),
    ]
    totals = wallet_totals(accounts, {})
    assert (totals.collateral, totals.debt) == (3000 * USD8, 1000 * USD8)
    assert totals.perp_equity == (1400 + 50) * USD8
    assert (totals.perp_notional, totals.perp_unrealized_pnl) == (12_000 * USD8, 400 * USD8)
    assert totals.net == (2000 + 1450) * USD8


def test_a_perp_account_below_zero_takes_from_the_net() -> None:
    totals = wallet_totals([perp(tide_account(ALICE, cash=100 * USD6, size=LOT, entry=3200 * USD6))], {})
    assert totals.perp_equity == totals.net == -100 * USD6
    assert (totals.collateral, totals.debt) == (0, 0)
    assert totals.worst_health_factor_wad is not None
    assert totals.worst_health_factor_wad < 0


@pytest.mark.parametrize("perp_is_known", [False, True])
def test_a_kind_of_which_nothing_is_known_has_no_sum_while_the_other_keeps_its_own(perp_is_known: bool) -> None:
    known = perp(tide_account(ALICE, cash=7 * USD6)) if perp_is_known else lent(pond_account(ALICE, weth=ETHER))
    other = lent(unreadable("pond-devnet")) if perp_is_known else perp(unreadable("tide-devnet"))
    totals = wallet_totals([known, other], {})
    assert (totals.collateral, totals.perp_equity) == ((None, 7 * USD6) if perp_is_known else (3000 * USD8, None))
    assert totals.net == (7 * USD6 if perp_is_known else 3000 * USD8)


def test_what_another_oracle_prices_is_summed_and_counted_as_converted() -> None:
    price = price_in(pond_state(), WETH.asset)
    assert price == UsdPrice(WETH.asset, 3000 * USD8, 8, "pond-devnet", WETH.code, None, None)
    in_weth = tide_state(measure=WETH.asset)
    half = perp(tide_account(ALICE, cash=USD6 // 2), in_weth)
    left_out = perp(tide_account(ALICE, cash=USD6, unit="b"), in_weth)
    accounts = [half, left_out, lent(pond_account(ALICE, usdc=DOLLAR))]
    totals = wallet_totals(accounts, {half.key: price})
    assert (totals.perp_equity, totals.collateral, totals.net) == (1500 * USD8, USD8, 1501 * USD8)
    assert (totals.converted_accounts, totals.other_currency_accounts, totals.unknown_accounts) == (1, 1, 0)
