"""Bars 12 and 13, and the first half of 14: writing states, against SQLAlchemy's ways and against bare COPY.

Bar 12: accounts nobody saw before, with three positions each. Every contestant writes the same rows into the
product's own tables (accounts, account_states, positions) with all their indexes and foreign keys, in one
transaction. The others are handed finished rows with made-up ids; the product resolves ids, compares and is safe.

Bar 13: blocks of 200 changed positions, one transaction each. The others keep the current state only, in a table
with one row a position; the product keeps the history.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Iterator

import psycopg
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    create_engine,
    insert,
    text,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session, registry

from app.domain.account import AccountSnapshot
from app.domain.batch import BlockBatch
from app.store.engine import parse_url
from app.store.tables import account_states, accounts, positions
from benchmarks.harness import ROUNDS, Figure, interleave, median_ratio, report, spread
from benchmarks.store_world import World, address, server

BULK_ACCOUNTS = 3_000
"""Three positions each: 15,000 rows in three tables."""
BLOCK_ACCOUNTS, BLOCKS_A_ROUND = 100, 10
"""Two positions each: the 200-row block."""
PRELOADED = 50_000
"""Accounts that both sides hold before bar 13 begins, with two positions each."""
TURNS = ROUNDS + 1

AnyRow = dict[str, object]
Rows = dict[str, list[AnyRow]]
"""Rows by table."""

_made_up_ids = iter(range(1_000_000_000, 2_000_000_000))


def _rows(states: tuple[AccountSnapshot, ...]) -> Rows:
    """The same states as finished rows. Block 1 stands for every block."""
    rows: Rows = {"accounts": [], "account_states": [], "positions": []}
    for state in states:
        account = next(_made_up_ids)
        wallet = bytes(address(account))
        rows["accounts"].append({"deployment_id": 1, "wallet": wallet, "unit": "", "first_block_id": 1})
        markets = list(range(1, 1 + len(state.positions)))
        rows["account_states"].append(
            {"account_id": account, "block_id": 1, "params": [0], "open_markets": markets, "unreadable": None}
        )
        for market, held in zip(markets, state.positions, strict=True):
            amounts = {"supplied_raw": held.supplied_raw, "borrowed_raw": held.borrowed_raw}
            row = {"account_id": account, "market_id": market, "block_id": 1, "is_collateral": held.is_collateral}
            rows["positions"].append({**row, **amounts})
    return rows


def _copy_bare(url: str, rows: Rows) -> None:
    """What the driver offers at its best: COPY of rows, row by row."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for table, given in rows.items():
            names = ", ".join(given[0])
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN".encode()) as copy:
                for row in given:
                    copy.write_row(tuple(row.values()))


def _mapped(*tables: Table) -> list[type]:
    """ORM classes over tables, made as an application would have them."""
    mapper = registry()
    classes = [type(table.name.title(), (), {}) for table in tables]
    for made, table in zip(classes, tables, strict=True):
        mapper.map_imperatively(made, table)
    return classes


def _object(mapped: Callable[[], object], row: AnyRow) -> object:
    made = mapped()
    for name, value in row.items():
        setattr(made, name, value)
    return made


def _ingest(world: World, engine: Engine, url: str) -> list[Figure]:
    tables = (accounts, account_states, positions)
    classes = _mapped(*tables)
    batches = iter([BlockBatch(world.next_block(), accounts=world.unseen(BULK_ACCOUNTS)) for _ in range(TURNS)])
    others: Iterator[Rows] = iter([_rows(world.unseen(BULK_ACCOUNTS)) for _ in range(3 * TURNS)])
    units = BULK_ACCOUNTS * 5

    def ours() -> int:
        world.commit(next(batches))
        return units

    def copy() -> int:
        _copy_bare(url, next(others))
        return units

    def core() -> int:
        with engine.begin() as connection:
            for table, given in zip(tables, next(others).values(), strict=True):
                connection.execute(insert(table), given)
        return units

    def orm() -> int:
        with Session(engine) as session:
            for mapped, given in zip(classes, next(others).values(), strict=True):
                session.add_all([_object(mapped, row) for row in given])
            session.commit()
        return units

    measured = interleave({"ours": ours, "copy": copy, "core": core, "orm": orm})
    wall = {name: [sample.wall_us for sample in samples] for name, samples in measured.items()}
    detail = ", ".join(f"{name} {spread(values, 'us a row')}" for name, values in wall.items())
    return [
        Figure("12a", "new states against ORM add_all", median_ratio(wall["orm"], wall["ours"]), 10, True, detail),
        Figure("12b", "... against Core insertmanyvalues", median_ratio(wall["core"], wall["ours"]), 3),
        Figure("12c", "... against bare COPY of the same rows", median_ratio(wall["copy"], wall["ours"]), 0.7),
    ]


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


def _upserts(world: World, engine: Engine) -> list[Figure]:
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
    (current,) = _mapped(CURRENT)
    turns = iter(range(10**6))

    def blocks() -> list[tuple[AccountSnapshot, ...]]:
        """Blocks in which accounts all over the table change the amounts of both their positions."""
        first = next(turns) * BLOCKS_A_ROUND
        return [
            tuple(world.state((block * BLOCK_ACCOUNTS + n) * 11 % PRELOADED, 2) for n in range(BLOCK_ACCOUNTS))
            for block in range(first, first + BLOCKS_A_ROUND)
        ]

    prepared = [[BlockBatch(world.next_block(), accounts=states) for states in blocks()] for _ in range(TURNS)]
    batches = iter(prepared)
    others = iter([[rows(states) for states in blocks()] for _ in range(2 * TURNS)])
    statement = upsert(CURRENT)
    names = ("block_id", "supplied_raw", "borrowed_raw", "is_collateral")
    statement = statement.on_conflict_do_update(
        index_elements=["deployment_id", "wallet", "market"], set_={name: statement.excluded[name] for name in names}
    )
    units = BLOCKS_A_ROUND

    def ours() -> int:
        world.commit(*next(batches))
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
                    session.merge(_object(current, row))
                session.commit()
        return units

    measured = interleave({"ours": ours, "core": core, "orm": orm})
    wall = {name: [sample.wall_us / 1e3 for sample in samples] for name, samples in measured.items()}
    detail = ", ".join(f"{name} {spread(values, 'ms a block')}" for name, values in wall.items())
    core_ratio, orm_ratio = median_ratio(wall["core"], wall["ours"]), median_ratio(wall["orm"], wall["ours"])
    return [
        Figure("13a", "200-row block against Core on_conflict", core_ratio, 2.5, True, detail),
        Figure("13b", "... against ORM merge()", orm_ratio, 20),
        Figure("13c", "milliseconds a 200-row block", statistics.median(wall["ours"]), 10, at_least=False),
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
            report(_ingest(world, engine, url))
            report(_upserts(world, engine))
            report([_bytes_a_change(world, url)])
        finally:
            engine.dispose()
            world.close()


if __name__ == "__main__":
    main()
