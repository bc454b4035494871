"""Every protocol on one chain, followed by one indexer: every account's numbers equal the contracts' at every block.

Two comparisons. Of all accounts: what the adapter makes of the stored state against the contract's own view at the
same block. Of some wallets a block, in turn: what the API answers (verdict, amounts with interest) against words of
the contracts that no adapter has a part in (`contracts.py`).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.api.frame.addresses import to_checksum
from app.chain.reader import ChainReader
from app.chain.rpc import Rpc
from app.domain.account import AccountKey, AccountSnapshot
from app.domain.chain import Address
from app.domain.specs import chain_spec
from app.domain.units import parse_units
from app.protocols.registry import adapter_for
from app.store.accounts import load_accounts
from app.store.blocks import StoredBlock, load_head
from app.store.markets import load_markets, load_records
from app.store.postgres.engine import Database
from app.valuation.assess import StateAt, restore_at
from devnet.world import NEIGHBOURS, World
from tests.fixtures.devnet import WorldFactory
from tests.integration.contracts import AccountName, Word, words_of
from tests.integration.following import Following, deployments_of, following

pytestmark = [pytest.mark.devnet, pytest.mark.database, pytest.mark.timeout(7200)]

BLOCKS = int(os.environ.get("EVERY_PROTOCOL_BLOCKS", "30"))
WALLETS = int(os.environ.get("EVERY_PROTOCOL_WALLETS", "60"))
ASKED_PER_BLOCK = 12
"""Wallets whose answer of the API is compared at each block, all in turn."""
DAY = 86_400


class Comparison:
    """Counts what was compared, so that a run in which nothing happened proves nothing."""

    def __init__(self, followed: Following, folder: Path) -> None:
        self._followed, self._world, self._database = followed, followed.world, followed.database
        self._deployments = deployments_of(followed.world, folder)
        self._reader = ChainReader(Rpc(followed.world.rpc_url), chain_spec(followed.world.chain_id))
        self.accounts: Counter[str] = Counter()
        """Accounts compared with their contract's view, by deployment."""
        self.answers: Counter[tuple[str, str]] = Counter()
        """Answers compared with the contracts' word, by deployment and status."""

    async def compare_all(self) -> None:
        """Every stored account of every deployment with the contract's own view at the newest block."""
        for deployment in self._deployments:
            async with self._database.read() as session:
                block = await load_head(session, self._world.chain_id)
                assert block is not None
                assert block.ref.number == self._world.block_number
                records = await load_records(session, deployment.id, block)
                markets = await load_markets(session, deployment.id, block)
                accounts = await load_accounts(session, deployment.id, block)
            state = restore_at(adapter_for(deployment.protocol), deployment, markets, records, block.ref)
            assert state.state.confirmed_samples, f"{deployment.id}: rules not confirmed"
            plans = [state.state.read_truth(account.key) for account in accounts]
            truths = await self._reader.read_all(plans, block.ref)
            for account, truth in zip(accounts, truths, strict=True):
                assert isinstance(account, AccountSnapshot), account
                where = f"block {block.ref.number}, {account.key}"
                assert truth is not None, where
                assert state.priced.truth(account) == truth, where
            self.accounts[deployment.id] += len(accounts)
            if self._world.block_number % 10 == 0:
                await self._require_complete(state, block, {account.key for account in accounts})

    async def compare_answers(self, wallets: list[Address]) -> None:
        """The API's answer on each wallet with what the contracts say, no adapter between."""
        said = words_of(self._world, wallets)
        for wallet in wallets:
            answer = await self._followed.get(f"/v1/wallets/{wallet}")
            assert answer["as_of"]["block_number"] == self._world.block_number
            shown = {(one["deployment_id"], wallet, one["unit"]): one for one in answer["accounts"]}
            for name, word in said.items():
                if name[1] == wallet:
                    self._compare(name, shown.pop(name, None), word)
            assert not shown, f"{to_checksum(wallet)}: accounts that no contract knows"

    def _compare(self, name: AccountName, shown: dict[str, Any] | None, word: Word) -> None:
        where = f"block {self._world.block_number}, {name[0]}, {to_checksum(name[1])} {name[2]}"
        if shown is None:
            assert (word.supplied, word.borrowed) == ({}, {}), f"{where}: not shown at all"
            return
        assert (shown["status"] == "liquidatable") is word.liquidatable, where
        supplied, borrowed = _amounts(shown, "supplied"), _amounts(shown, "borrowed")
        assert (supplied, borrowed) == (word.supplied, word.borrowed), where
        if word.equity is not None:
            _compare_margin(shown, word, where)
        self.answers[name[0], str(shown["status"])] += 1

    async def _require_complete(self, state: StateAt, block: StoredBlock, known: set[AccountKey]) -> None:
        """A wallet without a stored account holds nothing there. (Accounts with a unit are told by the devnet.)"""
        keys = [AccountKey(state.deployment.id, wallet) for wallet in self._world.wallets]
        codes = frozenset(state.market_by_code)
        missing = [key for key in keys if key not in known and not any(one.unit for one in known)]
        plans = [state.state.read_account(key, block.ref.number, codes) for key in missing]
        for account in await self._reader.read_all(plans, block.ref):
            assert isinstance(account, AccountSnapshot)
            assert (account.positions, account.perps) == ((), ()), f"{account.key} is not stored"

    async def aclose(self) -> None:
        await self._reader.aclose()


