"""What a list's accounts come to, from what the monitor left behind: for digests, which need no exact numbers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, Integer, Text, bindparam, case, func, literal, literal_column, or_, select, true

from app.domain.account import AccountKey
from app.domain.chain import Address, ChainId
from app.store.postgres.session import Query, ReadSession
from app.store.tables.chain import accounts, blocks, deployments, risk_board, risk_snapshots, status_changes
from app.store.tables.watch import episodes, watchlist_members

OTHER = "other"
"""Owes nothing, or is not known: an account of which the monitor says nothing."""

_LIST = bindparam("watchlist_id", type_=BigInteger)
_ONE = literal_column("1", Integer)
_MEMBERS = Query(select(func.count()).select_from(watchlist_members).where(watchlist_members.c.watchlist_id == _LIST))
_mine = (
    select(accounts.c.id, deployments.c.chain_id)
    .distinct()
    .select_from(
        watchlist_members.join(accounts, accounts.c.wallet == watchlist_members.c.wallet).join(
            deployments, deployments.c.id == accounts.c.deployment_id
        )
    )
    .where(
        watchlist_members.c.watchlist_id == _LIST,
        or_(watchlist_members.c.chain_id.is_(None), watchlist_members.c.chain_id == deployments.c.chain_id),
    )
    .cte("mine")
)
_on_board = (risk_board.c.chain_id == _mine.c.chain_id) & (risk_board.c.account_id == _mine.c.id)
_turned = (
    select(status_changes.c.to_status)
    .where(status_changes.c.account_id == _mine.c.id)
    .order_by(status_changes.c.block_id.desc())
    .limit(_ONE)
    .lateral("turned")
)
_seen = (
    select(blocks.c.timestamp)
    .select_from(risk_snapshots.join(blocks, blocks.c.id == risk_snapshots.c.block_id))
    .where(risk_snapshots.c.account_id == _mine.c.id)
    .order_by(risk_snapshots.c.block_id.desc())
    .limit(_ONE)
    .lateral("seen")
)
_status = func.coalesce(
    risk_board.c.status,
    _turned.c.to_status,
    case((_seen.c.timestamp >= bindparam("seen_after", type_=BigInteger), literal("healthy")), else_=literal(OTHER)),
)
_BY_STATUS = Query(
    select(_status, func.count())
    .select_from(_mine.outerjoin(risk_board, _on_board).outerjoin(_turned, true()).outerjoin(_seen, true()))
    .group_by(literal_column("1"))
)
_WORST = Query(
    select(
        deployments.c.slug,
        accounts.c.wallet,
        accounts.c.unit,
        deployments.c.chain_id,
        deployments.c.name,
        risk_board.c.status,
        risk_board.c.health_factor_wad,
        risk_board.c.utilization_wad,
    )
    .select_from(
        _mine.join(risk_board, _on_board)
        .join(accounts, accounts.c.id == _mine.c.id)
        .join(deployments, deployments.c.id == accounts.c.deployment_id)
    )
    .where(risk_board.c.status.in_([literal("healthy"), literal("liquidatable")]))
    .order_by((risk_board.c.status == literal("liquidatable")).desc(), risk_board.c.utilization_wad.desc().nulls_last())
    .limit(bindparam("most", type_=Integer))
)
_ENDED = Query(
    select(func.count())
    .select_from(episodes)
    .where(
        episodes.c.watchlist_id == _LIST,
        episodes.c.state == literal("cleared", Text),
        episodes.c.announced_at.is_not(None),
        episodes.c.closed_at >= bindparam("since", type_=BigInteger),
    )
)


@dataclass(frozen=True, slots=True)
class WorstAccount:
    """One of the accounts closest to liquidation, as the newest board has it."""

    key: AccountKey
    chain_id: ChainId
    name: str
    """Of the deployment."""
    status: str
    health_factor_wad: int | None
    utilization_wad: int | None


@dataclass(frozen=True, slots=True)
class ListSums:
    """A list in numbers."""

    members: int
    by_status: dict[str, int]
    """Accounts; by a status' name or OTHER."""
    worst: tuple[WorstAccount, ...]
    """Of those on the boards of risky accounts only: none where all are far from it."""
    ended: int
    """Episodes that cleared since."""


async def load_list_sums(
    session: ReadSession, watchlist_id: int, *, since: int, seen_after: int, worst: int = 5
) -> ListSums:
    """What there is of a list.

    Args:
        since: Unix seconds from which on episodes that cleared are counted.
        seen_after: a snapshot this new counts as saying that an account is healthy, where nothing says otherwise.
    """
    ((members,),) = await session.rows(_MEMBERS, watchlist_id=watchlist_id)
    by_status: dict[str, int] = dict(await session.rows(_BY_STATUS, watchlist_id=watchlist_id, seen_after=seen_after))
    rows = await session.rows(_WORST, watchlist_id=watchlist_id, most=worst)
    ((ended,),) = await session.rows(_ENDED, watchlist_id=watchlist_id, since=since)
    found = (WorstAccount(AccountKey(slug, Address(wallet), unit), *rest) for slug, wallet, unit, *rest in rows)
    return ListSums(members, by_status, tuple(found), ended)
