"""Accounts: their states at a block, for one wallet, for all, and over time.

The `block_number` of a loaded state is the block of its last stored change at or below the block asked for: the
state held from there on. Unreadable states come back as such; closed positions are left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Integer,
    Text,
    any_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA

from app.domain.account import AccountKey, AccountSnapshot, AccountState, NotYetRead
from app.domain.chain import Address, ChainId
from app.store.account_changes import load_change_blocks
from app.store.blocks import BLOCK_COLUMNS, StoredBlock, load_spaced, stored_block
from app.store.postgres.engine import Database
from app.store.postgres.session import Query, ReadSession
from app.store.states import NO_LIMIT, assemble, given_keys, key_parameters, with_states
from app.store.tables.chain import account_due, account_states, accounts, blocks, deployments, markets

_LIMIT = bindparam("limit_id", type_=BigInteger)
_WALLET = bindparam("wallet", type_=BYTEA)
_UNIT = bindparam("unit", type_=Text)
_SLUG = bindparam("slug", type_=Text)
_NAMES = (accounts.c.id, deployments.c.slug, accounts.c.wallet, accounts.c.unit)

_accounts = accounts.join(deployments, deployments.c.id == accounts.c.deployment_id)
_one_account = (accounts.c.wallet == _WALLET, accounts.c.unit == _UNIT, deployments.c.slug == _SLUG)


def _known_at(limit_id: Any) -> Any:
    """Whether an account was known at a block: one that only a later block brought was not."""
    return or_(accounts.c.first_block_id.is_(None), accounts.c.first_block_id <= limit_id)


_asof = func.unnest(
    bindparam("chain_ids", type_=ARRAY(BigInteger)), bindparam("limit_ids", type_=ARRAY(BigInteger))
).table_valued(named("chain_id", BigInteger), named("limit_id", BigInteger), name="asof")
_asof = _asof.render_derived()
_WALLET_STATES = Query(
    with_states(
        _accounts.join(_asof, _asof.c.chain_id == deployments.c.chain_id), accounts.c.id, _asof.c.limit_id, *_NAMES
    )
    .where(accounts.c.wallet == _WALLET, _known_at(_asof.c.limit_id))
    .order_by(deployments.c.slug, accounts.c.unit)
)
_wanted = func.unnest(bindparam("chain_ids", type_=ARRAY(BigInteger)))
_wanted_chains = _wanted.table_valued(named("chain_id", BigInteger), name="wanted").render_derived()
_head = (
    select(*BLOCK_COLUMNS)
    .where(blocks.c.chain_id == _wanted_chains.c.chain_id)
    .order_by(blocks.c.number.desc())
    .limit(literal_column("1", Integer))
    .lateral("head")
)
_WALLET_AT_HEADS = Query(
    with_states(
        _wanted_chains.join(_head, true()).outerjoin(
            _accounts,
            (accounts.c.wallet == _WALLET)
            & (deployments.c.chain_id == _wanted_chains.c.chain_id)
            & _known_at(_head.c.id),
        ),
        accounts.c.id,
        _head.c.id,
        *_head.c,
        *_NAMES,
    ).order_by(deployments.c.slug, accounts.c.unit)
)
_DEPLOYMENT_STATES = Query(
    with_states(_accounts, accounts.c.id, _LIMIT, *_NAMES).where(deployments.c.slug == _SLUG, _known_at(_LIMIT))
)
_NEWEST_STATES = Query(with_states(given_keys(), accounts.c.id, _LIMIT, *_NAMES))
_given_blocks = func.unnest(bindparam("limit_ids", type_=ARRAY(BigInteger))).table_valued(
    named("limit_id", BigInteger), name="moment"
)
_given_blocks = _given_blocks.render_derived()
_STATES_OVER_TIME = Query(
    with_states(
        _accounts.join(_given_blocks, true()),
        accounts.c.id,
        _given_blocks.c.limit_id,
        _given_blocks.c.limit_id,
        *_NAMES[1:],
    )
    .where(*_one_account, _known_at(_given_blocks.c.limit_id))
    .order_by(_given_blocks.c.limit_id)
)

_known = given_keys().outerjoin(account_due, account_due.c.account_id == accounts.c.id)
_newest_open = (
    select(account_states.c.open_markets)
    .where(account_states.c.account_id == accounts.c.id)
    .order_by(account_states.c.block_id.desc())
    .limit(literal_column("1", Integer))
    .lateral("newest")
)
_KNOWN_MARKETS = Query(
    select(
        deployments.c.slug,
        accounts.c.wallet,
        accounts.c.unit,
        account_due.c.markets,
        select(func.array_agg(markets.c.code, type_=ARRAY(Text)))
        .where(markets.c.id == any_(_newest_open.c.open_markets))
        .scalar_subquery(),
    ).select_from(_known.outerjoin(_newest_open, true()))
)


@dataclass(frozen=True, slots=True)
class AccountMoment:
    """One account at one past block."""

    block: StoredBlock
    state: AccountState | NotYetRead
    changed: bool
    """Whether this very block changed the account's own state (then the step is real, not a price move)."""


