"""A Comet through the whole path: every account at every block equals the contract, also what no log tells of."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.chain.heads import follow_heads
from app.chain.reader import ChainReader
from app.chain.rpc import Rpc
from app.domain.account import AccountSnapshot
from app.domain.chain import Address
from app.domain.market import Deployment
from app.domain.risk import RiskStatus
from app.domain.specs import chain_spec
from app.indexer.loop import Indexer
from app.indexer.options import IndexerOptions
from app.protocols.base import PricedState
from app.protocols.registry import adapter_for
from app.store.accounts import load_accounts
from app.store.blocks import load_head
from app.store.markets import load_markets, load_records
from app.store.postgres.engine import Database
from devnet.assets import LIQUIDITY_PROVIDER
from devnet.comet_life import CometLife
from devnet.node import Json
from devnet.world import World
from tests.fixtures.devnet import WorldFactory
from tests.integration.following import deployments_of

pytestmark = [pytest.mark.database, pytest.mark.devnet]

BLOCKS = 60
ROUND_BLOCKS = 15
FOLLOWED = ("compound-v3",)


class Comet:
    """A world with a Comet, and an indexer that follows it alone."""

    def __init__(self, world: World, database: Database, indexer: Indexer, deployment: Deployment) -> None:
        life = world.neighbours["compound-v3"]
        assert isinstance(life, CometLife)
        self.world, self.life = world, life
        self._database, self._indexer, self._deployment = database, indexer, deployment

    async def caught_up(self) -> None:
        """The newest block is stored, old logs searched."""
        await self._indexer.run_until(self.world.block_number, scanned=True)

    async def load(self) -> tuple[PricedState, dict[Address, AccountSnapshot]]:
        """What the store says at the newest block."""
        name = self._deployment.id
        async with self._database.read() as session:
            block = await load_head(session, self.world.chain_id)
            assert block is not None
            assert block.ref.number == self.world.block_number
            records = await load_records(session, name, block)
            markets = await load_markets(session, name, block)
            accounts = await load_accounts(session, name, block)
        state = adapter_for(self._deployment.protocol).restore_state(self._deployment, markets, records)
        found = {one.key.wallet: one for one in accounts if isinstance(one, AccountSnapshot)}
        assert len(found) == len(accounts)
        return state.at(block.ref.timestamp, block.ref.number), found

    async def compare(self) -> Counter[str]:
        """Every account with the contract's own word; how many of each status."""
        priced, found = await self.load()
        codes = {token.symbol: str(token.address) for token in self.life.comet.collaterals.values()}
        base, statuses = str(self.life.comet.base.address), Counter[str]()
        for wallet in self.life.wallets:
            said = self.life.account(wallet)
            account = found.pop(wallet)
            held = {position.market: position for position in account.positions}
            owed = held.pop(base, None)
            where = f"block {self.world.block_number}, {wallet}"
            assert (owed.supplied_raw - owed.borrowed_raw if owed else 0) == said.principal, where
            wanted = {codes[symbol]: balance for symbol, balance in said.collaterals.items()}
            assert {code: position.supplied_raw for code, position in held.items()} == wanted, where
            views = (said.is_liquidatable, said.is_borrow_collateralized, said.borrowed, said.supplied)
            assert priced.truth(account) == tuple(map(int, views)), where
            status = priced.assess(account).status
            assert status is priced.health(account).status
            statuses[status] += 1
        return statuses


@asynccontextmanager
async def following_a_comet(world: World, database: Database, folder: Path) -> AsyncIterator[Comet]:
    """Follow the Comet of `world`, with a slow round of a few blocks."""
    spec = chain_spec(world.chain_id)
    reader = ChainReader(Rpc(world.rpc_url), spec)
    (deployment,) = (one for one in deployments_of(world, folder) if one.protocol in FOLLOWED)
    options = IndexerOptions(reread_seconds=int(ROUND_BLOCKS * spec.block_seconds))
    heads = lambda: follow_heads(reader, None, 0.001)  # noqa: E731
    comet = Comet(world, database, Indexer(reader, database, spec, [deployment], heads, options=options), deployment)
    try:
        await comet.caught_up()
        world.mine()  # accounts found in old logs are read at the next block
        await comet.caught_up()
        yield comet
    finally:
        await reader.aclose()


