"""Random Aave states and accounts for Hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from app.domain.account import AccountSnapshot, LendingPosition
from app.domain.units import RAY
from app.protocols.aave_v3.raw import EMode, Raw
from tests.protocols.aave_v3.builders import KEY, Listed, make_raw, named

_PERCENT = RAY // 100


@st.composite
def listed(draw: st.DrawFn, number: int) -> Listed:
    threshold = draw(st.sampled_from((0, 7000, 7800, 8300, 9300)))
    return Listed(
        symbol=f"token{number}",
        price=draw(st.one_of(st.integers(1, 10**6), st.integers(10**7, 10**13))),
        decimals=draw(st.sampled_from((2, 6, 8, 18))),
        threshold=threshold,
        ltv=draw(st.sampled_from((0, 5000, 7000))) if threshold else 0,
        liquidity_index=draw(st.integers(RAY, 2 * RAY)),
        liquidity_rate=draw(st.integers(0, 40 * _PERCENT)),
        borrow_index=draw(st.integers(RAY, 3 * RAY)),
        borrow_rate=draw(st.integers(0, 300 * _PERCENT)),
        emode_category=draw(st.integers(0, 2)),
    )


@st.composite
def raws(draw: st.DrawFn) -> Raw:
    reserves = [draw(listed(number)) for number in range(draw(st.integers(2, 4)))]
    source = named("shared-feed") if draw(st.booleans()) else named("").__class__(bytes(20))
    bitmap = st.integers(0, 2 ** len(reserves) - 1)
    emodes = {
        number: EMode(9000, draw(st.sampled_from((9300, 9500))), 10100, source, draw(bitmap), draw(bitmap), isolated)
        for number, isolated in ((1, False), (2, True))
    }
    prices = {1: draw(st.integers(0, 10**12)), 2: 10**8} if any(source) else {}
    return make_raw(*reserves, emodes=emodes, emode_prices=prices)


@st.composite
def accounts(draw: st.DrawFn, raw: Raw) -> AccountSnapshot:
    positions = []
    for reserve in raw.reserves:
        scale = 10 ** draw(st.integers(0, reserve.decimals + 5))
        supplied = draw(st.integers(0, scale))
        borrowed = draw(st.one_of(st.just(0), st.just(1), st.integers(0, scale)))
        is_collateral = draw(st.booleans())
        if supplied or borrowed or is_collateral:
            positions.append(LendingPosition(reserve.code, supplied, borrowed, is_collateral))
    positions.sort(key=lambda position: position.market)
    return AccountSnapshot(KEY, 1, tuple(positions), (draw(st.integers(0, 2)),))


@st.composite
def situations(draw: st.DrawFn) -> tuple[Raw, AccountSnapshot, int]:
    """A state, an account in it, and the seconds since the last accrual."""
    raw = draw(raws())
    return raw, draw(accounts(raw)), draw(st.sampled_from((0, 1, 2, 3, 12, 3600, 86_400, 31_536_000)))
