"""What all measures of accounts share: the book says whom to look at, exact integers what is said of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from app.domain.account import AccountKey
from app.domain.watch import Measured, Rule
from app.watch.measures.asked import Asked, Found, Inputs
from app.watch.measures.members import Members
from app.watch.measures.moment import Moment


@dataclass(frozen=True, slots=True)
class Exact:
    """One account's value by the exact rule."""

    value: int | None
    inputs: Inputs


@dataclass(frozen=True, slots=True)
class Picked:
    """Whom the exact rule has to be asked about."""

    keys: Collection[AccountKey]
    unknown: int = 0
    """Others among the known of whom the book can say that nothing can be said."""


class AccountMeasure(Protocol):
    """One metric of accounts."""

    async def pick(self, moment: Moment, members: Members, rule: Rule) -> Picked:
        """Everybody in the book whose value may not be clear, or may turn out not to be known."""
        ...

    async def exact(self, moment: Moment, keys: Collection[AccountKey], rule: Rule) -> Mapping[AccountKey, Exact]:
        """Values of accounts that are there; those that are missing in the answer are unknown."""
        ...


async def measure_accounts(measure: AccountMeasure, moment: Moment, members: Members, asked: Asked) -> Found:
    """One rule over its members.

    Raises:
        BlockReplaced: the block is no longer stored.
    """
    rule, must = asked.rule, {key for key in asked.must if isinstance(key, AccountKey)}
    picked = await measure.pick(moment, members, rule)
    of_members = {*picked.keys, *members.outside, *members.doubtful}
    valued = {key for key in must if key in moment.keeper and moment.state(key) is not None}
    found = await measure.exact(moment, of_members | valued, rule)
    measured = [
        Measured(key, one.value, one.inputs)
        for key, one in found.items()
        if one.value is not None and (key in must or not rule.is_clear(one.value))
    ]
    answered = {key for key, one in found.items() if one.value is not None}
    measured += await _unknown(moment, found, must - answered)
    unknown = members.unknown + picked.unknown + len(of_members - answered)
    return Found(rule.id, tuple(sorted(measured, key=_key)), members.subjects, unknown)


async def _unknown(moment: Moment, found: Mapping[AccountKey, Exact], keys: Iterable[AccountKey]) -> list[Measured]:
    """Those that have to be answered and cannot be, each with its reason."""
    explained = {key: found[key].inputs for key in keys if key in found}
    reasons = await moment.why_unknown(key for key in keys if key not in explained)
    return [Measured(key, None, inputs) for key, inputs in (explained | reasons).items()]


def _key(measured: Measured) -> AccountKey:
    assert isinstance(measured.subject, AccountKey)
    return measured.subject
