"""Markets and the raw records a deployment's state is made of, as of a block."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, Integer, Text, bindparam, func, literal_column, select, true
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import ARRAY

from app.domain.chain import Address
from app.domain.market import Market, MarketRecord
from app.store.blocks import StoredBlock
from app.store.postgres.session import Query, ReadSession
from app.store.states import NO_LIMIT
from app.store.tables.chain import deployments, market_descriptions, market_records, markets, record_keys

_ONE = literal_column("1", Integer)
_SLUG = bindparam("slug", type_=Text)

_description = (
    select(market_descriptions.c.asset, market_descriptions.c.symbol, market_descriptions.c.decimals)
    .where(
        market_descriptions.c.market_id == markets.c.id,
        market_descriptions.c.block_id <= bindparam("limit_id", type_=BigInteger),
    )
    .order_by(market_descriptions.c.block_id.desc())
    .limit(_ONE)
    .lateral("description")
)
_MARKETS = Query(
    select(markets.c.code, _description.c.asset, _description.c.symbol, _description.c.decimals)
    .select_from(deployments.join(markets, markets.c.deployment_id == deployments.c.id).join(_description, true()))
    .where(deployments.c.slug == _SLUG)
    .order_by(markets.c.id)
)

_moment = func.unnest(bindparam("limit_ids", type_=ARRAY(BigInteger))).table_valued(
    named("limit_id", BigInteger), name="moment"
)
_moment = _moment.render_derived()
_record = (
    select(market_records.c["values"])
    .where(market_records.c.key_id == record_keys.c.id, market_records.c.block_id <= _moment.c.limit_id)
    .order_by(market_records.c.block_id.desc())
    .limit(_ONE)
    .lateral("record")
)
_RECORDS = Query(
    select(_moment.c.limit_id, record_keys.c.kind, record_keys.c.subject, _record.c["values"])
    .select_from(
        deployments.join(record_keys, record_keys.c.deployment_id == deployments.c.id)
        .join(_moment, true())
        .join(_record, true())
    )
    .where(deployments.c.slug == _SLUG)
    .order_by(_moment.c.limit_id, record_keys.c.id)
)


async def load_markets(session: ReadSession, slug: str, block: StoredBlock | None = None) -> list[Market]:
    """Every market of a deployment as it was at `block` (None: newest), in the order they were first committed in."""
    rows = await session.rows(_MARKETS, slug=slug, limit_id=NO_LIMIT if block is None else block.id)
    return [Market(slug, code, Address(asset), symbol, decimals) for code, asset, symbol, decimals in rows]


async def load_records(session: ReadSession, slug: str, block: StoredBlock) -> list[MarketRecord]:
    """Every record of a deployment, each with its newest values at or below `block`."""
    return (await load_records_at(session, slug, [block]))[block.id]


async def load_records_at(
    session: ReadSession, slug: str, moments: Sequence[StoredBlock]
) -> dict[int, list[MarketRecord]]:
    """`load_records` for several blocks in one query, by the block's id."""
    found: dict[int, list[MarketRecord]] = {block.id: [] for block in moments}
    for block_id, kind, subject, values in await session.rows(_RECORDS, slug=slug, limit_ids=list(found)):
        found[block_id].append(MarketRecord(slug, kind, subject, tuple(values)))
    return found
