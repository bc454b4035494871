"""Bar 13 and the first half of bar 14: blocks of 200 changed positions, one transaction each.

Two kinds of contestants. The same outcome: Core statements that find the accounts, compare with the newest stored
rows and append to the product's own tables. Less: Core upserts and ORM merges into a table that holds the current
state only, one row a position, so that neither the past nor a reorg can be answered from it.
"""

from __future__ import annotations

import asyncio
import statistics

import psycopg
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    create_engine,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.domain.account import AccountSnapshot
from app.domain.batch import BlockBatch
from app.store.postgres.engine import parse_url
from app.store.tables.chain import account_states, accounts, blocks, markets, positions
from benchmarks.harness import ROUNDS, Figure, interleave, median_ratio, report, spread
from benchmarks.store_orm import AnyRow, mapped_classes, mapped_object
from benchmarks.store_world import CHAIN, World, server

BLOCK_ACCOUNTS, BLOCKS_A_ROUND = 100, 10
"""Two positions each: the 200-row block."""
PRELOADED = 50_000
"""Accounts that all sides hold before it begins, with two positions each."""
TURNS = ROUNDS + 1
OTHER = CHAIN + 1
"""A chain whose block numbers do not meet the product's own."""

CURRENT = Table(
    "current_positions",
    MetaData(),
    Column("deployment_id", Integer, primary_key=True, autoincrement=False),
    Column("wallet", LargeBinary, primary_key=True),
    Column("market", LargeBinary, primary_key=True),
    Column("block_id", BigInteger),
    Column("supplied_raw", Numeric(78, 0)),
    Column("borrowed_raw", Numeric(78, 0)),
    Column("is_collateral", Boolean),
)


def _append_by_core(connection: Connection, states: tuple[AccountSnapshot, ...]) -> None:
    """One block as one would write it with Core: the same rows in the same tables as the product's own commit."""
    head = connection.execute(
        select(blocks.c.number, blocks.c.hash).where(blocks.c.chain_id == OTHER).order_by(blocks.c.number.desc())
    ).first()
    number, parent = (head.number + 1, head.hash) if head else (1, bytes(32))
    block = {"chain_id": OTHER, "number": number, "hash": bytes(32), "parent_hash": parent, "timestamp": 1}
    block_id = connection.execute(insert(blocks).values(block).returning(blocks.c.id)).scalar_one()
    market_ids = {row.code: row.id for row in connection.execute(select(markets.c.code, markets.c.id))}
    wallets = [state.key.wallet for state in states]
    known = connection.execute(
        select(accounts.c.wallet, accounts.c.id).where(accounts.c.deployment_id == 1, accounts.c.wallet.in_(wallets))
    )
    account_ids = {row.wallet: row.id for row in known}
    ids = list(account_ids.values())
    newest = connection.execute(
        select(account_states)
        .ext(distinct_on(account_states.c.account_id))
        .where(account_states.c.account_id.in_(ids))
        .order_by(account_states.c.account_id, account_states.c.block_id.desc())
    )
    opened = {row.account_id: (set(row.open_markets), tuple(row.params)) for row in newest}
    held = connection.execute(
        select(positions)
        .ext(distinct_on(positions.c.account_id, positions.c.market_id))
        .where(positions.c.account_id.in_(ids))
        .order_by(positions.c.account_id, positions.c.market_id, positions.c.block_id.desc())
    )
    stored = {(row.account_id, row.market_id): (row.supplied_raw, row.borrowed_raw, row.is_collateral) for row in held}
    new_states: list[AnyRow] = []
    new_positions: list[AnyRow] = []
    for state in states:
        account_id = account_ids[state.key.wallet]
        now = {market_ids[one.market]: one for one in state.positions}
        if opened.get(account_id) != (set(now), state.params):
            row: AnyRow = {"account_id": account_id, "block_id": block_id, "unreadable": None}
            new_states.append({**row, "params": list(state.params), "open_markets": list(now)})
        for market_id, one in now.items():
            amounts = (one.supplied_raw, one.borrowed_raw, one.is_collateral)
            if stored.get((account_id, market_id)) != amounts:
                row = {"account_id": account_id, "market_id": market_id, "block_id": block_id}
                names = ("supplied_raw", "borrowed_raw", "is_collateral")
                new_positions.append({**row, **dict(zip(names, amounts, strict=True))})
    if new_states:
        connection.execute(insert(account_states), new_states)
    if new_positions:
        connection.execute(insert(positions), new_positions)


