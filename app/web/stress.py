"""The fixed what-ifs of a wallet page: what they are called, and which accounts they are shown for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.api.schemas.simulate import MovedPrice, SimulatedAccount, SimulationView
from app.web import format as shown
from app.web.words import LIQUIDATABLE, NO_DEBT, NO_POSITION, UNKNOWN, Band, margin_band

SHOWN_ACCOUNTS = 4
"""Most accounts a what-if lists, riskiest after it first."""

_GROUPS = {
    "eth": "ETH-like assets",
    "btc": "BTC-like assets",
    "stable": "Stablecoins",
    "volatile": "All volatile assets",
    "other": "Other assets",
}


@dataclass(frozen=True, slots=True)
class Stress:
    """One what-if as it is shown."""

    label: str
    view: SimulationView
    accounts: tuple[SimulatedAccount, ...]
    more: int
    """Accounts that are not listed."""

    @property
    def changes_anything(self) -> bool:
        """Whether any account stands differently after it."""
        return any(account.before != account.after for account in self.view.accounts)


def stresses_of(views: Sequence[SimulationView]) -> list[Stress]:
    """Those that have an account with debt or a position, before or after."""
    found = []
    for view in views:
        concerned = [a for a in view.accounts if {a.before.status, a.after.status} != {"no_debt"}]
        if concerned:
            label = ", ".join(label_of(move) for move in view.moves)
            listed = tuple(concerned[:SHOWN_ACCOUNTS])
            found.append(Stress(label, view, listed, len(concerned) - len(listed)))
    return found


def label_of(move: MovedPrice) -> str:
    """`ETH-like assets −20.0 %`."""
    name = _GROUPS.get(move.name, move.name) if move.kind == "group" else move.name
    return f"{name} {shown.distance(move.change)}"


def band_after(account: SimulatedAccount) -> Band:
    """How an account would stand."""
    match account.after.status:
        case "unknown":
            return UNKNOWN
        case "no_debt":
            return NO_POSITION if account.kind == "perp" else NO_DEBT
        case "liquidatable":
            return LIQUIDATABLE
        case "healthy":
            return margin_band(account.after.utilization)
