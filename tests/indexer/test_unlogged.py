"""Accounts that change with no log naming them: each is found, none is read more often than the bounds allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from app.domain.account import AccountKey, AccountSnapshot, LendingPosition, Unreadable
from app.domain.chain import Address
from app.indexer.block.unlogged import NOBODY, Unlogged, place_of
from app.store.blocks import load_recent
from app.store.deployments import load_troubles_at
from app.store.postgres.engine import Database
from tests.fakes.protocol import ToyState, toy_deployment
from tests.indexer.comparing import assert_equals_the_chain
from tests.indexer.model import CHAIN_ID, Draft, ModelChain, ModelReader, address
from tests.indexer.running import QUICK, load_state, make_indexer

MARKET = address("market 0")
STATE = ToyState(toy_deployment(), {}, {}, {})


def nothing(draft: Draft) -> None:
    """A block without life."""


async def debts(database: Database, number: int) -> dict[Address, int]:
    """What the store says each wallet owes."""
    _, accounts = await load_state(database, number)
    return {
        account.key.wallet: sum(held.borrowed_raw for held in account.positions)
        for account in accounts
        if isinstance(account, AccountSnapshot)
    }


def borrowers(chain: ModelChain, count: int) -> list[Address]:
    """As many wallets with a debt of 1,000 each, mined in one block."""
    wallets = sorted(address(f"borrower {number}") for number in range(count))

    def borrow(draft: Draft) -> None:
        for wallet in wallets:
            draft.hold(wallet, MARKET, 5_000, 1_000, flag=True)

    chain.mine(change=borrow)
    return wallets


@pytest.mark.database
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_wherever_a_deployment_is_not_set_aside_every_account_equals_the_chain(
    database: Database, seed: int
) -> None:
    chain = ModelChain(seed, quiet=True)
    for _ in range(80):
        # another process each time: who is watched comes from the store
        await make_indexer(ModelReader(chain), database).run_until(chain.head.ref.number, scanned=True)
        chain.mine()

    async with database.read() as session:
        blocks = await load_recent(session, CHAIN_ID, 100)
        readable = [block for block in blocks if not await load_troubles_at(session, {CHAIN_ID: block.id})]
    assert len(readable) > 40
    for block in readable:
        await assert_equals_the_chain(database, chain, range(block.ref.number, block.ref.number + 1))


@pytest.mark.database
async def test_an_account_that_moves_by_itself_is_followed_over_restarts_and_forks(database: Database) -> None:
    chain = ModelChain(seed=1)
    maker = address("maker")
    await make_indexer(ModelReader(chain), database).run_until(0)
    chain.mine(change=lambda draft: draft.hold(maker, MARKET, 5_000, 0, flag=True, drifts=True))
    amounts = iter(range(6_000, 9_000))
    for round_ in range(4):
        indexer = make_indexer(ModelReader(chain), database)
        for _ in range(3):
            chain.mine(change=lambda draft: draft.drift(lambda: next(amounts)))
            await indexer.run_until(chain.head.ref.number)
            await assert_equals_the_chain(database, chain, range(chain.head.ref.number, chain.head.ref.number + 1))
        if round_ == 2:
            chain.truncate(2)
            chain.mine(3, change=lambda draft: draft.drift(lambda: next(amounts)))
            await indexer.run_until(chain.head.ref.number)
            await assert_equals_the_chain(database, chain, range(chain.head.ref.number - 2, chain.head.ref.number + 1))


@pytest.mark.database
async def test_what_no_log_explains_is_found_in_the_same_block(database: Database) -> None:
    chain = ModelChain(seed=1)
    indexer = make_indexer(ModelReader(chain), database)
    await indexer.run_until(0)
    first, second, *_ = borrowers(chain, 5)
    await indexer.run_until(1)
    chain.mine(change=lambda draft: draft.shift(first, second, MARKET, 400))
    await indexer.run_until(2)

    found = await debts(database, 2)
    assert (found[first], found[second]) == (600, 1_400)


@pytest.mark.database
async def test_what_a_log_seems_to_explain_is_found_within_the_round(database: Database) -> None:
    chain = ModelChain(seed=1)
    options = replace(QUICK, reread_seconds=10)
    await make_indexer(ModelReader(chain), database, options=options).run_until(0)
    first, second, third, *_ = borrowers(chain, 9)

    def shift_beside_a_log(draft: Draft) -> None:
        draft.shift(first, second, MARKET, 400)
        draft.hold(third, MARKET, 7_000, 1_000, flag=True)

    chain.mine(change=shift_beside_a_log)
    await make_indexer(ModelReader(chain), database, options=options).run_until(2)
    assert (await debts(database, 2))[first] == 1_000
    for _ in range(10):
        chain.mine(change=nothing)
        await make_indexer(ModelReader(chain), database, options=options).run_until(chain.head.ref.number)

    found = await debts(database, chain.head.ref.number)
    assert (found[first], found[second]) == (600, 1_400)


@pytest.mark.database
async def test_suspects_beyond_the_bound_are_read_at_the_next_blocks_also_by_another_process(
    database: Database,
) -> None:
    chain = ModelChain(seed=1)
    options = replace(QUICK, due_per_block=4)
    await make_indexer(ModelReader(chain), database, options=options).run_until(0)
    wallets = borrowers(chain, 10)
    await make_indexer(ModelReader(chain), database, options=options).run_until(1)

    def shift_all(draft: Draft) -> None:
        for source, target in zip(wallets[:5], wallets[5:], strict=True):
            draft.shift(source, target, MARKET, 100)

    chain.mine(change=shift_all)
    changed: list[int] = []
    for _ in range(3):
        await make_indexer(ModelReader(chain), database, options=options).run_until(chain.head.ref.number)
        found = await debts(database, chain.head.ref.number)
        changed.append(sum(found[wallet] != 1_000 for wallet in wallets))
        chain.mine(change=nothing)
    assert changed == [4, 8, 10]


def snapshot(name: str, *, borrowed: int = 1, drifting: int = 0) -> AccountSnapshot:
    held = (LendingPosition("m", 5, borrowed, True),) if borrowed else ()
    return AccountSnapshot(AccountKey("toy-devnet", address(name)), 1, held, (1, drifting))


def keys_of(unlogged: Unlogged, blocks: Sequence[tuple[int, int]], round_blocks: int) -> list[AccountKey]:
    return [key for before, now in blocks for key in unlogged.in_turn(before, now, round_blocks)]


@pytest.mark.parametrize("gap", [1, 3, 7, 50])
def test_in_one_round_every_account_has_its_turn_and_in_a_gap_of_a_round_each_once(gap: int) -> None:
    accounts = [snapshot(str(number)) for number in range(200)]
    unlogged = NOBODY.renewed(STATE, accounts, 50)
    blocks = [(number, min(number + gap, 150)) for number in range(100, 150, gap)]
    found = keys_of(unlogged, blocks, 50)
    assert sorted(found) == sorted(account.key for account in accounts)
    assert sorted(unlogged.in_turn(0, 10_000, 50)) == sorted(found)


def test_places_in_the_round_are_spread() -> None:
    places = [place_of(snapshot(str(number)).key, 50) for number in range(5_000)]
    assert max(places.count(place) for place in range(50)) < 150


def test_who_is_watched_follows_the_newest_state() -> None:
    maker, other = snapshot("maker", drifting=1), snapshot("other", borrowed=0)
    unlogged = NOBODY.renewed(STATE, [maker, other], 50)
    assert unlogged.moving == {maker.key}
    assert unlogged.suspects == {maker.key}
    settled = unlogged.renewed(STATE, [snapshot("maker", borrowed=0), snapshot("other")], 50)
    assert not settled.moving
    assert settled.suspects == {other.key}
    assert sorted(settled.in_turn(0, 50, 50)) == sorted([maker.key, other.key])


def test_an_account_that_could_not_be_read_waits_for_its_retry() -> None:
    maker = snapshot("maker", drifting=1)
    unlogged = NOBODY.renewed(STATE, [maker], 50).renewed(STATE, [Unreadable(maker.key, 2, "reverted")], 50)
    assert not unlogged.moving
    assert not unlogged.suspects
    assert list(unlogged.in_turn(0, 50, 50)) == [maker.key]
