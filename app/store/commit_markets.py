"""The market side of a block's commit: descriptions and raw records, written only where they differ."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Integer, Text, any_, bindparam, cast, func, insert, literal_column, select, true
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import ARRAY

from app.domain.market import Market, MarketRecord
from app.store.names import Names
from app.store.postgres.bulk import THIS_BLOCK, BulkTable
from app.store.postgres.session import Asked, Query, WriteSession
from app.store.postgres.types import integer_array, numeric_array, text_array
from app.store.tables.chain import deployments, market_descriptions, market_records, markets, record_keys

_ONE = literal_column("1", Integer)

_DESCRIBED = BulkTable(market_descriptions)

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
        select(deployments.c.id, _given_markets.c.code, THIS_BLOCK)
        .select_from(_given_markets.join(deployments, deployments.c.slug == _given_markets.c.slug))
        .order_by(_given_markets.c.nth),
    )
    .returning(markets.c.deployment_id, markets.c.code, markets.c.id)
)

_given_records = (
    func.unnest(
        bindparam("slugs", type_=ARRAY(Text)),
        bindparam("kinds", type_=ARRAY(Text)),
        bindparam("subjects", type_=ARRAY(Text)),
        bindparam("values", type_=ARRAY(Text)),
    )
    .table_valued(
        *(named(name, Text) for name in ("slug", "kind", "subject", "values")), with_ordinality="nth", name="given"
    )
    .render_derived()
)
_placed = _given_records.join(deployments, deployments.c.slug == _given_records.c.slug)
_is_its_key = (
    (record_keys.c.deployment_id == deployments.c.id)
    & (record_keys.c.kind == _given_records.c.kind)
    & (record_keys.c.subject == _given_records.c.subject)
)
_NEW_KEYS = Query(
    insert(record_keys).from_select(
        ["deployment_id", "kind", "subject", "first_block_id"],
        select(deployments.c.id, _given_records.c.kind, _given_records.c.subject, THIS_BLOCK)
        .select_from(_placed)
        .where(~select(_ONE).where(_is_its_key).correlate(deployments, _given_records).exists())
        .order_by(_given_records.c.nth),
    )
)
_newest_record = (
    select(market_records.c["values"])
    .where(market_records.c.key_id == record_keys.c.id)
    .order_by(market_records.c.block_id.desc())
    .limit(_ONE)
    .lateral("newest")
)
_values = cast(_given_records.c["values"], market_records.c["values"].type)
_CHANGED = Query(
    insert(market_records).from_select(
        ["key_id", "values", "block_id"],
        select(record_keys.c.id, _values, THIS_BLOCK)
        .select_from(_placed.join(record_keys, _is_its_key).outerjoin(_newest_record, true()))
        .where(_newest_record.c["values"].is_distinct_from(_values)),
    )
)


async def commit_markets(session: WriteSession, names: Names, given: Sequence[Market]) -> list[Asked]:
    """Store markets that are new or described differently from before, with the block just inserted.

    Args:
        names: the new ones are added to it.

    Returns:
        Statements that still have to be sent, together with others.
    """
    if not given:
        return []
    missing = [(one.deployment_id, one.code) for one in given if (one.deployment_id, one.code) not in names.market_ids]
    if missing:
        rows = await session.rows(
            _INSERT_MARKETS,
            slugs=text_array([slug for slug, _ in missing]),
            codes=text_array([code for _, code in missing]),
        )
        slugs = {deployment_id: slug for slug, deployment_id in names.deployment_ids.items()}
        for deployment_id, code, market_id in rows:
            names.add_market(slugs[deployment_id], code, market_id)
    ids = [names.market_ids[one.deployment_id, one.code] for one in given]
    rows = await session.rows(_DESCRIPTIONS, market_ids=integer_array(ids))
    described = {market_id: description for market_id, *description in rows}
    changed = [
        (market_id, one)
        for market_id, one in zip(ids, given, strict=True)
        if described.get(market_id) != [bytes(one.asset), one.symbol, one.decimals]
    ]
    if not changed:
        return []
    return [
        _DESCRIBED.few(
            (
                [market_id for market_id, _ in changed],
                [one.asset for _, one in changed],
                [one.symbol for _, one in changed],
                [one.decimals for _, one in changed],
            )
        )
    ]


def commit_records(given: Sequence[MarketRecord]) -> list[Asked]:
    """The statements that store those records whose values differ from the newest stored ones."""
    if not given:
        return []
    names = {
        "slugs": text_array([one.deployment_id for one in given]),
        "kinds": text_array([one.kind for one in given]),
        "subjects": text_array([one.subject for one in given]),
    }
    values = text_array([numeric_array(one.values) for one in given])
    return [(_NEW_KEYS, {**names, "values": values}), (_CHANGED, {**names, "values": values})]
