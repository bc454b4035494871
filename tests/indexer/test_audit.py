"""What is stored wrongly, or computed wrongly, is found within a few blocks, said, and where possible put right."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

import psycopg
import pytest

from app.chain.faults import Transport
from app.domain.account import AccountKey, AccountSnapshot, LendingPosition
from app.domain.audit import FindingKind
from app.domain.units import WAD
from app.indexer.between.audit import choose_accounts
from app.indexer.between.comparison import worst_error
from app.indexer.metrics import IndexerMetrics
from app.protocols.base import Truth
from app.store.accounts import load_accounts
from app.store.accuracy import Accuracy, StoredFinding, load_accuracy, load_findings
from app.store.audits import load_open_findings
from app.store.blocks import drop_blocks_above, load_head
from app.store.postgres.engine import Database
from tests.fakes.protocol import ToyPriced, toy_deployment
from tests.indexer.comparing import assert_equals_the_chain
from tests.indexer.model import CHAIN_ID, Draft, ModelChain, ModelReader, address
from tests.indexer.running import QUICK, make_indexer

AUDITING = replace(QUICK, audit_accounts=4, audit_seconds=0.0)
SLUG = toy_deployment().id
MARKET = address("market 0")
BORROWERS = 20
WITHIN_BLOCKS = 40
"""Four accounts of 20 a block, the same half of them always the nearest to the line: one is missed 40 times running in
fewer than one of a thousand chains. The chain is always the same one."""

pytestmark = pytest.mark.database


def nothing(draft: Draft) -> None:
    """A block without life."""


def borrow(draft: Draft) -> None:
    for number in range(BORROWERS):
        draft.hold(address(f"borrower {number}"), MARKET, 5_000 + number, 1_000, flag=True)


async def accuracy_of(database: Database) -> tuple[Accuracy, list[StoredFinding]]:
    async with database.read() as session:
        return (await load_accuracy(session, [SLUG]))[SLUG], await load_findings(session, [SLUG], 100)


async def followed_borrowers(database: Database, **overrides: Any) -> tuple[ModelChain, Any]:
    """A chain with borrowers, and the indexer that has stored them."""
    chain = ModelChain(seed=1)
    indexer = make_indexer(ModelReader(chain), database, options=AUDITING, **overrides)
    await indexer.run_until(0)
    chain.mine(change=borrow)
    await indexer.run_until(1)
    return chain, indexer


async def next_block(chain: ModelChain, indexer: Any) -> None:
    chain.mine(change=nothing)
    await indexer.run_until(chain.head.ref.number)


async def test_what_is_stored_rightly_is_counted_as_exact(database: Database) -> None:
    chain, indexer = await followed_borrowers(database)
    for _ in range(5):
        await next_block(chain, indexer)

    found, findings = await accuracy_of(database)
    assert not findings
    assert found.count.checked == found.count.exact == 4 * 6
    assert found.count.worst_error_wad == 0
    assert found.last_block == chain.head.ref.number


async def test_an_amount_changed_in_the_store_is_found_repaired_and_said(database: Database, database_url: str) -> None:
    metrics = IndexerMetrics.private()
    chain, indexer = await followed_borrowers(database, metrics=metrics)
    victim = address("borrower 7")
    with psycopg.connect(database_url, autocommit=True) as connection:
        changed = connection.execute(
            "UPDATE positions SET borrowed_raw = 900 FROM accounts a WHERE a.id = account_id AND a.wallet = %s",
            (bytes(victim),),
        ).rowcount
    assert changed == 1

    for _ in range(WITHIN_BLOCKS):
        await next_block(chain, indexer)
        found, findings = await accuracy_of(database)
        if findings and not found.open_findings:
            break

    (one,) = findings
    assert one.finding.key.wallet == victim
    assert one.finding.kind is FindingKind.STATE
    assert one.finding.what == (f"borrowed_raw {MARKET}",)
    assert (one.finding.expected, one.finding.got) == ((1_000,), (900,))
    assert one.repaired_block == one.block + 1
    assert found.count.state_mismatches == 1
    assert found.count.truth_mismatches == 0
    assert found.count.worst_error_wad == pytest.approx(WAD // 10, rel=1e-3)
    assert found.count.exact == found.count.checked - 1
    await assert_equals_the_chain(database, chain, range(chain.head.ref.number, chain.head.ref.number + 1))
    label = {"chain": str(CHAIN_ID), "protocol": toy_deployment().protocol, "kind": "state"}
    assert metrics.audit_mismatches.labels(**label)._value.get() == 1


async def test_a_broken_rule_is_said_and_stays_open_until_it_is_mended(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, indexer = await followed_borrowers(database)
    right = ToyPriced.truth

    def wrong(self: ToyPriced, snapshot: AccountSnapshot) -> Truth | None:
        truth = right(self, snapshot)
        return None if truth is None else (truth[0], truth[1] + 1)

    monkeypatch.setattr(ToyPriced, "truth", wrong)
    await next_block(chain, indexer)
    await next_block(chain, indexer)
    found, findings = await accuracy_of(database)
    assert found.count.truth_mismatches == 8
    assert found.count.state_mismatches == 0
    assert {one.finding.kind for one in findings} == {FindingKind.TRUTH}
    assert {one.finding.what for one in findings} == {("truth[1]",)}
    assert found.open_findings == len(findings) > 0
    assert 0 < (found.count.worst_error_wad or 0) < WAD // 1_000

    monkeypatch.setattr(ToyPriced, "truth", right)
    for _ in range(WITHIN_BLOCKS):
        await next_block(chain, indexer)
    found, findings = await accuracy_of(database)
    assert found.open_findings == 0
    assert all(one.repaired_block is not None for one in findings)


async def test_a_reorg_forgets_the_audits_of_its_blocks_and_opens_what_was_repaired_there(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, indexer = await followed_borrowers(database)
    with monkeypatch.context() as patched:
        patched.setattr(ToyPriced, "truth", lambda self, snapshot: (1, 1))
        await next_block(chain, indexer)
    for _ in range(WITHIN_BLOCKS):
        await next_block(chain, indexer)
    before, findings = await accuracy_of(database)
    assert before.open_findings == 0
    assert findings

    async with database.write() as session:
        await drop_blocks_above(session, CHAIN_ID, 2)
    after, _ = await accuracy_of(database)
    assert after.last_block == 2
    assert after.count.checked < before.count.checked
    assert after.open_findings == len(findings)
    async with database.write() as session:
        await drop_blocks_above(session, CHAIN_ID, 1)
    assert (await accuracy_of(database))[1] == []


async def test_a_node_that_fails_in_an_audit_costs_that_audit_only(database: Database) -> None:
    chain = ModelChain(seed=1)
    reader = ModelReader(chain)
    metrics = IndexerMetrics.private()
    indexer = make_indexer(reader, database, options=AUDITING, metrics=metrics)
    await indexer.run_until(0)
    chain.mine(change=borrow)
    await indexer.run_until(1)

    def fail_after_the_block(method: str) -> None:
        if indexer.cursor is not None and indexer.cursor.number == 2 and method == "read":
            raise Transport("the node hung up")

    reader.fault = fail_after_the_block
    chain.mine(change=nothing)
    await indexer.run_until(2)
    assert metrics.audits_failed.labels(str(CHAIN_ID))._value.get() == 1
    assert not metrics.failures._metrics
    async with database.read() as session:
        assert await load_open_findings(session, [SLUG], 10) == []


async def test_an_audit_makes_way_for_a_block_but_not_for_ever(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, indexer = await followed_borrowers(database)
    read_all = ModelReader.read_all
    asked_at: list[int] = []

    async def slow(self: ModelReader, plans: Any, block: Any, meanwhile: Any = None) -> Any:
        if indexer.cursor is not None and block == indexer.cursor:  # it is stored: this is the audit
            asked_at.append(block.number)
            chain.mine(change=nothing)
            for _ in range(100):  # as long as the next head takes, and much longer
                await asyncio.sleep(0.001)
        return await read_all(self, plans, block, meanwhile)

    monkeypatch.setattr(ModelReader, "read_all", slow)
    chain.mine(change=nothing)
    await indexer.run_until(chain.head.ref.number + 4)
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT b.number FROM audits a JOIN blocks b ON b.id = a.block_id ORDER BY 1")
        audited = [number for (number,) in rows if number >= asked_at[0]]
    assert len(asked_at) >= 4
    assert audited == [asked_at[3]]


async def test_the_choice_follows_from_the_block_and_not_from_the_process(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, _ = await followed_borrowers(database)
    chosen: list[list[AccountKey]] = []

    def noted(*given: Any) -> list[AccountSnapshot]:
        found = choose_accounts(*given)
        chosen.append([account.key for account in found])
        return found

    monkeypatch.setattr("app.indexer.between.audit.choose_accounts", noted)
    chain.mine(change=nothing)
    for _ in range(2):
        await make_indexer(ModelReader(chain), database, options=AUDITING).run_until(2)
        async with database.write() as session:
            await drop_blocks_above(session, CHAIN_ID, 1)
    assert len(chosen) == 2
    assert chosen[0] == chosen[1]
    assert len(set(chosen[0])) == 4


async def test_old_audits_are_forgotten(database: Database) -> None:
    chain = ModelChain(seed=1)
    indexer = make_indexer(ModelReader(chain), database, options=replace(AUDITING, audit_keep_seconds=5))
    await indexer.run_until(0)
    chain.mine(change=borrow)
    for _ in range(12):
        await indexer.run_until(chain.head.ref.number)
        chain.mine(change=nothing)
    await indexer.run_until(chain.head.ref.number)

    found, _ = await accuracy_of(database)
    assert found.since_timestamp == chain.head.ref.timestamp - 5
    async with database.read() as session:
        head = await load_head(session, CHAIN_ID)
        assert head is not None
        assert len(await load_accounts(session, SLUG, head)) == BORROWERS


class HealthByDebt:
    """Of the priced state only what choosing asks for: more debt is nearer to the line."""

    def health(self, snapshot: AccountSnapshot) -> Any:
        class Found:
            health_factor_wad = WAD - snapshot.positions[0].borrowed_raw

        return Found()


def candidates(deployment: str, count: int) -> list[AccountSnapshot]:
    return [
        AccountSnapshot(
            AccountKey(deployment, address(f"{deployment} {number}")), 1, (LendingPosition("m", 9, number, True),), ()
        )
        for number in range(count)
    ]


def test_deployments_take_turns_and_give_the_nearest_to_the_line_first() -> None:
    priced: Mapping[str, Any] = {"large": HealthByDebt(), "small": HealthByDebt()}
    chosen = choose_accounts([*candidates("large", 60), *candidates("small", 3)], priced, 8, Random(1))
    by_deployment = Counter(account.key.deployment_id for account in chosen)
    assert by_deployment == {"large": 5, "small": 3}
    nearest = {name: next(a for a in chosen if a.key.deployment_id == name) for name in by_deployment}
    assert nearest["large"].positions[0].borrowed_raw == 59
    assert nearest["small"].positions[0].borrowed_raw == 2


def test_every_candidate_can_be_chosen() -> None:
    priced: Mapping[str, Any] = {"one": HealthByDebt()}
    chosen = {
        account.key
        for seed in range(300)
        for account in choose_accounts(candidates("one", 20), priced, 4, Random(seed))
    }
    assert len(chosen) == 20


def test_an_error_is_relative_to_the_larger_number_and_never_rounds_to_none() -> None:
    assert worst_error((100, 0), (100, 0)) == 0
    assert worst_error((100, 10**60), (90, 10**60 + 1)) == WAD // 10
    assert worst_error((10**60,), (10**60 + 1,)) == 1
    assert worst_error((0,), (5,)) == WAD
    assert worst_error((-5,), (5,)) == 2 * WAD
    assert worst_error(None, (5,)) is None
