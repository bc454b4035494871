"""What became of a member's accounts within a time: what they hold and owe, and the parameters of what they hold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial

from app.domain.account import AccountKey, AccountSnapshot
from app.domain.chain import ChainId
from app.domain.risk import Health, RiskAssessment, RiskStatus
from app.domain.units import WAD
from app.domain.watch import BEYOND, Rule
from app.protocols.base import Adapter
from app.store.blocks import StoredBlock
from app.store.book import is_stored
from app.store.postgres.engine import Database
from app.valuation.assess import StateAt, quick_health
from app.watch.measures.accounts import Exact, Picked, measure_each, unknown_because
from app.watch.measures.asked import Facts, Inputs
from app.watch.measures.facts import health_facts
from app.watch.measures.members import Members
from app.watch.measures.moment import Moment
from app.watch.measures.past import Past, load_states_of

MOST_COMPARED = 5_000
"""Accounts compared with what they were at a block, a rule; the least healthy first, and the rest is unknown."""


class ValueChange:
    """The fall of what an account holds, or the rise of what it owes, since the newest stored block that is as old as
    the window, as a share of what it was; below 0 where it went the other way.

    Nothing is screened: each account costs the exact rule twice, and its state then once; of the states, and of each
    deployment's prices then, only what changed in between is read again.
    """

    most: int | None = MOST_COMPARED

    def __init__(self, database: Database, adapters: Callable[[str], Adapter], *, of_debt: bool) -> None:
        self._database, self._adapters, self._of_debt = database, adapters, of_debt
        self._past: dict[tuple[ChainId, int], Past] = {}

    async def pick(self, moment: Moment, members: Members, rule: Rule) -> Picked:
        """Everybody; where only a rise of debt counts, everybody who owes."""
        only_debtors = self._of_debt and rule.clear_at > 0
        return Picked((members.known.exposed() if only_debtors else members.known).riskiest_first())

    async def exact(self, moment: Moment, keys: Collection[AccountKey], rule: Rule) -> Mapping[AccountKey, Exact]:
        """Not known of accounts that were not, or could not be valued, then. From nothing to something is beyond every
        level; of a perp account, which owes margin and no debt, debt never rises."""
        window = rule.window_seconds or 0
        place = (moment.block.ref.chain_id, window)
        past = self._past.setdefault(place, Past(self._database, self._adapters))
        await past.move(moment.block, window)
        await past.load(keys)
        return await measure_each(moment, keys, partial(_change, past, self._of_debt))


@dataclass(slots=True)
class _Bases:
    """What the legs of a chain's deployments rested on, at the block measured last."""

    block_id: int
    bases: Mapping[str, object]


@dataclass(slots=True)
class Parameters:
    """How many of an account's positions got a lower liquidation threshold, or a higher maintenance margin, since the
    block evaluated before. Costs a comparison a deployment; and two assessments of each account of those that differ,
    in which nothing is screened."""

    database: Database
    adapters: Callable[[str], Adapter]
    most: int | None = 4 * MOST_COMPARED
    _bases: dict[ChainId, _Bases] = field(default_factory=dict)
    _states: dict[str, StateAt | None] = field(default_factory=dict)
    """Of those that differ, as they were."""
    _compared: tuple[int, int] | None = None
    """Ids of the block before and of this one, whose `_states` these are."""

    async def pick(self, moment: Moment, members: Members, rule: Rule) -> Picked:
        """Whoever is of a deployment whose parameters are not what they were."""
        if not await self._compare(moment):
            return Picked((), unknown=len(members.known))
        return Picked(members.known.of(self._states).riskiest_first())

    async def exact(self, moment: Moment, keys: Collection[AccountKey], rule: Rule) -> Mapping[AccountKey, Exact]:
        """The account as it is now, under the parameters of then and of now: what it did itself is no change of
        parameters."""
        compared = await self._compare(moment)
        states = self._states if compared else None
        return await measure_each(moment, keys, partial(_worse_positions, states))

    async def _compare(self, moment: Moment) -> bool:
        """Whether the block before is known. Afterwards `_states` has the deployments that differ from what they were
        there."""
        before, block = moment.before, moment.block
        bases = {name: kept.basis for name, kept in moment.keeper.kept.items() if kept.unvalued is None}
        chain_id = block.ref.chain_id
        known = self._bases.get(chain_id)
        self._bases[chain_id] = _Bases(block.id, bases)
        if before is None:
            return False
        if self._compared == (before.id, block.id):
            return True
        if known is not None and known.block_id == before.id:
            differ = {name for name, basis in bases.items() if name not in known.bases or known.bases[name] != basis}
        else:
            differ = set(bases)
        async with self.database.read() as session:
            if not await is_stored(session, before):
                return False
            states = await load_states_of(session, differ, before, self.adapters) if differ else {}
        self._states = {
            name: state for name, state in states.items() if state is None or state.priced.legs_basis() != bases[name]
        }
        self._compared = (before.id, block.id)
        return True


