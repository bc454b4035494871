"""The share of all debt that is liquidatable after a move, in ledgers counted in dollars and in a moving token."""

from __future__ import annotations

import pytest

from app.valuation.market_risk import debt_at_risk, sum_of
from tests.valuation.market_risk.builders import PERPS, POOL, VAULT, holds, key, market_of, owes

ACCOUNTS = {
    key(1): [holds("WETH", 1.0), owes("DAI", 700.0)],  # capacity 800: below the line from a fall of 1 / 8
    key(2): [holds("WETH", 10.0), owes("DAI", 1000.0)],
    key(3, VAULT): [holds("DAI", 5000.0), owes("WETH", 3.0)],  # capacity 4 WETH: below the line from a rise of 1 / 3
    key(4, VAULT): [holds("DAI", 9000.0), owes("WETH", 1.0)],
    key(5): None,
    key(6, PERPS): [holds("WETH", 1.0, 1.0), owes("DAI", 100.0)],
}


def test_debt_counted_in_a_token_that_moves_is_worth_what_it_is_after_the_move() -> None:
    market = market_of(ACCOUNTS)
    fallen = debt_at_risk(market, market.of_group("eth"), 0.8)
    assert (fallen[POOL].debt, fallen[POOL].total) == (pytest.approx(700), pytest.approx(1700))
    assert (fallen[POOL].accounts, fallen[POOL].unknown) == (1, 1)
    assert (fallen[VAULT].debt, fallen[VAULT].total) == (0, pytest.approx(4 * 800))
    risen = debt_at_risk(market, market.of_group("eth"), 1.5)
    assert (risen[VAULT].debt, risen[VAULT].total) == (pytest.approx(3 * 1500), pytest.approx(4 * 1500))
    assert risen[VAULT].share == pytest.approx(0.75)
    both = sum_of([risen[POOL], risen[VAULT]])
    assert (both.debt, both.total, both.accounts) == (pytest.approx(4500), pytest.approx(7700), 1)


def test_what_cannot_be_converted_is_counted_and_in_no_sum() -> None:
    market = market_of(ACCOUNTS, converts_weth=False)
    found = debt_at_risk(market, market.of_group("eth"), 1.5)
    assert (found[VAULT].debt, found[VAULT].total, found[VAULT].unconverted) == (0, 0, 2)
    assert found[VAULT].share == 0
