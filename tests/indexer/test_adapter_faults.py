"""Defects in an adapter's own code: they cost the deployment they happen at, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import fields

import pytest

from app.domain.account import AccountKey, AccountSnapshot, AccountState
from app.domain.chain import ContractCall, Log, LogFilter, ReadPlan
from app.domain.market import Deployment, Market, MarketRecord
from app.errors import Fatal
from app.indexer.block.refusal import Refusal, asked, guarded
from app.protocols.base import DeploymentState, Touch
from app.store.blocks import load_head
from app.store.chains import load_chains
from app.store.deployments import load_troubles
from app.store.postgres.engine import Database
from app.store.progress import load_deployment_backlogs
from tests.fakes.protocol import POOL, SECOND_POOL, ToyAdapter, ToyState, toy_deployment
from tests.indexer.comparing import assert_equals_the_chain
from tests.indexer.model import CHAIN_ID, ModelChain, ModelReader, address
from tests.indexer.running import QUICK, load_state, make_indexer

pytestmark = pytest.mark.database

MARKET = address("market 0")
SECOND = toy_deployment(id="toy-second", address=SECOND_POOL)
BOTH = (toy_deployment(), SECOND)
TOLD = "a fault in its adapter's code: KeyError"


class Defects(ToyState):
    """Fails at what `failing` names, for the second deployment only."""

    failing = ""

    def _fail(self, where: str) -> None:
        if type(self).failing == where:
            raise KeyError("https://user:secret@example.invalid")

    def touched(self, log: Log) -> tuple[Touch, ...]:
        self._fail("touched")
        return super().touched(log)

    def log_filter(self) -> LogFilter:
        self._fail("log_filter")
        return super().log_filter()

    def read_account(self, key: AccountKey, block_number: int, markets: frozenset[str]) -> ReadPlan[AccountState]:
        self._fail("making a plan")
        yield (ContractCall(POOL, b"flags"),)
        self._fail("decoding")
        return (yield from super().read_account(key, block_number, markets))

    def may_have_changed_unseen(self, before: DeploymentState, *, logs: Sequence[Log] | None) -> bool:
        self._fail("comparing")
        return super().may_have_changed_unseen(before, logs=logs)

    def records(self) -> tuple[MarketRecord, ...]:
        self._fail("records")
        return super().records()

    def moves_by_itself(self, snapshot: AccountSnapshot) -> bool:
        self._fail("moving")
        return super().moves_by_itself(snapshot)

    def candidates(self) -> tuple[DeploymentState, ...]:
        self._fail("candidates")
        return super().candidates()


class DefectAdapter(ToyAdapter):
    """The model's adapter with defects for the second deployment."""

    cannot_restore: Exception | None = None

    def restore_state(
        self, deployment: Deployment, markets: Sequence[Market], records: Sequence[MarketRecord]
    ) -> DeploymentState:
        state = super().restore_state(deployment, markets, records)
        assert isinstance(state, ToyState)
        if deployment.id != SECOND.id:
            return state
        if self.cannot_restore is not None:
            raise self.cannot_restore
        return Defects(**{field.name: getattr(state, field.name) for field in fields(ToyState)})


async def follow(chain: ModelChain, database: Database, adapter: ToyAdapter, number: int | None = None) -> None:
    indexer = make_indexer(ModelReader(chain), database, deployments=BOTH, adapters=lambda _: adapter)
    await indexer.run_until(chain.head.ref.number if number is None else number, scanned=True)


async def troubles(database: Database) -> dict[str, str]:
    async with database.read() as session:
        return await load_troubles(session, [CHAIN_ID])


@pytest.fixture
def failing_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda where: monkeypatch.setattr(Defects, "failing", where)


@pytest.mark.parametrize(
    "where",
    ["touched", "log_filter", "making a plan", "decoding", "comparing", "records", "moving", "candidates"],
)
async def test_it_is_set_aside_alone_and_comes_back_when_the_fault_is_gone(
    database: Database, failing_at: Callable[[str], None], caplog: pytest.LogCaptureFixture, where: str
) -> None:
    chain, adapter = ModelChain(seed=1), DefectAdapter()
    await follow(chain, database, adapter)
    failing_at(where)
    chain.mine(change=lambda draft: draft.hold(address("wallet"), MARKET, 100, 50, flag=True))
    chain.mine(change=lambda draft: draft.flip_rounding())
    with caplog.at_level(logging.ERROR):
        await follow(chain, database, adapter)
    found = await troubles(database)
    assert list(found) == [SECOND.id]
    assert TOLD in found[SECOND.id]
    assert "KeyError" in caplog.text
    assert "Traceback" in caplog.text
    await assert_equals_the_chain(database, chain, range(1, 3))

    failing_at("")
    chain.mine(change=lambda draft: None)
    chain.mine(QUICK.refresh_blocks, change=lambda draft: None)
    await follow(chain, database, adapter)
    assert await troubles(database) == {}
    _, accounts = await load_state(database, chain.head.ref.number, SECOND)
    assert [account.key.wallet for account in accounts] == [address("wallet")]