def _blocks(world: World, engine: Engine) -> list[Figure]:
    def rows(states: tuple[AccountSnapshot, ...]) -> list[AnyRow]:
        return [
            {
                "deployment_id": 1,
                "wallet": bytes(state.key.wallet),
                "market": bytes.fromhex(held.market[2:]),
                "block_id": 1,
                "supplied_raw": held.supplied_raw,
                "borrowed_raw": held.borrowed_raw,
                "is_collateral": held.is_collateral,
            }
            for state in states
            for held in state.positions
        ]

    CURRENT.create(engine)
    with engine.begin() as connection:
        connection.execute(insert(CURRENT), rows(held := tuple(world.state(n, 2) for n in range(PRELOADED))))
        connection.execute(text("ANALYZE current_positions"))
    world.commit(BlockBatch(world.next_block(), accounts=held))
    (current,) = mapped_classes(CURRENT)
    turns = iter(range(10**6))

    def turn() -> list[tuple[AccountSnapshot, ...]]:
        """Blocks in which accounts all over the table change the amounts of both their positions."""
        first = next(turns) * BLOCKS_A_ROUND
        return [
            tuple(world.state((block * BLOCK_ACCOUNTS + n) * 11 % PRELOADED, 2) for n in range(BLOCK_ACCOUNTS))
            for block in range(first, first + BLOCKS_A_ROUND)
        ]

    prepared = [[BlockBatch(world.next_block(), accounts=states) for states in turn()] for _ in range(TURNS)]
    batches = iter(prepared)
    others = iter([[rows(states) for states in turn()] for _ in range(2 * TURNS)])
    appended = iter([turn() for _ in range(TURNS)])
    statement = upsert(CURRENT)
    names = ("block_id", "supplied_raw", "borrowed_raw", "is_collateral")
    statement = statement.on_conflict_do_update(
        index_elements=["deployment_id", "wallet", "market"], set_={name: statement.excluded[name] for name in names}
    )
    units = BLOCKS_A_ROUND

    def ours() -> int:
        world.commit(*next(batches))
        return units

    def append() -> int:
        for states in next(appended):
            with engine.begin() as connection:
                _append_by_core(connection, states)
        return units

    def core() -> int:
        for given in next(others):
            with engine.begin() as connection:
                connection.execute(statement, given)
        return units

    def orm() -> int:
        for given in next(others):
            with Session(engine) as session:
                for row in given:
                    session.merge(mapped_object(current, row))
                session.commit()
        return units

    measured = interleave({"ours": ours, "append": append, "upsert": core, "merge": orm})
    wall = {name: [sample.wall_us / 1e3 for sample in samples] for name, samples in measured.items()}
    detail = ", ".join(f"{name} {spread(values, 'ms a block')}" for name, values in wall.items())
    ratio = {name: median_ratio(values, wall["ours"]) for name, values in wall.items()}
    return [
        Figure("13a", "200-row block, Core to the same outcome", ratio["append"], 2.5, True, detail),
        Figure("13b", "... ORM merge() of the current state only", ratio["merge"], 20),
        Figure("13c", "milliseconds a 200-row block", statistics.median(wall["ours"]), 10, at_least=False),
        Figure("13d", "... Core on_conflict of the current state only (no goal met by less work)", ratio["upsert"], 1),
    ]


def _bytes_a_change(world: World, url: str) -> Figure:
    """What one changed position takes on disk, all indexes included: blocks in which 500 positions change."""
    sized = "SELECT sum(pg_total_relation_size(t)) FROM unnest(ARRAY['account_states', 'positions']::regclass[]) t"

    def size() -> int:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM account_states, positions")
            row = connection.execute(sized).fetchone()
        assert row is not None
        return int(row[0])

    before, blocks, changed = size(), 100, 250
    for turn in range(blocks):
        states = tuple(world.state((turn * changed + n) % PRELOADED, 2) for n in range(changed))
        world.commit(BlockBatch(world.next_block(), accounts=states))
    taken = (size() - before) / (blocks * changed * 2)
    return Figure("14a", "bytes a changed position, indexes included", taken, 200, at_least=False)


def main() -> None:
    """Measure and print one line a bar."""
    with server() as url, asyncio.Runner() as runner:
        world = World(url, runner)
        engine = create_engine(parse_url(url))
        try:
            report(_blocks(world, engine))
            report([_bytes_a_change(world, url)])
        finally:
            engine.dispose()
            world.close()


if __name__ == "__main__":
    main()
