"""What a block is read with and from, and what it brings: the values that pass between the reading and the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.chain.reader import ChainReader
from app.domain.account import AccountState
from app.domain.batch import BlockBatch, DueAccount, ScanRange
from app.domain.market import Deployment, Market, MarketRecord
from app.indexer.block.doubts import Doubts
from app.indexer.block.unlogged import NOBODY, Unlogged
from app.indexer.metrics import ChainMetrics
from app.indexer.options import IndexerOptions
from app.indexer.pace import AccountPace
from app.protocols.base import Adapter, DeploymentState
from app.store.deployments import DeploymentTrouble
from app.store.footing import Known
from app.store.postgres.engine import Database


@dataclass(frozen=True, slots=True)
class Followed:
    """One deployment as of the cursor."""

    deployment: Deployment
    adapter: Adapter
    state: DeploymentState | None
    """None until it has been read for the first time. Of the block before `trouble` began, while there is one."""
    trouble: DeploymentTrouble | None = None
    """Why it is set aside: the other deployments of its chain go on without it."""
    unlogged: Unlogged = NOBODY
    is_unrestorable: bool = False
    """What is stored of it cannot be made a state of by this code: it stays set aside until it is restored again."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What a block is read with."""

    reader: ChainReader
    database: Database
    options: IndexerOptions
    metrics: ChainMetrics
    round_blocks: int
    """Blocks of a round in which every account that can change unseen is read once."""
    sampling_step: int
    """Blocks from one that is stored to the next."""
    pace: AccountPace
    doubts: Doubts = field(default_factory=Doubts)


@dataclass(frozen=True, slots=True)
class Harvest:
    """What one block brings."""

    batch: BlockBatch
    followed: tuple[Followed, ...]
    """The deployments as of the batch's block."""
    scans: tuple[ScanRange, ...]
    """Blocks whose logs are left to search, because the harvest does not continue what is stored below."""
    unreadable: tuple[DueAccount, ...]
    """Accounts to be read again, with the markets that reading must not forget."""
    later: tuple[DueAccount, ...]
    """Accounts that may have changed and did not find room: to be read from the next block on."""
    known: Known
    """What the store said of the accounts, at the block below."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What a block brings of one deployment, its accounts aside."""

    markets: Sequence[Market] = ()
    """Markets that are new or described otherwise."""
    records: Sequence[MarketRecord] = ()
    """Records whose values differ."""
    unlogged: Unlogged = NOBODY


def take_stock(
    before: DeploymentState | None,
    now: DeploymentState,
    unlogged: Unlogged,
    read: Sequence[AccountState],
    round_blocks: int,
) -> Stock:
    """What a deployment's state and the accounts just read add to its state before and to `unlogged`."""
    return Stock(new_markets(before, now), new_records(before, now), unlogged.renewed(now, read, round_blocks))


def new_markets(before: DeploymentState | None, now: DeploymentState) -> list[Market]:
    """Markets that are new or described otherwise."""
    known = set(before.markets()) if before is not None else set()
    return [market for market in now.markets() if market not in known]


def new_records(before: DeploymentState | None, now: DeploymentState) -> list[MarketRecord]:
    """Records whose values differ."""
    known = set(before.records()) if before is not None else set()
    return [record for record in now.records() if record not in known]
