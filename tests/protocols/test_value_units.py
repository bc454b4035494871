"""What values are counted in: US dollars, or a token that a conversion can ask other oracles about."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.market import ValueUnit
from tests.protocols.aave_v3 import builders as aave
from tests.protocols.compound_v3 import builders as comet


def test_an_aave_pool_counts_in_dollars_or_in_the_token_its_oracle_names() -> None:
    assert aave.make_state().value_unit("") == ValueUnit("USD", 8, 8)
    raw = aave.make_raw()
    roots = replace(raw.roots, base_currency=aave.WETH.asset, base_symbol="WETH", base_unit=10**18)
    in_ether = replace(aave.make_state(), raw=replace(raw, roots=roots))
    assert in_ether.value_unit("") == ValueUnit("WETH", 18, 18, aave.WETH.asset)


@pytest.mark.parametrize(
    ("currency", "base_price", "asset"),
    [
        ("USDC", 10**8, comet.BASE_ASSET),
        ("USDC", 10**8 - 1, None),
        ("USDC", None, None),
        ("USD", 10**8, None),
        ("ETH", 10**8, None),
        ("unknown", 10**8, None),
    ],
)
def test_a_comets_base_is_its_measure_only_while_its_feed_is_the_constant_one(
    currency: str, base_price: int | None, asset: object
) -> None:
    raw = replace(comet.make_raw(base_price=base_price), currency=currency)
    assert raw.base.symbol == "USDC"
    assert comet.make_state(raw).value_unit("") == ValueUnit(currency, 8, 8, asset)  # type: ignore[arg-type]
