"""A watchlist at a glance, as the page shows it: the API's own views side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.api.schemas.account import AccountView
from app.api.schemas.alerts import ChannelView, DeliveryView, EpisodeEventView, EpisodeView, RouteView
from app.api.schemas.base import AsOf
from app.api.schemas.wallets import WalletView
from app.api.schemas.watchlists import MemberView, RuleView, WatchlistView
from app.store.snapshots import PastHealth

_RANKS = {"liquidatable": 0, "unknown": 1, "healthy": 2, "no_debt": 3}


@dataclass(frozen=True, slots=True)
class MemberLine:
    """A wallet of the list, now."""

    member: MemberView
    wallet: WalletView | None
    """None: it could not be had, and `problem` says why."""
    problem: str | None
    past: Sequence[PastHealth] = ()
    """Of its worst account."""

    @property
    def worst(self) -> AccountView | None:
        """Its riskiest account; None where it has none, or is not known."""
        return self.wallet.accounts[0] if self.wallet is not None and self.wallet.accounts else None

    @property
    def rank(self) -> tuple[int, float]:
        """Riskiest first; what could not be had may be the worst."""
        if self.wallet is None:
            return (1, 0.0)
        if self.worst is None:
            return (4, 0.0)
        used = self.worst.utilization
        return (_RANKS[self.worst.status], -float(used) if used is not None else 0.0)

    def with_past(self, past: Sequence[PastHealth]) -> MemberLine:
        """The same with what was before."""
        return replace(self, past=past)


@dataclass(frozen=True, slots=True)
class EpisodeLine:
    """An episode and what is said of it."""

    view: EpisodeView
    rank: int
    """Of its severity: higher is worse."""
    who: str
    finding: str
    """What was found last; empty where nothing stands."""
    events: list[EpisodeEventView]


@dataclass(frozen=True, slots=True)
class ListsGlance:
    """Every list."""

    lists: list[WatchlistView]
    chains: list[AsOf]
    evaluated_at: dict[int, int | None]
    """By chain: None where the rules are evaluated at the newest block, else when they last were; 0: never."""
    now: int


@dataclass(frozen=True, slots=True)
class Glance:
    """One list with everything about it."""

    watchlist: WatchlistView
    members: list[MemberLine]
    """Riskiest first, of this part of the list."""
    next_after: int | None
    is_first: bool
    open: list[EpisodeLine]
    """Worst first."""
    past: list[EpisodeLine]
    deliveries: list[DeliveryView]
    channels: dict[int, ChannelView]
    routes: list[RouteView]
    rules: list[RuleView]
    chains: list[AsOf]
    evaluated_at: dict[int, int | None]
    now: int
