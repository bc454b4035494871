from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.account import AccountKey
from app.domain.legs import CONSTANT, Factor, Leg
from app.valuation.book import Book, Screen, StaleScreen
from tests.valuation.book.builders import (
    ETH,
    MARKETS,
    PERPS,
    POOL,
    USD,
    accounts,
    book_of,
    factors,
    key,
    known_values,
    lending_legs,
    plain_value,
    populations,
    values_with_gaps,
)

PRICES = {"weth": 2000.0, "wbtc": 60_000.0, "dai": 1.0}
SUPPLIED = Leg("weth", 1.0, 0.8, 0.0)
OWED = Leg("dai", 0.0, 0.0, 1000.0)


def numbers(screen: Screen, account: AccountKey) -> tuple[float, float, float, float]:
    place = screen.place(account)
    return tuple(
        float(array[place]) for array in (screen.collateral, screen.capacity, screen.requirement, screen.health)
    )  # type: ignore[return-value]


def everything(book: Book) -> dict[AccountKey, tuple[str, ...]]:
    """By account, to the last bit; NaN equals NaN."""
    screen = book.reprice()
    return {account: tuple(map(float.hex, numbers(screen, account))) for account in book}


@settings(deadline=None)
@given(populations, values_with_gaps)
def test_repricing_equals_a_plain_loop_over_the_legs(
    population: dict[AccountKey, list[Leg] | None], values: dict[str, float | None]
) -> None:
    screen = book_of(population, values).reprice()
    for account, legs in population.items():
        plain = plain_value(legs, values, truncates=account.deployment_id == POOL)
        found = numbers(screen, account)
        if plain.capacity is None:
            assert screen.unknown[screen.place(account)]
            assert math.isnan(found[3])
            continue
        assert not screen.unknown[screen.place(account)]
        size = 1e-12 * sum(
            abs(c) * (1.0 if leg.factor == CONSTANT else values[leg.factor] or 0.0)
            for leg in legs or ()
            for c in leg[1:]
        )
        # on a whole bps the two sums may be truncated to either side
        truncated = 1.0001e-4 * found[0] if account.deployment_id == POOL else 0.0
        assert found[0] == pytest.approx(plain.collateral, abs=size)
        assert found[1] == pytest.approx(plain.capacity, abs=size + truncated)
        assert found[2] == pytest.approx(plain.requirement, abs=size)
        if found[2] > 0:
            assert found[3] == found[1] / found[2]
        else:
            assert math.isnan(found[3])


@settings(deadline=None)
@given(st.lists(st.tuples(accounts, st.booleans()), max_size=40), known_values)
def test_changes_in_any_order_leave_the_book_that_would_be_built_from_the_outcome(
    changes: list[tuple[tuple[AccountKey, list[Leg] | None], bool]], values: dict[str, float | None]
) -> None:
    book = book_of({}, values)
    outcome: dict[AccountKey, Sequence[Leg] | None] = {}
    for (account, legs), is_removal in changes:
        if is_removal:
            assert book.remove_account(account) == (account in outcome)
            outcome.pop(account, None)
        else:
            book.set_account(account, legs)
            outcome[account] = legs
    assert len(book) == len(outcome)
    assert set(book) == set(outcome)
    assert everything(book) == everything(book_of(outcome, values))


@settings(deadline=None)
@given(st.lists(lending_legs(), max_size=12), known_values, st.booleans())
def test_loading_many_accounts_equals_setting_each(
    legs: list[list[Leg]], values: dict[str, float | None], is_filled: bool
) -> None:
    before = {key(100): [SUPPLIED, OWED]} if is_filled else {}
    one_by_one, at_once = book_of(before, values), book_of(before, values)
    for number, own in enumerate(legs):
        one_by_one.set_account(key(number), own)
    at_once.load(POOL, ((key(number), own) for number, own in enumerate(legs)))
    assert everything(at_once) == everything(one_by_one)
    for account in before:
        at_once.remove_account(account)
        one_by_one.remove_account(account)
    assert everything(at_once) == everything(one_by_one)


@settings(deadline=None)
@given(lending_legs())
def test_an_account_can_be_taken_apart_into_legs_that_mean_the_same(legs: list[Leg]) -> None:
    book = book_of({key(1): legs}, {**PRICES, "inverse": 0.5})
    again = book.legs(key(1))
    assert again is not None
    assert everything(book_of({key(1): again}, {**PRICES, "inverse": 0.5})) == everything(book)


def test_an_account_is_worth_its_legs_at_the_factors() -> None:
    screen = book_of({key(1): [SUPPLIED, OWED]}, PRICES).reprice()
    assert numbers(screen, key(1)) == (2000.0, 1600.0, 1000.0, 1.6)


