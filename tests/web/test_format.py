from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.web import format as shown

DECIMALS = st.decimals(min_value=0, max_value=10**30, places=18).map(lambda d: f"{d:f}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1204.553312", "1,204.55"),
        ("0.000000", "0"),
        ("4.250000000000000001", "4.2500"),
        ("0.000123456", "0.00012346"),
        ("0.000000000000000001", "0.000000000000000001"),
        (
            "115792089237316195423570985008687907853269984665640564039457.584007913129639935",
            "115,792,089,237,316,195,423,570,985,008,687,907,853,269,984,665,640,564,039,457.58",
        ),
        (None, "–"),
    ],
)
def test_an_amount_is_short_and_never_in_exponents(text: str | None, expected: str) -> None:
    assert shown.amount(text) == expected


def test_a_health_factor_below_one_never_reads_as_one() -> None:
    assert shown.ratio_down("0.999999999999999999") == "0.9999"
    assert shown.ratio_down("1.000000000000000001") == "1.0000"


def test_exact_and_without_error_are_said_only_of_what_is() -> None:
    shares = [shown.share_down(share) for share in ("1", "0.999999999", "0.5")]
    assert shares == ["100 %", "99.9999 %", "50.0000 %"]
    errors = [shown.error_up(error) for error in ("0", "0.024301", "0.000000000000000001")]
    assert errors == ["0", "2.44 %", "under 0.0001 %"]


def test_utilisation_is_rounded_up_but_reaches_a_hundred_only_at_the_line() -> None:
    assert shown.percent_up("0.875956114872600132") == "87.6 %"
    assert shown.percent_up("0.999999999999999999") == "99.9 %"
    assert shown.percent_up("1.000000000000000000") == "100.0 %"
    assert shown.percent_up("1.000000000000000001") == "100.1 %"
    assert shown.percent_up("0.000000000000000001") == "0.01 %"


def test_a_distance_carries_its_sign_and_loses_digits_towards_nothing() -> None:
    assert shown.distance("-0.124999") == "−12.4 %"
    assert shown.distance("0.149999") == "+14.9 %"
    assert shown.room("-0.129999") == "12.9 %"


def test_a_liquidation_price_is_shown_on_the_side_that_is_met_first() -> None:
    assert shown.liquidation_price("1834.19230000", "fall") == "1,834.20"
    assert shown.liquidation_price("1.14156999", "rise") == "1.1415"


def test_money_too_small_to_show_is_not_called_nothing() -> None:
    assert shown.money("0.00100000") == "< 0.01"
    assert shown.money("0.00000000") == "0.00"
    assert shown.money("-3.14159") == "−3.14"


@given(DECIMALS)
@settings(max_examples=60)
def test_paying_the_amount_shown_always_suffices(text: str) -> None:
    assert Decimal(shown.amount_up(text).replace(",", "")) >= Decimal(text)


@given(DECIMALS)
@settings(max_examples=60)
def test_a_health_factor_shown_is_never_better_than_it_is(text: str) -> None:
    assert Decimal(shown.ratio_down(text).replace(",", "")) <= Decimal(text)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (3_596_400, "41 days"),
        (86_400, "1 day"),
        (7_199, "1 hour"),
        (61, "1 minute"),
        (45, "45 seconds"),
        (0, "0 seconds"),
    ],
)
def test_a_duration_is_one_whole_unit_rounded_down(seconds: int, expected: str) -> None:
    assert shown.duration(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-3, "0 s"), (8, "8 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 d"), (None, "–")],
)
def test_an_age_fits_a_narrow_place(seconds: int | None, expected: str) -> None:
    assert shown.age(seconds) == expected
