from __future__ import annotations

from dataclasses import replace

from app.domain.chain import Address
from app.domain.units import WAD
from app.valuation.margin import position_leverage_wad
from tests.fakes.perp import LOT, USD6, tide_account
from tests.valuation.builders import tide_state


def test_a_positions_leverage_is_its_notional_over_the_whole_equity_rounded_up() -> None:
    account = tide_account(Address(b"\x01" * 20), cash=900 * USD6, size=LOT)
    risk = tide_state().priced.assess(account)
    assert position_leverage_wad(risk.perps[0], risk.margin) == 10 * WAD // 3 + 1
    assert risk.margin is not None
    assert risk.margin.leverage_wad == 10 * WAD // 3 + 1


def test_nothing_is_leveraged_by_a_number_where_no_equity_is_left_or_known() -> None:
    account = tide_account(Address(b"\x01" * 20), cash=900 * USD6, size=LOT)
    risk = tide_state().priced.assess(account)
    assert risk.margin is not None
    for equity in (0, -1):
        assert position_leverage_wad(risk.perps[0], replace(risk.margin, equity_value=equity)) is None
    assert position_leverage_wad(risk.perps[0], None) is None
