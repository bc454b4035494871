from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.domain.account import AccountKey
from app.domain.legs import CONSTANT, Factor, Leg
from app.valuation.book import MOVES, Book, Shock, StaleScreen
from app.valuation.book.crossings import _first_not_below
from tests.valuation.book.builders import (
    MARKETS,
    PERPS,
    POOL,
    USD,
    book_of,
    factors,
    key,
    known_values,
    plain_value,
    populations,
)

PRICES = {"weth": 2000.0, "wbtc": 60_000.0, "dai": 1.0, "inverse": 1.0}
SUPPLIED = Leg("weth", 1.0, 0.8, 0.0)


def by_revaluation(
    book: Book, moved: frozenset[str], moves: tuple[float, ...]
) -> tuple[list[list[int]], list[list[float]], list[list[float]]]:
    """[ledger][move] of count, debt and collateral, everybody revalued at each move."""
    counts, debt, collateral = [], [], []
    for move in moves:
        multiplier = move
        screen = book.shocked(Shock(lambda _, market: multiplier if market in moved else 1.0))  # noqa: B023
        ledgers = screen._gather_ledgers()
        hit = np.flatnonzero(screen.health < 1)
        size = len(book.liquidation_curve(lambda *_: False).ledgers)
        counts.append(np.bincount(ledgers[hit], minlength=size).tolist())
        debt.append(np.bincount(ledgers[hit], screen.requirement[hit], minlength=size).tolist())
        collateral.append(np.bincount(ledgers[hit], screen.collateral[hit], minlength=size).tolist())
    return tuple(list(map(list, zip(*table, strict=True))) for table in (counts, debt, collateral))  # type: ignore[return-value]


def assert_curve_is_revaluation(book: Book, moved: frozenset[str], moves: tuple[float, ...]) -> None:
    curve = book.liquidation_curve(lambda _, market: market in moved, moves)
    counts, debt, collateral = by_revaluation(book, moved, moves)
    assert curve.counts_by_ledger.tolist() == counts
    assert curve.counts.tolist() == [sum(column) for column in zip(*counts, strict=True)] or not counts
    size = sum(
        abs(c) * 1e6 * 2 for account in book for leg in book.legs(account) or () for c in leg[1:] if math.isfinite(c)
    )
    np.testing.assert_allclose(curve.debt_by_ledger.reshape(-1), np.array(debt).reshape(-1), 1e-9, 1e-14 * size)
    np.testing.assert_allclose(
        curve.collateral_by_ledger.reshape(-1), np.array(collateral).reshape(-1), 1e-9, 1e-14 * size
    )


moved_markets = st.frozensets(st.sampled_from(MARKETS), min_size=1)


@settings(deadline=None)
@given(populations, known_values, moved_markets)
def test_the_curve_is_what_revaluing_everybody_at_each_move_gives(
    population: dict[AccountKey, list[Leg] | None], values: dict[str, float | None], moved: frozenset[str]
) -> None:
    assert_curve_is_revaluation(book_of(population, values), moved, MOVES[::10])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 100), st.booleans(), st.integers(-3, 3), st.booleans(), moved_markets)
@example(60, True, 0, True, frozenset({"weth"}))
def test_accounts_that_turn_exactly_at_a_move_are_counted_as_revaluation_counts_them(
    step: int, is_short: bool, ulps: int, is_mixed: bool, moved: frozenset[str]
) -> None:
    """Debt such that the account's crossing is on a move, a few units in the last place off it."""
    move = MOVES[step]
    legs = [Leg("dai", 5000.0, 4000.0, 0.0)] if is_short else [SUPPLIED]
    if is_mixed:
        legs.append(Leg("wbtc", 0.01, 0.0075, 0.0))
    book = book_of({key(1): legs}, PRICES)
    screen = book.shocked(Shock(lambda _, market: move if market in moved else 1.0))
    capacity = float(screen.capacity[0])
    owed_in = "weth" if is_short else "dai"
    amount = capacity / (PRICES[owed_in] * (move if owed_in in moved else 1.0))
    for _ in range(abs(ulps)):
        amount = math.nextafter(amount, math.copysign(math.inf, ulps))
    population = {
        key(n): [*legs, Leg(owed_in, 0.0, 0.0, amount * scale)] for n, scale in enumerate((1, 1.00001, 0.99999))
    }
    assert_curve_is_revaluation(book_of(population, PRICES), moved, MOVES)