def _change(past: Past, of_debt: bool, state: StateAt, snapshot: AccountSnapshot) -> Exact | None:
    now, before = quick_health(state, snapshot), past.account(snapshot.key)
    if now.status is RiskStatus.UNKNOWN:
        return None
    if of_debt and not now.debt_value and _debt_then(past, snapshot) is None:
        return Exact(0, Inputs(partial(health_facts, now, state, snapshot)))  # who owes nothing now owes no more
    if past.at is None:
        return unknown_because("no_history", "nothing that old is stored of the chain")
    if before is None:
        return unknown_because("no_history", f"the account was not known at block {past.at.ref.number}")
    then = quick_health(past.state(snapshot.key.deployment_id), before)
    if then.status is RiskStatus.UNKNOWN:
        return unknown_because("no_history", f"the account could not be valued at block {past.at.ref.number}")
    inputs = Inputs(partial(_change_facts, past.at, now, then, state, snapshot))
    if of_debt:
        return Exact(_rise(then.debt_value or 0, now.debt_value or 0), inputs)
    if then.collateral_value is None or now.collateral_value is None:
        return unknown_because("value_unknown", "what the account holds has no price, now or then")
    return Exact(_fall(then.collateral_value, now.collateral_value), inputs)


def _debt_then(past: Past, snapshot: AccountSnapshot) -> int | None:
    before = None if past.at is None else past.account(snapshot.key)
    return None if before is None else quick_health(past.state(snapshot.key.deployment_id), before).debt_value


def _fall(then: int, now: int) -> int:
    """As a share, rounded down; of nothing nothing can be lost."""
    return (then - now) * WAD // then if then > 0 else 0


def _rise(then: int, now: int) -> int:
    if then > 0:
        return (now - then) * WAD // then
    return BEYOND if now > 0 else 0


def _change_facts(at: StoredBlock, now: Health, then: Health, state: StateAt, snapshot: AccountSnapshot) -> Facts:
    return {
        **health_facts(now, state, snapshot),
        "since_block": at.ref.number,
        "since_timestamp": at.ref.timestamp,
        "collateral_value_before": then.collateral_value,
        "debt_value_before": then.debt_value,
    }


def _worse_positions(
    states: Mapping[str, StateAt | None] | None, state: StateAt, snapshot: AccountSnapshot
) -> Exact | None:
    if states is None:
        return unknown_because("nothing_before", "no block evaluated before is stored to compare with")
    name = state.deployment.id
    if name not in states:
        health = quick_health(state, snapshot)
        known = health.status is not RiskStatus.UNKNOWN
        return Exact(0, Inputs(partial(health_facts, health, state, snapshot))) if known else None
    before = states[name]
    now = state.priced.assess(snapshot)
    if now.status is RiskStatus.UNKNOWN:
        return None
    then = None if before is None else before.priced.assess(snapshot)
    if then is None or then.status is RiskStatus.UNKNOWN:
        return unknown_because("nothing_before", "the account's positions could not be valued at the block before")
    worse = _worse(then, now)
    return Exact(len(worse), Inputs(partial(_parameter_facts, worse, state, snapshot)))


def _worse(then: RiskAssessment, now: RiskAssessment) -> dict[str, tuple[int, int]]:
    """By market: the parameter before and now, in bps, where it is worse now."""
    thresholds = {held.market: held.liquidation_threshold_bps for held in then.positions if held.is_collateral}
    margins = {held.market: held.maintenance_margin_bps for held in then.perps}
    worse = {
        held.market: (thresholds[held.market], held.liquidation_threshold_bps)
        for held in now.positions
        if held.liquidation_threshold_bps < thresholds.get(held.market, 0)
    }
    return worse | {
        held.market: (margins[held.market], held.maintenance_margin_bps)
        for held in now.perps
        if held.market in margins and held.maintenance_margin_bps > margins[held.market]
    }


def _parameter_facts(worse: Mapping[str, tuple[int, int]], state: StateAt, snapshot: AccountSnapshot) -> Facts:
    facts = health_facts(quick_health(state, snapshot), state, snapshot)
    for place, (code, (before, now)) in enumerate(sorted(worse.items())[:3], 1):
        market = state.market_by_code.get(code)
        facts |= {
            f"worse_{place}": code if market is None else market.symbol,
            f"worse_{place}_bps_before": before,
            f"worse_{place}_bps": now,
        }
    return facts
