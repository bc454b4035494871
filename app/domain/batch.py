"""All that one block adds, passed whole from the indexer to the store and committed in one transaction."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.account import AccountKey, AccountState
from app.domain.chain import BlockRef
from app.domain.market import Market, MarketRecord


@dataclass(frozen=True, slots=True)
class BlockBatch:
    """One block's harvest. Everything in it was read at exactly `block`."""

    block: BlockRef
    markets: tuple[Market, ...] = ()
    """Markets seen for the first time, or whose description changed."""
    records: tuple[MarketRecord, ...] = ()
    """Only the records whose values differ from the newest stored ones."""
    accounts: tuple[AccountState, ...] = ()
    """Every account read at this block, touched here or due from earlier; the store keeps what differs."""


@dataclass(frozen=True, slots=True)
class ScanRange:
    """A stretch of old blocks whose logs still have to be searched for accounts of one deployment. Inclusive."""

    deployment_id: str
    from_block: int
    """The next block to search: it moves up as the scan proceeds."""
    to_block: int


@dataclass(frozen=True, slots=True)
class DueAccount:
    """An account known from logs whose state has not been read since: to be read at the next head."""

    key: AccountKey
    markets: frozenset[str]
    """Markets the logs named, so that a holding without any flag is read too."""