def test_a_fall_takes_those_who_hold_and_a_rise_those_who_owe() -> None:
    owner = [SUPPLIED, Leg("dai", 0.0, 0.0, 1200.0)]
    short = [Leg("dai", 2000.0, 1600.0, 0.0), Leg("weth", 0.0, 0.0, 0.7)]
    curve = book_of({key(1): owner, key(2): short}, PRICES).liquidation_curve(
        lambda _, market: market == "weth", [0.5, 0.74, 0.76, 1.0, 1.1, 1.2]
    )
    assert curve.counts.tolist() == [1, 1, 0, 0, 0, 1]
    assert curve.debt_by_ledger[0].tolist() == [1200.0, 1200.0, 0.0, 0.0, 0.0, pytest.approx(1680.0)]
    assert curve.collateral_by_ledger[0].tolist() == [1000.0, 1480.0, 0.0, 0.0, 0.0, 2000.0]


def test_prices_may_count_the_other_way_round() -> None:
    """The collateral is counted in a loan token that rises: worth less of it."""
    legs = [Leg("inverse", 1000.0, 800.0, 0.0), Leg(CONSTANT, 0.0, 0.0, 600.0)]
    curve = book_of({key(1): legs}, PRICES).liquidation_curve(lambda _, market: market == "dai", [0.9, 1.0, 1.3, 1.4])
    assert curve.counts.tolist() == [0, 0, 0, 1]


def test_who_is_unknown_is_never_counted() -> None:
    legs = [SUPPLIED, Leg("wbtc", 0.0, 0.0, 1.0)]
    curve = book_of({key(1): legs, key(2): None}, {**PRICES, "wbtc": None}).liquidation_curve(lambda *_: True)
    assert not curve.counts.any()


def test_a_curve_needs_a_screen_of_the_present_factors_and_moves_that_ascend() -> None:
    book = book_of({key(1): [SUPPLIED]}, PRICES)
    screen = book.shocked(Shock.of_markets({(POOL, "weth"): 0.9}))
    with pytest.raises(StaleScreen):
        book.liquidation_curve(lambda *_: True, screen=screen)
    for moves in ((), (0.0, 1.0), (1.0, 1.0), (1.1, 0.9), (math.nan,)):
        with pytest.raises(ValueError, match="ascending"):
            book.liquidation_curve(lambda *_: True, moves)


@settings(deadline=None)
@given(populations, known_values, moved_markets, st.floats(0.1, 3))
def test_a_shock_values_everybody_as_the_moved_prices_would_and_leaves_the_book_alone(
    population: dict[AccountKey, list[Leg] | None],
    values: dict[str, float],
    moved: frozenset[str],
    multiplier: float,
) -> None:
    book = book_of(population, values)
    before = book.reprice()
    screen = book.shocked(Shock.of_groups(lambda _, market: "all" if market in moved else None, {"all": multiplier}))
    after = {name: value * (multiplier if name in moved else 1.0) / 1.0 for name, value in values.items()}
    after["inverse"] = values["inverse"] * 1.0 / (multiplier if "dai" in moved else 1.0)
    expected = book_of(population, after).reprice()
    np.testing.assert_array_equal(screen.health, expected.health)
    np.testing.assert_array_equal(book.reprice().health, before.health)


def test_a_shock_moves_one_deployment_only_where_it_names_one() -> None:
    legs = [SUPPLIED, Leg("dai", 0.0, 0.0, 800.0)]
    book = book_of({key(1): legs, key(1, PERPS): legs}, PRICES)
    screen = book.shocked(Shock.of_markets({(POOL, "weth"): 0.5}))
    assert screen.below(9) == [(key(1), 1.0), (key(1, PERPS), 2.0)]
    with pytest.raises(ValueError, match="above 0"):
        book.shocked(Shock(lambda *_: 0.0))