def test_health_uses_the_truncated_average_only_where_thresholds_differ_and_the_deployment_truncates() -> None:
    legs = [Leg("weth", 1.0, 0.8, 0.0), Leg("dai", 1000.0, 750.01, 0.0), Leg("dai", 0.0, 0.0, 1000.0)]
    book = book_of({key(1): legs, key(1, PERPS): legs}, PRICES)
    # (2000 x 0.8 + 1000 x 0.75001) / 3000 = 0.78333666...: 7833 bps
    assert numbers(book.reprice(), key(1))[1] == pytest.approx(3000 * 0.7833)
    assert numbers(book.reprice(), key(1, PERPS))[1] == pytest.approx(2350.01)


def test_a_deployment_that_stops_truncating_is_sorted_in_again() -> None:
    legs = [Leg("weth", 1.0, 0.8, 0.0), Leg("dai", 1000.0, 750.01, 0.0), Leg("dai", 0.0, 0.0, 1000.0)]
    book = book_of({key(1): legs}, PRICES)
    book.declare(POOL, USD, truncates_threshold=False)
    assert numbers(book.reprice(), key(1))[1] == pytest.approx(2350.01)


def test_without_a_requirement_there_is_no_health_and_nothing_is_unknown() -> None:
    screen = book_of({key(1): [SUPPLIED], key(2): []}, PRICES).reprice()
    assert np.isnan(screen.health).all()
    assert not screen.unknown.any()


@pytest.mark.parametrize("worthless", [0.0, -0.0])
def test_a_debt_in_what_is_worth_nothing_is_no_requirement(worthless: float) -> None:
    screen = book_of({key(1): [SUPPLIED, Leg("wbtc", 0, 0, 1.0)]}, {**PRICES, "wbtc": worthless}).reprice()
    assert np.isnan(screen.health).all()
    assert not screen.unknown.any()


@pytest.mark.parametrize("legs", [[SUPPLIED, OWED, Leg("wbtc", 0.0, 0.0, 0.0)], [SUPPLIED, Leg("wbtc", 0, 0, 1.0)]])
def test_a_factor_that_is_not_known_makes_its_accounts_unknown(legs: list[Leg]) -> None:
    screen = book_of({key(1): legs, key(2): [SUPPLIED, OWED]}, {**PRICES, "wbtc": None}).reprice()
    assert screen.unknown.tolist() == [screen.place(key(1)) == 0, screen.place(key(1)) == 1]
    assert math.isnan(numbers(screen, key(1))[3])
    assert screen.below(100.0) == [(key(2), 1.6)]


def test_a_factor_nobody_states_any_more_is_not_known() -> None:
    book = book_of({key(1): [SUPPLIED, OWED]}, PRICES)
    book.set_factors(POOL, factors({"dai": 1.0}))
    assert book.reprice().unknown.all()
    book.set_factors(POOL, factors(PRICES))
    assert not book.reprice().unknown.any()


def test_an_account_on_a_factor_never_heard_of_is_unknown_until_it_is_stated() -> None:
    book = book_of({key(1): [SUPPLIED, Leg("gho", 0, 0, 1.0)]}, PRICES)
    assert book.reprice().unknown.all()
    book.set_factors(POOL, factors({**PRICES, "gho": 1.0}))
    assert book.reprice().health.tolist() == [1600.0]


def test_a_removed_account_is_gone_and_can_come_back() -> None:
    book = book_of({key(number): [SUPPLIED, OWED] for number in range(3)}, PRICES)
    assert book.remove_account(key(1))
    assert not book.remove_account(key(1))
    assert key(1) not in book
    assert [account for account, _ in book.reprice().below(9)] == [key(0), key(2)]
    book.set_account(key(1), [SUPPLIED, Leg("dai", 0, 0, 800.0)])
    assert [account for account, _ in book.reprice().below(9)] == [key(0), key(2), key(1)]


def test_the_same_factor_name_means_something_else_in_another_deployment() -> None:
    book = book_of({key(1): [SUPPLIED, OWED], key(1, PERPS): [SUPPLIED, OWED]}, PRICES)
    book.set_factors(PERPS, factors({**PRICES, "weth": 1000.0}))
    assert numbers(book.reprice(), key(1))[3] == 1.6
    assert numbers(book.reprice(), key(1, PERPS))[3] == 0.8


def test_a_recycled_screen_gives_its_arrays_to_the_next() -> None:
    book = book_of({key(1): [SUPPLIED, OWED]}, PRICES)
    first = book.reprice()
    book.set_factors(POOL, factors({**PRICES, "weth": 1000.0}))
    second = book.reprice(recycle=first)
    assert second.health is first.health
    assert second.health.tolist() == [0.8]
    book.set_account(key(2), [SUPPLIED, OWED])
    assert book.reprice(recycle=second).health.tolist() == [0.8, 0.8]


def test_a_screen_names_nobody_once_accounts_have_changed() -> None:
    book = book_of({key(1): [SUPPLIED, OWED], key(2): [SUPPLIED, OWED]}, PRICES)
    screen = book.reprice()
    book.remove_account(key(1))
    with pytest.raises(StaleScreen):
        screen.below(2.0)
    with pytest.raises(StaleScreen):
        screen.to_confirm()


