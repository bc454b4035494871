"""Dropping old history: every query at the limit or later answers as before, whatever the history was."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import psycopg
import pytest

from app.domain.account import AccountSnapshot, Unreadable
from app.domain.batch import DueAccount, ScanRange
from app.domain.market import MarketRecord
from app.store.account_changes import load_change_blocks
from app.store.accounts import load_account_history, load_accounts, load_wallet
from app.store.blocks import StoredBlock, load_block, load_spaced
from app.store.deployments import register_deployments
from app.store.markets import load_markets, load_records
from app.store.postgres.engine import Database
from app.store.progress import load_first
from app.store.scans import load_due, plan_scan, queue_due
from app.store.thin import Place, find_limit, note_limit, thin_once
from tests.store.actions import begin, commit, drop_above, head_of
from tests.store.builders import CHAIN, SLUG, batch, block, deployment, key, position, record, snapshot, unreadable

pytestmark = pytest.mark.database

MARKETS = ("eth", "usd", "btc")
BLOCKS = 40
HELD_TABLES = ("market_records", "positions", "account_states")


async def live(database: Database, seed: int) -> None:
    """A history of random accounts and numbers, with accounts that close, turn unreadable, or never change again."""
    random = Random(seed)
    await begin(database, *MARKETS)
    for number in range(2, BLOCKS + 1):
        accounts: list[AccountSnapshot | Unreadable] = []
        for wallet in random.sample(range(8), random.randrange(5)):
            if random.random() < 0.1:
                accounts.append(unreadable(wallet, number))
                continue
            held = [
                position(code, random.randrange(5), random.randrange(3), collateral=random.random() < 0.5)
                for code in MARKETS
                if random.random() < 0.6
            ]
            accounts.append(snapshot(wallet, number, *held, params=(random.randrange(2),)))
        records: list[MarketRecord] = [
            record("price", code, random.randrange(100) or None) for code in MARKETS if random.random() < 0.5
        ]
        await commit(database, batch(number, records=tuple(records), accounts=tuple(accounts)))


async def answers(database: Database, from_block: int) -> dict[str, Any]:
    """What every query says at every block from there on."""
    found: dict[str, Any] = {}
    async with database.read() as session:
        for number in range(from_block, BLOCKS + 1):
            at = await load_block(session, CHAIN, number)
            assert at is not None
            found[f"block {number}"] = at
            accounts = await load_accounts(session, SLUG, at)
            found[f"accounts {number}"] = sorted(accounts, key=lambda state: state.key)
            found[f"records {number}"] = sorted(await load_records(session, SLUG, at), key=repr)
            found[f"markets {number}"] = await load_markets(session, SLUG, at)
            for wallet in range(8):
                found[f"wallet {wallet} {number}"] = await load_wallet(session, key(wallet).wallet, {CHAIN: at})
        found["spaced"] = await load_spaced(session, CHAIN, from_block, BLOCKS, 7)
        for wallet in range(8):
            found[f"history {wallet}"] = await load_account_history(session, key(wallet), CHAIN, from_block, BLOCKS, 9)
            found[f"changes {wallet}"] = await load_change_blocks(session, key(wallet), from_block, BLOCKS, 99)
    return found


async def thin_to(database: Database, number: int) -> int:
    """One whole pass with the limit at that block; how many rows it dropped."""
    async with database.write() as session:
        limit = await load_block(session, CHAIN, number)
        assert limit is not None
        await note_limit(session, limit)
    return await finish(database, limit)


async def finish(database: Database, limit: StoredBlock) -> int:
    place: Place | None = Place()
    total = 0
    while place is not None:
        async with database.write() as session:
            place, dropped = await thin_once(session, limit, place)
        total += dropped
    return total


def row_counts(url: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}".encode()).fetchall()[0][0] for name in HELD_TABLES
        }


def unneeded(url: str, limit: int) -> int:
    """Rows that have a newer one of their key at or below the limit: by another query than the one under test."""
    keys = {"market_records": "key_id", "positions": "account_id, market_id", "account_states": "account_id"}
    with psycopg.connect(url) as connection:
        return sum(
            connection.execute(
                f"SELECT count(*) FROM (SELECT row_number() OVER (PARTITION BY {names} ORDER BY block_id DESC) AS p"
                f" FROM {table} WHERE block_id <= (SELECT id FROM blocks WHERE number = %s)) t WHERE p > 1".encode(),
                (limit,),
            ).fetchall()[0][0]
            for table, names in keys.items()
        )


@pytest.mark.parametrize("seed", range(6))
async def test_every_query_at_the_limit_or_later_answers_as_before(
    database: Database, database_url: str, seed: int
) -> None:
    await live(database, seed)
    limit = Random(seed).randrange(5, BLOCKS)
    before, rows = await answers(database, limit), row_counts(database_url)
    needless = unneeded(database_url, limit)
    assert needless > 0

    # besides: the queue forgets who was read
    assert await thin_to(database, limit) >= needless
    assert unneeded(database_url, limit) == 0
    after = await answers(database, limit)
    assert after == before
    assert sum(row_counts(database_url).values()) == sum(rows.values()) - needless
    assert await thin_to(database, limit) == 0


async def test_a_reorg_down_to_the_limit_finds_what_it_needs(database: Database) -> None:
    await live(database, 3)
    before = await answers(database, 20)
    await thin_to(database, 20)
    await drop_above(database, 20)
    async with database.read() as session:
        at = await load_block(session, CHAIN, 20)
        assert at is not None
        assert sorted(await load_accounts(session, SLUG, at), key=lambda state: state.key) == before["accounts 20"]
        assert sorted(await load_records(session, SLUG, at), key=repr) == before["records 20"]
    await commit(database, batch(21, fork=1, parent_fork=0, accounts=(snapshot(1, 21, position("eth", 77)),)))
    assert (await head_of(database)).ref.number == 21


async def test_older_blocks_cannot_be_asked_about_from_before_the_first_row_goes(database: Database) -> None:
    await live(database, 1)
    async with database.write() as session:
        limit = await load_block(session, CHAIN, 20)
        assert limit is not None
        await note_limit(session, limit)
    async with database.read() as session:
        assert await load_block(session, CHAIN, 19) is None
        first = await load_first(session, CHAIN)
        assert first == limit
        assert min(one.ref.number for one in await load_spaced(session, CHAIN, 1, BLOCKS, 40)) == 20
        for wallet in range(8):
            assert all(one.ref.number >= 20 for one in await load_change_blocks(session, key(wallet), 1, BLOCKS, 99))
    async with database.write() as session:  # a limit never goes back
        await note_limit(session, StoredBlock(limit.id - 5, block(15)))
    async with database.read() as session:
        assert await load_block(session, CHAIN, 19) is None


async def test_a_limit_is_of_its_own_chain_only(database: Database) -> None:
    await live(database, 1)
    before = await answers(database, 1)
    other = CHAIN + 1
    async with database.write() as session:
        await register_deployments(session, [deployment("other", chain_id=other)])
        await note_limit(session, StoredBlock(10**6, replace(block(10**6), chain_id=other)))
    assert await answers(database, 1) == before
    async with database.write() as session:
        await note_limit(session, StoredBlock(0, block(20)))
    async with database.read() as session:
        numbers = {w: [one.ref.number for one in before[f"changes {w}"] if one.ref.number >= 20] for w in range(8)}
        for wallet, kept in numbers.items():
            changes = await load_change_blocks(session, key(wallet), 1, BLOCKS, 99)
            assert [one.ref.number for one in changes] == kept


async def test_a_pass_may_stop_anywhere_and_be_begun_again(database: Database, database_url: str) -> None:
    await live(database, 2)
    before = await answers(database, 30)
    async with database.write() as session:
        limit = await load_block(session, CHAIN, 30)
        assert limit is not None
        await note_limit(session, limit)
        await thin_once(session, limit, Place())
    assert await answers(database, 30) == before
    await finish(database, limit)
    assert await answers(database, 30) == before
    assert unneeded(database_url, 30) == 0


async def test_another_chain_keeps_its_history(database: Database, database_url: str) -> None:
    await live(database, 4)
    rows = row_counts(database_url)
    async with database.read() as session:
        limit = await load_block(session, CHAIN, 30)
    assert limit is not None
    assert await finish(database, StoredBlock(limit.id, block(30, chain_id=1))) == 0
    assert row_counts(database_url) == rows


async def test_the_limit_is_old_enough_final_and_not_above_what_is_still_to_be_searched(database: Database) -> None:
    await live(database, 5)

    async def limit(before: int, depth: int) -> int | None:
        async with database.read() as session:
            found = await find_limit(session, CHAIN, before, depth)
        return None if found is None else found.ref.number

    assert await limit(block(25).timestamp, 5) == 25
    assert await limit(block(26).timestamp - 1, 5) == 25
    assert await limit(block(38).timestamp, 5) == 35
    assert await limit(block(1).timestamp, 5) is None
    assert await limit(block(1).timestamp - 100, 5) is None
    async with database.write() as session:
        await plan_scan(session, ScanRange(SLUG, 12, 18))
    assert await limit(block(25).timestamp, 5) == 12


async def test_what_was_queued_and_read_long_ago_is_forgotten_and_what_is_due_is_not(
    database: Database, database_url: str
) -> None:
    await begin(database, *MARKETS)
    due = [DueAccount(key(wallet), frozenset({"eth"})) for wallet in ("read", "later", "pending")]
    async with database.write() as session:
        await queue_due(session, due)
    await commit(database, batch(2, accounts=(snapshot("read", 2, position("eth", 1)),)))
    await commit(database, batch(3))
    await commit(database, batch(4, accounts=(snapshot("later", 4, position("eth", 1)),)))
    await thin_to(database, 3)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM account_due").fetchall() == [(2,)]
    async with database.read() as session:
        assert [one.key for one in await load_due(session, CHAIN, 10)] == [key("pending")]
