"""What brings an account back: by the least, and no less."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.domain.account import AccountSnapshot
from app.protocols.perp_curie.priced import CuriePrices
from tests.protocols.perp_curie.builders import BTC, ETH, OLD, STILL, WAD, maker, snapshot, taker
from tests.protocols.perp_curie.exact import USD, accounts, priced


@given(account=accounts((ETH, BTC)), target=st.integers(WAD, 20 * WAD))
def test_each_remedy_reaches_the_target_and_a_unit_less_does_not(account: AccountSnapshot, target: int) -> None:
    state = priced()
    risk, offered = state.assess(account), state.restoration(account, target)
    assert offered.repay == ()
    if risk.health_factor_wad is None or risk.health_factor_wad >= target:
        assert offered.add_collateral == offered.close == ()
        return
    (deposit,) = offered.add_collateral
    balance = sum(p.supplied_raw - p.borrowed_raw for p in account.positions if p.market == deposit.market)
    others = [p for p in account.positions if p.market != deposit.market]
    for less, reached in ((0, True), (1, False)):
        paid = snapshot(balance + deposit.assets - less).positions
        factor = state.health(replace(account, positions=(*others, *paid))).health_factor_wad
        assert factor is not None
        assert (factor >= target) == reached
    for closing in offered.close:
        held = next(perp for perp in account.perps if perp.market == closing.market)
        assert 0 < closing.assets <= abs(held.size_raw)
        factor = _after_closing(state, account, closing.market, closing.assets)
        assert factor is None or factor >= target


def test_what_is_in_orders_or_in_a_market_that_is_not_open_cannot_be_closed() -> None:
    """Each first position is most of the requirement: closing one like it would do."""
    other = taker(BTC, WAD // 1_000)
    for held, closable in (
        (taker(ETH, WAD), True),
        (maker(ETH, WAD, -ETH.price), False),
        (taker(OLD, 400 * WAD), False),
        (taker(STILL, -180 * WAD), False),
    ):
        account = snapshot(1_000 * USD, held, other)
        factor = priced().health(account).health_factor_wad
        assert factor is not None
        closed = priced().restoration(account, factor * 3).close
        assert [remedy.market for remedy in closed] == ([ETH.code] if closable else [])


def _after_closing(state: CuriePrices, account: AccountSnapshot, market: str, size: int) -> int | None:
    """The health factor when so much of a position is closed at its mark price."""
    perp = next(one for one in account.perps if one.market == market)
    mark = next(one.mark_price for one in state.assess(account).perps if one.market == market)
    assert mark is not None
    sign = 1 if perp.size_raw > 0 else -1
    received = sign * (size * mark // WAD)
    left = replace(perp, size_raw=perp.size_raw - sign * size, entry_notional_raw=perp.entry_notional_raw + received)
    # the result is booked, and funding stays what it was
    funding = next(one.pending_funding_value for one in state.assess(account).perps if one.market == market)
    kept = replace(left, params=(0, 1, 0, funding))
    return state.health(
        replace(account, perps=tuple(kept if one.market == market else one for one in account.perps))
    ).health_factor_wad
