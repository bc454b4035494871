"""The recent past of accounts as the monitor's snapshots have it: floats, for small drawings, not for answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, Integer, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.domain.account import AccountKey
from app.store.postgres.session import Query, ReadSession
from app.store.risk import load_account_ids
from app.store.tables.chain import blocks, risk_snapshots


class PastHealth(NamedTuple):
    """One account at one block."""

    timestamp: int
    health: float | None
    """Capacity / requirement; None without a requirement."""


_PAST = Query(
    select(risk_snapshots.c.account_id, blocks.c.timestamp, risk_snapshots.c.health)
    .select_from(risk_snapshots.join(blocks, blocks.c.id == risk_snapshots.c.block_id))
    .where(
        risk_snapshots.c.account_id == func.any(bindparam("account_ids", type_=ARRAY(Integer))),
        blocks.c.timestamp >= bindparam("since", type_=BigInteger),
    )
    .order_by(risk_snapshots.c.account_id, risk_snapshots.c.block_id)
)


async def load_past_health(
    session: ReadSession, keys: Sequence[AccountKey], since: int
) -> dict[AccountKey, list[PastHealth]]:
    """Snapshots of these accounts from a time (unix seconds) on, oldest first; hourly, and where a status turned."""
    ids = await load_account_ids(session, keys)
    by_id = {id: key for key, id in ids.items()}
    found: dict[AccountKey, list[PastHealth]] = {}
    for id, timestamp, health in await session.rows(_PAST, account_ids=list(by_id), since=since) if by_id else ():
        found.setdefault(by_id[id], []).append(PastHealth(timestamp, health))
    return found
