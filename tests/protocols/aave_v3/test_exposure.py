from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.protocols.aave_v3.exposure import Exposure, plateau, plateau_bounds, whole_bounds
from app.protocols.aave_v3.rules import V3_0, V3_6


@st.composite
def exposures(draw: st.DrawFn) -> Exposure:
    rules = draw(st.sampled_from((V3_0, V3_6)))
    unit = 10 ** draw(st.integers(0, 3))
    debt = draw(st.one_of(st.just(0), st.integers(1, 5000)))
    rest = draw(st.one_of(st.just(0), st.integers(0, 10**6)))
    return Exposure(
        rules=rules,
        price=draw(st.integers(1, 300)),
        balance=draw(st.integers(1, 5000)) * draw(st.sampled_from((1, unit))),
        threshold_bps=draw(st.sampled_from((1, 500, 7800, 9300))),
        debt=debt,
        unit=unit,
        debt_addend=rules.debt_value_addend(unit) if debt else 0,
        rest_collateral=rest,
        rest_debt=draw(st.integers(0, 10**6)),
        rest_weighted=rest * draw(st.sampled_from((500, 7800, 8301, 9500))) - draw(st.integers(0, rest)),
    )


def average(exposure: Exposure, price: int) -> int:
    value = exposure.value(price)
    collateral = exposure.rest_collateral + value
    return (exposure.rest_weighted + value * exposure.threshold_bps) // collateral if collateral else 0


@settings(max_examples=300, deadline=None)
@given(exposure=exposures(), step=st.sampled_from((-1, 1)))
def test_a_plateau_ends_where_the_truncated_average_changes(exposure: Exposure, step: int) -> None:
    assume(exposure.rest_weighted >= 0)
    now, last = plateau(exposure, exposure.price, step)
    assert now == average(exposure, exposure.price)
    if last is None:
        assert all(average(exposure, exposure.price * 2**k) == now for k in range(0, 60, 3))
        return
    assert (last - exposure.price) * step >= 0
    nearby = range(exposure.price, last + step, step)
    assert all(average(exposure, price) == now for price in (*nearby[:200], last))
    beyond = last + step
    collateral_changes = exposure.rest_collateral + exposure.value(last) == 0
    assert beyond < 1 or average(exposure, beyond) != now or collateral_changes


@settings(max_examples=300, deadline=None)
@given(exposure=exposures(), price=st.integers(1, 3000))
def test_the_verdict_is_never_against_what_is_called_certain(exposure: Exposure, price: int) -> None:
    assume(exposure.rest_weighted >= 0)
    verdict = exposure.is_liquidatable(price)
    bounds = [whole_bounds(exposure)]
    if not exposure.rules.summed_threshold:
        bounds.append(plateau_bounds(exposure, average(exposure, price)))
    for bound in bounds:
        if bound.healthy.constant + bound.healthy.slope * price >= 0:
            assert not verdict
        if bound.liquidatable.constant + bound.liquidatable.slope * price < 0:
            assert verdict