@settings(deadline=None)
@given(populations, known_values)
def test_at_its_liquidation_move_an_account_has_health_one(
    population: dict[AccountKey, list[Leg] | None], values: dict[str, float]
) -> None:
    book = book_of(population, values)
    for account, legs in population.items():
        for market, move in book.liquidation_moves(account, lambda _, market: market).items():
            if move is None or not 1e-3 < move < 1e3:
                continue
            multiplier = move
            moved = {
                name: value
                * (multiplier if name == market else 1.0)
                / (multiplier if (name, market) == ("inverse", "dai") else 1)
                for name, value in values.items()
                if value is not None
            }
            plain = plain_value(legs, dict(moved), truncates=False)
            assert plain.capacity is not None
            assert plain.requirement is not None
            terms = sum(
                abs(c) * (1.0 if leg.factor == CONSTANT else moved[leg.factor]) for leg in legs or () for c in leg[1:]
            )
            assert plain.capacity == pytest.approx(plain.requirement, abs=1e-9 * terms)


def test_the_liquidation_move_of_a_group_moves_all_its_markets() -> None:
    legs = [SUPPLIED, Leg("wbtc", 0.02, 0.014, 0.0), Leg("dai", 0.0, 0.0, 1220.0)]
    book = book_of({key(1): legs, key(2): [SUPPLIED], key(3): None}, PRICES)

    def group_of(_: str, market: str) -> str | None:
        return None if market == "dai" else "volatile"

    assert book.liquidation_moves(key(1), group_of) == {"volatile": 0.5}
    assert book.liquidation_moves(key(2), group_of) == {"volatile": None}
    assert book.liquidation_moves(key(3), group_of) == {}


def test_of_two_liquidation_moves_the_nearer_one_is_told() -> None:
    """Held in a token counted in dai, owed in what rises with dai: both ways."""
    book = Book()
    book.declare(POOL, USD)
    book.set_factors(POOL, [Factor("up", 1.0, "dai"), Factor("down", 1.0, None, "dai")])
    book.set_account(key(1), [Leg(CONSTANT, 3.0, 3.0, 0.0), Leg("up", 0, 0, 0.5), Leg("down", 0, 0, 1.0)])
    # 3 = 0.5 m + 1 / m
    move = book.liquidation_moves(key(1), lambda _, market: market)["dai"]
    assert move == pytest.approx(3 - math.sqrt(7))
    curve = book.liquidation_curve(lambda *_: True, [0.3, 0.4, 1.0, 5.6, 5.7])
    assert curve.counts.tolist() == [1, 0, 0, 0, 1]


def test_a_factor_that_rises_and_falls_with_the_moved_prices_stays() -> None:
    book = book_of({key(1): [Leg("ratio", 10.0, 8.0, 0.0), Leg(CONSTANT, 0.0, 0.0, 5.0)]}, PRICES)
    book.set_factors(POOL, factors({"ratio": 1.0}, ratio=("weth", "dai")))
    assert_curve_is_revaluation(book, frozenset({"weth", "dai"}), MOVES)
    assert not book.liquidation_curve(lambda *_: True).counts.any()


@settings(deadline=None)
@given(
    st.lists(st.floats(0.1, 3), min_size=1, max_size=8, unique=True).map(sorted),
    st.integers(2, 300),
    st.lists(st.floats(), max_size=20),
)
def test_places_among_the_moves_are_those_of_a_search(uneven: list[float], steps: int, elsewhere: list[float]) -> None:
    for moves in (np.array(uneven), np.linspace(uneven[0], uneven[0] + 1, steps)):
        near = np.concatenate([np.nextafter(moves, -np.inf), moves, np.nextafter(moves, np.inf)])
        at = np.concatenate([near, [-np.inf, np.inf, 0.0], [x for x in elsewhere if not math.isnan(x)]])
        assert _first_not_below(moves, at).tolist() == np.searchsorted(moves, at).tolist()


def test_an_account_that_is_liquidatable_in_the_middle_of_the_moves_only_is_found() -> None:
    """Only who depends on the prices both ways can be: 0.5 m + 1 / m has its least in between."""
    book = Book()
    book.declare(POOL, USD)
    book.set_factors(POOL, [Factor("up", 1.0, "dai"), Factor("down", 1.0, None, "dai")])
    book.set_account(key(1), [Leg("up", 0.5, 0.5, 0), Leg("down", 1.0, 1.0, 0), Leg(CONSTANT, 0, 0, 1.45)])
    curve = book.liquidation_curve(lambda *_: True, [0.5, 1.0, 1.4, 3.0])
    assert curve.counts.tolist() == [0, 0, 1, 0]
