"""Bar 12: writing new states, against SQLAlchemy's ways and against bare COPY.

Accounts nobody saw before, with three positions each. Every contestant writes the same rows into the
product's own tables (accounts, account_states, positions) with all their indexes and foreign keys, in one
transaction. The others are handed finished rows with made-up ids; the product resolves ids, compares and is safe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
from sqlalchemy import (
    Engine,
    create_engine,
    insert,
)
from sqlalchemy.orm import Session

from app.domain.account import AccountSnapshot
from app.domain.batch import BlockBatch
from app.store.postgres.engine import parse_url
from app.store.tables.chain import account_states, accounts, positions
from benchmarks.harness import ROUNDS, Figure, interleave, median_ratio, report, spread
from benchmarks.store_orm import AnyRow, mapped_classes, mapped_object
from benchmarks.store_world import World, address, server

BULK_ACCOUNTS = 3_000
"""Three positions each: 15,000 rows in three tables."""
TURNS = ROUNDS + 1

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


def _ingest(world: World, engine: Engine, url: str) -> list[Figure]:
    tables = (accounts, account_states, positions)
    classes = mapped_classes(*tables)
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
                session.add_all([mapped_object(mapped, row) for row in given])
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


def main() -> None:
    """Measure and print one line a bar."""
    with server() as url, asyncio.Runner() as runner:
        world = World(url, runner)
        engine = create_engine(parse_url(url))
        try:
            report(_ingest(world, engine, url))
        finally:
            engine.dispose()
            world.close()


if __name__ == "__main__":
    main()