async def load_wallet(
    session: ReadSession, wallet: Address, block_by_chain: Mapping[ChainId, StoredBlock]
) -> list[AccountState | NotYetRead]:
    """Every account of a wallet on the given chains, each at its chain's block; ordered by deployment and unit.

    An account that only a later block brought to light is left out.
    """
    rows = await session.rows(
        _WALLET_STATES,
        wallet=bytes(wallet),
        chain_ids=list(block_by_chain),
        limit_ids=[block.id for block in block_by_chain.values()],
    )
    return list(assemble(rows).values())


async def load_wallet_at_heads(
    database: Database, wallet: Address, chain_ids: Collection[ChainId]
) -> tuple[dict[ChainId, StoredBlock], list[AccountState | NotYetRead]]:
    """The newest stored block of each of these chains that has one, and every account of a wallet there, as
    `load_wallet` gives them. One query, so one moment."""
    rows = await database.rows(_WALLET_AT_HEADS, wallet=bytes(wallet), chain_ids=list(chain_ids))
    width = len(BLOCK_COLUMNS)
    heads = {row[1]: stored_block(row[:width]) for row in rows}
    return heads, list(assemble([row[width:] for row in rows if row[width] is not None]).values())


async def load_account(session: ReadSession, key: AccountKey, block: StoredBlock) -> AccountState | NotYetRead | None:
    """One account at a block; None if it was not known then."""
    moments = await _states_at(session, key, [block])
    return moments.get(block.id)


async def load_accounts(session: ReadSession, slug: str, block: StoredBlock) -> list[AccountState]:
    """Every account of a deployment that was ever read at or before `block`, in no particular order."""
    rows = await session.rows_in_parts(_DEPLOYMENT_STATES, slug=slug, limit_id=block.id)
    found = await asyncio.to_thread(assemble, rows)  # may be hundreds of thousands
    return [state for state in found.values() if not isinstance(state, NotYetRead)]


async def load_newest(session: ReadSession, keys: Sequence[AccountKey]) -> dict[AccountKey, AccountSnapshot]:
    """The newest stored state of each of these accounts that has one and was readable."""
    found = assemble(await session.rows(_NEWEST_STATES, **key_parameters(keys), limit_id=NO_LIMIT)).values()
    return {state.key: state for state in found if isinstance(state, AccountSnapshot)}


async def load_known_markets(session: ReadSession, keys: Iterable[AccountKey]) -> dict[AccountKey, frozenset[str]]:
    """Markets each account is known to hold or to have touched: where to look besides its own flags.

    Every key given is in the answer; unknown accounts have none.
    """
    known: dict[AccountKey, frozenset[str]] = {key: frozenset() for key in keys}
    for slug, wallet, unit, due, held in await session.rows(_KNOWN_MARKETS, **key_parameters(list(known))):
        known[AccountKey(slug, Address(wallet), unit)] = frozenset(due or ()) | frozenset(held or ())
    return known


async def load_account_history(
    session: ReadSession, key: AccountKey, chain_id: ChainId, from_block: int, to_block: int, limit: int
) -> list[AccountMoment]:
    """One account over time, oldest first: at up to `limit` evenly spaced stored blocks of the range (inclusive), and
    at its own changes in it (the newest `limit` of them). Moments before the account was known are left out."""
    changes = await load_change_blocks(session, key, from_block, to_block, limit)
    chosen = {block.id: block for block in await load_spaced(session, chain_id, from_block, to_block, limit)}
    chosen |= {block.id: block for block in changes}
    changed = {block.id for block in changes}
    states = await _states_at(session, key, list(chosen.values()))
    return [AccountMoment(chosen[block_id], states[block_id], block_id in changed) for block_id in sorted(states)]


async def _states_at(
    session: ReadSession, key: AccountKey, moments: Sequence[StoredBlock]
) -> dict[int, AccountState | NotYetRead]:
    """The account at each block, by the block's id."""
    ids = [block.id for block in moments]
    return assemble(await session.rows(_STATES_OVER_TIME, **_key_values(key), limit_ids=ids))


def _key_values(key: AccountKey) -> dict[str, Any]:
    return {"slug": key.deployment_id, "wallet": bytes(key.wallet), "unit": key.unit}