def comet_logs(world: World, number: int) -> int:
    """How many logs the Comet emitted in a block."""
    life = world.neighbours["compound-v3"]
    assert isinstance(life, CometLife)
    query: dict[str, Json] = {"fromBlock": hex(number), "toBlock": hex(number), "address": str(life.comet.address)}
    logs = world.chain.client.call("eth_getLogs", query)
    assert isinstance(logs, list)
    return len(logs)


async def test_every_account_of_a_comet_equals_the_contract_at_every_block(
    make_world: WorldFactory, database: Database, tmp_path: Path
) -> None:
    world = make_world(seed=5, wallets=40, protocols=FOLLOWED)
    statuses, happened = Counter[str](), Counter[str]()
    async with following_a_comet(world, database, tmp_path) as comet:
        for number in range(BLOCKS):
            if number % 20 == 10:
                world.set_price("WETH", world.prices()["WETH"] * 85 // 100)
                await comet.caught_up()
                statuses += await comet.compare()
            step = world.step()
            await comet.caught_up()
            statuses += await comet.compare()
            happened.update(label for label in step.succeeded if "comet" in label or "compound-v3" in label)
            if "comet silent transfer" in step.succeeded:
                assert comet_logs(world, world.block_number) == 0
    assert happened["comet silent transfer"] > 5
    assert happened["liquidate compound-v3-devnet"] > 0
    assert statuses[RiskStatus.HEALTHY] > BLOCKS
    assert statuses[RiskStatus.LIQUIDATABLE] > 0
    assert statuses[RiskStatus.NO_DEBT] > 0


async def test_a_silent_transfer_beside_other_life_is_found_within_the_slow_round(
    make_world: WorldFactory, database: Database, tmp_path: Path
) -> None:
    world = make_world(seed=6, wallets=40, protocols=FOLLOWED)
    async with following_a_comet(world, database, tmp_path) as comet:
        await comet.compare()
        pair = comet.life.silent_pair()
        assert pair is not None
        source, target, amount = pair
        third = next(wallet for wallet in comet.life.wallets if wallet not in (source, target))
        base = comet.life.comet.base
        transfer, supply = "transfer(address,uint256)", "supply(address,uint256)"
        comet.life.send(source, transfer, target, amount, must_succeed=True)
        comet.life.send(third, supply, base.address, 10**base.decimals, must_succeed=True)
        world.chain.mine()
        assert comet_logs(world, world.block_number) > 0
        await comet.caught_up()
        _, found = await comet.load()
        owed = -comet.life.account(source).principal
        stored = {position.market: position.borrowed_raw for position in found[source].positions}
        assert stored[str(base.address)] != owed, "found at once: then this test shows nothing"

        for _ in range(ROUND_BLOCKS):
            world.mine()
            await comet.caught_up()
        await comet.compare()


async def test_a_transfer_that_names_only_who_receives_it_is_found_in_its_block(
    make_world: WorldFactory, database: Database, tmp_path: Path
) -> None:
    world = make_world(seed=6, wallets=40, protocols=FOLLOWED)
    async with following_a_comet(world, database, tmp_path) as comet:
        pair = comet.life.silent_pair()
        assert pair is not None
        source, _, amount = pair
        comet.life.send(source, "transfer(address,uint256)", LIQUIDITY_PROVIDER, amount, must_succeed=True)
        world.chain.mine()
        assert comet_logs(world, world.block_number) == 1
        await comet.caught_up()
        await comet.compare()
