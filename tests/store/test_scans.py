"""The work that is left about the past, and the status of chains."""

from __future__ import annotations

import pytest

from app.domain.batch import DueAccount, ScanRange
from app.errors import Fatal
from app.store.chains import ChainStatus, load_chains, observe
from app.store.deployments import register_deployments
from app.store.postgres.engine import Database
from app.store.scans import Backlog, advance_scan, load_backlog, load_due, load_scans, plan_scan, queue_due
from tests.store.actions import begin, commit
from tests.store.builders import CHAIN, SLUG, batch, block_hash, deployment, key, snapshot, unreadable

pytestmark = pytest.mark.database


def _due(wallet: str, *codes: str) -> DueAccount:
    return DueAccount(key(wallet), frozenset(codes))


async def _pending(database: Database, limit: int = 100) -> list[DueAccount]:
    async with database.read() as session:
        return await load_due(session, CHAIN, limit)


async def test_a_scan_moves_up_and_ends(database: Database) -> None:
    await begin(database)
    scan = ScanRange(SLUG, 10, 100)
    async with database.write() as session:
        await plan_scan(session, scan)
        await plan_scan(session, ScanRange(SLUG, 5, 4))
        await advance_scan(session, scan, 60, [])
        assert await load_scans(session, CHAIN, 10) == [ScanRange(SLUG, 60, 100)]
        assert await load_backlog(session, CHAIN) == Backlog(0, 41)
        await advance_scan(session, ScanRange(SLUG, 60, 100), 101, [])
        assert await load_scans(session, CHAIN, 10) == []
    with pytest.raises(Fatal, match="no scan"):
        async with database.write() as session:
            await advance_scan(session, scan, 101, [])
    with pytest.raises(Fatal, match="never registered"):
        async with database.write() as session:
            await plan_scan(session, ScanRange("nobody", 1, 2))


async def test_scans_are_listed_from_the_head_down_within_the_limit(database: Database) -> None:
    await begin(database)
    async with database.write() as session:
        await register_deployments(session, [deployment("far", chain_id=1)])
        for slug, from_block, to_block in ((SLUG, 1, 9), (SLUG, 10, 19), (SLUG, 15, 19), ("far", 1, 99)):
            await plan_scan(session, ScanRange(slug, from_block, to_block))
        assert await load_scans(session, CHAIN, 10) == [ScanRange(SLUG, 10, 19), ScanRange(SLUG, 1, 9)]
        assert await load_scans(session, CHAIN, 1) == [ScanRange(SLUG, 10, 19)]


async def test_due_accounts_are_read_once_and_named_markets_add_up(database: Database) -> None:
    await begin(database, "eth")
    async with database.write() as session:
        await queue_due(session, [_due("ann", "eth"), _due("ann", 'we"ird\\,', "{}")])
        await queue_due(session, [_due("bob")])
    assert await _pending(database) == [_due("ann", "eth", 'we"ird\\,', "{}"), _due("bob")]
    assert len(await _pending(database, 1)) == 1
    await commit(database, batch(2, accounts=(snapshot("ann", 2),)))
    assert await _pending(database) == [_due("bob")]
    async with database.write() as session:
        await queue_due(session, [_due("ann", "usdc")])
    assert set(await _pending(database)) == {_due("ann", "eth", "usdc", 'we"ird\\,', "{}"), _due("bob")}


async def test_a_scan_does_not_have_an_account_read_twice_for_nothing(database: Database) -> None:
    await begin(database, "eth")
    scan = ScanRange(SLUG, 1, 100)
    async with database.write() as session:
        await plan_scan(session, scan)
        await advance_scan(session, scan, 10, [_due("ann", "eth")])
    await commit(database, batch(2, accounts=(snapshot("ann", 2),)))
    async with database.write() as session:
        await advance_scan(session, scan, 20, [_due("ann", "eth"), _due("ann")])
    assert await _pending(database) == []
    async with database.write() as session:
        await advance_scan(session, scan, 30, [_due("ann", "usdc")])
    assert await _pending(database) == [_due("ann", "eth", "usdc")]


async def test_an_account_is_due_from_its_block_on(database: Database) -> None:
    await begin(database)
    async with database.write() as session:
        await queue_due(session, [_due("ann")], from_block=4)
    assert await _pending(database) == []
    await commit(database, batch(3))
    assert await _pending(database) == [_due("ann")]


async def test_unreadable_accounts_are_due_again_later_and_lose_no_market(database: Database) -> None:
    await begin(database)
    async with database.write() as session:
        await queue_due(session, [_due("ann", "eth")])
    await commit(database, batch(2, accounts=(unreadable("ann", 2), unreadable("bob", 2))))
    assert await _pending(database) == []
    await commit(database, batch(21))
    assert await _pending(database) == [_due("ann", "eth"), _due("bob")]
    await commit(database, batch(22, fork=9, parent_fork=0, accounts=(snapshot("ann", 22), snapshot("bob", 22))))
    assert await _pending(database) == []


async def test_the_status_of_a_chain_is_overwritten(database: Database) -> None:
    known = ChainStatus(1, 7, block_hash(7), 1000, 5, None, 1001, None)
    troubled = ChainStatus(1, 8, block_hash(8), 1012, None, 3, 1013, "the node lags")
    blank = ChainStatus(2, None, None, None, None, None, 1)
    async with database.write() as session:
        for status in (known, blank, troubled):
            await observe(session, status)
        assert await load_chains(session) == [troubled, blank]