def _compare_margin(shown: dict[str, Any], word: Word, where: str) -> None:
    """Equity, requirement, sizes and funding of a perp account."""
    margin, perps = shown["margin"], shown["perps"]
    stated = {
        Address.from_hex(perp["market"]): (parse_units(perp["size"], 18), parse_units(perp["pending_funding"], 18))
        for perp in perps
    }
    assert stated == word.perps, where
    assert (parse_units(margin["equity"], 18), parse_units(margin["requirement"], 18)) == (
        word.equity,
        word.requirement,
    ), where


def _amounts(shown: dict[str, Any], side: str) -> dict[Address, int]:
    """Assets by token that an account of the API's answer shows on one side."""
    found: Counter[Address] = Counter()
    positions = shown["positions"]
    assert isinstance(positions, list)
    for position in positions:
        amount = parse_units(position[side], position["decimals"])
        if amount:
            found[Address.from_hex(position["asset"])] += amount
    return dict(found)


async def live(world: World, comparison: Comparison, followed: Following, blocks: int) -> Counter[str]:
    """Let the world live, comparing at every block; what happened."""
    happened: Counter[str] = Counter()
    for number in range(1, blocks + 1):
        if number % 20 == 0:
            world.time_jump(3 * DAY)
        if number % 15 == 0:
            world.set_price("WETH", world.prices()["WETH"] * 94 // 100)
        step = await asyncio.to_thread(world.step)
        await followed.caught_up()
        await comparison.compare_all()
        first = number * ASKED_PER_BLOCK % len(world.wallets)
        await comparison.compare_answers((world.wallets * 2)[first : first + ASKED_PER_BLOCK])
        happened["actions"] += len(step.succeeded)
        happened["refused"] += len(step.refused)
        happened["liquidations"] += sum(label.startswith("liquidat") for label in step.succeeded)
    return happened


async def test_every_account_of_every_protocol_equals_its_contract_at_every_block(
    make_world: WorldFactory, database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world(seed=11, wallets=WALLETS, protocols=tuple(NEIGHBOURS))
    started = time.monotonic()
    async with following(world, database, tmp_path) as followed:
        comparison = Comparison(followed, tmp_path)
        try:
            happened = await live(world, comparison, followed, BLOCKS)
        finally:
            await comparison.aclose()
    assert happened["liquidations"] > 0
    for row in world.deployments():
        name = str(row["id"])
        assert comparison.accounts[name] >= BLOCKS, name
        assert comparison.answers[name, "healthy"] > 0, name
    assert sum(count for (_, status), count in comparison.answers.items() if status == "liquidatable") > 0
    with capsys.disabled():
        print(
            f"\nevery protocol: {sum(comparison.accounts.values()):,} accounts {dict(comparison.accounts)} and "
            f"{sum(comparison.answers.values()):,} answers compared over {BLOCKS} blocks and {WALLETS} wallets in "
            f"{time.monotonic() - started:.0f} s, 0 differ ({dict(happened)})"
        )
