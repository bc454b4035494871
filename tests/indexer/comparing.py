"""Holding what is stored against the model chain itself."""

from __future__ import annotations

from app.domain.account import AccountSnapshot
from app.store.postgres.engine import Database
from tests.indexer.model import ModelChain
from tests.indexer.running import load_state


async def assert_equals_the_chain(database: Database, chain: ModelChain, numbers: range) -> None:
    """At each of these blocks, every account the chain knows has the chain's own numbers."""
    for number in numbers:
        block = chain.canonical[number]
        state, accounts = await load_state(database, number)
        found = {account.key.wallet: account for account in accounts}
        priced = state.at(block.ref.timestamp, block.ref.number)
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
