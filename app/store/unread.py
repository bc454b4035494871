"""What is not known of a chain's accounts at a block: those found and not read yet, and where nobody searched yet."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, bindparam, exists, or_, select

from app.domain.account import AccountKey
from app.domain.chain import Address, ChainId
from app.store.blocks import StoredBlock
from app.store.postgres.session import Query, ReadSession
from app.store.tables.chain import account_due, account_states, accounts, deployments, log_scans

_CHAIN = bindparam("chain_id", type_=BigInteger)
_LIMIT = bindparam("limit_id", type_=BigInteger)

_UNREAD = Query(
    select(deployments.c.slug, accounts.c.wallet, accounts.c.unit)
    .select_from(
        account_due.join(deployments, deployments.c.id == account_due.c.deployment_id).join(
            accounts, accounts.c.id == account_due.c.account_id
        )
    )
    .where(
        deployments.c.chain_id == _CHAIN,
        or_(account_due.c.read_at_block_id.is_(None), account_due.c.read_at_block_id > _LIMIT),
        or_(accounts.c.first_block_id.is_(None), accounts.c.first_block_id <= _LIMIT),
        ~exists().where(account_states.c.account_id == accounts.c.id, account_states.c.block_id <= _LIMIT),
    )
    .limit(bindparam("most", type_=Integer))
)
_UNSEARCHED = Query(
    select(deployments.c.slug)
    .distinct()
    .select_from(log_scans.join(deployments, deployments.c.id == log_scans.c.deployment_id))
    .where(deployments.c.chain_id == _CHAIN)
)


async def load_unread(session: ReadSession, block: StoredBlock, most: int) -> list[AccountKey]:
    """Accounts of the block's chain that logs named and that nobody had read at it: at most so many."""
    rows = await session.rows(_UNREAD, chain_id=block.ref.chain_id, limit_id=block.id, most=most)
    return [AccountKey(slug, Address(wallet), unit) for slug, wallet, unit in rows]


async def load_unsearched(session: ReadSession, chain_id: ChainId) -> frozenset[str]:
    """Deployments of whose past some logs are still to be searched: not all of their accounts need be known."""
    return frozenset(slug for (slug,) in await session.rows(_UNSEARCHED, chain_id=chain_id))
