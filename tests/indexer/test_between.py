"""Between blocks: wallets somebody asked about are looked up, and old history goes, whatever else is under way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.chain.faults import Transport
from app.domain.account import AccountKey, AccountSnapshot
from app.store.accounts import load_accounts, load_wallet_at_heads
from app.store.blocks import drop_blocks_above, load_block, load_head
from app.store.postgres.engine import Database
from app.store.progress import load_first
from app.store.tracked import AGAIN_SECONDS, TrackList
from tests.fakes.protocol import ToyAdapter, toy_deployment
from tests.indexer.model import CHAIN_ID, Draft, ModelChain, ModelReader, address
from tests.indexer.running import QUICK, load_state, make_indexer, make_spec

pytestmark = pytest.mark.database

MARKET = address("market 0")
SLUG = toy_deployment().id
NOW = 1_700_000_000


def nothing(draft: Draft) -> None:
    """A block without life."""


async def with_an_unseen_account(database: Database) -> tuple[ModelChain, ModelReader]:
    """A chain on which a wallet has something that no log the indexer saw has told of."""
    chain = ModelChain(seed=1)
    chain.mine(change=lambda draft: draft.hold(address("early"), MARKET, 5_000, 1_000, flag=True))
    chain.mine(change=lambda draft: draft.hold(address("unflagged"), MARKET, 70, 0))
    chain.mine(change=nothing)
    return chain, ModelReader(chain)


async def states(database: Database, name: str) -> list[AccountKey]:
    _, accounts = await load_wallet_at_heads(database, address(name), [CHAIN_ID])
    return [account.key for account in accounts if isinstance(account, AccountSnapshot)]


async def test_a_tracked_wallet_is_stored_with_the_next_block_long_before_the_search_comes_to_it(
    database: Database,
) -> None:
    chain, reader = await with_an_unseen_account(database)
    deployment = replace(toy_deployment(), start_block=10**6)  # nothing of the past is ever searched
    indexer = make_indexer(reader, database, deployments=[deployment])
    await indexer.run_until(3)
    tracked = TrackList(database)
    for name in ("early", "unflagged", "nobody"):
        (listed,) = await tracked.add(address(name), [CHAIN_ID], NOW)
        assert (listed.looked_up_block, listed.accounts_found) == (None, None)
        assert await states(database, name) == []

    chain.mine(change=nothing)
    await indexer.run_until(4)
    chain.mine(change=nothing)
    await indexer.run_until(5)
    assert await states(database, "early") == [AccountKey(SLUG, address("early"))]
    assert await states(database, "unflagged") == [AccountKey(SLUG, address("unflagged"))]
    _, accounts = await load_state(database, 5)
    assert len(accounts) == 2  # looking up leaves nothing where nothing is
    (found,), (none,) = await tracked.load(address("early")), await tracked.load(address("nobody"))
    assert (found.looked_up_block, found.accounts_found) == (4, 1)
    assert (none.looked_up_block, none.accounts_found) == (4, 0)


async def test_a_reorg_has_a_wallet_looked_up_again(database: Database) -> None:
    chain, reader = await with_an_unseen_account(database)
    indexer = make_indexer(reader, database)
    await indexer.run_until(3)
    tracked = TrackList(database)
    await tracked.add(address("nobody"), [CHAIN_ID], NOW)
    chain.mine(change=nothing)
    await indexer.run_until(4)
    assert [one.looked_up_block for one in await tracked.load(address("nobody"))] == [4]
    async with database.write() as session:
        await drop_blocks_above(session, CHAIN_ID, 3)
    assert [one.looked_up_block for one in await tracked.load(address("nobody"))] == [None]


async def test_a_node_that_fails_leaves_a_wallet_waiting_and_the_indexer_going(database: Database) -> None:
    chain, reader = await with_an_unseen_account(database)
    indexer = make_indexer(reader, database)
    await indexer.run_until(3)
    tracked = TrackList(database)
    await tracked.add(address("nobody"), [CHAIN_ID], NOW)

    def fail_after_the_block(method: str) -> None:
        if indexer.cursor is not None and indexer.cursor.number == 4 and method == "read":
            raise Transport("the node hung up")

    reader.fault = fail_after_the_block
    chain.mine(change=nothing)
    await indexer.run_until(4)
    assert [one.looked_up_block for one in await tracked.load(address("nobody"))] == [None]
    reader.fault = lambda _: None
    chain.mine(change=nothing)
    await indexer.run_until(5)
    assert [one.looked_up_block for one in await tracked.load(address("nobody"))] == [5]


async def test_accounts_that_wallets_alone_do_not_name_are_left_to_the_logs(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToyAdapter, "accounts_by_wallet", False)
    chain, reader = await with_an_unseen_account(database)
    indexer = make_indexer(reader, database, deployments=[replace(toy_deployment(), start_block=10**6)])
    await indexer.run_until(3)
    await TrackList(database).add(address("early"), [CHAIN_ID], NOW)
    for number in (4, 5):
        chain.mine(change=nothing)
        await indexer.run_until(number)
    assert await states(database, "early") == []
    assert [one.accounts_found for one in await TrackList(database).load(address("early"))] == [0]


async def test_the_list_is_bounded_and_the_oldest_done_make_room(database: Database) -> None:
    tracked = TrackList(database, most=3)
    for number in range(3):
        assert len(await tracked.add(address(f"{number}"), [CHAIN_ID], NOW + number)) == 1
    assert await tracked.add(address("too many"), [CHAIN_ID], NOW + 9) == []
    chain = ModelChain(seed=1)
    indexer = make_indexer(ModelReader(chain), database)
    await indexer.run_until(0)
    chain.mine(change=nothing)
    await indexer.run_until(1)  # all three are looked up
    assert len(await tracked.add(address("one more"), [CHAIN_ID], NOW + 20)) == 1
    assert await tracked.load(address("0")) == []
    assert len(await tracked.load(address("2"))) == 1


async def test_asking_again_soon_changes_nothing_and_later_looks_again(database: Database) -> None:
    chain = ModelChain(seed=1)
    indexer = make_indexer(ModelReader(chain), database)
    tracked = TrackList(database)
    await tracked.add(address("x"), [CHAIN_ID], NOW)
    await indexer.run_until(0)
    chain.mine(change=nothing)
    await indexer.run_until(1)
    (before,) = await tracked.load(address("x"))
    assert before.looked_up_block is not None
    assert await tracked.add(address("x"), [CHAIN_ID], NOW + AGAIN_SECONDS - 1) == [before]
    (again,) = await tracked.add(address("x"), [CHAIN_ID], NOW + AGAIN_SECONDS)
    assert again.looked_up_block is None


async def test_history_older_than_the_retention_goes_while_blocks_are_followed(database: Database) -> None:
    chain = ModelChain(seed=2)
    kept = replace(QUICK, retention_seconds=15, thin_every_seconds=5)
    indexer = make_indexer(ModelReader(chain), database, options=kept, spec=make_spec(finality_depth=8))
    for _ in range(60):
        await indexer.run_until(chain.head.ref.number)
        chain.mine()
    await indexer.run_until(chain.head.ref.number, scanned=True)

    async with database.read() as session:
        first, head = await load_first(session, CHAIN_ID), await load_head(session, CHAIN_ID)
        assert first is not None
        assert head is not None
        assert 40 <= first.ref.number <= head.ref.number - 15
        assert await load_block(session, CHAIN_ID, first.ref.number - 1) is None
        at_first = await load_accounts(session, SLUG, first)
    assert at_first
