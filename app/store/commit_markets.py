"""The market side of a block's commit: descriptions and raw records, written only where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import BigInteger, Integer, Text, any_, bindparam, func, insert, literal_column, select, true
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import ARRAY

from app.domain.market import Market, MarketRecord
from app.store.postgres.bulk import BulkTable, insert_rows
from app.store.postgres.engine import Asked, Query, Row, WriteSession
from app.store.postgres.types import integer_array, numeric_array, text_array
from app.store.tables.chain import deployments, market_descriptions, market_records, markets, record_keys

_ONE = literal_column("1", Integer)
_BLOCK = bindparam("block_id", type_=BigInteger)

_DESCRIBED = BulkTable(market_descriptions)
_RECORDED = BulkTable(market_records)

_newest_description = (
    select(market_descriptions)
    .where(market_descriptions.c.market_id == markets.c.id)
    .order_by(market_descriptions.c.block_id.desc())
    .limit(_ONE)
    .lateral("newest")
)
_DESCRIPTIONS = Query(
    select(markets.c.id, _newest_description.c.asset, _newest_description.c.symbol, _newest_description.c.decimals)
    .select_from(markets.join(_newest_description, true()))
    .where(markets.c.id == any_(bindparam("market_ids", type_=ARRAY(Integer))))
)

_given_markets = (
    func.unnest(bindparam("slugs", type_=ARRAY(Text)), bindparam("codes", type_=ARRAY(Text)))
    .table_valued(named("slug", Text), named("code", Text), with_ordinality="nth", name="given")
    .render_derived()
)
_INSERT_MARKETS = Query(
    insert(markets)
    .from_select(
        ["deployment_id", "code", "first_block_id"],
        select(deployments.c.id, _given_markets.c.code, _BLOCK)
        .select_from(_given_markets.join(deployments, deployments.c.slug == _given_markets.c.slug))
        .order_by(_given_markets.c.nth),
    )
    .returning(markets.c.deployment_id, markets.c.code, markets.c.id)
)

_given_keys = (
    func.unnest(
        bindparam("slugs", type_=ARRAY(Text)),
        bindparam("kinds", type_=ARRAY(Text)),
        bindparam("subjects", type_=ARRAY(Text)),
    )
    .table_valued(named("slug", Text), named("kind", Text), named("subject", Text), with_ordinality="nth", name="given")
    .render_derived()
)
_placed_keys = _given_keys.join(deployments, deployments.c.slug == _given_keys.c.slug)
_newest_record = (
    select(market_records.c["values"])
    .where(market_records.c.key_id == record_keys.c.id)
    .order_by(market_records.c.block_id.desc())
    .limit(_ONE)
    .lateral("newest")
)
_RECORDS = Query(
    select(
        deployments.c.slug, record_keys.c.kind, record_keys.c.subject, record_keys.c.id, _newest_record.c["values"]
    ).select_from(
        _placed_keys.join(
            record_keys,
            (record_keys.c.deployment_id == deployments.c.id)
            & (record_keys.c.kind == _given_keys.c.kind)
            & (record_keys.c.subject == _given_keys.c.subject),
        ).outerjoin(_newest_record, true())
    )
)
_INSERT_KEYS = Query(
    insert(record_keys)
    .from_select(
        ["deployment_id", "kind", "subject", "first_block_id"],
        select(deployments.c.id, _given_keys.c.kind, _given_keys.c.subject, _BLOCK)
        .select_from(_placed_keys)
        .order_by(_given_keys.c.nth),
    )
    .returning(record_keys.c.deployment_id, record_keys.c.kind, record_keys.c.subject, record_keys.c.id)
)


async def commit_markets(
    session: WriteSession,
    block_id: int,
    deployment_ids: Mapping[str, int],
    market_ids: dict[tuple[str, str], int],
    given: Sequence[Market],
) -> list[Asked]:
    """Store markets that are new or described differently from before.

    Args:
        market_ids: surrogate ids by (deployment's slug, market code); the new ones are added to it.

    Returns:
        Statements that still have to be sent, together with others.
    """
    if not given:
        return []
    if missing := [(one.deployment_id, one.code) for one in given if (one.deployment_id, one.code) not in market_ids]:
        rows = await session.rows(
            _INSERT_MARKETS,
            slugs=text_array([slug for slug, _ in missing]),
            codes=text_array([code for _, code in missing]),
            block_id=block_id,
        )
        slugs = _slugs(deployment_ids)
        market_ids |= {(slugs[deployment], code): market_id for deployment, code, market_id in rows}
    ids = [market_ids[one.deployment_id, one.code] for one in given]
    rows = await session.rows(_DESCRIPTIONS, market_ids=integer_array(ids))
    described = {market_id: description for market_id, *description in rows}
    changed = [
        (market_id, one)
        for market_id, one in zip(ids, given, strict=True)
        if described.get(market_id) != [bytes(one.asset), one.symbol, one.decimals]
    ]
    columns = (
        [market_id for market_id, _ in changed],
        [one.asset for _, one in changed],
        [one.symbol for _, one in changed],
        [one.decimals for _, one in changed],
    )
    return await insert_rows(session, block_id, ((_DESCRIBED, columns),))


def ask_records(given: Sequence[MarketRecord]) -> Asked:
    """The query for the newest values under the names of these records; `commit_records` takes its rows."""
    return _RECORDS, _key_columns([_key(one) for one in given])


async def commit_records(
    session: WriteSession,
    block_id: int,
    deployment_ids: Mapping[str, int],
    given: Sequence[MarketRecord],
    newest_rows: Sequence[Row],
) -> list[Asked]:
    """Store records whose values differ from the newest stored ones; statements that still have to be sent."""
    known: dict[tuple[str, str, str], int] = {}
    newest: dict[int, tuple[int | None, ...]] = {}
    for slug, kind, subject, key_id, values in newest_rows:
        known[slug, kind, subject] = key_id
        if values is not None:
            newest[key_id] = tuple(values)
    if missing := [_key(one) for one in given if _key(one) not in known]:
        rows = await session.rows(_INSERT_KEYS, **_key_columns(missing), block_id=block_id)
        slugs = _slugs(deployment_ids)
        known |= {(slugs[deployment], kind, subject): key_id for deployment, kind, subject, key_id in rows}
    changed = [(known[_key(one)], one.values) for one in given if newest.get(known[_key(one)]) != one.values]
    columns = ([key_id for key_id, _ in changed], [numeric_array(values) for _, values in changed])
    return await insert_rows(session, block_id, ((_RECORDED, columns),))


def _key(one: MarketRecord) -> tuple[str, str, str]:
    return one.deployment_id, one.kind, one.subject


def _slugs(deployment_ids: Mapping[str, int]) -> dict[int, str]:
    return {deployment_id: slug for slug, deployment_id in deployment_ids.items()}


def _key_columns(keys: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    return {
        "slugs": text_array([slug for slug, _, _ in keys]),
        "kinds": text_array([kind for _, kind, _ in keys]),
        "subjects": text_array([subject for _, _, subject in keys]),
    }
