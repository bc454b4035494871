"""Rows of `blocks` below the limit: gone as soon as nothing names them, and never while anything does."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Integer, SmallInteger, Table, insert
from sqlalchemy.dialects.postgresql import ARRAY

from app.domain.account import AccountKey
from app.domain.risk import RiskStatus
from app.store.postgres.engine import Database
from app.store.postgres.types import AddressBytes, HashBytes
from app.store.risk import StatusChange, Totals, load_account_ids, store_changes, store_totals
from app.store.risk_reads import load_changes, load_totals_at
from app.store.tables.chain import positions
from app.store.tables.watch import episode_events, watch_progress
from app.store.thin_blocks import _HOLD, columns_naming_blocks, drop_unnamed
from tests.store.actions import begin, commit
from tests.store.builders import CHAIN, SLUG, batch, key, position, snapshot
from tests.store.test_thin import BLOCKS, live, thin_to

pytestmark = pytest.mark.database

_AMOUNTS = {"supplied_raw": 1, "borrowed_raw": 1, "is_collateral": True}


def numbers(url: str) -> set[int]:
    with psycopg.connect(url) as connection:
        return {number for (number,) in connection.execute("SELECT number FROM blocks").fetchall()}


def named_numbers(url: str) -> set[int]:
    """Of the blocks that any column called ..._block_id holds: by the server's own catalogue."""
    with psycopg.connect(url) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name ~ '(^|_)block_id$'"
        ).fetchall()
        assert len(columns) == len(columns_naming_blocks())
        found: set[int] = set()
        for table, column in columns:
            found |= {
                number
                for (number,) in connection.execute(
                    f"SELECT b.number FROM blocks b JOIN {table} t ON t.{column} = b.id".encode()
                ).fetchall()
            }
        return found


async def drop_all(database: Database, limit: int) -> int:
    after: int | None = -1
    total = 0
    while after is not None:
        async with database.write() as session:
            after, dropped = await drop_unnamed(session, CHAIN, limit, after)
        total += dropped
    return total


def some_value(column: Column[Any], number: int) -> Any:
    """What a column that must not be empty takes."""
    match column.type:
        case AddressBytes():
            return bytes(20)
        case HashBytes():
            return bytes(32)
        case ARRAY():
            return []
        case Boolean():
            return False
        case Float():
            return 0.0
        case BigInteger() | SmallInteger() | Integer():
            return number % 30_000
        case JSON():
            return {}
        case _:
            return f"text {number}"


def row_naming(table: Table, column: Column[Any], block_id: int) -> dict[str, Any]:
    """A row of whatever table that names a block in one column."""
    values = {
        one.name: some_value(one, block_id)
        for one in table.columns
        if not one.nullable and one.server_default is None and one.identity is None
    }
    if table is positions:
        values |= _AMOUNTS
    if table is episode_events:
        values |= {"chain_id": CHAIN, "block_number": block_id}
    return {**values, column.name: block_id}


@pytest.mark.parametrize("seed", range(3))
async def test_below_the_limit_exactly_the_blocks_stay_that_something_names(
    database: Database, database_url: str, seed: int
) -> None:
    await live(database, seed)
    await thin_to(database, 30)
    left = numbers(database_url)
    assert {number for number in left if number < 30} == {n for n in named_numbers(database_url) if n < 30}
    assert {number for number in left if number >= 30} == set(range(30, BLOCKS + 1))
    assert len(left) < BLOCKS


async def test_every_column_that_can_name_a_block_keeps_it(database: Database, database_url: str) -> None:
    columns = [one for one in columns_naming_blocks() if one.table is not watch_progress]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO blocks (chain_id, number, hash, parent_hash, timestamp)"
            " SELECT %s, n, %s, %s, n FROM generate_series(1, 100) n",
            (CHAIN, bytes(32), bytes(32)),
        )
    async with database.write() as session:
        # No foreign keys: the rows are of nothing.
        await session.connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        for number, column in enumerate(columns, 1):
            assert isinstance(column.table, Table)
            await session.connection.execute(insert(column.table).values(row_naming(column.table, column, number)))
        trail = [51, 52]
        progress = row_naming(watch_progress, watch_progress.c.block_id, 50)
        await session.connection.execute(insert(watch_progress).values({**progress, "chain_id": CHAIN, "trail": trail}))
        retracted = row_naming(episode_events, episode_events.c.block_id, 60) | {"retracted_at": 1}
        await session.connection.execute(insert(episode_events).values(retracted))
    assert await drop_all(database, 90) == 89 - len(columns) - 3
    kept = {*range(1, len(columns) + 1), 50, 51, 52}
    assert numbers(database_url) == kept | set(range(90, 101))


