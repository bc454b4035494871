"""The least deposit, and the least closing of each position, that each alone reach a health factor."""

from __future__ import annotations

from app.domain.risk import Remedy, Restoration
from app.domain.units import WAD, mul_div_up
from app.protocols.boundary import least
from app.protocols.perp_curie.margin import Held, Standing, worth
from app.protocols.perp_curie.raw import Status


def restore(standing: Standing, target_wad: int) -> Restoration:
    """Remedies as if done at this very block. Nothing can be repaid: what perps owe is margin.

    Empty when the target is reached already. Only the settlement token is offered as an addition. Closing is counted
    at the price positions are valued at, without fees and slippage, and offered only for positions outside orders in
    markets that are open. (The contract refuses a closing after which the margin still is short.)
    """
    totals = standing.totals
    if totals.reaches(target_wad):
        return Restoration(target_wad, (), ())
    needed = mul_div_up(target_wad, totals.requirement, WAD)
    units = mul_div_up(needed - totals.equity, 1, totals.scale)
    deposit = Remedy(standing.settlement.code, units, units * totals.scale)
    closings = (_close(standing, held, target_wad) for held in standing.held)
    return Restoration(target_wad, (), (deposit,), tuple(one for one in closings if one is not None))


def _close(standing: Standing, held: Held, target_wad: int) -> Remedy | None:
    """None where closing all of it does not do, or it cannot be closed."""
    price, sign = held.price, 1 if held.size > 0 else -1
    if not held.size or held.orders or price is None or held.market.status is not Status.OPEN:
        return None
    totals = standing.totals

    def reaches(size: int) -> bool:
        left, received = worth(held.size - sign * size, price), worth(sign * size, price)
        return totals._replace(
            wealth=totals.wealth - held.value + left + received,
            notional=totals.notional - abs(held.value) + abs(left),
        ).reaches(target_wad)

    size = least(reaches, 1, abs(held.size))
    return None if size is None else Remedy(held.position.market, size, abs(worth(size, price)))
