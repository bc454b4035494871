"""Distances of members, over every protocol's own rules, against each account worked out by itself."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

import pytest

from app.book import Keeper, Reading
from app.domain.account import AccountKey, AccountSnapshot
from app.domain.risk import RiskStatus
from app.domain.units import SECONDS_PER_YEAR, WAD
from app.domain.watch import Metric, Rule
from app.protocols.registry import adapter_for
from app.store.engine import Database
from app.valuation.assess import AccountAssessment, StateAt
from app.valuation.distance import Horizon, seconds_to_liquidation
from app.valuation.groups import DEFAULT_GROUPS
from app.valuation.moves import joint_moves
from app.watch.measures import BEYOND, Asked, Measures
from tests.fakes.site import DEVNET
from tests.watch.measures.harbour import Harbour
from tests.watch.measures.world import Exacts, assess_all, check, members_of, rule

pytestmark = pytest.mark.database


async def world(database: Database) -> tuple[Keeper, Reading, Exacts]:
    harbour = Harbour(database)
    block = await harbour.commit(30_000_000)
    keeper = Keeper(database, DEVNET, adapters=adapter_for)
    await keeper.load(block)
    return keeper, await keeper.read(), await assess_all(database, block, adapter_for)


def at_once(assessed: AccountAssessment) -> int | None:
    return {RiskStatus.LIQUIDATABLE: 0, RiskStatus.NO_DEBT: BEYOND}.get(assessed.assessment.status)


def price_distance(assessed: AccountAssessment, asset: str | None) -> int | None:
    risk, state = assessed.assessment, assessed.state
    if risk.status is RiskStatus.UNKNOWN or state is None:
        return None
    known = at_once(assessed)
    if known is not None:
        return known
    turns = [one.liquidation_price for one in risk.positions] + [one.liquidation_price for one in risk.perps]
    return min(
        (
            abs(turn.distance_wad)
            for turn in turns
            if turn is not None and asset in (None, turn.market, state.market_by_code[turn.market].symbol)
        ),
        default=BEYOND,
    )


def joint_distance(
    assessed: AccountAssessment, snapshot: AccountSnapshot | None, state: StateAt | None, group: str
) -> int | None:
    risk = assessed.assessment
    if risk.status is RiskStatus.UNKNOWN or state is None or snapshot is None:
        return None
    known = at_once(assessed)
    if known is not None:
        return known
    factors = {factor.name: factor for factor in state.priced.factors()}
    moves = joint_moves(
        state.priced, factors, snapshot, risk, state.market_by_code, assessed.value_unit, DEFAULT_GROUPS
    )
    if moves is None:
        return None
    turns = [turn for move in moves if move.group == group for turn in move.turns]
    return min((abs(one.distance_wad) for one in turns if one.turns_to is RiskStatus.LIQUIDATABLE), default=BEYOND)


def seconds(assessed: AccountAssessment, snapshot: AccountSnapshot | None, state: StateAt | None) -> int | None:
    if assessed.assessment.status is RiskStatus.UNKNOWN or snapshot is None or state is None:
        return None
    found = seconds_to_liquidation(state.state, snapshot, state.block)
    return BEYOND if isinstance(found, Horizon) else found


def levels(dice: random.Random, values: Mapping[AccountKey, int | None], highest: int, count: int) -> list[int]:
    """At, or one unit beside, what some account has; and some others."""
    known = [value for value in values.values() if value is not None and 0 < value < highest]
    return [
        dice.choice(known) + dice.choice([-1, 0, 1]) if known and dice.random() < 0.7 else dice.randrange(highest)
        for _ in range(count)
    ]


async def test_distances_are_the_exact_rules_and_nobody_within_reach_is_missed(database: Database) -> None:
    keeper, reading, exacts = await world(database)
    measures, dice, met = Measures(database), random.Random(5), Counter[str]()
    members = members_of({key.wallet for key in exacts})
    asked: list[tuple[Asked, Mapping[AccountKey, int | None]]] = []

    def ask(given: Rule, values: Mapping[AccountKey, int | None]) -> None:
        asked.append((Asked(given, members, frozenset(dice.sample(sorted(exacts), 3))), values))

    for asset in (None, "WETH", "vETH", "USDC"):
        values = {key: price_distance(one[0], asset) for key, one in exacts.items()}
        for level in levels(dice, values, WAD, 4):
            ask(rule(Metric.PRICE_DISTANCE, level, asset=asset), values)
    for group in ("eth", "btc", "stable", "volatile"):
        values = {key: joint_distance(*one, group) for key, one in exacts.items()}
        for level in [*levels(dice, values, WAD, 4), 3 * WAD]:
            ask(rule(Metric.JOINT_DISTANCE, level, group=group), values)
    values = {key: seconds(*one) for key, one in exacts.items()}
    for level in [*levels(dice, values, SECONDS_PER_YEAR, 4), 60, 86_400]:
        ask(rule(Metric.SECONDS_TO_LIQUIDATION, level), values)
    answers = await measures.measure(keeper, reading, [one for one, _ in asked], None)
    for (one, expected), found in zip(asked, answers, strict=True):
        check(found, one.rule, expected, [key for key in one.must if isinstance(key, AccountKey)])
        met[one.rule.metric] += len([m for m in found.measured if m.value not in (0, BEYOND)])
    assert len(met) == 3
    assert min(met.values()) > 20, met
