"""How far prices, or time, are from liquidating an account: what may be within reach is picked by the book, and each
account's distance worked out by the exact rule."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

from app.domain.account import AccountKey, AccountSnapshot
from app.domain.legs import Factor
from app.domain.risk import Health, LiquidationPrice, RiskAssessment, RiskStatus
from app.domain.specs import chain_spec
from app.domain.units import SECONDS_PER_YEAR, WAD
from app.domain.watch import BEYOND, Rule
from app.valuation.assess import StateAt
from app.valuation.book import ChosenAt
from app.valuation.distance import Horizon, seconds_to_liquidation
from app.valuation.faults import note_fault
from app.watch.measures.accounts import Exact, Picked, measure_each, unknown_because
from app.watch.measures.asked import Facts, Inputs
from app.watch.measures.facts import health_facts, market_facts
from app.watch.measures.members import Members
from app.watch.measures.moment import Moment

MOST_EXACT = 20_000
"""Accounts whose distances are worked out at a block, a rule; the least healthy first, and the rest is unknown."""


class PriceDistance:
    """To the nearest liquidation price, or that of one asset. Costs a look at the columns, and an assessment of whoever
    a move of one price by the clear level could liquidate."""

    most: int | None = MOST_EXACT

    async def pick(self, moment: Moment, members: Members, rule: Rule) -> Picked:
        """Whoever has so much hanging on one price."""

        def is_moved(deployment_id: str, code: str) -> bool:
            state = moment.reading.states.get(deployment_id)
            return state is None or _is_asset(state, code, rule.asset)

        reached = moment.keeper.book.reached_by_one_price(members.known.exposed(), rule.clear_at / WAD, is_moved)
        return Picked(reached.riskiest_first())

    async def exact(self, moment: Moment, keys: Collection[AccountKey], rule: Rule) -> Mapping[AccountKey, Exact]:
        """0 for whoever is liquidatable already; beyond every level for whom no price alone would liquidate."""
        return await measure_each(moment, keys, partial(_price_distance, rule.asset))


class SecondsToLiquidation:
    """By interest or funding alone. Costs the members' columns under the factors at the clear level's time, and a
    bisection of some 26 states of the deployment for whoever is below the line there, or is a maker."""

    most: int | None = MOST_EXACT

    async def pick(self, moment: Moment, members: Members, rule: Rule) -> Picked:
        """Whoever may be liquidatable by then. Beyond a year nothing is worked out, so all may be."""
        exposed = members.known.exposed()
        if rule.clear_at > SECONDS_PER_YEAR:
            return Picked(exposed.riskiest_first())
        factors: dict[str, Sequence[Factor]] = {}
        failed: set[str] = set()
        for name in valued_deployments(moment, exposed):
            try:
                factors[name] = _later(moment.reading.states[name], max(0, rule.clear_at))
            except Exception as fault:  # the adapter's own code: see app.valuation.faults
                note_fault(name, moment.block.ref, fault)
                failed.add(name)
        reached = moment.keeper.book.reached_later(exposed, factors)
        picked = reached.union(exposed.of(failed)).riskiest_first()
        return Picked([*picked, *await _changing(moment, exposed)])

    async def exact(self, moment: Moment, keys: Collection[AccountKey], rule: Rule) -> Mapping[AccountKey, Exact]:
        """Beyond every level for whoever never gets there. More than a year is not known any closer."""
        return await measure_each(moment, keys, partial(_seconds, rule.clear_at))


def valued_deployments(moment: Moment, chosen: ChosenAt) -> Iterable[str]:
    """Deployments that some of these accounts may be of, and that can be valued."""
    reading = moment.reading
    return sorted(name for name in chosen.deployments() if name in reading.states and name not in reading.unvalued)


async def _changing(moment: Moment, exposed: ChosenAt) -> list[AccountKey]:
    """Accounts that change by themselves, such as a perp's makers: their legs are of this block and no later one."""
    states = {name: moment.reading.states[name].state for name in valued_deployments(moment, exposed)}
    moving = exposed.of([name for name, state in states.items() if state.accounts_move]).keys()
    snapshots = await moment.snapshots(moving)
    return [key for key in moving if key in snapshots and states[key.deployment_id].moves_by_itself(snapshots[key])]


