"""All accounts of one deployment at one block, riskiest first, each by the contract's own exact rule."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from app.domain.account import AccountState
from app.domain.risk import Health, RiskStatus
from app.valuation.assess import NO_FACTOR_WAD, RISK_ORDER, StateAt, quick_health, risk_order


class Place(NamedTuple):
    """Where an account stands. Compares riskiest first and never ties, over all deployments of all chains."""

    order: int
    """Place of the status in `RISK_ORDER`."""
    health_factor_wad: int
    """`NO_FACTOR_WAD` where there is none."""
    deployment_id: str
    wallet: bytes
    unit: str


class Ranked(NamedTuple):
    """One account's line."""

    place: Place
    health: Health


class Ranking:
    """A sorted snapshot. Immutable. `len()` is the number of accounts."""

    def __init__(self, state: StateAt | None, accounts: Iterable[AccountState]) -> None:
        self.state = state
        self._lines = sorted((_line(state, account) for account in accounts), key=_place)
        self.counts: Counter[RiskStatus] = Counter(line.health.status for line in self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def after(
        self, place: Place | None, status: RiskStatus | None = None, max_health_wad: int | None = None
    ) -> Iterator[Ranked]:
        """The lines behind `place` (all for None), of one status, with a health factor of at most `max_health_wad`.

        With a limit on the health factor, accounts that have none are left out.
        """
        first = 0 if place is None else bisect_right(self._lines, place, key=_place)
        for kind, order in RISK_ORDER.items():
            if status not in (None, kind):
                continue
            lowest = (order, NO_FACTOR_WAD if max_health_wad is None else NO_FACTOR_WAD + 1)
            beyond = (order + 1, NO_FACTOR_WAD) if max_health_wad is None else (order, max_health_wad + 1)
            start, end = (bisect_left(self._lines, edge, key=_rank) for edge in (lowest, beyond))
            for index in range(max(first, start), end):
                yield self._lines[index]


def _line(state: StateAt | None, account: AccountState) -> Ranked:
    health = quick_health(state, account)
    order, factor = risk_order(health.status, health.health_factor_wad)
    return Ranked(Place(order, factor, account.key.deployment_id, bytes(account.key.wallet), account.key.unit), health)


def _place(line: Ranked) -> Place:
    return line.place


def _rank(line: Ranked) -> tuple[int, int]:
    return line.place.order, line.place.health_factor_wad
