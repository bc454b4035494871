"""What the monitor derives, read: the board, changes of status, and the history of a deployment's totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Integer, Text, bindparam, func, literal_column, or_, select, true, tuple_
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import ARRAY

from app.domain.account import AccountKey
from app.domain.chain import Address, ChainId
from app.domain.risk import Health, RiskStatus
from app.store.blocks import BLOCK_COLUMNS, StoredBlock, stored_block
from app.store.postgres.session import Query, ReadSession, Row
from app.store.risk import BoardLine, StatusChange, Totals
from app.store.tables.chain import accounts, blocks, deployments, risk_board, risk_totals, status_changes
from app.store.tables.kept import first_whole

_CHAIN = bindparam("chain_id", type_=BigInteger)
_LIMIT = bindparam("limit_id", type_=BigInteger)
_SLUG = bindparam("slug", type_=Text)
_MOST = bindparam("most", type_=Integer)
_ONE = literal_column("1", Integer)
_KEY = (deployments.c.slug, accounts.c.wallet, accounts.c.unit)
_TOTALS = tuple(column for column in risk_totals.columns if column.name not in ("deployment_id", "block_id"))

_BOARD = Query(
    select(
        *_KEY,
        risk_board.c.status,
        risk_board.c.health_factor_wad,
        risk_board.c.collateral_value,
        risk_board.c.debt_value,
        risk_board.c.utilization_wad,
        risk_board.c.notional_value,
        risk_board.c.currency,
        risk_board.c.value_decimals,
        risk_board.c.is_exact,
    )
    .select_from(
        risk_board.join(accounts, accounts.c.id == risk_board.c.account_id).join(
            deployments, deployments.c.id == accounts.c.deployment_id
        )
    )
    .where(risk_board.c.chain_id == _CHAIN, risk_board.c.block_id == bindparam("block_id", type_=BigInteger))
    .order_by(risk_board.c.rank)
)
_first_whole_id = (
    select(blocks.c.id)
    .where(blocks.c.chain_id == _CHAIN, blocks.c.number >= first_whole(_CHAIN))
    .order_by(blocks.c.number)
    .limit(_ONE)
    .scalar_subquery()
)
_CHANGES = Query(
    select(*BLOCK_COLUMNS, status_changes.c.account_id, *_KEY, *list(status_changes.columns)[2:])
    .select_from(
        status_changes.join(blocks, blocks.c.id == status_changes.c.block_id)
        .join(accounts, accounts.c.id == status_changes.c.account_id)
        .join(deployments, deployments.c.id == accounts.c.deployment_id)
    )
    .where(
        blocks.c.chain_id == _CHAIN,
        status_changes.c.block_id >= _first_whole_id,
        tuple_(status_changes.c.block_id, status_changes.c.account_id)
        < tuple_(_LIMIT, bindparam("below_account", type_=Integer)),
        or_(_SLUG.is_(None), deployments.c.slug == _SLUG),
        or_(bindparam("status", type_=Text).is_(None), status_changes.c.to_status == bindparam("status", type_=Text)),
    )
    .order_by(status_changes.c.block_id.desc(), status_changes.c.account_id.desc())
    .limit(_MOST)
)
_moment = (
    func.unnest(bindparam("limit_ids", type_=ARRAY(BigInteger)))
    .table_valued(named("limit_id", BigInteger), name="moment")
    .render_derived()
)
_measure = (
    select(risk_totals.c.measure)
    .distinct()
    .select_from(risk_totals.join(deployments, deployments.c.id == risk_totals.c.deployment_id))
    .where(deployments.c.slug == _SLUG)
    .subquery("named")
)
_then = (
    select(*risk_totals.columns, blocks.c.timestamp)
    .select_from(risk_totals.join(blocks, blocks.c.id == risk_totals.c.block_id))
    .where(
        risk_totals.c.deployment_id == deployments.c.id,
        risk_totals.c.measure == _measure.c.measure,
        risk_totals.c.block_id <= _moment.c.limit_id,
    )
    .order_by(risk_totals.c.block_id.desc())
    .limit(_ONE)
    .lateral("then")
)
_TOTALS_AT = Query(
    select(_moment.c.limit_id, _then.c.timestamp, deployments.c.slug, *(_then.c[column.name] for column in _TOTALS))
    .select_from(deployments.join(_moment, true()).join(_measure, true()).join(_then, true()))
    .where(deployments.c.slug == _SLUG)
    .order_by(_moment.c.limit_id, _then.c.measure)
)


@dataclass(frozen=True, slots=True)
class ChangeAt:
    """A change of status and the block that brought it."""

    block: StoredBlock
    account_id: int
    """Surrogate id: with the block's it puts changes in order."""
    change: StatusChange


async def load_board(session: ReadSession, block: StoredBlock) -> list[BoardLine]:
    """The board of this block, riskiest first; empty where the chain's board is of another."""
    rows = await session.rows(_BOARD, chain_id=block.ref.chain_id, block_id=block.id)
    return [BoardLine(_key(row[:3]), Health(RiskStatus(row[3]), *row[4:9]), row[9], row[10], row[11]) for row in rows]


async def load_changes(
    session: ReadSession,
    chain_id: ChainId,
    below: tuple[int, int],
    limit: int,
    *,
    deployment_id: str | None = None,
    after: RiskStatus | None = None,
) -> list[ChangeAt]:
    """Changes of status of one chain, newest first: those below the place (block's surrogate id, account's), of one
    deployment, to one status. None of blocks whose history was dropped."""
    rows = await session.rows(
        _CHANGES,
        chain_id=chain_id,
        limit_id=below[0],
        below_account=below[1],
        slug=deployment_id,
        status=None if after is None else after.value,
        most=limit,
    )
    width = len(BLOCK_COLUMNS)
    return [
        ChangeAt(
            stored_block(row[:width]),
            row[width],
            StatusChange(
                _key(row[width + 1 : width + 4]),
                None if row[width + 4] is None else RiskStatus(row[width + 4]),
                RiskStatus(row[width + 5]),
                row[width + 6],
            ),
        )
        for row in rows
    ]


async def load_totals_at(
    session: ReadSession, deployment_id: str, moments: Sequence[StoredBlock]
) -> dict[int, list[tuple[Totals, int]]]:
    """A deployment's totals as they stood at each of these blocks, by the block's surrogate id, one a measure; each
    with the time of the block it was stored at."""
    found: dict[int, list[tuple[Totals, int]]] = {block.id: [] for block in moments}
    for block_id, timestamp, *row in await session.rows(_TOTALS_AT, slug=deployment_id, limit_ids=list(found)):
        slug, measure, currency, liquidatable, unknown, healthy, no_debt, bands, *sums = row
        totals = Totals(slug, measure, currency, liquidatable, unknown, healthy, no_debt, tuple(bands), *sums)
        found[block_id].append((totals, timestamp))
    return found


def _key(row: Row) -> AccountKey:
    slug, wallet, unit = row
    return AccountKey(slug, Address(wallet), unit)
