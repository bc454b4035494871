"""What became of members' accounts within a window, and parameters that got worse for them."""

from __future__ import annotations

import random

import pytest

from app.book import Keeper
from app.domain.account import AccountKey
from app.domain.risk import RiskStatus
from app.domain.units import WAD
from app.domain.watch import BEYOND, Metric
from app.store.postgres.engine import Database
from app.watch.measures import Found, Measures
from app.watch.measures.past import block_at
from tests.book.lake import find_lake
from tests.book.tape import WALLETS, Tape
from tests.book.test_keeper import follow
from tests.fakes.pond import DOLLAR, ETHER, USD8, pond_account, pond_records
from tests.fakes.site import DEVNET, wallet
from tests.watch.measures.test_health import LISTED, start
from tests.watch.measures.world import assess_all, by_key, check, measure, members_of, only, rule

pytestmark = pytest.mark.database

KEY = AccountKey("pond-devnet", LISTED[0])
FALL, RISE = Metric.COLLATERAL_CHANGE, Metric.DEBT_CHANGE


async def test_along_a_random_life_changes_are_those_between_two_assessments(database: Database) -> None:
    """Blocks are a second apart, some are missing; what was unknown then or now is unknown."""
    tape, dice, met = Tape(database, 11), random.Random(11), 0
    keeper, measures = Keeper(database, DEVNET, adapters=find_lake), Measures(database, adapters=find_lake)
    members = members_of([wallet(one) for one in range(WALLETS) if one % 4])
    wallets = {member.wallet for member in members}
    for step in range(16):
        await tape.grow()
        if step in (6, 10):
            await tape.drop(2)
        block = tape.blocks[-1]
        await follow(keeper, block)
        now = await assess_all(database, block, find_lake)
        own = [key for key in now if key.wallet in wallets]
        for window in (1, 4):
            old = [one for one in tape.blocks if one.ref.timestamp <= block.ref.timestamp - window]
            then = await assess_all(database, old[-1], find_lake) if old else {}
            for metric in (FALL, RISE):
                values: dict[AccountKey, int | None] = {}
                for key in own:
                    was = then[key][0].assessment if key in then else None
                    known = was is not None and RiskStatus.UNKNOWN not in (was.status, now[key][0].assessment.status)
                    field = "collateral_value" if metric is FALL else "debt_value"
                    owes_nothing = metric is RISE and now[key][0].assessment.status is RiskStatus.NO_DEBT
                    values[key] = 0 if owes_nothing else None
                    if was is not None and known:
                        before, after = getattr(was, field), getattr(now[key][0].assessment, field)
                        fallen = (before - after) * WAD // before if before else 0
                        risen = (after - before) * WAD // before if before else (BEYOND if after else 0)
                        values[key] = fallen if metric is FALL else risen
                level = dice.choice([one for one in values.values() if one is not None and one > 0] or [WAD // 10])
                given = rule(metric, level, dice.choice([level, max(1, level - WAD // 20), 0]), window_seconds=window)
                found = await measure(measures, keeper, given, members, must := dice.sample(own, min(len(own), 2)))
                check(found, given, values, must)
                met += len(found.measured)
    assert met > 100


async def test_a_fall_exactly_at_the_level_is_measured_and_the_same_and_a_hair_less_is_calm(database: Database) -> None:
    site, keeper, measures = await start(database)
    await site.commit(1, [pond_account(KEY.wallet, weth=10 * ETHER, usdc_debt=100 * DOLLAR)], pond_records())
    changed = pond_account(KEY.wallet, block_number=2, weth=8 * ETHER, usdc_debt=150 * DOLLAR)
    await keeper.load(await site.commit(2, [changed], pond_records()))
    members = members_of([KEY.wallet])
    found = await measure(measures, keeper, rule(FALL, WAD // 5, window_seconds=1), members)
    assert only(found).value == WAD // 5
    inputs = only(found).inputs
    assert (inputs["collateral_value_before"], inputs["collateral_value"]) == (30_000 * USD8, 24_000 * USD8)
    assert inputs["since_block"] == 1
    found = await measure(measures, keeper, rule(FALL, WAD // 5 + 1, window_seconds=1), members)
    assert found == Found(1, (), 1, 0)
    assert only(await measure(measures, keeper, rule(RISE, WAD // 2, window_seconds=1), members)).value == WAD // 2
    assert not (await measure(measures, keeper, rule(RISE, WAD // 2 + 1, window_seconds=1), members)).measured


async def test_below_what_is_stored_and_before_an_account_was_known_nothing_is_said(database: Database) -> None:
    site, keeper, measures = await start(database)
    await site.commit(1)
    await keeper.load(await site.commit(2, [pond_account(KEY.wallet, block_number=2, weth=ETHER)]))
    members = members_of([KEY.wallet])
    for window in (1, 2, 10**6):
        found = await measure(measures, keeper, rule(FALL, WAD // 5, window_seconds=window), members, [KEY])
        assert (only(found).value, found.unknown) == (None, 1)
        assert only(found).inputs["reason"] == "no_history"


async def test_the_block_of_a_time_is_the_newest_that_is_old_enough(database: Database) -> None:
    tape = Tape(database, 2)
    for step in range(12):
        await tape.grow()
        if step % 4 == 3:
            await tape.drop(1)  # and the next number is passed over
    head = tape.blocks[-1]
    async with database.read() as session:
        for away in range(head.ref.number + 3):
            when = head.ref.timestamp - away
            right = [one for one in tape.blocks if one.ref.timestamp <= when]
            assert await block_at(session, head, when) == (right[-1] if right else None)
            if right:
                assert await block_at(session, head, when, right[0]) == right[-1]


async def test_a_lowered_threshold_is_told_once_of_whoever_has_collateral_there(database: Database) -> None:
    site, keeper, measures = await start(database)
    other = AccountKey("pond-devnet", LISTED[1])
    accounts = [pond_account(KEY.wallet, weth=ETHER, usdc_debt=DOLLAR), pond_account(other.wallet, usdc_debt=DOLLAR)]
    members, given = members_of([KEY.wallet, other.wallet]), rule(Metric.PARAMETERS, 1)
    first = await site.commit(1, accounts)
    await keeper.load(first)
    nothing = await measure(measures, keeper, given, members, [KEY])
    assert (only(nothing).inputs["reason"], nothing.unknown) == ("nothing_before", 2)
    second = await site.commit(2, (), pond_records(threshold_bps=7500))
    await keeper.advance(second)
    for fresh in (measures, Measures(database, adapters=find_lake)):
        found = await measure(fresh, keeper, given, members, before=first)
        assert by_key(found) == {KEY: 1}
        assert (only(found).inputs["worse_1_bps_before"], only(found).inputs["worse_1_bps"]) == (8000, 7500)
        assert found.unknown == 0
        both = await measure(fresh, keeper, given, members, [KEY, other], before=first)
        assert by_key(both) == {KEY: 1, other: 0}
    third = await site.commit(3, (), pond_records(threshold_bps=7600))
    await keeper.advance(third)
    assert await measure(measures, keeper, given, members, before=second) == Found(1, (), 2, 0)
    assert by_key(await measure(measures, keeper, given, members, before=first)) == {KEY: 1}
    await keeper.advance(await site.commit(4, (), pond_records(threshold_bps=7600, weth=2000 * USD8)))
    assert by_key(await measure(measures, keeper, given, members, [KEY], before=third)) == {KEY: 0}


async def test_parameters_are_not_compared_with_a_block_that_was_replaced(database: Database) -> None:
    site, keeper, measures = await start(database)
    await site.commit(1, [pond_account(KEY.wallet, weth=ETHER, usdc_debt=DOLLAR)])
    gone = await site.commit(2, ())
    await site.drop_above(1)
    await keeper.load(await site.commit(3, (), pond_records(threshold_bps=7500), fork=1))
    found = await measure(measures, keeper, rule(Metric.PARAMETERS, 1), members_of([KEY.wallet]), before=gone)
    assert (found.measured, found.unknown) == ((), 1)