@pytest.mark.parametrize("fault", [Fatal("records of another version"), KeyError("changes")])
async def test_what_cannot_be_restored_is_set_aside_until_it_can_be(database: Database, fault: Exception) -> None:
    chain, adapter = ModelChain(seed=1), DefectAdapter()
    await follow(chain, database, adapter)
    adapter.cannot_restore = fault
    chain.mine(change=lambda draft: draft.hold(address("wallet"), MARKET, 100, 50, flag=True))
    chain.mine(9, change=lambda draft: None)
    await follow(chain, database, adapter)
    (told,) = (await troubles(database)).values()
    assert told.startswith("what is stored of it cannot be restored: ")
    assert ("records of another version" if isinstance(fault, Fatal) else TOLD) in told
    await assert_equals_the_chain(database, chain, range(1, 11))
    async with database.read() as session:
        assert (await load_chains(session))[0].trouble is None

    adapter.cannot_restore = None
    chain.mine(8, change=lambda draft: None)
    await follow(chain, database, adapter)
    assert await troubles(database) == {}
    _, accounts = await load_state(database, chain.head.ref.number, SECOND)
    assert [account.key.wallet for account in accounts] == [address("wallet")]


async def test_what_cannot_be_restored_is_tried_again_without_a_restart(database: Database) -> None:
    chain, adapter = ModelChain(seed=1), DefectAdapter()
    await follow(chain, database, adapter)
    adapter.cannot_restore = ValueError("no")
    indexer = make_indexer(ModelReader(chain), database, deployments=BOTH, adapters=lambda _: adapter)
    chain.mine(change=lambda draft: draft.hold(address("wallet"), MARKET, 100, 50, flag=True))
    await indexer.run_until(chain.head.ref.number)
    assert SECOND.id in await troubles(database)
    adapter.cannot_restore = None
    for _ in range(2):  # a state can be made of it again; then it is read again
        chain.mine(QUICK.refresh_blocks, change=lambda draft: None)
        await indexer.run_until(chain.head.ref.number, scanned=True)
    assert await troubles(database) == {}
    _, accounts = await load_state(database, chain.head.ref.number, SECOND)
    assert [account.key.wallet for account in accounts] == [address("wallet")]


async def test_a_lone_deployment_with_a_fault_does_not_stop_its_chain(database: Database) -> None:
    class Unreadable(ToyAdapter):
        def read_state(self, deployment: Deployment) -> ReadPlan[DeploymentState]:
            raise ValueError("no")

    chain = ModelChain(seed=1)
    chain.mine(2)
    indexer = make_indexer(ModelReader(chain), database, adapters=lambda _: Unreadable())
    await indexer.run_until(2)
    async with database.read() as session:
        assert "ValueError" in str((await load_chains(session))[0].trouble)
        assert await load_head(session, CHAIN_ID) is not None


async def test_an_old_log_it_fails_at_stays_to_be_searched_and_holds_up_no_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = ModelChain(seed=1)
    chain.mine(change=lambda draft: draft.hold(address("wallet"), MARKET, 100, 50, flag=True))
    chain.mine(12, change=lambda draft: None)
    sound = ToyState.touched

    def touched(self: ToyState, log: Log) -> tuple[Touch, ...]:
        if self.deployment.id == SECOND.id:
            raise KeyError("topic")
        return sound(self, log)

    monkeypatch.setattr(ToyState, "touched", touched)
    await follow(chain, database, ToyAdapter())
    async with database.read() as session:
        left = await load_deployment_backlogs(session, CHAIN_ID)
    assert left[BOTH[0].id].scan_remaining_blocks == 0
    assert left[SECOND.id].scan_remaining_blocks > 0
    chain.mine(change=lambda draft: None)
    monkeypatch.setattr(ToyState, "touched", sound)
    await follow(chain, database, ToyAdapter())
    async with database.read() as session:
        left = await load_deployment_backlogs(session, CHAIN_ID)
    assert left[SECOND.id].scan_remaining_blocks == 0


def test_what_an_adapter_raises_is_told_by_its_class_alone() -> None:
    def fails() -> int:
        raise ValueError("https://user:secret@example.invalid")

    def plan() -> ReadPlan[int]:
        fails()
        yield ()

    told = asked("x", fails)
    assert isinstance(told, Refusal)
    assert (told.text, told.is_fault) == ("a fault in its adapter's code: ValueError", True)
    with pytest.raises(StopIteration) as stop:
        next(guarded("x", plan))
    assert stop.value.value == told
