"""Who has one of the statuses that are watched for. Here alone unknown is a value that can be reached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from app.domain.account import AccountKey
from app.domain.risk import RiskStatus
from app.domain.watch import Measured
from app.watch.measures.asked import Asked, Found, Inputs
from app.watch.measures.facts import health_facts
from app.watch.measures.members import Members
from app.watch.measures.moment import Moment

_UNLIKELY = frozenset({RiskStatus.LIQUIDATABLE, RiskStatus.UNKNOWN})


async def measure_status(moment: Moment, members: Members, asked: Asked) -> Found:
    """1 while an account's status is one of the rule's, else 0.

    Costs next to nothing for `liquidatable` and `unknown`, which the reading has found already; `healthy` and `no_debt`
    cost a line for each member of whom they are true.

    Raises:
        BlockReplaced: the block is no longer stored.
    """
    rule = asked.rule
    must = {key for key in asked.must if isinstance(key, AccountKey)}
    unknown = {*members.unknown_keys(), *members.doubtful}
    unknown.update(key for key in members.outside if moment.reading.status(key) is RiskStatus.UNKNOWN)
    hidden = 0 if members.is_searched else members.without
    found: dict[AccountKey, RiskStatus] = dict.fromkeys(unknown, RiskStatus.UNKNOWN)
    found |= {key: moment.reading.status(key) for key in _likely(members, rule.statuses)}
    found |= _of_those(moment, must - found.keys())
    can_tell = RiskStatus.UNKNOWN in rule.statuses
    chosen = {key: status for key, status in found.items() if key in must or status in rule.statuses}
    reasons = await moment.why_unknown(
        {key for key in chosen if chosen[key] is RiskStatus.UNKNOWN} | (must - found.keys())
    )
    inputs = {key: Inputs(partial(dict, facts)) for key, facts in reasons.items()}
    inputs |= await _known_inputs(moment, {key: status for key, status in chosen.items() if key not in inputs})
    measured = [
        Measured(
            key, int(status in rule.statuses) if status is not RiskStatus.UNKNOWN or can_tell else None, inputs[key]
        )
        for key, status in chosen.items()
    ]
    measured += [Measured(key, None, inputs[key]) for key in must - found.keys()]
    return Found(rule.id, tuple(measured), members.subjects, hidden if can_tell else len(unknown) + hidden)


def _likely(members: Members, statuses: frozenset[RiskStatus]) -> Iterator[AccountKey]:
    """Whose verdict may be one of these, and is known."""
    if statuses - _UNLIKELY:
        yield from members.known.keys()
        yield from members.outside
    elif RiskStatus.LIQUIDATABLE in statuses:
        yield from members.liquidatable


def _of_those(moment: Moment, keys: Iterable[AccountKey]) -> dict[AccountKey, RiskStatus]:
    """The verdicts on some accounts; those that are nowhere are left out."""
    found = {}
    for key in keys:
        if key in moment.keeper and key.deployment_id in moment.keeper.kept:
            found[key] = moment.reading.status(key)
        elif key in moment.unread.keys:
            found[key] = RiskStatus.UNKNOWN
    return found


async def _known_inputs(moment: Moment, statuses: dict[AccountKey, RiskStatus]) -> dict[AccountKey, Inputs]:
    """With an account's numbers where the reading has them: the exact rule is not asked about whoever is healthy."""
    confirmed = moment.reading.confirmed
    snapshots = await moment.snapshots([key for key, one in statuses.items() if one is RiskStatus.LIQUIDATABLE])
    found = {}
    for key, status in statuses.items():
        health = confirmed.get(key)
        if health is None:
            found[key] = Inputs(partial(dict, status=status.value))
        else:
            found[key] = Inputs(partial(health_facts, health, moment.state(key), snapshots.get(key)))
    return found
