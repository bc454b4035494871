"""Whatever way a keeper took to a block, its book equals one made there; and its verdicts are the exact rule's."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.book import BlockReplaced, Keeper, LedgerSums, Reading, ledger_sums
from app.domain.account import AccountKey
from app.domain.risk import RiskStatus
from app.store.accounts import load_accounts
from app.store.blocks import StoredBlock
from app.store.deployments import DeploymentTrouble, load_troubles_at, note_trouble
from app.store.markets import load_markets, load_records
from app.store.postgres.engine import Database
from app.valuation.assess import quick_health, restore_at
from tests.book.lake import CONTRADICTING, UNLISTED, LakeAdapter, find_lake
from tests.book.tape import SECOND, WALLETS, Tape
from tests.fakes.pond import DOLLAR, ETHER, pond_account, pond_deployment, pond_records
from tests.fakes.site import DEVNET, open_site, wallet
from tests.store.dump import empty

pytestmark = pytest.mark.database

POOLS = ("pond-devnet", SECOND)


def content(keeper: Keeper, reading: Reading) -> dict[str, Any]:
    """Everything a keeper holds and says, in no order."""
    book = keeper.book
    screen = reading.screen
    return {
        "at": keeper.at,
        "legs": {key: book.legs(key) for key in book},
        "healths": {key: repr(screen.health[screen.place(key)]) for key in book},
        "statuses": {key: reading.status(key) for pool in POOLS for key in keeper.keys_of(pool)},
        "confirmed": dict(reading.confirmed),
        "unknown": set(reading.unknown),
        "exact only": set(reading.exact_only),
        "exposed": set(reading.exposed),
        "unvalued": dict(reading.unvalued),
        "sums": [rounded(one) for one in ledger_sums(reading)],
        "records": {name: one.records for name, one in keeper.kept.items()},
    }


def rounded(sums: LedgerSums) -> LedgerSums:
    """Without what the order of a sum's terms can change."""
    collateral, capacity, requirement = (
        float(f"{value:.12g}") for value in (sums.collateral, sums.capacity, sums.requirement)
    )
    return replace(sums, collateral=collateral, capacity=capacity, requirement=requirement)


async def exact_statuses(database: Database, block: StoredBlock) -> dict[AccountKey, RiskStatus]:
    """The verdict on every account by the exact rule, straight from the store."""
    found: dict[AccountKey, RiskStatus] = {}
    async with database.read() as session:
        troubles = await load_troubles_at(session, {DEVNET: block.id})
        for name in POOLS:
            records = await load_records(session, name, block)
            markets = await load_markets(session, name, block)
            accounts = await load_accounts(session, name, block)
            deployment = pond_deployment(id=name)
            state = restore_at(LakeAdapter(), deployment, markets, records, block.ref) if records else None
            for account in accounts:
                health = quick_health(None if name in troubles else state, account)
                found[account.key] = health.status
    return found


async def follow(keeper: Keeper, block: StoredBlock) -> None:
    """What a follower does: move, and where the block is gone go back first, or begin anew."""
    if keeper.at is not None and await keeper.rewind() is not None:
        if keeper.at != block:
            await keeper.advance(block)
        return
    await keeper.load(block)


async def _live(url: str, seed: int, steps: list[str]) -> set[str]:
    """Carry the steps out with one keeper, comparing it with a fresh one wherever it looks; what was met on the way."""
    database = Database(url)
    met: set[str] = set()
    try:
        tape = Tape(database, seed)
        await tape.grow()
        keeper = Keeper(database, DEVNET, adapters=find_lake, journal_length=4)
        for step in steps:
            match step:
                case "grow":
                    await tape.grow()
                case "drop":
                    await tape.drop(tape.dice.randrange(1, 4))
                case "restart":
                    keeper = Keeper(database, DEVNET, adapters=find_lake, journal_length=4)
                case _:
                    block = tape.blocks[-1]
                    await follow(keeper, block)
                    reading = await keeper.read(riskiest=3)
                    fresh = Keeper(database, DEVNET, adapters=find_lake)
                    await fresh.load(block)
                    assert content(keeper, reading) == content(fresh, await fresh.read(riskiest=3))
                    statuses = {key: reading.status(key) for pool in POOLS for key in keeper.keys_of(pool)}
                    assert statuses == await exact_statuses(database, block)
                    met |= {status.value for status in statuses.values()}
    finally:
        await database.dispose()
    return met


_steps = st.lists(
    st.sampled_from(["grow", "grow", "grow", "look", "look", "drop", "restart"]), min_size=4, max_size=24
).map(lambda steps: [*steps, "look"])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), steps=_steps)
def test_a_book_after_any_sequence_equals_a_rebuild_and_the_exact_rule(
    database_url: str, seed: int, steps: list[str]
) -> None:
    empty(database_url)
    asyncio.run(_live(database_url, seed, steps))


def test_the_random_life_meets_every_status(database_url: str) -> None:
    steps = ["grow", "look", "grow", "look", "drop", "grow", "look"] * 6
    assert asyncio.run(_live(database_url, 7, steps)) == {status.value for status in RiskStatus}
    assert any(wallet(one)[0] < UNLISTED for one in range(WALLETS))
    assert any(wallet(one)[0] >= UNLISTED for one in range(WALLETS))


