"""Health factor and utilisation: the book's bounds pick, the contract's own rule answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

from app.domain.account import AccountKey
from app.domain.risk import Health, RiskStatus
from app.domain.units import WAD
from app.domain.watch import BEYOND, Rule
from app.watch.measures.accounts import Exact, Picked
from app.watch.measures.asked import Inputs
from app.watch.measures.facts import health_facts
from app.watch.measures.members import Members
from app.watch.measures.moment import Moment


class HealthFactor:
    """The contract's own. Costs a look at the columns of the members' accounts, and the exact rule for whoever may be
    at or below the clear level."""

    most: int | None = None

    async def pick(self, moment: Moment, members: Members, rule: Rule) -> Picked:
        """Whoever's bounds reach down to the clear level."""
        return Picked(members.known.health_at_most(rule.clear_at / WAD))

    async def exact(self, moment: Moment, keys: Collection[AccountKey], rule: Rule) -> Mapping[AccountKey, Exact]:
        """Without debt it is beyond every level."""
        return await _each(moment, keys, _factor)


class Utilization:
    """Requirement / capacity. Costs what `HealthFactor` does: 1 / level is where health is, or above (where a contract
    truncates the average threshold, utilisation is by what it was before)."""

    most: int | None = None

    async def pick(self, moment: Moment, members: Members, rule: Rule) -> Picked:
        """Whoever's health may be at or below 1 / level. Where even using nothing is not clear, everybody."""
        if rule.clear_at <= 0:
            return Picked(members.known.keys())
        return Picked(members.known.health_at_most(WAD / rule.clear_at))

    async def exact(self, moment: Moment, keys: Collection[AccountKey], rule: Rule) -> Mapping[AccountKey, Exact]:
        """Debt without any capacity is beyond every level."""
        return await _each(moment, keys, _utilization)


def _factor(health: Health) -> int | None:
    return BEYOND if health.health_factor_wad is None else health.health_factor_wad


def _utilization(health: Health) -> int | None:
    if health.utilization_wad is not None:
        return health.utilization_wad
    return 0 if health.status is RiskStatus.NO_DEBT else BEYOND


async def _each(
    moment: Moment, keys: Collection[AccountKey], value_of: Callable[[Health], int | None]
) -> dict[AccountKey, Exact]:
    healths = await moment.healths(keys)
    snapshots = await moment.snapshots(keys)
    found = {}
    for key in keys:
        health = healths[key]
        if health.status is not RiskStatus.UNKNOWN:
            facts = partial(health_facts, health, moment.state(key), snapshots.get(key))
            found[key] = Exact(value_of(health), Inputs(facts))
    return found
