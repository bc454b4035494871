"""What a wallet gains and loses with each asset, and what a price move does to it."""

from __future__ import annotations

from app.domain.account import AccountKey, AccountSnapshot, AccountState, Unreadable
from app.domain.chain import Address
from app.domain.risk import RiskStatus
from app.domain.units import WAD
from app.protocols.base import ProtocolKind
from app.valuation.assess import AccountAssessment, StateAt, assess_account
from app.valuation.conversion import UsdPrice
from app.valuation.exposure import wallet_exposure
from app.valuation.groups import DEFAULT_GROUPS, VOLATILE
from app.valuation.shocks import Shock
from app.valuation.stress import StressedWallet, stress_wallet
from tests.fakes.perp import LOT, USD6, tide_account
from tests.fakes.pond import DOLLAR, ETHER, USD8, WETH, pond_account
from tests.valuation.builders import pond_state, tide_state

ALICE = Address(b"\x01" * 20)
TARGET = 3 * WAD // 2


def lent(account: AccountState, state: StateAt | None = None) -> AccountAssessment:
    return assess_account(ProtocolKind.LENDING, state or pond_state(), account, TARGET)


def perp(account: AccountState, state: StateAt | None = None) -> AccountAssessment:
    return assess_account(ProtocolKind.PERP, state or tide_state(), account, TARGET)


LENDER = pond_account(ALICE, weth=2 * ETHER, usdc_debt=3000 * DOLLAR)
SHORT = tide_account(ALICE, cash=1000 * USD6, size=-LOT)


def test_lending_and_perps_of_one_asset_are_one_number() -> None:
    found = wallet_exposure([lent(LENDER), perp(SHORT)], {}, DEFAULT_GROUPS)
    ether, dollars = found.assets
    assert (ether.asset, ether.group, ether.symbols, ether.decimals) == ("ETH", "eth", ("ETH", "WETH"), 18)
    assert (ether.supplied, ether.borrowed, ether.perp_size) == (2 * ETHER, 0, -LOT)
    assert (ether.net_amount, ether.hedge_amount) == (LOT, -LOT)
    assert (ether.net_value, found.decimals) == (3000 * USD8, 8)
    assert (dollars.asset, dollars.net_amount, dollars.net_value) == ("USDC", -2000 * DOLLAR, -2000 * USD8)
    assert [(g.group, g.net_value, g.hedge_value) for g in found.groups] == [
        ("eth", 3000 * USD8, -3000 * USD8),
        ("stable", -2000 * USD8, 2000 * USD8),
    ]
    assert (found.left_out_accounts, found.unpriced_accounts) == (0, 0)


def test_what_the_hedge_says_makes_a_move_of_the_asset_change_nothing() -> None:
    hedge = wallet_exposure([lent(LENDER), perp(SHORT)], {}, DEFAULT_GROUPS).assets[0].hedge_amount
    hedged = tide_account(ALICE, cash=1000 * USD6, size=-LOT + hedge)
    for change, expected in ((SHORT, -600 * USD8), (hedged, 0)):
        after = stressed([(LENDER, lent(LENDER)), (change, perp(change))], Shock(by_group={"eth": 8 * WAD // 10}))
        assert (after.after.net or 0) - (after.before.net or 0) == expected


def test_what_is_unknown_is_counted_and_what_has_no_dollar_price_is_not_worth_nothing() -> None:
    unreadable = lent(Unreadable(AccountKey("pond-devnet", ALICE), 4, "reverts"))
    odd = lent(LENDER, pond_state(in_usd=False))
    found = wallet_exposure([unreadable, odd], {}, DEFAULT_GROUPS)
    assert (found.left_out_accounts, found.unpriced_accounts) == (1, 1)
    assert {asset.asset: asset.net_amount for asset in found.assets} == {"ETH": 2 * ETHER, "USDC": -3000 * DOLLAR}
    assert all(asset.net_value is None for asset in found.assets)
    assert all(group.net_value is None and group.hedge_value is None for group in found.groups)


def stressed(accounts: list[tuple[AccountSnapshot | None, AccountAssessment]], shock: Shock) -> StressedWallet:
    return stress_wallet(accounts, {}, shock, DEFAULT_GROUPS)


def test_a_fall_turns_the_lender_and_feeds_the_short() -> None:
    """2 WETH of 3000 at 80 % against 3000: 1.6, and at 1800 0.96. The short of one gains 1200 on 1000 of equity."""
    found = stressed([(LENDER, lent(LENDER)), (SHORT, perp(SHORT))], Shock(by_group={"eth": 6 * WAD // 10}))
    lender, short = found.accounts
    assert (lender.before.status, lender.after.status) == (RiskStatus.HEALTHY, RiskStatus.LIQUIDATABLE)
    assert (lender.before.health_factor_wad, lender.after.health_factor_wad) == (16 * WAD // 10, 96 * WAD // 100)
    assert (lender.pnl, lender.decimals) == (-2400 * USD8, 8)
    assert (short.pnl, short.decimals) == (1200 * USD6, 6)
    assert (found.before.net, found.after.net) == (4000 * USD8, 2800 * USD8)
    assert found.after.worst_status is RiskStatus.LIQUIDATABLE


def test_an_asset_comes_before_its_group_and_a_group_before_all_that_is_volatile() -> None:
    everything = {VOLATILE: WAD // 2, "btc": WAD // 4}
    shock = Shock(by_group=everything, by_symbol={"LINK": 2 * WAD})
    of = {s: shock.multiplier_wad(s, DEFAULT_GROUPS) for s in ("WETH", "WBTC", "link", "UNI", "USDC")}
    assert of == {"WETH": WAD // 2, "WBTC": WAD // 4, "link": 2 * WAD, "UNI": WAD // 2, "USDC": WAD}


def test_a_token_that_is_the_measure_moves_with_its_group() -> None:
    """The mark is in a token of ether's group: where both halve it stays, and is worth half the dollars."""
    state = tide_state(measure=WETH.asset)
    account = perp(SHORT, state)
    price = UsdPrice(WETH.asset, 3000 * USD8, 8, "pond-devnet", WETH.code, None, None)
    assert account.value_unit.currency == "WAVE"
    groups = DEFAULT_GROUPS.with_overrides({"eth": ["WAVE"]})
    for moved, health, net in (("eth", 1, 1), ("btc", 1, 2)):
        shock = Shock(by_group={moved: WAD // 2})
        (line,) = stress_wallet([(SHORT, account)], {account.key: price}, shock, groups).accounts
        assert line.after.health_factor_wad == (line.before.health_factor_wad or 0) * health
        assert (line.net_after or 0) * 2 == (line.net_before or 0) * net
    alone = Shock(by_symbol={"WAVE": 2 * WAD})  # the token doubles, ether stays: the mark counted in it halves
    (line,) = stress_wallet([(SHORT, account)], {account.key: price}, alone, groups).accounts
    assert line.after.perps[0].mark_price == 1500 * USD6


def test_what_is_not_known_stays_unknown_under_stress() -> None:
    unreadable = lent(Unreadable(AccountKey("pond-devnet", ALICE), 4, "reverts"))
    found = stressed([(None, unreadable)], Shock(by_group={VOLATILE: WAD // 2}))
    assert found.accounts[0].after.status is RiskStatus.UNKNOWN
    assert found.accounts[0].pnl is None
