"""The Indexer over the model chain and a real Postgres: what is stored is what the chain says, whatever happens."""

from __future__ import annotations

import pytest

from app.domain.account import AccountSnapshot, Unreadable
from app.store.engine import Database
from tests.indexer.model import ModelChain, ModelReader, address
from tests.indexer.running import index_in_steps, load_state, make_indexer, straight_run
from tests.indexer.tables import assert_same_tables, dump_tables

pytestmark = pytest.mark.database


async def assert_equals_the_chain(database: Database, chain: ModelChain, numbers: range) -> None:
    """At each of these blocks, every account the chain knows has the chain's own numbers."""
    for number in numbers:
        block = chain.canonical[number]
        state, accounts = await load_state(database, number)
        found = {account.key.wallet: account for account in accounts}
        priced = state.at(block.ref.timestamp)
        for wallet in {wallet for wallet, _ in block.state.holdings}:
            account = found[wallet]
            if isinstance(account, AccountSnapshot):
                wanted = {
                    str(market): (held.supplied, held.borrowed, held.flag)
                    for (owner, market), held in block.state.holdings.items()
                    if owner == wallet and (held.supplied or held.borrowed or held.flag)
                }
                assert {
                    p.market: (p.supplied_raw, p.borrowed_raw, p.is_collateral) for p in account.positions
                } == wanted
                answer = block.state._truth(wallet, block.ref.timestamp)
                words = getattr(answer, "data", b"")
                truth = priced.truth(account)
                if truth is not None and state.confirmed_samples:
                    assert b"".join(value.to_bytes(32, "big") for value in truth) == words


async def test_every_account_at_every_block_equals_the_chain(database: Database) -> None:
    chain = ModelChain(seed=1)
    await index_in_steps(chain, database, 60)
    await assert_equals_the_chain(database, chain, range(61))
