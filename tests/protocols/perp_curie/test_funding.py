"""Funding from growth, growth from funding."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from app.protocols.perp_curie.funding import Bounds, bounds, find_growth, payment, premium_x96
from app.protocols.perp_curie.raw import Growth
from tests.protocols.perp_curie import reference

WAD = 10**18
growths = st.integers(-(10**12) * 2**96, 10**12 * 2**96)
sizes = st.integers(-(10**26), 10**26).filter(bool)


@given(size=sizes, last=growths, growth=growths)
def test_a_payment_is_the_contracts(size: int, last: int, growth: int) -> None:
    assert payment(size, last, growth) == reference.pending_funding(size, last, growth)


def test_who_is_long_pays_while_the_market_is_above_the_index() -> None:
    premium = premium_x96(2**96 * 50, 2_400 * WAD, 100_000)
    assert premium == 100 * 2**96
    assert payment(3 * WAD, 0, premium * 86_400) == 300 * WAD
    assert payment(-3 * WAD, 0, premium * 86_400) == -300 * WAD


@given(sqrt=st.integers(2**60, 2**140), index=st.integers(0, 10**26), rate=st.sampled_from([0, 1, 100_000, 1_000_000]))
def test_a_premium_is_the_contracts(sqrt: int, index: int, rate: int) -> None:
    assert premium_x96(sqrt, index, rate) == reference.premium_x96(sqrt, index, rate)


def test_a_premium_is_bounded_by_a_part_of_the_index() -> None:
    assert premium_x96(2**96 * 50, 1_000 * WAD, 100_000) == 100 * 2**96
    assert premium_x96(2**96, 1_000 * WAD, 100_000) == -100 * 2**96


@given(size=sizes, last=growths, growth=growths)
def test_the_bounds_hold_the_growths_that_give_the_payment_and_no_others(size: int, last: int, growth: int) -> None:
    paid = payment(size, last, growth)
    low, high = bounds(size, last, paid)
    assert low <= growth <= high
    assert payment(size, last, low) == payment(size, last, high) == paid
    assert payment(size, last, low - 1) != paid != payment(size, last, high + 1)


@given(
    anchor=growths,
    premium=st.one_of(st.just(0), st.integers(2**60, 10**4 * 2**96)),
    sign=st.sampled_from([1, -1]),
    seconds=st.integers(0, 10**7),
    lasts=st.lists(growths, min_size=1, max_size=4),
    size=st.integers(WAD, 10**26),
)
def test_the_growth_is_found_to_the_unit_from_where_it_was_last_settled(
    anchor: int, premium: int, sign: int, seconds: int, lasts: list[int], size: int
) -> None:
    growth = anchor + sign * premium * seconds
    told = [bounds(-sign * size, last, payment(-sign * size, last, growth)) for last in lasts]
    assert find_growth(told, sign * premium, (anchor,)) == Growth(growth, anchor)


@given(growth=growths, last=growths, other=growths, size=sizes, other_size=sizes)
def test_without_an_anchor_nobody_smaller_than_the_witness_is_off_by_more_than_a_unit(
    growth: int, last: int, other: int, size: int, other_size: int
) -> None:
    assume(abs(other_size) <= abs(size))
    found = find_growth([bounds(size, last, payment(size, last, growth))], None, ())
    assert found is not None
    assert found.anchor is None
    assert payment(size, last, found.value) == payment(size, last, growth)
    assert abs(payment(other_size, other, found.value) - payment(other_size, other, growth)) <= 1


def test_an_anchor_that_the_payments_contradict_is_passed_over() -> None:
    told = bounds(WAD, 0, payment(WAD, 0, 5_000 * 2**96))
    premium = 7 * 2**96
    assert find_growth([told], premium, (5_001 * 2**96, 5_000 * 2**96 - 3 * premium)) == Growth(
        5_000 * 2**96, 5_000 * 2**96 - 3 * premium
    )
    after = find_growth([told], premium, (5_000 * 2**96 + premium,))
    assert after is not None
    assert after.anchor is None


def test_payments_no_growth_gives_tell_none() -> None:
    told = [bounds(WAD, 0, 5), bounds(WAD, 0, 5 * WAD)]
    assert find_growth(told, 2**96, (0,)) is None
    assert find_growth([], 2**96, (0,)) is None


def test_of_a_premium_so_small_that_seconds_cannot_be_told_apart_no_anchor_is_claimed() -> None:
    assert find_growth([Bounds(0, 10**6)], 5, (0,)) == Growth(500_000, None)
