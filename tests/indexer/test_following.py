"""A deployment that is not followed any more, and one that is followed again: what the store says, and what is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from app.domain.account import AccountSnapshot, Unreadable
from app.domain.market import Deployment
from app.indexer.options import IndexerOptions
from app.store.blocks import load_head
from app.store.chains import load_chains
from app.store.deployments import DeploymentTrouble, load_troubles, load_troubles_at
from app.store.postgres.engine import Database
from app.store.progress import load_missed
from tests.fakes.protocol import SECOND_POOL, toy_deployment
from tests.indexer.comparing import assert_equals_the_chain
from tests.indexer.conftest import MakeDatabase
from tests.indexer.model import CHAIN_ID, ModelChain, ModelReader, address
from tests.indexer.running import QUICK, load_state, make_indexer, straight_run

pytestmark = pytest.mark.database

MARKET = address("market 0")
FIRST = toy_deployment()
SECOND = toy_deployment(id="toy-second", address=SECOND_POOL)
BOTH = (FIRST, SECOND)
TWIN = toy_deployment(id="toy-twin")
TWINS = (FIRST, TWIN)
"""Both hear what the pool says of itself: the second pool is as silent as it is imaginary."""


async def follow(
    chain: ModelChain, database: Database, deployments: Sequence[Deployment], options: IndexerOptions = QUICK
) -> None:
    """A new process that follows these brings the store to the head."""
    indexer = make_indexer(ModelReader(chain), database, deployments=deployments, options=options)
    await indexer.run_until(chain.head.ref.number, scanned=True)


async def troubles_now(database: Database) -> dict[str, DeploymentTrouble]:
    async with database.read() as session:
        head = await load_head(session, CHAIN_ID)
        assert head is not None
        return await load_troubles_at(session, {CHAIN_ID: head.id})


def left_since(number: int) -> dict[str, DeploymentTrouble]:
    return {SECOND.id: DeploymentTrouble("not followed", number, is_followed=False)}


async def holdings(database: Database, number: int) -> dict[bytes, list[int]]:
    _, accounts = await load_state(database, number, SECOND)
    return {a.key.wallet: [p.supplied_raw for p in a.positions] for a in accounts if isinstance(a, AccountSnapshot)}


async def test_one_that_is_left_out_is_noted_with_the_next_block_and_troubles_nobody(database: Database) -> None:
    chain = ModelChain(seed=1)
    chain.mine(2)
    await follow(chain, database, BOTH)
    await follow(chain, database, [FIRST])
    assert await troubles_now(database) == {}
    chain.mine(3)
    await follow(chain, database, [FIRST])

    assert await troubles_now(database) == left_since(3)
    async with database.read() as session:
        assert await load_troubles(session, [CHAIN_ID]) == {}
        assert (await load_chains(session))[0].trouble is None
        assert not await load_missed(session, CHAIN_ID)
    await assert_equals_the_chain(database, chain, range(3, 6))


async def test_one_that_left_while_it_was_set_aside_missed_all_since_then(database: Database) -> None:
    chain = ModelChain(seed=1)
    await follow(chain, database, BOTH)
    chain.mine(change=lambda draft: draft.refuse(SECOND_POOL))
    chain.mine(2)
    await follow(chain, database, BOTH)
    chain.mine(2)
    await follow(chain, database, [FIRST])

    assert await troubles_now(database) == left_since(1)


@pytest.mark.parametrize("at_once", [20, 2])
async def test_followed_again_it_is_read_with_all_that_happened_meanwhile(database: Database, at_once: int) -> None:
    chain = ModelChain(seed=1)
    options = replace(QUICK, search_at_once_blocks=at_once, scan_first_blocks=2, scan_most_blocks=2)
    wallet, newcomer = address("wallet"), address("newcomer")
    chain.mine(change=lambda draft: draft.hold(wallet, MARKET, 100, 0, flag=True))
    await follow(chain, database, BOTH, options)
    chain.mine(change=lambda draft: None)
    await follow(chain, database, BOTH, options)
    for change in (
        lambda draft: draft.hold(wallet, MARKET, 250, 0, flag=True),
        lambda draft: draft.hold(newcomer, MARKET, 30, 0),
        lambda draft: draft.list_market(address("late market")),
        lambda draft: draft.price(MARKET, 77),
    ):
        chain.mine(change=change)
        await follow(chain, database, [FIRST], options)
    assert await holdings(database, 6) == {wallet: [100]}
    for _ in range(3):
        chain.mine(change=lambda draft: None)
        await follow(chain, database, BOTH, options)

    assert await troubles_now(database) == {}
    number = chain.head.ref.number
    assert await holdings(database, number) == {wallet: [250], newcomer: [30]}
    state, _ = await load_state(database, number, SECOND)
    assert (state.prices[str(MARKET)], len(state.thresholds)) == (77, 2)


async def test_a_refusal_on_its_return_sets_it_aside_since_it_left(database: Database) -> None:
    chain = ModelChain(seed=1)
    await follow(chain, database, BOTH)
    chain.mine(2)
    await follow(chain, database, [FIRST])
    chain.mine(change=lambda draft: draft.refuse(SECOND_POOL))
    await follow(chain, database, BOTH)

    (trouble,) = (await troubles_now(database)).values()
    assert (trouble.is_followed, trouble.since_block) == (True, 1)


async def test_a_fork_forgets_that_it_was_left_and_the_next_block_says_it_anew(database: Database) -> None:
    chain = ModelChain(seed=1)
    await follow(chain, database, BOTH)
    chain.mine(2)
    await follow(chain, database, BOTH)
    chain.mine(2)
    await follow(chain, database, [FIRST])
    chain.truncate(3)
    chain.mine(4)
    await follow(chain, database, [FIRST])
    assert await troubles_now(database) == left_since(2)


async def test_the_only_one_followed_again_does_not_keep_the_chain_in_trouble(database: Database) -> None:
    chain = ModelChain(seed=1)
    await follow(chain, database, [SECOND])
    chain.mine()
    await follow(chain, database, [FIRST])
    await follow(chain, database, [SECOND])
    async with database.read() as session:
        assert (await load_chains(session))[0].trouble is None


@pytest.mark.parametrize("seed", range(301, 305))
async def test_left_and_followed_again_at_random_it_ends_as_if_it_always_had_been(
    make_database: MakeDatabase, seed: int
) -> None:
    random, chain = Random(seed), ModelChain(seed)
    options = replace(QUICK, search_at_once_blocks=random.choice((1, 3, 20)))
    place, straight = make_database(), make_database()
    await follow(chain, place.database, TWINS, options)
    for _ in range(12):
        followed = random.choice((TWINS, [FIRST], [TWIN]))
        for _ in range(random.randrange(1, 3)):
            chain.mine(random.randrange(1, 4))
            if random.random() < 0.3:
                chain.reorg(random.randrange(1, min(6, len(chain.canonical))))
            await follow(chain, place.database, followed, options)
    returned = chain.head.ref.number + 1
    for _ in range(options.retry_unreadable_blocks + 1):
        chain.mine()
        await follow(chain, place.database, TWINS, options)
    await straight_run(chain, straight.database, deployments=TWINS)

    assert await troubles_now(place.database) == {}
    for deployment in TWINS:
        for number in range(returned if options.search_at_once_blocks == 20 else chain.head.ref.number, returned + 4):
            found = await as_values(place.database, number, deployment)
            wanted = await as_values(straight.database, number, deployment)
            for name, value in wanted.items():
                assert found[name] == value, (deployment.id, number, name)


async def as_values(database: Database, number: int, deployment: Deployment) -> dict[str, object]:
    """All that is known of a deployment at a block, whenever it was stored."""
    state, accounts = await load_state(database, number, deployment)
    raw = {
        (account.key, account.reason) if isinstance(account, Unreadable) else (account.key, account.positions)
        for account in accounts
        if isinstance(account, Unreadable) or account.positions  # what only dropped blocks knew stays, empty
    }
    parts = ("prices", "indices", "thresholds", "changes", "rounds_up")
    return {"accounts": raw, **{name: getattr(state, name) for name in parts}}
