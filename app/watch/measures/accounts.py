"""What all measures of accounts share: the book says whom to look at, exact integers what is said of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from app.domain.account import AccountKey, AccountSnapshot
from app.domain.watch import Measured, Rule
from app.valuation.assess import StateAt
from app.valuation.faults import note_fault
from app.watch.measures.asked import Asked, Found, Inputs, because
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

    most: int | None
    """So many accounts are asked about at a block, the riskiest first, besides those that must be; the others are
    unknown then. None: all."""

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
    of_members = list(dict.fromkeys((*members.doubtful, *members.outside, *picked.keys)))
    chosen = of_members[: measure.most]
    valued = {key for key in must if key in moment.keeper and moment.state(key) is not None}
    found = await measure.exact(moment, dict.fromkeys((*chosen, *valued)), rule)
    answered = {key for key, one in found.items() if one.value is not None}
    measured = [
        Measured(key, one.value, one.inputs)
        for key, one in found.items()
        if one.value is not None and (key in must or not rule.is_clear(one.value))
    ]
    measured += await _unknown(moment, found, must - answered)
    unknown = members.unknown + picked.unknown + sum(key not in answered for key in of_members)
    return Found(rule.id, tuple(sorted(measured, key=_key)), members.subjects, unknown)


async def measure_each(
    moment: Moment, keys: Iterable[AccountKey], measure: Callable[[StateAt, AccountSnapshot], Exact | None]
) -> dict[AccountKey, Exact]:
    """`measure` of each account that there is and that could be read; None, and it is left out. A fault of an adapter
    makes the account unknown and nothing else.

    Raises:
        BlockReplaced: the block is no longer stored.
    """
    wanted = list(keys)
    snapshots = await moment.snapshots(wanted)

    def run() -> dict[AccountKey, Exact]:
        found: dict[AccountKey, Exact] = {}
        for key in wanted:
            state, snapshot = moment.state(key), snapshots.get(key)
            if state is None or snapshot is None:
                continue
            try:
                exact = measure(state, snapshot)
            except Exception as fault:  # the adapter's own code: see app.valuation.faults
                reason = note_fault(key.deployment_id, state.block, fault)
                exact = unknown_because(reason.code, reason.detail)
            if exact is not None:
                found[key] = exact
        return found

    return await asyncio.to_thread(run)


def unknown_because(code: str, detail: str) -> Exact:
    """No value, and why not."""
    return Exact(None, Inputs(partial(because, code, detail)))


async def _unknown(moment: Moment, found: Mapping[AccountKey, Exact], keys: Iterable[AccountKey]) -> list[Measured]:
    """Those that have to be answered and cannot be, each with its reason."""
    wanted = list(keys)
    explained: dict[AccountKey, Mapping[str, str | int | None]] = {
        key: found[key].inputs for key in wanted if key in found
    }
    explained |= await moment.why_unknown(key for key in wanted if key not in explained)
    return [Measured(key, None, inputs) for key, inputs in explained.items()]


def _key(measured: Measured) -> AccountKey:
    assert isinstance(measured.subject, AccountKey)
    return measured.subject
