"""The book against integers: health by the rounding rules of Aave V3.0, and of 3.5, which truncates no threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.domain.legs import Factor, Leg
from app.domain.units import BPS, RAY, WAD
from app.valuation.book import Book
from tests.valuation.book.builders import POOL, USD, book_of, key


@dataclass(frozen=True, slots=True)
class Reserve:
    """One asset as the contract holds it. Prices with 8 decimals, indices in ray."""

    decimals: int
    price: int
    income_index: int
    debt_index: int
    threshold_bps: int


@dataclass(frozen=True, slots=True)
class Holding:
    """Scaled balances by place of the reserve."""

    supplied: dict[int, int]
    borrowed: dict[int, int]


def exact_health(reserves: list[Reserve], holding: Holding, *, truncates: bool) -> Fraction | None:
    """The contract's health factor with its own rounding; None without a debt value."""
    collateral = weighted = debt = 0
    for place, scaled in holding.supplied.items():
        reserve = reserves[place]
        assets = (scaled * reserve.income_index + RAY // 2) // RAY
        value = assets * reserve.price // 10**reserve.decimals
        collateral += value
        weighted += value * reserve.threshold_bps
    for place, scaled in holding.borrowed.items():
        reserve = reserves[place]
        assets = (scaled * reserve.debt_index + RAY // 2) // RAY
        debt += assets * reserve.price // 10**reserve.decimals
    if not debt:
        return None
    if not truncates:
        return Fraction((weighted * WAD + debt // 2) // debt // BPS, WAD)
    average = weighted // collateral if collateral else 0
    capacity = (collateral * average + BPS // 2) // BPS
    return Fraction((capacity * WAD + debt // 2) // debt, WAD)


def book_of_holdings(reserves: list[Reserve], holdings: list[Holding], *, truncates: bool) -> Book:
    book = Book()
    book.declare(POOL, USD, truncates_threshold=truncates)
    factors, steps = [], {}
    for place, reserve in enumerate(reserves):
        unit = 10 ** (reserve.decimals + 8)
        factors.append(Factor(f"s{place}", float(Fraction(reserve.price * reserve.income_index, unit * RAY))))
        factors.append(Factor(f"d{place}", float(Fraction(reserve.price * reserve.debt_index, unit * RAY))))
        steps |= {f"s{place}": reserve.price / unit, f"d{place}": reserve.price / unit}
    book.set_factors(POOL, factors, steps)
    for number, holding in enumerate(holdings):
        legs = [
            Leg(f"s{place}", float(scaled), scaled * reserves[place].threshold_bps / BPS, 0.0)
            for place, scaled in holding.supplied.items()
        ]
        legs += [Leg(f"d{place}", 0.0, 0.0, float(scaled)) for place, scaled in holding.borrowed.items()]
        book.set_account(key(number), legs)
    return book


indices = st.integers(RAY, 3 * RAY)
reserve_lists = st.lists(
    st.builds(
        Reserve,
        st.sampled_from([6, 8, 18]),
        st.integers(1, 10**13),
        indices,
        indices,
        st.sampled_from([0, 1, 4500, 7500, 8000, 8250, 8333, 9500]),
    ),
    min_size=3,
    max_size=3,
)
logarithmic = st.integers(0, 26).flatmap(lambda digits: st.integers(0, 10**digits))
supplies = st.dictionaries(st.integers(0, 2), logarithmic, max_size=3)


@st.composite
def positions(draw: st.DrawFn) -> tuple[list[Reserve], list[Holding]]:
    """Reserves, and accounts of which most are within rounding of the line."""
    reserves = draw(reserve_lists)
    holdings = []
    for _ in range(draw(st.integers(1, 4))):
        supplied = draw(supplies)
        borrowed = draw(supplies)
        if draw(st.booleans()):
            place = draw(st.integers(0, 2))
            reserve = reserves[place]
            worth = sum(
                scaled
                * reserves[at].income_index
                * reserves[at].price
                * reserves[at].threshold_bps
                * 10 ** (18 - reserves[at].decimals)
                for at, scaled in supplied.items()
            )
            amount = worth // (reserve.debt_index * reserve.price * BPS * 10 ** (18 - reserve.decimals))
            amount += draw(st.sampled_from([-1, 0, 1, 2])) * (1 + draw(st.sampled_from([0, amount // 10**8])))
            borrowed = {place: max(0, amount)}
        holdings.append(Holding(supplied, borrowed))
    return reserves, holdings


WHOLE = [
    Reserve(18, 2000 * 10**8, RAY, RAY, 8250),
    Reserve(6, 10**8, RAY, RAY, 7800),
    Reserve(8, 10**12, RAY, RAY, 7000),
]
EDGE = Holding({0: 10**18}, {1: 1650 * 10**6})


@settings(deadline=None)
@given(positions(), st.booleans(), st.sampled_from([1.0, 1.05]))
@example((WHOLE, [EDGE]), True, 1.0)
def test_outside_those_to_confirm_floats_and_integers_see_the_same_side_of_the_line(
    population: tuple[list[Reserve], list[Holding]], truncates: bool, line: float
) -> None:
    reserves, holdings = population
    screen = book_of_holdings(reserves, holdings, truncates=truncates).reprice()
    to_confirm = screen.to_confirm([line])
    assert to_confirm == sorted(set(to_confirm))
    for number, holding in enumerate(holdings):
        exact = exact_health(reserves, holding, truncates=truncates)
        health = float(screen.health[screen.place(key(number))])
        if key(number) in to_confirm:
            continue
        if math.isnan(health):
            assert exact is None
        else:
            assert (exact is not None and exact < Fraction(line)) == (health < line)


@settings(deadline=None)
@given(positions(), st.booleans())
def test_the_exact_health_is_within_its_bounds_and_within_a_billionth_unless_said_otherwise(
    population: tuple[list[Reserve], list[Holding]], truncates: bool
) -> None:
    reserves, holdings = population
    screen = book_of_holdings(reserves, holdings, truncates=truncates).reprice()
    low, high = screen.health_bounds()
    imprecise = screen.imprecise()
    for number, holding in enumerate(holdings):
        place = screen.place(key(number))
        health = float(screen.health[place])
        exact = exact_health(reserves, holding, truncates=truncates)
        if math.isnan(health):
            assert exact is None
            assert math.isnan(low[place])
            continue
        wei = 2e-18
        assert low[place] - wei <= (math.inf if exact is None else exact) <= high[place] + wei
        if key(number) not in imprecise:
            assert exact is not None
            assert abs(float(exact) - health) <= 1e-9 * health + wei


def test_of_ordinary_accounts_only_those_at_the_line_are_to_be_confirmed() -> None:
    """Otherwise the bound would be true and useless."""
    mixed = {0: 10**18, 2: 10**6}
    holdings = [EDGE, Holding({0: 10**18}, {1: 1651 * 10**6}), Holding(mixed, {1: 1649 * 10**6}), Holding(mixed, {})]
    dust = [Holding({2: 1}, {1: 70_000}), Holding({2: 1}, {1: 30})]
    screen = book_of_holdings(WHOLE, [*holdings, *dust], truncates=True).reprice()
    # one unit of the bitcoin is 0.01 cent: be it none or two, 7 cents of debt are too much; 0.003 cents may not be
    assert screen.to_confirm() == [key(0), key(5)]
    # of 0.01 bitcoin one unit is a millionth: its health is known to 5e-8 only
    assert screen.imprecise() == [key(2), key(4), key(5)]


def test_an_average_threshold_at_a_whole_bps_is_to_be_confirmed_where_one_bps_decides() -> None:
    """Half at 8000 and half at 9000: the average is 8500 or, a unit less in the second, 8499."""
    reserves = [Reserve(18, 10**8, RAY, RAY, 8000), Reserve(18, 10**8, RAY, RAY, 9000), WHOLE[1]]
    half = 1000 * 10**18
    holdings = [Holding({0: half, 1: half}, {2: debt * 10**6}) for debt in (1690, 1700, 1710)]
    holdings.append(Holding({0: half, 1: half}, {2: 1_699_900_000}))
    screen = book_of_holdings(reserves, holdings, truncates=True).reprice()
    assert screen.to_confirm() == [key(1), key(3)]


def test_sums_that_cancel_out_are_known_less_well_than_their_outcome_looks() -> None:
    """A perp account of a million millions long and short: a unit of equity is near the floats' own error."""
    legs = [Leg("weth", 1e12, 1e12, 0.0), Leg("dai", 1 - 1e12, 1 - 1e12, 0.0), Leg("dai", 0.0, 0.0, 0.9)]
    book = book_of({key(1): legs}, {"weth": 1.0, "dai": 1.0})
    screen = book.reprice()
    assert screen.health.tolist() == [1 / 0.9]
    assert screen.to_confirm() == [key(1)]