def health_of(risk: RiskAssessment) -> Health:
    """The numbers of an assessment."""
    return Health(
        risk.status,
        risk.health_factor_wad,
        risk.collateral_value,
        risk.debt_value,
        risk.utilization_wad,
        None if risk.margin is None else risk.margin.notional_value,
    )


def at_once(state: StateAt, snapshot: AccountSnapshot) -> Exact | None:
    """The distance of whoever is liquidatable already, 0, or cannot be, beyond every level; None for all others."""
    health = state.priced.health(snapshot)
    value = {RiskStatus.LIQUIDATABLE: 0, RiskStatus.NO_DEBT: BEYOND}.get(health.status)
    return None if value is None else Exact(value, Inputs(partial(health_facts, health, state, snapshot)))


def _price_distance(asset: str | None, state: StateAt, snapshot: AccountSnapshot) -> Exact | None:
    known = at_once(state, snapshot)
    if known is not None:
        return known
    risk = state.priced.assess(snapshot)
    if risk.status is RiskStatus.UNKNOWN:
        return None
    turns = [*(held.liquidation_price for held in risk.positions), *(held.liquidation_price for held in risk.perps)]
    own = [turn for turn in turns if turn is not None and _is_asset(state, turn.market, asset)]
    nearest = min(own, key=lambda turn: abs(turn.distance_wad), default=None)
    inputs = Inputs(partial(_price_facts, risk, state, snapshot, nearest))
    return Exact(BEYOND if nearest is None else abs(nearest.distance_wad), inputs)


def _price_facts(
    risk: RiskAssessment, state: StateAt, snapshot: AccountSnapshot, nearest: LiquidationPrice | None
) -> Facts:
    facts = health_facts(health_of(risk), state, snapshot)
    if nearest is None:
        return facts
    prices = {held.market: held.price for held in risk.positions} | {
        held.market: held.mark_price for held in risk.perps
    }
    return {
        **facts,
        **market_facts(state, nearest.market, "liquidation_market"),
        "liquidation_market_price": prices.get(nearest.market),
        "liquidation_price": nearest.price,
        "liquidation_direction": nearest.direction.value,
        "price_decimals": state.state.value_unit(snapshot.key.unit).price_decimals,
    }


def _is_asset(state: StateAt, code: str, asset: str | None) -> bool:
    if asset is None or code.lower() == asset.lower():
        return True
    market = state.market_by_code.get(code)
    return market is not None and market.symbol.lower() == asset.lower()


def _later(state: StateAt, seconds: int) -> Sequence[Factor]:
    """The factors so long after the block, as `seconds_to_liquidation` counts its blocks."""
    blocks = int(seconds / chain_spec(state.block.chain_id).block_seconds)
    return state.state.at(state.block.timestamp + seconds, state.block.number + blocks).factors()


def _seconds(clear_at: int, state: StateAt, snapshot: AccountSnapshot) -> Exact | None:
    known = at_once(state, snapshot)
    if known is not None:
        return known
    found = seconds_to_liquidation(state.state, snapshot, state.block)
    if found is None:
        return None
    if found is Horizon.MORE_THAN_A_YEAR and clear_at > SECONDS_PER_YEAR:
        return unknown_because("more_than_a_year", "it takes more than a year; how much more is not worked out")
    inputs = Inputs(partial(_seconds_facts, state, snapshot, found))
    return Exact(found if isinstance(found, int) else BEYOND, inputs)


def _seconds_facts(state: StateAt, snapshot: AccountSnapshot, found: int | Horizon) -> Facts:
    facts = health_facts(state.priced.health(snapshot), state, snapshot)
    return facts if isinstance(found, int) else {**facts, "time_to_liquidation": found.value}
