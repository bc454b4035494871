"""Plain words for perp accounts: what is held, and what about it ends in liquidation."""

from __future__ import annotations

from app.api.schemas.account import AccountView, NamedLiquidationPrice, PerpView
from app.api.schemas.wallets import RankedAccountView
from app.web import format as shown

_NAMED = 2
"""Positions a sentence names before it counts the rest."""


def beyond_of(account: AccountView | RankedAccountView) -> str:
    """What a utilisation past every number means."""
    return "no equity" if account.kind == "perp" else "no capacity"


def price_name(price: NamedLiquidationPrice) -> str:
    """What has to move: `WETH`, or `the mark price of ETH`."""
    return f"the mark price of {price.symbol}" if price.price_kind == "mark" else price.symbol


def held(account: AccountView) -> str:
    """`long 4.2000 ETH at 5.07x`: the largest positions first in the API's own order; the leverage is each one's."""
    legs = [_leg(perp) for perp in account.perps[:_NAMED]]
    more = len(account.perps) - len(legs)
    return ", ".join([*legs, f"{more} more {'position' if more == 1 else 'positions'}"] if more else legs)


def position_said(account: AccountView) -> str:
    """The card's sentence: what is held, and how far its mark price is from liquidating it."""
    if not account.perps:
        return "No position is open."
    what = held(account)
    what = what[:1].upper() + what[1:]
    nearest = next((price for price in account.liquidation_prices if price.price_kind == "mark"), None)
    if nearest is None:
        return f"{what}; no mark price alone liquidates it."
    at = f"{shown.liquidation_price(nearest.price, nearest.direction)} {account.value_currency or ''}".strip()
    whose = "the mark price" if len(account.perps) == 1 else price_name(nearest)
    if account.status == "liquidatable":
        side = "above" if nearest.direction == "fall" else "below"
        return f"{what}; safe again only with {whose} back {side} {at} ({shown.distance(nearest.distance)})."
    verb = "falls" if nearest.direction == "fall" else "rises"
    return f"{what}; liquidated if {whose} {verb} {shown.room(nearest.distance)} to {at}."


def _leg(perp: PerpView) -> str:
    size = f"{perp.side or 'flat'} {shown.amount(perp.size.removeprefix('-'))} {perp.symbol}"
    return size if perp.leverage is None else f"{size} at {shown.times(perp.leverage)}"
