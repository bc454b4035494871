"""A deployment whose contracts refuse to be read: it alone is set aside, says so, and comes back by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace

import pytest

from app.domain.account import AccountKey, AccountSnapshot, AccountState
from app.domain.chain import Address, ContractCall, ReadPlan
from app.domain.market import Deployment, Market, MarketRecord
from app.errors import Fatal, Refused
from app.indexer.block.refusal import Refusal, guarded
from app.indexer.options import IndexerOptions
from app.protocols.base import DeploymentState
from app.store.blocks import load_head
from app.store.chains import load_chains
from app.store.deployments import DeploymentTrouble, load_troubles, load_troubles_at
from app.store.postgres.engine import Database
from app.store.scans import load_scans
from tests.fakes.protocol import POOL, SECOND_POOL, ToyAdapter, ToyState, toy_deployment
from tests.indexer.comparing import assert_equals_the_chain
from tests.indexer.model import CHAIN_ID, Draft, ModelChain, ModelReader, address
from tests.indexer.running import QUICK, load_state, make_indexer

pytestmark = pytest.mark.database

MARKET = address("market 0")
NOWHERE = toy_deployment(id="a-nowhere", address=Address(b"\x77" * 20))
SECOND = toy_deployment(id="toy-second", address=SECOND_POOL)


def nothing(draft: Draft) -> None:
    """A block without life."""


async def troubles(database: Database) -> dict[str, str]:
    async with database.read() as session:
        return await load_troubles(session, [CHAIN_ID])


async def chain_trouble(database: Database) -> str | None:
    async with database.read() as session:
        return (await load_chains(session))[0].trouble


async def follow(
    chain: ModelChain, database: Database, deployments: Sequence[Deployment], options: IndexerOptions = QUICK
) -> None:
    """A new process brings the store to the head."""
    indexer = make_indexer(ModelReader(chain), database, deployments=deployments, options=options)
    await indexer.run_until(chain.head.ref.number, scanned=True)


async def test_one_that_refuses_is_set_aside_and_the_other_goes_on(database: Database) -> None:
    chain = ModelChain(seed=1)
    both = [toy_deployment(), SECOND]
    await follow(chain, database, both)
    chain.mine(change=lambda draft: draft.refuse(SECOND_POOL))
    chain.mine(4)
    await follow(chain, database, both)

    assert list(await troubles(database)) == [SECOND.id]
    assert str(SECOND_POOL) in (await troubles(database))[SECOND.id]
    assert await chain_trouble(database) is None
    await assert_equals_the_chain(database, chain, range(1, 6))


@pytest.mark.parametrize("listing", [False, True])
async def test_it_comes_back_with_all_that_happened_meanwhile(database: Database, listing: bool) -> None:
    chain = ModelChain(seed=1)
    both, wallet = [toy_deployment(), SECOND], address("wallet")
    chain.mine(change=lambda draft: draft.hold(wallet, MARKET, 100, 0, flag=True))
    await follow(chain, database, both)
    late = address("late market")
    changes: list[Callable[[Draft], None]] = [
        lambda draft: draft.refuse(SECOND_POOL),
        lambda draft: draft.hold(wallet, MARKET, 250, 0, flag=True),
        lambda draft: draft.hold(address("newcomer"), MARKET, 30, 0),
        (lambda draft: draft.list_market(late)) if listing else nothing,
        lambda draft: draft.hold(address("early bird"), late if listing else MARKET, 70, 0),
        lambda draft: draft.refuse(),
    ]
    for change in changes:
        chain.mine(change=change)
        await follow(chain, database, both)

    assert chain.head.ref.number == QUICK.refresh_blocks
    assert await troubles(database) == {}
    _, first = await load_state(database, chain.head.ref.number)
    _, second = await load_state(database, chain.head.ref.number, SECOND)
    assert {(a.key.wallet, a.positions) for a in second if isinstance(a, AccountSnapshot)} == {
        (a.key.wallet, a.positions) for a in first if isinstance(a, AccountSnapshot)
    }
    assert len(second) == 3
    async with database.read() as session:
        assert await load_scans(session, CHAIN_ID, 10) == []


async def test_a_long_absence_is_searched_between_blocks_and_leaves_nothing_stale(database: Database) -> None:
    chain = ModelChain(seed=1)
    both, wallet = [toy_deployment(), SECOND], address("wallet")
    options = replace(QUICK, search_at_once_blocks=2, scan_first_blocks=2, scan_most_blocks=2)
    chain.mine(change=lambda draft: draft.hold(wallet, MARKET, 100, 0, flag=True))
    await follow(chain, database, both, options=options)
    chain.mine(change=lambda draft: draft.refuse(SECOND_POOL))
    chain.mine(change=lambda draft: draft.hold(wallet, MARKET, 250, 0, flag=True))
    chain.mine(change=lambda draft: draft.hold(address("newcomer"), MARKET, 30, 0))
    chain.mine(8, change=nothing)
    chain.mine(change=lambda draft: draft.refuse())
    chain.mine(9, change=nothing)
    await follow(chain, database, both, options=options)
    chain.mine(change=nothing)
    await follow(chain, database, both, options=options)

    assert await troubles(database) == {}
    _, accounts = await load_state(database, chain.head.ref.number, SECOND)
    held = {a.key.wallet: [p.supplied_raw for p in a.positions] for a in accounts if isinstance(a, AccountSnapshot)}
    assert held == {wallet: [250], address("newcomer"): [30]}


async def test_a_wrong_address_beside_others_is_set_aside_from_the_start(database: Database) -> None:
    chain = ModelChain(seed=1)
    chain.mine(20)
    await follow(chain, database, [NOWHERE, toy_deployment()])
    chain.mine(5)
    await follow(chain, database, [NOWHERE, toy_deployment()])

    assert list(await troubles(database)) == [NOWHERE.id]
    await assert_equals_the_chain(database, chain, range(25, 26))


async def test_a_wrong_address_alone_at_the_first_start_is_an_error_that_names_it(database: Database) -> None:
    chain = ModelChain(seed=1)
    other = replace(NOWHERE, id="b-nowhere")
    with pytest.raises(Refused, match=r"a-nowhere.*b-nowhere"):
        await follow(chain, database, [NOWHERE, other])

    assert "a-nowhere" in str(await chain_trouble(database))
    async with database.read() as session:
        assert await load_head(session, CHAIN_ID) is None


async def test_a_chain_none_of_whose_deployments_can_be_read_says_so_and_keeps_trying(database: Database) -> None:
    chain = ModelChain(seed=1)
    await follow(chain, database, [toy_deployment()])
    chain.mine(change=lambda draft: draft.refuse(POOL))
    await follow(chain, database, [toy_deployment()])
    assert "no deployment can be read" in str(await chain_trouble(database))
    chain.mine(change=lambda draft: draft.refuse())
    await follow(chain, database, [toy_deployment()])

    assert await chain_trouble(database) is None
    await assert_equals_the_chain(database, chain, range(2, 3))


async def test_a_fork_forgets_a_refusal_that_only_dropped_blocks_knew(database: Database) -> None:
    chain = ModelChain(seed=1)
    await follow(chain, database, [toy_deployment()])
    chain.mine(2)
    chain.mine(change=lambda draft: draft.refuse(POOL))
    chain.mine()
    await follow(chain, database, [toy_deployment()])
    assert await troubles(database)
    chain.truncate(2)
    chain.mine(3)
    await follow(chain, database, [toy_deployment()])

    assert await troubles(database) == {}
    await assert_equals_the_chain(database, chain, range(1, 6))


async def test_a_fork_below_its_return_sets_a_deployment_aside_again(database: Database) -> None:
    chain = ModelChain(seed=1)
    chain.mine()
    await follow(chain, database, [toy_deployment()])
    chain.mine(change=lambda draft: draft.refuse(POOL))
    await follow(chain, database, [toy_deployment()])
    chain.mine(change=lambda draft: draft.refuse())
    await follow(chain, database, [toy_deployment()])
    assert await troubles(database) == {}
    chain.truncate(1)
    chain.mine(2)
    await follow(chain, database, [toy_deployment()])

    async with database.read() as session:
        block = await load_head(session, CHAIN_ID)
        assert block is not None
        (trouble,) = (await load_troubles_at(session, {CHAIN_ID: block.id})).values()
    assert trouble.since_block == 2


async def test_a_deployment_that_was_set_aside_stays_so_at_past_blocks(database: Database) -> None:
    chain = ModelChain(seed=1)
    await follow(chain, database, [toy_deployment()])
    chain.mine(change=lambda draft: draft.refuse(POOL))
    await follow(chain, database, [toy_deployment()])
    async with database.read() as session:
        aside = await load_head(session, CHAIN_ID)
    chain.mine(change=lambda draft: draft.refuse())
    await follow(chain, database, [toy_deployment()])

    assert aside is not None
    async with database.read() as session:
        found = await load_troubles_at(session, {CHAIN_ID: aside.id})
    assert found == {"toy-devnet": DeploymentTrouble(found["toy-devnet"].text, 1)}


class Undecodable(ToyState):
    """Its accounts make the adapter give up."""

    def read_account(self, key: AccountKey, block_number: int, markets: frozenset[str]) -> ReadPlan[AccountState]:
        yield (ContractCall(POOL, b"flags"),)
        raise Fatal(f"an account of {self.deployment.id} has no shape that is known")


class SometimesUndecodable(ToyAdapter):
    """The model's adapter, for which one deployment has impossible accounts."""

    def restore_state(
        self, deployment: Deployment, markets: Sequence[Market], records: Sequence[MarketRecord]
    ) -> DeploymentState:
        state = super().restore_state(deployment, markets, records)
        assert isinstance(state, ToyState)
        if deployment.id != SECOND.id:
            return state
        return Undecodable(**{field.name: getattr(state, field.name) for field in fields(ToyState)})


