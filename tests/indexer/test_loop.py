"""The Indexer over the model chain and a real Postgres: every block's accounts are the chain's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.account import AccountSnapshot, Unreadable
from app.store.postgres.engine import Database
from tests.fakes.protocol import toy_deployment
from tests.indexer.comparing import assert_equals_the_chain
from tests.indexer.model import Draft, ModelChain, ModelReader, address
from tests.indexer.running import (
    QUICK,
    index_in_steps,
    load_state,
    make_indexer,
)

pytestmark = pytest.mark.database


async def test_every_account_at_every_block_equals_the_chain(database: Database) -> None:
    chain = ModelChain(seed=1)
    await index_in_steps(chain, database, 60)
    await assert_equals_the_chain(database, chain, range(61))


async def test_a_new_market_is_followed_from_the_very_block_of_its_first_deposit(database: Database) -> None:
    chain = ModelChain(seed=2)
    reader = ModelReader(chain)
    indexer = make_indexer(reader, database)
    chain.mine(3)
    await indexer.run_until(3)
    new, wallet = address("late market"), address("early bird")

    def list_and_deposit(draft: Draft) -> None:
        draft.list_market(new)
        draft.hold(wallet, new, 5_000, 0)

    chain.mine(change=list_and_deposit)
    await indexer.run_until(4)

    state, accounts = await load_state(database, 4)
    assert str(new) in state.thresholds
    found = next(account for account in accounts if account.key.wallet == wallet)
    assert isinstance(found, AccountSnapshot)
    assert [(p.market, p.supplied_raw) for p in found.positions] == [(str(new), 5_000)]


async def test_an_unreadable_account_is_unknown_until_a_later_read_succeeds(database: Database) -> None:
    chain = ModelChain(seed=3)
    reader = ModelReader(chain)
    indexer = make_indexer(reader, database)
    wallet = address("wallet with trouble")
    market = address("market 0")
    await indexer.run_until(0)
    chain.mine(change=lambda draft: draft.hold(wallet, market, 700, 0, flag=True))
    chain.mine(change=lambda draft: draft.break_wallet(wallet))
    chain.mine(change=lambda draft: draft.mend(wallet, silently=True))
    await indexer.run_until(3)
    _, (broken,) = await load_state(database, 2)
    _, (still_broken,) = await load_state(database, 3)
    assert isinstance(broken, Unreadable)
    assert isinstance(still_broken, Unreadable)

    nothing = lambda draft: None  # noqa: E731
    for number in range(4, 2 + QUICK.retry_unreadable_blocks + 1):
        chain.mine(change=nothing)
        await indexer.run_until(number)

    _, (well,) = await load_state(database, chain.head.ref.number)
    assert isinstance(well, AccountSnapshot)
    assert [p.supplied_raw for p in well.positions] == [700]


async def test_an_unreadable_account_is_read_again_where_the_log_pointed_to(database: Database) -> None:
    chain = ModelChain(seed=3)
    indexer = make_indexer(ModelReader(chain), database)
    wallet, market = address("wallet with trouble"), address("market 0")

    def deposit_and_break(draft: Draft) -> None:
        draft.hold(wallet, market, 700, 0)  # without a flag: only the log says where it is
        draft.break_wallet(wallet)

    await indexer.run_until(0)
    chain.mine(change=deposit_and_break)
    await indexer.run_until(1)
    for number in range(2, 2 + QUICK.retry_unreadable_blocks):
        chain.mine(change=lambda draft: None)
        await indexer.run_until(number)
    _, (account,) = await load_state(database, chain.head.ref.number)
    assert isinstance(account, Unreadable)

    for _ in range(QUICK.retry_unreadable_blocks):
        chain.mine(change=lambda draft: draft.mend(wallet, silently=True))
        await indexer.run_until(chain.head.ref.number)
    _, (account,) = await load_state(database, chain.head.ref.number)
    assert isinstance(account, AccountSnapshot)
    assert [position.supplied_raw for position in account.positions] == [700]


async def test_accounts_of_a_deployment_no_longer_followed_hold_up_nobody(database: Database) -> None:
    chain = ModelChain(seed=20)
    chain.mine(20)
    options = replace(QUICK, due_per_block=1)
    twins = [toy_deployment(id="a-twin"), toy_deployment()]
    await make_indexer(ModelReader(chain), database, deployments=twins, options=options).run_until(20, scanned=True)
    indexer = make_indexer(ModelReader(chain), database, options=options)
    for _ in range(15):
        chain.mine(change=lambda draft: None)
        await indexer.run_until(chain.head.ref.number)

    await assert_equals_the_chain(database, chain, range(chain.head.ref.number, chain.head.ref.number + 1))


async def test_rules_are_compared_with_the_contract_and_again_when_its_code_changes(database: Database) -> None:
    chain = ModelChain(seed=17)
    indexer = make_indexer(ModelReader(chain), database)
    wallet, market = address("borrower"), address("market 0")
    await indexer.run_until(0)
    state, _ = await load_state(database, 0)
    assert state.confirmed_samples is None

    chain.mine(change=lambda draft: draft.hold(wallet, market, 999, 333, flag=True))
    await indexer.run_until(1)
    state, _ = await load_state(database, 1)
    assert (state.rounds_up, state.confirmed_samples) == (False, 1)

    chain.mine(change=lambda draft: (draft.flip_rounding(), draft.price(market, 101)))
    await indexer.run_until(2)
    state, _ = await load_state(database, 2)
    assert (state.rounds_up, state.confirmed_samples) == (True, 1)