def test_what_cannot_be_meant_is_refused_and_changes_nothing() -> None:
    book = book_of({key(1): [SUPPLIED, OWED]}, PRICES)
    before = everything(book)
    with pytest.raises(KeyError):
        book.set_account(key(1, "nowhere"), [SUPPLIED])
    with pytest.raises(KeyError):
        book.set_factors("nowhere", [])
    with pytest.raises(ValueError, match="finite"):
        book.set_account(key(1), [Leg("weth", math.inf, 1.0, 0.0)])
    with pytest.raises(ValueError, match="is not known is None"):
        book.set_factors(POOL, [Factor("weth", math.nan)])
    with pytest.raises(ValueError, match="different names"):
        book.set_factors(POOL, [Factor("weth", 1.0), Factor("weth", 1.0)])
    with pytest.raises(ValueError, match="different names"):
        book.set_factors(POOL, [Factor(CONSTANT, 1.0)])
    with pytest.raises(ValueError, match="twice"):
        book.load(POOL, [(key(2), [SUPPLIED]), (key(1), [SUPPLIED])])
    with pytest.raises(ValueError, match="another deployment"):
        book.load(POOL, [(key(2, PERPS), [SUPPLIED])])
    with pytest.raises(ValueError, match="finite"):
        book.load(POOL, [(key(2), [Leg("weth", math.nan, 1.0, 0.0)])])
    assert everything(book) == before


def test_accounts_with_more_legs_than_most_are_valued_like_others() -> None:
    legs = [Leg(MARKETS[place % 3], 1.0, 0.8, 0.5) for place in range(23)]
    screen = book_of({key(1): legs}, PRICES).reprice()
    value = sum(PRICES[leg.factor] for leg in legs)
    assert numbers(screen, key(1)) == pytest.approx((value, value * 0.8, value * 0.5, 1.6))


def test_sums_are_kept_by_deployment_and_unit() -> None:
    book = book_of({key(1): [SUPPLIED, OWED], key(1, PERPS): [SUPPLIED, OWED], key(2): None}, PRICES)
    book.set_account(key(3), [SUPPLIED, Leg("dai", 0, 0, 1700.0)], ETH)
    totals = book.reprice().totals()
    assert [(ledger.deployment_id, ledger.unit) for ledger in totals] == [(POOL, USD), (PERPS, ETH), (POOL, ETH)]
    first, second, third = totals.values()
    assert (first.accounts, first.unknown, first.indebted, first.liquidatable) == (2, 1, 1, 0)
    assert (first.collateral, first.capacity, first.requirement) == (2000.0, 1600.0, 1000.0)
    assert (second.accounts, second.requirement) == (1, 1000.0)
    assert (third.liquidatable, third.requirement) == (1, 1700.0)


def test_accounts_are_counted_by_band_of_health() -> None:
    population = {key(n): [SUPPLIED, Leg("dai", 0, 0, debt)] for n, debt in enumerate((2000.0, 1600.0, 1000.0, 800.0))}
    bands = book_of({**population, key(8): [SUPPLIED], key(9): None}, PRICES).reprice().bands([1.0, 1.6])
    assert (bands.counts, bands.no_debt, bands.unknown) == ((1, 1, 2), 1, 1)


@settings(deadline=None)
@given(populations, known_values, st.integers(0, 30))
def test_the_riskiest_are_the_first_of_all_in_order(
    population: dict[AccountKey, list[Leg] | None], values: dict[str, float | None], count: int
) -> None:
    screen = book_of(population, values).reprice()
    everyone = screen.below(math.inf)
    assert everyone == sorted(everyone, key=lambda ranked: (ranked.health, ranked.key))
    assert screen.riskiest(count) == everyone[:count]


def test_which_of_equals_is_left_out_goes_by_key() -> None:
    book = book_of({key(number): [SUPPLIED, OWED] for number in (5, 3, 9, 1)}, PRICES)
    assert [account for account, _ in book.reprice().riskiest(2)] == [key(1), key(3)]


def test_an_empty_book_has_empty_answers() -> None:
    screen = Book().reprice()
    assert screen.below(1.0) == []
    assert screen.riskiest(3) == []
    assert screen.to_confirm() == []
    assert screen.totals() == {}
    assert screen.bands([1.0]).counts == (0, 0)


def test_nothing_is_left_behind_in_the_places_an_account_does_not_use_any_more() -> None:
    """Six terms and five are in the same bucket; 0 x an unknown factor would be unknown."""
    many = [Leg("weth", 1.0, 0.8, 0.0)] * 5
    debts = [Leg("dai", 0.0, 0.0, 1.0)] * 5
    unknown = [Leg("wbtc", 1.0, 0.8, 0.0), Leg("wbtc", 0.0, 0.0, 1.0)]
    book = book_of({key(1): [*many, *debts, *unknown]}, {**PRICES, "wbtc": None})
    assert book.reprice().unknown.all()
    book.set_account(key(1), [*many, *debts])
    assert not book.reprice().unknown.any()
