"""Aave's JavaScript math answers: the ground an independent comparison stands on."""

from __future__ import annotations

import pytest

from devnet.math_utils import evaluate

pytestmark = pytest.mark.devnet

_LINEAR = "(u, cases) => cases.map(c => u.getReserveNormalizedIncome(c).toFixed(0))"


@pytest.mark.usefixtures("make_world")
def test_linear_interest_is_the_contract_s() -> None:
    ray, year = 10**27, 365 * 86_400
    case = {"rate": str(ray // 10), "index": str(ray), "lastUpdateTimestamp": 0, "currentTimestamp": year}
    assert evaluate(_LINEAR, [case]) == [str(ray + ray // 10)]


@pytest.mark.usefixtures("make_world")
def test_a_script_that_fails_is_said() -> None:
    with pytest.raises(ValueError, match="no such thing"):
        evaluate("() => { throw new Error('no such thing') }", None)
