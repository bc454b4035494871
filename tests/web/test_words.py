from __future__ import annotations

import pytest

from app.api.schemas.account import ReasonView
from app.web.words import band_of, place_of, verdict_of
from tests.web import builders as b


def test_the_first_line_says_how_far_how_soon_and_what_would_fix_it() -> None:
    verdict = verdict_of(b.wallet(b.account()))
    assert verdict is not None
    assert verdict.text == (
        "12.4 % from liquidation if WETH falls to 1,834.20 USD · 41 days by interest alone · "
        "repay 1,545.86 USDC or add 1.3343 WETH to reach 1.50"
    )
    assert verdict.also == ()


def test_a_rising_debt_asset_is_said_to_rise() -> None:
    prices = b.account().liquidation_prices
    verdict = verdict_of(b.wallet(b.account(liquidation_prices=prices[::-1])))
    assert verdict is not None
    assert verdict.distance == "14.1 % from liquidation if USDC rises to 1.1415 USD"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        ("never", "interest alone never gets it there"),
        ("more_than_a_year", "more than a year by interest alone"),
        (3_599, "59 minutes by interest alone"),
        (None, None),
    ],
)
def test_how_soon_is_said_in_words_or_not_at_all(seconds: int | str | None, said: str | None) -> None:
    verdict = verdict_of(b.wallet(b.account(seconds_to_liquidation=seconds)))
    assert verdict is not None
    assert verdict.soon == said


def test_no_price_is_invented_where_no_single_one_liquidates() -> None:
    verdict = verdict_of(b.wallet(b.account(liquidation_prices=[])))
    assert verdict is not None
    assert verdict.distance == "No single price liquidates it: only several prices moving together can"
    assert "from liquidation" not in verdict.text


def test_above_the_target_nothing_is_to_be_restored() -> None:
    verdict = verdict_of(b.wallet(b.account(restore=None)))
    assert verdict is not None
    assert verdict.fix == "health factor above the target, nothing to restore"


def test_a_target_out_of_reach_of_any_single_action_is_said_so() -> None:
    verdict = verdict_of(b.wallet(b.account(restore=b.healthy_restore())))
    assert verdict is not None
    assert verdict.fix == "no single repayment or addition reaches 1.50"


def test_a_liquidatable_wallet_is_told_so_first_with_the_way_back() -> None:
    verdict = verdict_of(b.wallet(b.liquidatable_account()))
    assert verdict is not None
    assert verdict.distance == "Liquidatable now at health factor 0.9879"
    assert verdict.soon == "safe again only with WETH back above 2,119.41 USD (+1.21 %)"
    assert verdict.fix is not None
    assert verdict.fix.startswith("repay 1,545.86 USDC")


def test_a_blocked_liquidation_is_neither_safe_nor_liquidatable_now() -> None:
    reason = ReasonView(code="liquidation_blocked", detail="the price sentinel forbids liquidations")
    account = b.liquidatable_account(reasons=[reason])
    verdict = verdict_of(b.wallet(account))
    assert verdict is not None
    assert verdict.far == "Past the line, but liquidation is blocked for now"
    assert verdict.soon is not None
    assert "price sentinel" in verdict.soon
    assert band_of(account).code == "liquidatable"


def test_unknown_says_what_could_not_be_read() -> None:
    verdict = verdict_of(b.wallet(b.unknown_account()))
    assert verdict is not None
    assert verdict.text == "Unknown: Aave V3 on Ethereum could not be assessed · the oracle gives no price for WETH"


def test_an_account_seen_but_not_read_is_not_called_unreadable() -> None:
    reason = ReasonView(code="not_read_yet", detail="known from a log, not read yet")
    verdict = verdict_of(b.wallet(b.unknown_account(reasons=[reason])))
    assert verdict is not None
    assert verdict.far.startswith("Not known yet")


def test_no_debt_is_said_in_words_not_as_an_infinite_factor() -> None:
    verdict = verdict_of(b.wallet(b.no_debt_account()))
    assert verdict is not None
    assert verdict.text == "No debt, so nothing to liquidate · 8,898.95 USD of collateral supplied"


def test_a_hidden_unknown_account_is_never_left_unsaid() -> None:
    verdict = verdict_of(b.wallet(b.liquidatable_account(), b.unknown_account()))
    assert verdict is not None
    assert any("1 more is unknown and may be worse" in line for line in verdict.also)
    assert any("riskiest of 2 accounts" in line for line in verdict.also)


def test_when_the_riskiest_is_unknown_the_worst_known_one_is_told_too() -> None:
    verdict = verdict_of(b.wallet(b.unknown_account(), b.account(chain_id=10)))
    assert verdict is not None
    assert verdict.far.startswith("Unknown")
    assert any("12.4 % from liquidation if WETH falls" in line and "Optimism" in line for line in verdict.also)


def test_a_wallet_without_accounts_has_no_verdict() -> None:
    assert verdict_of(b.wallet()) is None


@pytest.mark.parametrize(
    ("utilization", "word"),
    [
        ("0.599999999999999999", "Wide margin"),
        ("0.600000000000000000", "Moderate margin"),
        ("0.800000000000000000", "Thin margin"),
        ("0.950000000000000000", "Close to the line"),
        ("1.000000000000000000", "Close to the line"),
        (None, "Close to the line"),
    ],
)
def test_a_healthy_account_is_banded_by_utilisation(utilization: str | None, word: str) -> None:
    assert band_of(b.account(utilization=utilization)).word == word
    assert band_of(b.ranked(utilization=utilization)).word == word


@pytest.mark.parametrize("utilization", ["0.1", "5", None])
def test_the_protocols_verdict_outranks_any_ratio(utilization: str | None) -> None:
    assert band_of(b.ranked(status="liquidatable", utilization=utilization)).word == "Liquidatable"
    assert band_of(b.ranked(status="unknown", utilization=utilization)).word == "Unknown"
    assert band_of(b.ranked(status="no_debt", utilization=utilization)).word == "No debt"


def test_a_chain_already_in_the_name_is_not_said_twice() -> None:
    assert place_of("Aave V3 Ethereum", 1) == "Aave V3 Ethereum"
    assert place_of("Aave V3", 42161) == "Aave V3 on Arbitrum One"