async def test_a_block_that_is_being_named_stays(database: Database, database_url: str) -> None:
    await begin(database, "eth")
    for number in range(2, 12):
        await commit(database, batch(number))
    name = (
        "INSERT INTO audits (deployment_id, block_id, checked, exact, state_mismatches, truth_mismatches, unreadable)"
        " SELECT d.id, b.id, 1, 1, 0, 0, 0 FROM deployments d, blocks b WHERE b.number = 5"
    )
    with psycopg.connect(database_url) as connection:
        connection.execute(name.encode())
        await drop_all(database, 9)
        connection.commit()
        assert connection.execute("SELECT count(*) FROM audits").fetchall() == [(1,)]
    assert numbers(database_url) == {1, 5, 9, 10, 11}


async def test_a_block_of_another_chain_stays(database: Database, database_url: str) -> None:
    await begin(database, "eth")
    for number in range(2, 12):
        await commit(database, batch(number))
    async with database.write() as session:
        assert await drop_unnamed(session, CHAIN + 1, 9, -1) == (None, 0)
    assert len(numbers(database_url)) == 11


def test_each_question_about_a_block_is_a_look_up_by_an_index(database_url: str) -> None:
    settings = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
    sql = _HOLD.sql if isinstance(_HOLD.sql, bytes) else str(_HOLD.sql).encode()
    with psycopg.connect(database_url, options=settings) as connection:
        plan = "\n".join(
            line
            for (line,) in connection.execute(
                b"EXPLAIN " + sql, {"chain_id": CHAIN, "after": 0, "up_to": 200}
            ).fetchall()
        )
    assert "Seq Scan" not in plan
    assert "hashed" not in plan
    assert plan.count("Index Cond") == len(columns_naming_blocks()) + 1


async def test_changes_of_status_and_totals_before_the_limit_go_and_what_the_limit_shows_stays(
    database: Database, database_url: str
) -> None:
    await begin(database, "eth")
    blocks = {}
    healthy, liquidatable = RiskStatus.HEALTHY, RiskStatus.LIQUIDATABLE
    for number in range(2, 21):
        wallets = ("quiet", "busy") if number == 2 else ("busy",)
        accounts = tuple(snapshot(wallet, number, position("eth", number)) for wallet in wallets)
        blocks[number] = await commit(database, batch(number, accounts=accounts))
        keys: list[AccountKey] = [key(wallet) for wallet in wallets]
        async with database.write() as session:
            ids = await load_account_ids(session, keys)
            turned = (healthy, liquidatable) if number % 2 else (liquidatable, healthy)
            await store_changes(session, blocks[number], [StatusChange(one, *turned, None) for one in keys], ids)
            totals = Totals(SLUG, "USD", "USD", number, 0, 0, 0, (0,), 1.0, 1.0, 1.0)
            await store_totals(session, blocks[number], [totals])

    async def asked() -> tuple[Any, Any]:
        async with database.read() as session:
            changes = await load_changes(session, CHAIN, (2**62, 0), 100)
            totals = await load_totals_at(session, SLUG, [blocks[number] for number in range(10, 21)])
        return [one for one in changes if one.block.ref.number >= 10], totals

    before = await asked()
    await thin_to(database, 10)
    assert await asked() == before
    async with database.read() as session:
        assert len(await load_changes(session, CHAIN, (2**62, 0), 100)) == len(before[0]), "none of what was dropped"
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM status_changes").fetchall() == [(12,)], "and quiet's only one"
        assert connection.execute("SELECT count(*) FROM risk_totals").fetchall() == [(11,)]
