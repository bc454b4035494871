"""Distances of members, over every protocol's own rules, against each account worked out by itself."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest

from app.book import Keeper, Reading
from app.domain.account import AccountKey, AccountSnapshot
from app.domain.risk import RiskStatus
from app.domain.units import SECONDS_PER_YEAR, WAD
from app.domain.watch import BEYOND, Metric, Rule
from app.protocols.registry import adapter_for
from app.store.postgres.engine import Database
from app.valuation.assess import AccountAssessment, StateAt
from app.valuation.distance import Horizon, seconds_to_liquidation
from app.valuation.groups import DEFAULT_GROUPS
from app.valuation.moves import joint_moves
from app.valuation.volatility import daily_sigma
from app.watch.measures import Asked, Measures
from tests.book.lake import find_lake
from tests.fakes.perp import LOT, USD6, find_fake, tide_account, tide_deployment
from tests.fakes.pond import DOLLAR, ETHER, USD8, pond_account, pond_records
from tests.fakes.site import DEVNET, EPOCH, open_site, wallet
from tests.watch.measures.harbour import Harbour
from tests.watch.measures.test_health import LISTED, start
from tests.watch.measures.world import Exacts, assess_all, check, measure, members_of, only, rule

pytestmark = pytest.mark.database

HOUR = 3600


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


async def test_sigmas_are_the_joint_move_over_what_the_stored_prices_did_each_hour(database: Database) -> None:
    """Two days of a price that goes its random way; the other never moves and has no sigma."""
    site, keeper, measures = await start(database)
    dice, samples, price = random.Random(2), [], 3000 * USD8
    accounts = [pond_account(one, weth=ETHER, usdc_debt=dice.randrange(1500, 2500) * DOLLAR) for one in LISTED]
    accounts.append(pond_account(wallet(700), usdc=5000 * DOLLAR, weth_debt=ETHER))
    for hour in range(49):
        price = price * dice.randrange(985, 1016) // 1000
        block = await site.commit(HOUR * (hour + 1), accounts if not hour else (), pond_records(weth=price))
        samples.append((block.ref.timestamp, price))
    await keeper.load(block)
    exacts = await assess_all(database, block, find_lake)
    sigma = daily_sigma(samples, block.ref.timestamp)
    assert sigma is not None
    members, reading = members_of({key.wallet for key in exacts}), await keeper.read()
    values: dict[AccountKey, int | None] = {}
    for key, one in exacts.items():
        distance = joint_distance(*one, "eth")
        values[key] = distance
        if distance not in (0, BEYOND, None):
            assert distance is not None
            falls = key.wallet != wallet(700)
            sigmas = abs(math.log(1 - distance / WAD if falls else 1 + distance / WAD)) / sigma.sigma
            values[key] = int(sigmas * 10**6) * 10**12
    assert len([value for value in values.values() if value not in (0, BEYOND)]) > 10
    for level in levels(dice, values, 20 * WAD, 12):
        for group in ("eth", "volatile"):
            given = rule(Metric.SIGMA_DISTANCE, level, group=group)
            must = dice.sample(sorted(exacts), 2)
            check(await measure(measures, keeper, given, members, must, reading=reading), given, values, must)
    key = next(key for key in exacts if values[key] not in (0, BEYOND, None))
    found = await measure(measures, keeper, rule(Metric.SIGMA_DISTANCE, WAD, group="stable"), members, [key])
    assert next(one for one in found.measured if one.subject == key).inputs["reason"] == "sigma_unknown"
    assert found.unknown == sum(value not in (0, BEYOND) for value in values.values())


async def test_without_a_history_of_prices_sigmas_are_unknown_of_whoever_a_move_would_liquidate(
    database: Database,
) -> None:
    keeper, reading, exacts = await world(database)
    members, measures = members_of({key.wallet for key in exacts}), Measures(database)
    for group in ("eth", "volatile"):
        values = {key: joint_distance(*one, group) for key, one in exacts.items()}
        values = {key: value if value in (0, BEYOND) else None for key, value in values.items()}
        given = rule(Metric.SIGMA_DISTANCE, 50 * WAD, group=group)
        check(await measure(measures, keeper, given, members, reading=reading), given, values, [])
        assert None in values.values()


async def test_a_distance_exactly_at_its_level_is_measured_and_says_what_it_rests_on(database: Database) -> None:
    """0.8 x 3000 against 2000 dollars: the price has to fall by a sixth, to 2500."""
    site, keeper, measures = await start(database)
    at = pond_account(LISTED[0], weth=ETHER, usdc_debt=2000 * DOLLAR)
    await keeper.load(await site.commit(1, [at], pond_records(weth=3000 * USD8)))
    members = members_of(LISTED[:1])
    exacts = await assess_all(database, keeper.at, find_lake)  # type: ignore[arg-type]
    (one,) = exacts.values()
    price, joint = price_distance(one[0], None), joint_distance(*one, "eth")
    assert price is not None
    assert joint is not None
    found = only(await measure(measures, keeper, rule(Metric.PRICE_DISTANCE, price), members))
    assert found.value == price == WAD // 6
    names = ("liquidation_market", "liquidation_market_price", "liquidation_price", "liquidation_direction")
    assert [found.inputs[name] for name in names] == ["WETH", 3000 * USD8, 2500 * USD8, "fall"]
    assert not (await measure(measures, keeper, rule(Metric.PRICE_DISTANCE, price - 1), members)).measured
    found = only(await measure(measures, keeper, rule(Metric.JOINT_DISTANCE, joint, group="eth"), members))
    assert (found.value, found.inputs["move_wad"]) == (joint, -joint)
    assert not (await measure(measures, keeper, rule(Metric.JOINT_DISTANCE, joint - 1, group="eth"), members)).measured
    btc = await measure(measures, keeper, rule(Metric.JOINT_DISTANCE, WAD, group="btc"), members, exacts)
    assert only(btc).value == BEYOND
    none = await measure(measures, keeper, rule(Metric.JOINT_DISTANCE, WAD, group="other"), members, exacts)
    assert (only(none).value, none.unknown) == (None, 1)


async def test_time_beyond_a_year_is_calm_below_a_level_of_a_year_and_unknown_above(database: Database) -> None:
    site = open_site(database)
    await site.register(tide_deployment())
    keeper, measures = Keeper(database, DEVNET, adapters=find_fake), Measures(database, adapters=find_fake)
    # equity of 1000 dollars over 187.5 of margin; the long pays a dollar in some ten seconds, or in 40 000
    account = tide_account(LISTED[0], cash=1000 * USD6, size=LOT)
    for number, pays, value in ((1, USD6, 812), (2, 20, None)):
        block = await site.commit_tide(
            number, [replace(account, block_number=number)], funding=pays, funded_at=EPOCH + number
        )
        await keeper.load(block)
        key = account.key
        if value is not None:
            found = await measure(measures, keeper, rule(Metric.SECONDS_TO_LIQUIDATION, 10**6), members_of(LISTED[:1]))
            assert only(found).value == pytest.approx(value, abs=2)
            at = only(found).value
            assert at is not None
            given = rule(Metric.SECONDS_TO_LIQUIDATION, at)
            assert only(await measure(measures, keeper, given, members_of(LISTED[:1]))).value == at
            given = rule(Metric.SECONDS_TO_LIQUIDATION, at - 1)
            assert not (await measure(measures, keeper, given, members_of(LISTED[:1]))).measured
            continue
        given = rule(Metric.SECONDS_TO_LIQUIDATION, SECONDS_PER_YEAR)
        found = await measure(measures, keeper, given, members_of(LISTED[:1]), [key])
        assert (only(found).value, only(found).inputs["time_to_liquidation"]) == (BEYOND, "more_than_a_year")
        given = rule(Metric.SECONDS_TO_LIQUIDATION, SECONDS_PER_YEAR + 1)
        found = await measure(measures, keeper, given, members_of(LISTED[:1]), [key])
        assert (only(found).value, found.unknown) == (None, 1)