async def test_an_adapter_that_gives_up_on_one_deployment_does_not_stop_the_others(database: Database) -> None:
    chain = ModelChain(seed=1)
    both = [toy_deployment(), SECOND]
    indexer = make_indexer(ModelReader(chain), database, deployments=both, adapters=lambda _: SometimesUndecodable())
    await indexer.run_until(0)
    chain.mine(change=lambda draft: draft.hold(address("wallet"), MARKET, 100, 0))
    await indexer.run_until(1)

    assert await troubles(database) == {SECOND.id: "an account of toy-second has no shape that is known"}
    await assert_equals_the_chain(database, chain, range(1, 2))


def test_only_what_the_plan_itself_raises_is_its_refusal() -> None:
    def plan() -> ReadPlan[int]:
        yield (ContractCall(POOL, b""),)
        raise Refused("wrong" + "!" * 1_000)

    refusing = guarded("x", plan)
    next(refusing)
    with pytest.raises(StopIteration) as stop:
        refusing.send([])
    assert stop.value.value == Refusal("x", ("wrong" + "!" * 1_000)[:500], Refused())
    assert not stop.value.value.is_fault
    broken = guarded("x", plan)
    next(broken)
    with pytest.raises(ConnectionError):
        broken.throw(ConnectionError("the driver's, not the plan's"))
