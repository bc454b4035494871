"""Rolling back: whatever was stored and dropped, the tables end as if the dropped blocks had never been seen."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.account import AccountState, Unreadable
from app.domain.batch import BlockBatch, DueAccount, ScanRange
from app.store.accounts import load_accounts, load_wallet
from app.store.blocks import drop_blocks_above, load_recent
from app.store.commit import commit_batch
from app.store.deployments import register_deployments
from app.store.markets import load_records
from app.store.postgres.engine import Database
from app.store.scans import advance_scan, load_due, plan_scan
from tests.store.actions import account_at, begin, commit, drop_above, head_of
from tests.store.builders import (
    CHAIN,
    SLUG,
    address,
    batch,
    deployment,
    key,
    market,
    perp,
    position,
    record,
    snapshot,
    unreadable,
)
from tests.store.dump import dump, empty, pending_accounts

pytestmark = pytest.mark.database

_CODES = ("aaa", "bbb", "ccc")
_PERP = "ccc"
"""What is held in this market is a perp."""
_WALLETS = ("ann", "bob", "cid", "dan")


@dataclass(frozen=True)
class Commit:
    """Store a block `gap` above the head."""

    gap: int
    symbols: tuple[tuple[str, str], ...]
    prices: tuple[tuple[str, int | None], ...]
    states: tuple[tuple[str, tuple[tuple[str, int, int], ...] | None], ...]


@dataclass(frozen=True)
class Drop:
    """Drop the newest `count` blocks (never the first)."""

    count: int


@dataclass(frozen=True)
class Find:
    """A scan of the past finds an account."""

    wallet: str
    code: str


Step: TypeAlias = Commit | Drop | Find

_amounts = st.integers(0, 2)
_commits = st.builds(
    Commit,
    st.integers(1, 3),
    st.lists(st.tuples(st.sampled_from(_CODES), st.sampled_from("xy")), max_size=2, unique_by=lambda x: x[0]).map(
        tuple
    ),
    st.lists(st.tuples(st.sampled_from(_CODES), st.none() | _amounts), max_size=2, unique_by=lambda x: x[0]).map(tuple),
    st.lists(
        st.tuples(
            st.sampled_from(_WALLETS),
            st.none()
            | st.lists(
                st.tuples(st.sampled_from(_CODES), _amounts, _amounts), max_size=3, unique_by=lambda x: x[0]
            ).map(tuple),
        ),
        max_size=3,
        unique_by=lambda x: x[0],
    ).map(tuple),
)
_steps = st.lists(
    _commits
    | _commits
    | st.builds(Drop, st.integers(1, 4))
    | st.builds(Find, st.sampled_from(_WALLETS), st.sampled_from(_CODES)),
    min_size=2,
    max_size=14,
)


def _straight(steps: list[Step]) -> list[Step]:
    """The steps without the commits that a later drop undoes."""
    kept: list[Step] = []
    for step in steps:
        if isinstance(step, Drop):
            doomed = [index for index, one in enumerate(kept) if isinstance(one, Commit)][-step.count :]
            kept = [one for index, one in enumerate(kept) if index not in doomed]
        else:
            kept.append(step)
    return kept


def _batch(step: Commit, number: int) -> BlockBatch:
    states: list[AccountState] = [
        unreadable(wallet, number)
        if held is None
        else snapshot(
            wallet,
            number,
            *(position(code, s, b) for code, s, b in sorted(held) if code != _PERP and (s or b)),
            perps=tuple(perp(code, s - 1, b, s) for code, s, b in held if code == _PERP),
        )
        for wallet, held in step.states
    ]
    return batch(
        number,
        fork=hash(step) % 1000,
        parent_fork=0,
        markets=tuple(market(code, symbol=symbol) for code, symbol in step.symbols),
        records=tuple(record("price", code, value) for code, value in step.prices),
        accounts=tuple(states),  # type: ignore[arg-type]
    )


async def _run(url: str, steps: list[Step]) -> None:
    """Carry the steps out, block after block, and compare every answer with a plain model on the way."""
    database = Database(url)
    model: list[tuple[int, dict[str, AccountState], dict[str, int | None]]] = [(1, {}, {})]
    try:
        async with database.write() as session:
            await register_deployments(session, [deployment()])
            await plan_scan(session, ScanRange(SLUG, 0, 10**6))
            await commit_batch(session, batch(1, markets=tuple(market(code) for code in _CODES)))
        for step in steps:
            async with database.write() as session:
                match step:
                    case Commit():
                        # One above the head would have to name its hash; forks here are about rows, not hashes.
                        number = model[-1][0] + step.gap + 1
                        await commit_batch(session, _batch(step, number))
                        states, prices = dict(model[-1][1]), dict(model[-1][2])
                        states |= {str(s.key.wallet): s for s in _batch(step, number).accounts}
                        prices |= dict(step.prices)
                        model.append((number, states, prices))
                    case Drop():
                        count = min(step.count, len(model) - 1)
                        del model[len(model) - count :]
                        assert await drop_blocks_above(session, CHAIN, model[-1][0]) == count
                    case Find():
                        due = DueAccount(key(step.wallet), frozenset({step.code}))
                        await advance_scan(session, ScanRange(SLUG, 0, 10**6), 5, [due])
        async with database.read() as session:
            stored = await load_recent(session, CHAIN, 100)
            assert [block.ref.number for block in reversed(stored)] == [number for number, _, _ in model]
            for block, (_, states, prices) in zip(reversed(stored), model, strict=True):
                loaded = {str(s.key.wallet): s for s in await load_accounts(session, SLUG, block)}
                assert {w: _content(s) for w, s in loaded.items()} == {w: _content(s) for w, s in states.items()}
                records = {one.subject: one.values[0] for one in await load_records(session, SLUG, block)}
                assert records == prices
    finally:
        await database.dispose()


def _content(state: AccountState) -> object:
    return state.reason if isinstance(state, Unreadable) else (state.positions, state.params, state.perps)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_steps)
def test_tables_after_forks_equal_those_of_a_straight_run(database_url: str, steps: list[Step]) -> None:
    empty(database_url)
    asyncio.run(_run(database_url, steps))
    forked, (forked_pending, forked_queue) = dump(database_url), pending_accounts(database_url)
    empty(database_url)
    asyncio.run(_run(database_url, _straight(steps)))
    assert forked == dump(database_url)
    pending, queue = pending_accounts(database_url)
    # The queue is work, not a fact: after a fork it may hold more, never less.
    assert pending <= forked_pending
    assert queue <= forked_queue


async def test_accounts_read_at_a_dropped_block_are_due_again(database: Database) -> None:
    await begin(database, "eth")
    async with database.write() as session:
        await plan_scan(session, ScanRange(SLUG, 0, 1))
        await advance_scan(session, ScanRange(SLUG, 0, 1), 2, [DueAccount(key("ann"), frozenset({"eth"}))])
    await commit(database, batch(2, accounts=(snapshot("ann", 2, position("eth", 1)),)))
    async with database.read() as session:
        assert await load_due(session, CHAIN, 10) == []
    assert await drop_above(database, 1) == 1
    async with database.read() as session:
        assert await load_due(session, CHAIN, 10) == [DueAccount(key("ann"), frozenset({"eth"}))]


async def test_an_account_only_a_dropped_block_brought_is_forgotten_and_one_a_scan_vouches_for_stays(
    database: Database,
) -> None:
    await begin(database, "eth")
    states = (snapshot("ann", 2, position("eth", 1)), snapshot("bob", 2, position("eth", 2)))
    await commit(database, batch(2, accounts=states))
    async with database.write() as session:
        await plan_scan(session, ScanRange(SLUG, 0, 1))
        await advance_scan(session, ScanRange(SLUG, 0, 1), 2, [DueAccount(key("bob"), frozenset())])
    await drop_above(database, 1)
    first = await head_of(database)
    async with database.read() as session:
        assert await load_wallet(session, address("ann"), {CHAIN: first}) == []
    assert "NotYetRead" in repr(await account_at(database, "bob", first))


async def test_dropping_touches_no_other_chain(database: Database) -> None:
    await begin(database, "eth")
    async with database.write() as session:
        await register_deployments(session, [deployment("far", chain_id=1)])
        far = batch(7)
        far = BlockBatch(type(far.block)(1, 7, far.block.hash, far.block.parent_hash, 1), (market("eth", slug="far"),))
        await commit_batch(session, far)
    assert await drop_above(database, 0) == 1
    async with database.read() as session:
        assert len(await load_recent(session, 1, 5)) == 1
