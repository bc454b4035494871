"""Groups of assets: by symbol, in any case, with overrides."""

from __future__ import annotations

import pytest

from app.valuation.groups import DEFAULT_GROUPS, VOLATILE, underlying_of


@pytest.mark.parametrize(
    ("symbol", "group"),
    [
        ("WETH", "eth"),
        ("wsteth", "eth"),
        ("vETH", "eth"),
        ("cbBTC", "btc"),
        ("VBTC", "btc"),
        ("USDC.e", "stable"),
        ("GHO", "stable"),
        ("LINK", "other"),
        ("WETHX", "other"),
        ("", "other"),
    ],
)
def test_a_symbol_is_in_one_group(symbol: str, group: str) -> None:
    assert DEFAULT_GROUPS.group_of(symbol) == group


def test_overrides_move_a_symbol_and_add_groups_without_touching_the_rest() -> None:
    groups = DEFAULT_GROUPS.with_overrides({"sol": ["SOL", "mSOL"], "eth": ["LINK"], "other": ["ezETH"]})
    assert [groups.group_of(s) for s in ("msol", "LINK", "ezeth", "WETH")] == ["sol", "eth", "other", "eth"]
    assert groups.names == {"eth", "btc", "stable", "other", "sol", VOLATILE}
    assert DEFAULT_GROUPS.group_of("LINK") == "other"


def test_a_wrapped_coin_and_a_perps_base_are_added_up_under_one_name() -> None:
    assert underlying_of("WETH") == underlying_of("vETH", is_perp=True) == underlying_of("ETH") == "ETH"
    assert underlying_of("vLINK", is_perp=True) == "LINK"
    assert underlying_of("vLINK") == "vLINK", "only a perp market's base is virtual"
    assert underlying_of("velo", is_perp=True) == "velo"