async def test_everything_is_counted_once_and_where_the_exact_rule_puts_it(database: Database) -> None:
    tape = Tape(database, 3)
    keeper = Keeper(database, DEVNET, adapters=find_lake)
    for _ in range(12):
        await tape.grow()
        await follow(keeper, tape.blocks[-1])
        reading = await keeper.read()
        statuses = Counter((k.deployment_id, v) for k, v in (await exact_statuses(database, tape.blocks[-1])).items())
        counted = Counter[tuple[str, RiskStatus]]()
        for sums in ledger_sums(reading):
            counted.update({(sums.ledger.deployment_id, status): n for status, n in sums.counts.items()})
            assert sum(sums.bands) <= sums.healthy + sums.liquidatable
        assert {key: n for key, n in counted.items() if n} == dict(statuses)


async def test_a_keeper_that_knows_no_stored_block_of_its_own_has_to_be_loaded(database: Database) -> None:
    tape = Tape(database, 1)
    keeper = Keeper(database, DEVNET, adapters=find_lake, journal_length=2)
    for _ in range(6):
        await follow(keeper, await tape.grow())
    stood = keeper.at
    await tape.drop(4)
    block = await tape.grow()
    with pytest.raises(BlockReplaced):
        await keeper.advance(block)
    assert keeper.at == stood
    assert await keeper.rewind() is None
    with pytest.raises(BlockReplaced):
        await keeper.read()
    await keeper.load(block)
    assert (await keeper.read()).block == block


async def test_accounts_that_only_a_dropped_block_brought_are_gone_and_changed_ones_are_as_before(
    database: Database,
) -> None:
    site = open_site(database)
    await site.register()
    ann, bob = [wallet(one) for one in range(WALLETS) if wallet(one)[0] >= UNLISTED][:2]
    keeper = Keeper(database, DEVNET, adapters=find_lake)
    first = await site.commit(1, [pond_account(ann, weth=ETHER)])
    await keeper.load(first)
    before = content(keeper, await keeper.read())
    debt = pond_account(ann, block_number=2, weth=ETHER, usdc_debt=2800 * DOLLAR)
    await keeper.advance(await site.commit(2, [debt, pond_account(bob, block_number=2, weth=ETHER)]))
    assert len(keeper.book) == 2
    await site.drop_above(1)
    assert await keeper.rewind() == first
    assert content(keeper, await keeper.read()) == before
    await site.client.aclose()


async def test_a_state_nothing_can_be_made_of_makes_its_accounts_unknown_and_nobody_fall_over(
    database: Database,
) -> None:
    site = open_site(database)
    await site.register()
    account = pond_account(wallet(1), weth=ETHER, usdc_debt=1000 * DOLLAR)
    keeper = Keeper(database, DEVNET, adapters=find_lake)
    await keeper.load(await site.commit(1, [account]))
    for number, threshold, status in (
        (2, CONTRADICTING, RiskStatus.UNKNOWN),
        (3, CONTRADICTING, RiskStatus.UNKNOWN),
        (4, 8000, RiskStatus.HEALTHY),
    ):
        await keeper.advance(await site.commit(number, records=pond_records(threshold_bps=threshold)))
        reading = await keeper.read()
        assert reading.status(account.key) is status
        assert ("younger" in reading.unvalued.get("pond-devnet", "")) == (status is RiskStatus.UNKNOWN)
        assert [sums.counts[status] for sums in ledger_sums(reading)] == [1]
    await site.client.aclose()


async def test_what_nobody_follows_is_not_in_the_book_and_comes_back_whole(database: Database) -> None:
    site = open_site(database)
    await site.register()
    account = pond_account(wallet(1), weth=ETHER, usdc_debt=1000 * DOLLAR)
    keeper = Keeper(database, DEVNET, adapters=find_lake)
    await keeper.load(await site.commit(1, [account]))
    before = await keeper.read()
    assert before.accounts == 1
    for number, trouble in ((2, DeploymentTrouble("not followed", 2, is_followed=False)), (3, None)):
        block = await site.commit(number)
        async with database.write() as session:
            await note_trouble(session, "pond-devnet", block.id, trouble)
        await keeper.advance(block)
        reading = await keeper.read()
        assert reading.accounts == (0 if trouble else 1)
        assert ("pond-devnet" in keeper.kept) == (trouble is None)
        fresh = Keeper(database, DEVNET, adapters=find_lake)
        await fresh.load(block)
        assert content(fresh, await fresh.read()) == content(keeper, reading)
    await site.client.aclose()


async def test_a_move_says_who_changed_and_what_the_verdict_was_before(database: Database) -> None:
    site = open_site(database)
    await site.register()
    ann, bob = wallet(1), wallet(2)
    key = AccountKey("pond-devnet", ann)
    keeper = Keeper(database, DEVNET, adapters=find_lake)
    await keeper.load(await site.commit(1, [pond_account(ann, weth=ETHER, usdc_debt=1000 * DOLLAR)]))
    await keeper.read()
    new = pond_account(bob, block_number=2, weth=ETHER)
    more = pond_account(ann, block_number=2, weth=ETHER, usdc_debt=2800 * DOLLAR)
    moved = await keeper.advance(await site.commit(2, [more, new]))
    assert moved.before == {key: RiskStatus.HEALTHY, new.key: None}
    assert (moved.blocks, moved.rebuilt) == (1, frozenset())
    assert (await keeper.read()).status(key) is RiskStatus.LIQUIDATABLE
    await site.commit(3, records=pond_records(threshold_bps=9500))
    moved = await keeper.advance(await site.commit(4, bare=True))
    assert (moved.blocks, set(moved.rebuilt)) == (2, {"pond-devnet"})
    assert moved.before == {key: RiskStatus.LIQUIDATABLE, new.key: RiskStatus.NO_DEBT}
    assert (await keeper.read()).status(key) is RiskStatus.HEALTHY
    await site.client.aclose()
