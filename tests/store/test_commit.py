"""A block's commit: what is kept, what is refused, and who hears of it."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from sqlalchemy import func, select

from app.domain.units import UINT256_MAX
from app.errors import Fatal
from app.store.accounts import load_accounts
from app.store.blocks import BLOCKS_CHANNEL, load_block, load_recent, load_spaced
from app.store.commit import BatchRefused, commit_batch
from app.store.deployments import register_deployments
from app.store.markets import load_markets, load_records, load_records_at
from app.store.postgres.bulk import FEW
from app.store.postgres.engine import Database
from app.store.postgres.session import Query
from app.store.tables.chain import account_states, market_records, positions
from tests.store.actions import account_at, begin, commit, head_of
from tests.store.builders import CHAIN, SLUG, batch, deployment, market, perp, position, record, snapshot, unreadable

pytestmark = pytest.mark.database


async def _counts(database: Database) -> tuple[int, int, int]:
    """Rows of history: account states, positions, records."""
    counts = [
        select(func.count()).select_from(t).scalar_subquery() for t in (account_states, positions, market_records)
    ]
    async with database.read() as session:
        return (await session.rows(Query(select(*counts))))[0]  # type: ignore[return-value]


async def test_an_account_comes_back_as_it_was_committed(database: Database) -> None:
    await begin(database, "eth", "usdc")
    committed = snapshot("ann", 2, position("eth", 5, collateral=True), position("usdc", 0, 7), params=(3, -1))
    stored = await commit(database, batch(2, accounts=(committed,)))
    assert await account_at(database, "ann", stored) == committed


async def test_the_largest_integers_survive_exactly(database: Database) -> None:
    await begin(database, "eth")
    committed = snapshot("ann", 2, position("eth", UINT256_MAX, UINT256_MAX - 1), params=(UINT256_MAX, -(2**255)))
    values = (UINT256_MAX, None, 0, -(2**255))
    stored = await commit(database, batch(2, accounts=(committed,), records=(record("price", "eth", *values),)))
    assert await account_at(database, "ann", stored) == committed
    async with database.read() as session:
        assert await load_records(session, SLUG, stored) == [record("price", "eth", *values)]


async def test_only_what_differs_is_written(database: Database) -> None:
    await begin(database, "eth", "usdc")
    held = (position("eth", 5, collateral=True), position("usdc", 0, 7))
    prices = (record("price", "eth", 10, None), record("price", "usdc", 1))
    await commit(database, batch(2, accounts=(snapshot("ann", 2, *held),), records=prices))
    assert await _counts(database) == (1, 2, 2)
    await commit(database, batch(3, accounts=(snapshot("ann", 3, *held),), records=prices))
    assert await _counts(database) == (1, 2, 2)
    moved = (position("eth", 6, collateral=True), position("usdc", 0, 7))
    await commit(
        database, batch(4, accounts=(snapshot("ann", 4, *moved),), records=(record("price", "eth", 11, None),))
    )
    assert await _counts(database) == (1, 3, 3)


async def test_a_state_names_the_block_of_its_last_change(database: Database) -> None:
    await begin(database, "eth", "usdc")
    held = (position("eth", 5), position("usdc", 0, 7))
    await commit(database, batch(2, accounts=(snapshot("ann", 2, *held),)))
    await commit(database, batch(3, accounts=(snapshot("ann", 3, held[0], position("usdc", 0, 8)),)))
    last = await commit(database, batch(4, accounts=(snapshot("ann", 4, held[0], position("usdc", 0, 8)),)))
    assert await account_at(database, "ann", last) == snapshot("ann", 3, held[0], position("usdc", 0, 8))


async def test_a_closed_position_is_gone_and_may_be_opened_again(database: Database) -> None:
    await begin(database, "eth", "usdc")
    both = snapshot("ann", 2, position("eth", 5), position("usdc", 0, 7))
    second = await commit(database, batch(2, accounts=(both,)))
    third = await commit(database, batch(3, accounts=(snapshot("ann", 3, position("eth", 5)),)))
    fourth = await commit(database, batch(4, accounts=(snapshot("ann", 4, both.positions[0], position("usdc", 0, 7)),)))
    fifth = await commit(database, batch(5, accounts=(snapshot("ann", 5, position("eth"), position("usdc")),)))
    assert await account_at(database, "ann", second) == both
    assert await account_at(database, "ann", third) == snapshot("ann", 3, position("eth", 5))
    assert await account_at(database, "ann", fourth) == snapshot("ann", 4, *both.positions)
    assert await account_at(database, "ann", fifth) == snapshot("ann", 5)


async def test_perps_are_stored_beside_their_margin_and_only_when_they_change(database: Database) -> None:
    await begin(database, "usdc", "eth", "btc")
    margin = position("usdc", 5, collateral=True)
    long, short = perp("eth", 7, -(2**255), 3, -4), perp("btc", -(2**200), 9)
    both = snapshot("ann", 2, margin, perps=(short, long))
    second = await commit(database, batch(2, accounts=(both,)))
    assert await _counts(database) == (1, 3, 0)
    await commit(database, batch(3, accounts=(snapshot("ann", 3, margin, perps=(short, long)),)))
    assert await _counts(database) == (1, 3, 0)
    funded = perp("eth", 7, -(2**255), 3, -5)
    fourth = await commit(database, batch(4, accounts=(snapshot("ann", 4, margin, perps=(short, funded)),)))
    fifth = await commit(database, batch(5, accounts=(snapshot("ann", 5, margin, perps=(perp("btc"), funded)),)))
    assert await _counts(database) == (2, 4, 0)
    assert await account_at(database, "ann", second) == both
    assert await account_at(database, "ann", fourth) == snapshot("ann", 4, margin, perps=(short, funded))
    assert await account_at(database, "ann", fifth) == snapshot("ann", 5, margin, perps=(funded,))


@pytest.mark.parametrize(
    "row", ["1, NULL, true, 1, 1, '{}'", "1, 1, true, 1, NULL, NULL", "NULL, NULL, NULL, 1, 1, NULL"]
)
async def test_a_row_that_is_half_lending_and_half_perp_is_refused(database_url: str, row: str) -> None:
    columns = "supplied_raw, borrowed_raw, is_collateral, size_raw, entry_notional_raw, perp_params"
    insert = f"INSERT INTO positions (account_id, market_id, block_id, {columns}) VALUES (1, 1, 1, {row})"
    with psycopg.connect(database_url) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(insert.encode())


async def test_unreadable_is_kept_and_healed_by_the_next_reading(database: Database) -> None:
    await begin(database, "eth")
    fine = snapshot("ann", 2, position("eth", 5), params=())
    await commit(database, batch(2, accounts=(fine,)))
    broken = await commit(database, batch(3, accounts=(unreadable("ann", 3, "tab\tand\\line\nend"),)))
    still = await commit(database, batch(4, accounts=(unreadable("ann", 4, "tab\tand\\line\nend"),)))
    healed = await commit(database, batch(5, accounts=(snapshot("ann", 5, position("eth", 5), params=()),)))
    assert await account_at(database, "ann", broken) == unreadable("ann", 3, "tab\tand\\line\nend")
    assert await account_at(database, "ann", still) == unreadable("ann", 3, "tab\tand\\line\nend")
    assert await account_at(database, "ann", healed) == snapshot("ann", 5, position("eth", 5), params=())


async def test_records_and_descriptions_are_found_as_of_any_block(database: Database) -> None:
    first = await begin(database, "eth")
    second = await commit(database, batch(2, records=(record("price", "eth", 10), record("emode", "1", None))))
    renamed = market("eth", symbol="we\tird\\", decimals=6)
    third = await commit(database, batch(3, records=(record("price", "eth", 11),), markets=(renamed,)))
    async with database.read() as session:
        assert await load_records(session, SLUG, first) == []
        at = await load_records_at(session, SLUG, [second, third])
        assert at[second.id] == [record("price", "eth", 10), record("emode", "1", None)]
        assert at[third.id] == [record("price", "eth", 11), record("emode", "1", None)]
        assert await load_markets(session, SLUG, second) == [market("eth")]
        assert await load_markets(session, SLUG) == [renamed]


async def test_markets_keep_the_order_of_their_first_commit(database: Database) -> None:
    await begin(database, "zrx", "aave", "mkr")
    await commit(database, batch(2, markets=(market("bat"), market("aave", symbol="AAVE2"))))
    async with database.read() as session:
        assert [one.code for one in await load_markets(session, SLUG)] == ["zrx", "aave", "mkr", "bat"]


@pytest.mark.parametrize(
    ("number", "parent_fork", "words"),
    [(3, 0, "not above"), (2, 0, "not above"), (4, 1, "has parent")],
)
async def test_a_block_that_does_not_follow_is_refused(
    database: Database, number: int, parent_fork: int, words: str
) -> None:
    await begin(database)
    await commit(database, batch(3))
    with pytest.raises(BatchRefused, match=words):
        await commit(database, batch(number, parent_fork=parent_fork))
    assert (await head_of(database)).ref.number == 3


async def test_a_gap_above_the_head_is_allowed(database: Database) -> None:
    await begin(database)
    stored = await commit(database, batch(9, fork=5))
    assert await head_of(database) == stored


async def test_what_a_batch_may_not_name(database: Database) -> None:
    await begin(database, "eth")
    async with database.write() as session:
        await register_deployments(session, [deployment("other", chain_id=1)])
    with pytest.raises(BatchRefused, match="never registered"):
        await commit(database, batch(2, markets=(market("eth", slug="nobody"),)))
    with pytest.raises(BatchRefused, match="on chain 1"):
        await commit(database, batch(2, markets=(market("eth", slug="other"),)))
    with pytest.raises(Fatal, match="never described"):
        await commit(database, batch(2, accounts=(snapshot("ann", 2, position("doge", 1)),)))
    with pytest.raises(Fatal, match="twice"):
        await commit(database, batch(2, accounts=(snapshot("ann", 2), unreadable("ann", 2))))
    assert (await head_of(database)).ref.number == 1


async def test_a_listener_hears_of_a_block_after_its_commit_only(database: Database) -> None:
    await begin(database)
    async with database.listen(BLOCKS_CHANNEL) as payloads:
        async with database.write() as session:
            await commit_batch(session, batch(2))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(waiting := asyncio.ensure_future(anext(payloads))), 0.2)
        assert await waiting == f"{CHAIN}:2"


async def test_a_reader_sees_one_block_throughout(database: Database) -> None:
    await begin(database, "eth")
    before = await commit(database, batch(2, accounts=(snapshot("ann", 2, position("eth", 1)),)))
    async with database.read() as session:
        assert await load_recent(session, CHAIN, 1) == [before]
        await commit(database, batch(3, records=(record("price", "eth", 1),)))
        assert await load_recent(session, CHAIN, 1) == [before]
        assert await load_block(session, CHAIN, 99) == before
    assert (await head_of(database)).ref.number == 3


async def test_lists_of_blocks_are_bounded(database: Database) -> None:
    await begin(database)
    for number in range(2, 30):
        await commit(database, batch(number))
    async with database.read() as session:
        assert [one.ref.number for one in await load_recent(session, CHAIN, 3)] == [29, 28, 27]
        assert [one.ref.number for one in await load_spaced(session, CHAIN, 0, 29, 4)] == [9, 19, 29]
        spaced = [one.ref.number for one in await load_spaced(session, CHAIN, 5, 25, 5)]
        assert spaced == [5, 10, 15, 20, 25]
        assert await load_spaced(session, CHAIN, 40, 50, 5) == []
        assert (await load_block(session, CHAIN, 0)) is None


@pytest.mark.parametrize("count", [FEW, FEW + 1])
async def test_few_rows_and_many_rows_are_stored_alike(database: Database, count: int) -> None:
    await begin(database, "eth")
    states = tuple(snapshot(n, 2, position("eth", n + 1, n, collateral=n % 2 == 0), params=(n,)) for n in range(count))
    odd = unreadable("ann", 2, 'NULL {"\\\t,}')
    records = tuple(record("price", f"{n}", n, None) for n in range(count))
    stored = await commit(database, batch(2, accounts=(*states, odd), records=records))
    async with database.read() as session:
        loaded = {state.key: state for state in await load_accounts(session, SLUG, stored)}
        assert loaded == {state.key: state for state in (*states, odd)}
        assert await load_records(session, SLUG, stored) == list(records)


async def test_a_fault_found_while_rows_are_being_copied_is_told_as_such_and_nothing_stays(database: Database) -> None:
    await begin(database, "eth")
    states = tuple(snapshot(n, 2, position("eth", 1)) for n in range(FEW + 1))
    with pytest.raises(Fatal, match="in a market never described: btc"):
        await commit(database, batch(2, accounts=(*states, snapshot("ann", 2, position("btc", 1)))))
    stored = await commit(database, batch(2, accounts=states))
    async with database.read() as session:
        assert {state.key for state in await load_accounts(session, SLUG, stored)} == {one.key for one in states}
