"""Health factor, utilisation and status of members, against every account assessed by itself."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

import pytest

from app.book import Keeper
from app.domain.account import AccountKey, Unreadable
from app.domain.batch import DueAccount, ScanRange
from app.domain.risk import RiskAssessment, RiskStatus
from app.domain.units import WAD
from app.domain.watch import BEYOND, MarketSubject, Member, Metric, Rule
from app.store.postgres.engine import Database
from app.store.scans import plan_scan
from app.watch.measures import Asked, Found, Measures
from tests.book.lake import UNLISTED, find_lake
from tests.book.tape import SECOND, WALLETS, Tape
from tests.book.test_keeper import follow
from tests.fakes.pond import DOLLAR, ETHER, USD8, pond_account, pond_records
from tests.fakes.site import DEVNET, Site, open_site, wallet
from tests.watch.measures.world import Exacts, assess_all, by_key, check, measure, members_of, only, rule

pytestmark = pytest.mark.database

LISTED = [wallet(one) for one in range(WALLETS) if wallet(one)[0] >= UNLISTED]
OUTSIDE = [wallet(one) for one in range(WALLETS) if wallet(one)[0] < UNLISTED]


def factor(risk: RiskAssessment) -> int | None:
    if risk.status is RiskStatus.UNKNOWN:
        return None
    return BEYOND if risk.health_factor_wad is None else risk.health_factor_wad


def utilization(risk: RiskAssessment) -> int | None:
    if risk.status is RiskStatus.UNKNOWN:
        return None
    none = 0 if risk.status is RiskStatus.NO_DEBT else BEYOND
    return none if risk.utilization_wad is None else risk.utilization_wad


Question = tuple[Rule, Mapping[AccountKey, int | None]]
VALUE_OF = {Metric.HEALTH_FACTOR: factor, Metric.UTILIZATION: utilization}


def around(dice: random.Random, values: list[int | None], *, low: int, high: int) -> int:
    """A level: somewhere, or exactly at, or one unit from, what some account has."""
    known = [value for value in values if value is not None and low < value < high]
    if known and dice.random() < 0.8:
        return dice.choice(known) + dice.choice([-1, 0, 0, 1])
    return dice.randrange(low, high)


def status_value(risk: RiskAssessment, wanted: frozenset[RiskStatus]) -> int | None:
    if risk.status is RiskStatus.UNKNOWN and RiskStatus.UNKNOWN not in wanted:
        return None
    return int(risk.status in wanted)


def questions(dice: random.Random, exacts: Exacts, own: list[AccountKey], given_in: str | None) -> list[Question]:
    """Rules with levels mostly at, or one unit beside, the value of an account; and what each account's value is."""
    found: list[Question] = []
    for metric, value_of in VALUE_OF.items():
        values = {key: value_of(exacts[key][0].assessment) for key in own}
        for _ in range(6):
            level = around(dice, list(values.values()), low=0, high=3 * WAD)
            slack = dice.choice([0, 1, WAD // 10])
            clear = level + slack if metric is Metric.HEALTH_FACTOR else max(0, level - slack)
            found.append((rule(metric, level, clear, deployment_id=given_in), values))
    for wanted in ({RiskStatus.LIQUIDATABLE}, {RiskStatus.HEALTHY}, {RiskStatus.NO_DEBT, RiskStatus.UNKNOWN}):
        statuses = frozenset(wanted)
        values = {key: status_value(exacts[key][0].assessment, statuses) for key in own}
        found.append((rule(Metric.STATUS, 1, statuses=statuses, deployment_id=given_in), values))
    return found


@pytest.mark.parametrize("seed", [3, 7])
async def test_along_a_random_life_every_value_is_the_exact_rules_and_nobody_is_missed(
    database: Database, seed: int
) -> None:
    """Members: most wallets, and some that are nowhere. The book moves, goes back, and is made anew."""
    tape, dice = Tape(database, seed), random.Random(seed)
    keeper, measures = Keeper(database, DEVNET, adapters=find_lake), Measures(database, adapters=find_lake)
    members = members_of([wallet(one) for one in range(WALLETS + 4) if one % 5])
    wallets = {member.wallet for member in members}
    met = Counter[Metric]()
    for step in range(14):
        await tape.grow()
        if step in (5, 9):
            await tape.drop(2)
        if step == 11:
            keeper = Keeper(database, DEVNET, adapters=find_lake)
        await follow(keeper, tape.blocks[-1])
        exacts = await assess_all(database, tape.blocks[-1], find_lake)
        given_in = dice.choice([None, None, SECOND])
        own = [key for key in exacts if key.wallet in wallets and given_in in (None, key.deployment_id)]
        asked = [
            (Asked(given, members, frozenset(dice.sample(own, min(len(own), 2)))), values)
            for given, values in questions(dice, exacts, own, given_in)
        ]
        reading = await keeper.read()
        answers = await measures.measure(keeper, reading, [one for one, _ in asked], None)
        for (one, values), found in zip(asked, answers, strict=True):
            check(found, one.rule, values, [key for key in one.must if isinstance(key, AccountKey)])
            assert found.subjects == len(own) + len(wallets - {key.wallet for key in own})
            met[one.rule.metric] += len(found.measured)
    assert len(met) == 3
    assert min(met.values()) > 30, met


async def test_an_account_exactly_at_its_level_is_measured_and_one_unit_above_it_is_calm(database: Database) -> None:
    site, keeper, measures = await start(database)
    at = pond_account(LISTED[0], weth=ETHER, usdc_debt=2000 * DOLLAR)
    await keeper.load(await site.commit(1, [at], pond_records(weth=3000 * USD8)))
    level = 3000 * 8 * WAD // 20_000
    found = await measure(measures, keeper, rule(Metric.HEALTH_FACTOR, level), members_of(LISTED[:1]))
    assert only(found).value == level
    inputs = only(found).inputs
    assert inputs["health_factor_wad"] == level
    assert inputs["status"] == "healthy"
    assert (inputs["collateral_value"], inputs["value_currency"], inputs["value_decimals"]) == (3000 * USD8, "USD", 8)
    assert inputs["market_2_price"] == 3000 * USD8
    assert (await measure(measures, keeper, rule(Metric.HEALTH_FACTOR, level - 1), members_of(LISTED[:1]))) == Found(
        1, (), 1, 0
    )
    used = 20_000 * WAD // 24_000 + 1  # rounded up
    assert only(await measure(measures, keeper, rule(Metric.UTILIZATION, used), members_of(LISTED[:1]))).value == used
    assert not (await measure(measures, keeper, rule(Metric.UTILIZATION, used + 1), members_of(LISTED[:1]))).measured


async def test_an_open_episode_of_an_account_that_paid_everything_back_gets_a_value_beyond_every_level(
    database: Database,
) -> None:
    site, keeper, measures = await start(database)
    key = AccountKey("pond-devnet", LISTED[0])
    await keeper.load(await site.commit(1, [pond_account(LISTED[0], weth=ETHER)]))
    given = rule(Metric.HEALTH_FACTOR, WAD)
    assert by_key(await measure(measures, keeper, given, members_of(LISTED[:1]), [key])) == {key: BEYOND}
    assert not (await measure(measures, keeper, given, members_of(LISTED[:1]))).measured
    assert given.is_clear(BEYOND)


async def test_debt_without_capacity_uses_more_than_any_level(database: Database) -> None:
    site, keeper, measures = await start(database)
    account = pond_account(LISTED[0], usdc_debt=DOLLAR)
    await keeper.load(await site.commit(1, [account]))
    found = await measure(measures, keeper, rule(Metric.UTILIZATION, 10**30), members_of(LISTED[:1]))
    assert only(found).value == BEYOND


async def test_whoever_nothing_can_be_said_of_is_unknown_and_says_why(database: Database) -> None:
    site, keeper, measures = await start(database)
    ann, bob, cid, dan = LISTED[:4]
    eve = OUTSIDE[0]
    keys = [AccountKey("pond-devnet", one) for one in (ann, bob, cid, dan, eve)]
    block = await site.commit(
        1,
        [
            Unreadable(keys[0], 1, "it reverted"),
            pond_account(bob, weth=ETHER, usdc_debt=DOLLAR),
            pond_account(eve, weth=ETHER, usdc_debt=DOLLAR),
        ],
        pond_records(weth=None),
    )
    await site.queue([DueAccount(keys[2], frozenset())])
    await keeper.load(block)
    for metric in (Metric.HEALTH_FACTOR, Metric.UTILIZATION):
        given = rule(metric, WAD)
        found = await measure(measures, keeper, given, members_of([ann, bob, cid, dan, eve]), keys)
        assert (found.subjects, found.unknown) == (5, 4)  # who has no account at all is calm
        reasons = {one.subject: one.inputs["reason"] for one in found.measured if one.value is None}
        assert reasons == dict(
            zip(
                keys,
                ("account_unreadable", "price_unavailable", "not_read_yet", "account_missing", "price_unavailable"),
                strict=True,
            )
        )
        assert "it reverted" in str(dict(found.measured[sorted(keys).index(keys[0])].inputs))
    await site.set_aside(block, "another contract answers")
    await keeper.load(block)
    found = await measure(measures, keeper, rule(Metric.HEALTH_FACTOR, WAD), members_of([ann, bob, eve]), keys[1:2])
    assert (found.subjects, found.unknown) == (3, 3)
    assert only(found).inputs["detail"] == "another contract answers"


async def test_who_is_unknown_reaches_a_rule_that_watches_for_that_and_no_other(database: Database) -> None:
    site, keeper, measures = await start(database)
    key = AccountKey("pond-devnet", LISTED[0])
    await keeper.load(await site.commit(1, [Unreadable(key, 1, "it reverted")]))
    watched = rule(Metric.STATUS, 1, statuses=frozenset({RiskStatus.UNKNOWN}))
    found = await measure(measures, keeper, watched, members_of(LISTED[:1]))
    assert (only(found).value, found.unknown) == (1, 0)
    assert only(found).inputs["reason"] == "account_unreadable"
    other = rule(Metric.STATUS, 1, statuses=frozenset({RiskStatus.LIQUIDATABLE}))
    found = await measure(measures, keeper, other, members_of(LISTED[:1]))
    assert (found.measured, found.unknown) == ((), 1)
    found = await measure(measures, keeper, other, members_of(LISTED[:1]), [key])
    assert only(found).value is None


async def test_a_member_without_an_account_is_unknown_only_while_old_logs_are_to_be_searched(
    database: Database,
) -> None:
    site, keeper, measures = await start(database)
    given = rule(Metric.HEALTH_FACTOR, WAD)
    nobody = members_of([wallet(900)])
    await keeper.load(await site.commit(1))
    assert await measure(measures, keeper, given, nobody) == Found(1, (), 1, 0)
    async with database.write() as session:
        await plan_scan(session, ScanRange("pond-devnet", 1, 1))
    await keeper.advance(await site.commit(2))
    assert await measure(measures, keeper, given, nobody) == Found(1, (), 1, 1)


async def test_members_of_another_chain_and_accounts_of_other_deployments_are_left_out(database: Database) -> None:
    site, keeper, measures = await start(database)
    accounts = [pond_account(one, weth=1, usdc_debt=1000 * DOLLAR) for one in LISTED[:2]]
    await keeper.load(await site.commit(1, accounts))
    members = (Member(LISTED[0], chain_id=1), Member(LISTED[1], chain_id=DEVNET))
    found = await measure(measures, keeper, rule(Metric.HEALTH_FACTOR, WAD), members)
    assert list(by_key(found)) == [AccountKey("pond-devnet", LISTED[1])]
    assert found.subjects == 1
    elsewhere = rule(Metric.HEALTH_FACTOR, WAD, deployment_id="aave-v3-elsewhere")
    assert await measure(measures, keeper, elsewhere, members) == Found(1, (), 0, 0)


async def test_of_a_deployment_of_the_chain_that_nobody_follows_nobody_is_calm(database: Database) -> None:
    site, keeper, measures = await start(database)
    block = await site.commit(1, [pond_account(LISTED[0], weth=ETHER, usdc_debt=DOLLAR)])
    await site.set_aside(block, "nobody follows it", is_followed=False)
    await keeper.load(block)
    given = rule(Metric.HEALTH_FACTOR, WAD, deployment_id="pond-devnet")
    assert await measure(measures, keeper, given, members_of(LISTED[:2])) == Found(1, (), 2, 2)
    market = rule(Metric.DEBT_AT_RISK, WAD, deployment_id="pond-devnet", group="eth", move_wad=0)
    found = await measure(measures, keeper, market, must=[MarketSubject("pond-devnet")])
    assert (only(found).value, only(found).inputs["reason"], found.unknown) == (None, "not_followed", 1)


async def test_whoever_joins_leaves_or_is_read_again_is_followed_without_a_new_list(database: Database) -> None:
    """Numbers in the book are used again: the place of one who left is another's."""
    site, keeper, measures = await start(database)
    members, given = members_of(LISTED[:3]), rule(Metric.HEALTH_FACTOR, WAD)
    poor = [pond_account(one, weth=1, usdc_debt=1000 * DOLLAR) for one in LISTED]
    await keeper.load(await site.commit(1, poor[:1]))
    assert len((await measure(measures, keeper, given, members)).measured) == 1
    await keeper.advance(await site.commit(2, poor[1:2]))
    assert len((await measure(measures, keeper, given, members)).measured) == 2
    await site.drop_above(1)
    await keeper.rewind()
    assert len((await measure(measures, keeper, given, members)).measured) == 1
    await keeper.advance(await site.commit(3, poor[4:], fork=1))
    assert len((await measure(measures, keeper, given, members)).measured) == 1
    await keeper.advance(await site.commit(4, poor[2:3], fork=1))
    found = await measure(measures, keeper, given, members)
    assert {key.wallet for key in by_key(found)} == {LISTED[0], LISTED[2]}
    assert (found.subjects, found.unknown) == (3, 0)


async def start(database: Database) -> tuple[Site, Keeper, Measures]:
    site = open_site(database)
    await site.register()
    return site, Keeper(database, DEVNET, adapters=find_lake), Measures(database, adapters=find_lake)
