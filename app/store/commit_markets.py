"""The market side of a block's commit: descriptions and raw records, written only where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import BigInteger, Integer, Text, any_, bindparam, func, insert, literal_column, select, true
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import ARRAY

from app.domain.market import Market, MarketRecord
from app.errors import Fatal
from app.store.engine import Query, ReadSession, WriteSession
from app.store.tables import market_descriptions, market_records, markets, record_keys
from app.store.types import copy_text, numeric_array

_ONE = literal_column("1", Integer)
_BLOCK = bindparam("block_id", type_=BigInteger)
_DEPLOYMENTS = bindparam("deployment_ids", type_=ARRAY(Integer))
_KINDS = bindparam("kinds", type_=ARRAY(Text))
_SUBJECTS = bindparam("subjects", type_=ARRAY(Text))
_CODES = bindparam("codes", type_=ARRAY(Text))

_MARKET_IDS = Query(
    select(markets.c.deployment_id, markets.c.code, markets.c.id).where(
        markets.c.deployment_id == any_(bindparam("deployment_ids", type_=ARRAY(Integer)))
    )
)

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
    .where(markets.c.deployment_id == any_(bindparam("deployment_ids", type_=ARRAY(Integer))))
)

_given_markets = (
    func.unnest(_DEPLOYMENTS, _CODES)
    .table_valued(named("deployment_id", Integer), named("code", Text), with_ordinality="nth", name="given")
    .render_derived()
)
_INSERT_MARKETS = Query(
    insert(markets)
    .from_select(
        ["deployment_id", "code", "first_block_id"],
        select(_given_markets.c.deployment_id, _given_markets.c.code, _BLOCK).order_by(_given_markets.c.nth),
    )
    .returning(markets.c.deployment_id, markets.c.code, markets.c.id)
)

_given_keys = (
    func.unnest(_DEPLOYMENTS, _KINDS, _SUBJECTS)
    .table_valued(
        named("deployment_id", Integer),
        named("kind", Text),
        named("subject", Text),
        with_ordinality="nth",
        name="given",
    )
    .render_derived()
)
_newest_record = (
    select(market_records.c["values"])
    .where(market_records.c.key_id == record_keys.c.id)
    .order_by(market_records.c.block_id.desc())
    .limit(_ONE)
    .lateral("newest")
)
_RECORDS = Query(
    select(
        record_keys.c.deployment_id,
        record_keys.c.kind,
        record_keys.c.subject,
        record_keys.c.id,
        _newest_record.c["values"],
    ).select_from(
        _given_keys.join(
            record_keys,
            (record_keys.c.deployment_id == _given_keys.c.deployment_id)
            & (record_keys.c.kind == _given_keys.c.kind)
            & (record_keys.c.subject == _given_keys.c.subject),
        ).outerjoin(_newest_record, true())
    )
)
_INSERT_KEYS = Query(
    insert(record_keys)
    .from_select(
        ["deployment_id", "kind", "subject", "first_block_id"],
        select(_given_keys.c.deployment_id, _given_keys.c.kind, _given_keys.c.subject, _BLOCK).order_by(
            _given_keys.c.nth
        ),
    )
    .returning(record_keys.c.deployment_id, record_keys.c.kind, record_keys.c.subject, record_keys.c.id)
)


async def resolve_markets(session: ReadSession, deployment_ids: Iterable[int]) -> dict[tuple[int, str], int]:
    """Surrogate id of every market of these deployments, by (deployment's surrogate id, code)."""
    rows = await session.rows(_MARKET_IDS, deployment_ids=list(deployment_ids))
    return {(deployment, code): market for deployment, code, market in rows}


async def commit_markets(
    session: WriteSession, block_id: int, deployment_ids: Mapping[str, int], given: Sequence[Market]
) -> None:
    """Store markets that are new or described differently from before."""
    if not given:
        return
    by_key = {(deployment_ids[market.deployment_id], market.code): market for market in given}
    require_distinct(len(given), len(by_key), "market")
    touched = sorted({deployment for deployment, _ in by_key})
    known = await resolve_markets(session, touched)
    described = {
        market_id: (bytes(asset), symbol, decimals)
        for market_id, asset, symbol, decimals in await session.rows(_DESCRIPTIONS, deployment_ids=touched)
    }
    if missing := [key for key in by_key if key not in known]:
        rows = await session.rows(
            _INSERT_MARKETS,
            deployment_ids=[deployment for deployment, _ in missing],
            codes=[code for _, code in missing],
            block_id=block_id,
        )
        known |= {(deployment, code): market_id for deployment, code, market_id in rows}
    lines = [
        f"{known[key]}\t{block_id}\t\\\\x{market.asset.hex()}\t{copy_text(market.symbol)}\t{market.decimals}\n"
        for key, market in by_key.items()
        if described.get(known[key]) != (bytes(market.asset), market.symbol, market.decimals)
    ]
    if lines:
        columns = ("market_id", "block_id", "asset", "symbol", "decimals")
        await session.copy("market_descriptions", columns, lines)


async def commit_records(
    session: WriteSession, block_id: int, deployment_ids: Mapping[str, int], given: Sequence[MarketRecord]
) -> None:
    """Store records whose values differ from the newest stored ones."""
    if not given:
        return
    by_key = {(deployment_ids[one.deployment_id], one.kind, one.subject): one.values for one in given}
    require_distinct(len(given), len(by_key), "record")
    rows = await session.rows(_RECORDS, **_key_columns(list(by_key)))
    known = {(deployment, kind, subject): key_id for deployment, kind, subject, key_id, _ in rows}
    newest = {key_id: None if values is None else tuple(values) for _, _, _, key_id, values in rows}
    if missing := [key for key in by_key if key not in known]:
        rows = await session.rows(_INSERT_KEYS, **_key_columns(missing), block_id=block_id)
        known |= {(deployment, kind, subject): key_id for deployment, kind, subject, key_id in rows}
    lines = [
        f"{known[key]}\t{block_id}\t{numeric_array(values)}\n"
        for key, values in by_key.items()
        if newest.get(known[key]) != values
    ]
    if lines:
        await session.copy("market_records", ("key_id", "block_id", "values"), lines)


def require_distinct(given: int, distinct: int, what: str) -> None:
    """Two states of one thing at one block contradict each other.

    Raises:
        Fatal: there are such.
    """
    if given != distinct:
        raise Fatal(f"a batch names {given - distinct} {what}s twice")


def _key_columns(keys: Sequence[tuple[int, str, str]]) -> dict[str, list[int] | list[str]]:
    return {
        "deployment_ids": [deployment for deployment, _, _ in keys],
        "kinds": [kind for _, kind, _ in keys],
        "subjects": [subject for _, _, subject in keys],
    }
