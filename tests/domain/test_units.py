"""Integer arithmetic against exact rationals."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.units import (
    UINT256_MAX,
    div_truncated,
    format_units,
    mul_div_down,
    mul_div_half_up,
    mul_div_up,
    parse_units,
)

amounts = st.integers(0, UINT256_MAX)
divisors = st.integers(1, 10**30)


@given(amounts, amounts, divisors)
def test_multiplying_and_dividing_rounds_as_named(a: int, b: int, c: int) -> None:
    exact = Fraction(a * b, c)
    assert mul_div_down(a, b, c) == math.floor(exact)
    assert mul_div_up(a, b, c) == math.ceil(exact)


@given(amounts, amounts, divisors.map(lambda c: 2 * c))
def test_half_up_is_the_nearest_integer_and_a_half_goes_up(a: int, b: int, c: int) -> None:
    assert mul_div_half_up(a, b, c) == math.floor(Fraction(a * b, c) + Fraction(1, 2))


@given(st.integers(-(2**255), 2**255), st.integers(-(10**30), 10**30).filter(bool))
def test_signed_division_drops_the_fraction_as_the_evm_does(a: int, b: int) -> None:
    assert div_truncated(a, b) == math.trunc(Fraction(a, b))


@given(st.integers(-UINT256_MAX, UINT256_MAX), st.integers(0, 40))
def test_a_formatted_amount_parses_back_to_itself(value: int, decimals: int) -> None:
    text = format_units(value, decimals)
    assert parse_units(text, decimals) == value
    assert Fraction(text) == Fraction(value, 10**decimals)


def test_every_decimal_is_kept() -> None:
    assert format_units(1_050_000, 6) == "1.050000"
    assert format_units(-1, 18) == "-0.000000000000000001"
    assert format_units(7, 0) == "7"


@pytest.mark.parametrize("text", ["", ".", "-", "1.2345678", "1e3", "0x1", "1,000", "١", "1.2.3", "--1", "nan"])
def test_what_is_no_decimal_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a decimal number"):
        parse_units(text, 6)
