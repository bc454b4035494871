"""The blocks at which an account's own state changed, newest first, without reading through everything it ever was.

Some accounts have hundreds of thousands of rows. The range of blocks becomes a range of their ids, and of each market
the account ever used (each found by one descent of the primary key) only the newest rows of that range are looked at.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    ScalarSelect,
    Select,
    Table,
    Text,
    bindparam,
    literal_column,
    select,
    true,
    union,
)
from sqlalchemy.dialects.postgresql import BYTEA

from app.domain.account import AccountKey
from app.store.blocks import BLOCK_COLUMNS, StoredBlock, stored_block
from app.store.postgres.session import Query, ReadSession
from app.store.tables.chain import account_states, accounts, blocks, deployments, positions
from app.store.tables.kept import first_whole

_ONE = literal_column("1", Integer)
_MOST = bindparam("most", type_=Integer)

_in_chain = select(blocks.c.id).where(blocks.c.chain_id == deployments.c.chain_id).correlate(deployments)
_lowest_id = (
    _in_chain.where(blocks.c.number >= bindparam("from_block", type_=BigInteger))
    .where(blocks.c.number >= first_whole(deployments.c.chain_id))
    .order_by(blocks.c.number)
    .limit(_ONE)
    .scalar_subquery()
)
_highest_id = (
    _in_chain.where(blocks.c.number <= bindparam("to_block", type_=BigInteger))
    .order_by(blocks.c.number.desc())
    .limit(_ONE)
    .scalar_subquery()
)
_account = (
    select(accounts.c.id, _lowest_id.label("lowest_id"), _highest_id.label("highest_id"))
    .select_from(accounts.join(deployments, deployments.c.id == accounts.c.deployment_id))
    .where(
        accounts.c.wallet == bindparam("wallet", type_=BYTEA),
        accounts.c.unit == bindparam("unit", type_=Text),
        deployments.c.slug == bindparam("slug", type_=Text),
    )
    .cte("account")
)
_account_id = select(_account.c.id).scalar_subquery()


def _lowest_market(*where: ColumnElement[bool]) -> ScalarSelect[int]:
    """The first market of the account's positions that fulfils the condition."""
    return (
        select(positions.c.market_id)
        .where(positions.c.account_id == _account_id, *where)
        .order_by(positions.c.market_id)
        .limit(_ONE)
        .scalar_subquery()
    )


def _newest_rows(table: Table, *where: ColumnElement[bool]) -> Select[int]:
    """The newest blocks of the range at which `table` has rows of the account."""
    block_id = table.c.block_id
    return (
        select(block_id)
        .where(
            table.c.account_id == _account_id,
            *where,
            block_id >= select(_account.c.lowest_id).scalar_subquery(),
            block_id <= select(_account.c.highest_id).scalar_subquery(),
        )
        .order_by(block_id.desc())
        .limit(_MOST)
    )


_used = select(_lowest_market().label("market_id")).cte("used", recursive=True)
_used = _used.union_all(
    select(_lowest_market(positions.c.market_id > _used.c.market_id)).where(_used.c.market_id.is_not(None))
)
"""Every market the account ever had a position in, and a NULL after the last."""
_moved = _newest_rows(positions, positions.c.market_id == _used.c.market_id).lateral("moved")
_changes = union(
    select(_newest_rows(account_states).subquery("turned").c.block_id),
    select(_moved.c.block_id).select_from(_used.join(_moved, true())),
).subquery("changes")
_newest = select(_changes.c.block_id).order_by(_changes.c.block_id.desc()).limit(_MOST).subquery("newest")
_CHANGE_BLOCKS = Query(
    select(*BLOCK_COLUMNS)
    .select_from(blocks.join(_newest, _newest.c.block_id == blocks.c.id))
    .order_by(blocks.c.number.desc())
)


async def load_change_blocks(
    session: ReadSession, key: AccountKey, from_block: int, to_block: int, limit: int
) -> list[StoredBlock]:
    """Blocks in the range (inclusive) at which the account's own state changed: the newest `limit`, oldest first."""
    rows = await session.rows(
        _CHANGE_BLOCKS,
        slug=key.deployment_id,
        wallet=bytes(key.wallet),
        unit=key.unit,
        from_block=from_block,
        to_block=to_block,
        most=limit,
    )
    return [stored_block(row) for row in reversed(rows)]
