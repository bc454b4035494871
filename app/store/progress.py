"""How far indexing has come: where the stored blocks begin, and what is still to be done, counted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import BigInteger, Integer, bindparam, exists, func, literal_column, not_, select, true
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import ARRAY

from app.domain.chain import ChainId
from app.store.blocks import StoredBlock, stored_block
from app.store.postgres.session import Query, ReadSession
from app.store.tables.chain import (
    account_due,
    account_states,
    blocks,
    deployment_troubles,
    deployments,
    log_scans,
    record_keys,
)
from app.store.tables.kept import first_whole

_CHAIN = bindparam("chain_id", type_=BigInteger)

_COLUMNS = (blocks.c.id, blocks.c.chain_id, blocks.c.number, blocks.c.hash, blocks.c.parent_hash, blocks.c.timestamp)
_FIRST = Query(
    select(*_COLUMNS)
    .where(blocks.c.chain_id == _CHAIN, blocks.c.number >= first_whole(_CHAIN))
    .order_by(blocks.c.number)
    .limit(literal_column("1", Integer))
)
_wanted = func.unnest(bindparam("chain_ids", type_=ARRAY(BigInteger))).table_valued(
    named("chain_id", BigInteger), name="wanted"
)
_wanted = _wanted.render_derived()
_newest = (
    select(*_COLUMNS)
    .where(blocks.c.chain_id == _wanted.c.chain_id)
    .order_by(blocks.c.number.desc())
    .limit(literal_column("1", Integer))
    .lateral("newest")
)
_HEADS = Query(select(*_newest.c).select_from(_wanted.join(_newest, true())))
_is_followed = func.coalesce(
    select(deployment_troubles.c.is_followed)
    .where(deployment_troubles.c.deployment_id == deployments.c.id)
    .order_by(deployment_troubles.c.block_id.desc())
    .limit(literal_column("1", Integer))
    .scalar_subquery(),
    true(),
)
"""At the newest stored block: what is left to do for one that nobody follows, nobody will do."""
_pending = (
    select(func.count())
    .where(account_due.c.deployment_id == deployments.c.id, account_due.c.read_at_block_id.is_(None))
    .scalar_subquery()
)
_unread = (
    select(func.count())
    .where(
        account_due.c.deployment_id == deployments.c.id,
        account_due.c.read_at_block_id.is_(None),
        not_(exists().where(account_states.c.account_id == account_due.c.account_id)),
    )
    .scalar_subquery()
)
_unsearched = (
    select(func.coalesce(func.sum(log_scans.c.to_block - log_scans.c.from_block + 1), 0).cast(BigInteger))
    .where(log_scans.c.deployment_id == deployments.c.id)
    .scalar_subquery()
)
_UNSEARCHED = Query(
    select(deployments.c.chain_id, func.sum(log_scans.c.to_block - log_scans.c.from_block + 1).cast(BigInteger))
    .select_from(log_scans.join(deployments, deployments.c.id == log_scans.c.deployment_id))
    .where(_is_followed)
    .group_by(deployments.c.chain_id)
)
_BACKLOG = Query(
    select(deployments.c.slug, _pending, _unread, _unsearched).where(deployments.c.chain_id == _CHAIN, _is_followed)
)


_first_record = (
    select(func.min(record_keys.c.first_block_id))
    .where(record_keys.c.deployment_id == log_scans.c.deployment_id)
    .scalar_subquery()
)
_missed_blocks = (
    select(func.coalesce(func.sum(log_scans.c.to_block - log_scans.c.from_block + 1), 0).cast(BigInteger))
    .select_from(log_scans.join(deployments, deployments.c.id == log_scans.c.deployment_id))
    .where(
        deployments.c.chain_id == _CHAIN,
        _is_followed,
        log_scans.c.to_block > select(blocks.c.number).where(blocks.c.id == _first_record).scalar_subquery(),
    )
    .scalar_subquery()
)
_last_state = (
    select(account_states.c.unreadable)
    .where(account_states.c.account_id == account_due.c.account_id)
    .order_by(account_states.c.block_id.desc())
    .limit(literal_column("1", Integer))
    .lateral("last_state")
)
_is_read = (
    select(deployment_troubles.c.trouble)
    .where(deployment_troubles.c.deployment_id == deployments.c.id)
    .order_by(deployment_troubles.c.block_id.desc())
    .limit(literal_column("1", Integer))
    .scalar_subquery()
    .is_(None)
)
"""Not set aside: then its accounts say so themselves, and nothing is done about them."""
_doubtful_accounts = (
    select(func.count())
    .select_from(
        account_due.join(deployments, deployments.c.id == account_due.c.deployment_id).join(_last_state, true())
    )
    .where(
        deployments.c.chain_id == _CHAIN,
        account_due.c.read_at_block_id.is_(None),
        _last_state.c.unreadable.is_(None),
        _is_read,
    )
    .scalar_subquery()
)
_MISSED = Query(select(_missed_blocks, _doubtful_accounts))


@dataclass(frozen=True, slots=True)
class Missed:
    """What happened while nobody followed a chain and is not made up for yet."""

    blocks: int
    """Blocks after the first stored one whose logs are still to be searched."""
    accounts: int
    """Accounts stored as they were before, although they changed since, or may have. Without those of deployments
    that are set aside or not followed."""

    def __bool__(self) -> bool:
        return bool(self.blocks or self.accounts)


@dataclass(frozen=True, slots=True)
class DeploymentBacklog:
    """What one deployment still waits for."""

    pending_reads: int
    """Accounts whose state is to be read (again)."""
    unread_accounts: int
    """Those among them that were never read: nothing is known of them yet."""
    scan_remaining_blocks: int
    """Old blocks whose logs are still to be searched for accounts."""


async def load_first(session: ReadSession, chain_id: ChainId) -> StoredBlock | None:
    """The oldest stored block of a chain that can be asked about. None before the first."""
    rows = await session.rows(_FIRST, chain_id=chain_id)
    return stored_block(rows[0]) if rows else None


async def load_missed(session: ReadSession, chain_id: ChainId) -> Missed:
    """Why accounts of a chain may be stored as they were, although its head is followed. It counts."""
    ((missed, doubtful),) = await session.rows(_MISSED, chain_id=chain_id)
    return Missed(missed, doubtful)


async def load_heads(session: ReadSession, chain_ids: Collection[ChainId]) -> dict[ChainId, StoredBlock]:
    """The newest stored block of each chain that has one, in one query."""
    rows = await session.rows(_HEADS, chain_ids=list(chain_ids))
    return {row[1]: stored_block(row) for row in rows}


async def load_unsearched(session: ReadSession) -> dict[ChainId, int]:
    """Old blocks still to be searched for accounts, of each chain that has any, over its followed deployments."""
    rows = await session.rows(_UNSEARCHED)
    return {chain_id: unsearched for chain_id, unsearched in rows}  # noqa: C416 - rows are tuples of Any


async def load_deployment_backlogs(session: ReadSession, chain_id: ChainId) -> dict[str, DeploymentBacklog]:
    """The backlog of every deployment of a chain that is followed at its head, by id. It counts: not for hot paths."""
    rows = await session.rows(_BACKLOG, chain_id=chain_id)
    return {slug: DeploymentBacklog(*counts) for slug, *counts in rows}
