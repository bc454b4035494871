"""Account states as rows: the queries that find the newest state at or below a block, and the way back to values.

An account's state at a block is its newest `account_states` row at or below it, and per market named in that row's
`open_markets` the newest `positions` row at or below it. Each is one descent of a primary key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Text,
    bindparam,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA

from app.domain.account import (
    AccountKey,
    AccountSnapshot,
    AccountState,
    LendingPosition,
    NotYetRead,
    PerpPosition,
    Position,
    Unreadable,
)
from app.domain.chain import Address
from app.store.postgres.session import Asked, Query, Row
from app.store.postgres.types import bytes_array, text_array
from app.store.tables.chain import account_due, account_states, accounts, blocks, deployments, markets, positions

NO_LIMIT = 2**63 - 1
"""A block id above all: the newest state."""

_ONE = literal_column("1", Integer)


def with_states(
    base: FromClause, account_id: ColumnElement[int], limit_id: ColumnElement[int], *first: ColumnElement[Any]
) -> Select[Any]:
    """The rows of `base`, each with the state its account had at the block with id `limit_id`, one row a position.

    Gives `first`, then: state's block id (NULL: none), params, unreadable, market id, market code, supplied,
    borrowed, collateral flag, size, entry notional and params of a perp, number of the block the row's newest part was
    stored at.
    """
    state = (
        select(
            account_states.c.block_id,
            account_states.c.params,
            account_states.c.open_markets,
            account_states.c.unreadable,
        )
        .where(account_states.c.account_id == account_id, account_states.c.block_id <= limit_id)
        .order_by(account_states.c.block_id.desc())
        .limit(_ONE)
        .lateral("state")
    )
    opened = (
        func.unnest(state.c.open_markets).table_valued(named("market_id", Integer)).render_derived().lateral("opened")
    )
    held = (
        select(
            positions.c.block_id,
            positions.c.supplied_raw,
            positions.c.borrowed_raw,
            positions.c.is_collateral,
            positions.c.size_raw,
            positions.c.entry_notional_raw,
            positions.c.perp_params,
        )
        .where(
            positions.c.account_id == account_id,
            positions.c.market_id == opened.c.market_id,
            positions.c.block_id <= limit_id,
        )
        .order_by(positions.c.block_id.desc())
        .limit(_ONE)
        .lateral("held")
    )
    changed = (
        select(blocks.c.number).where(blocks.c.id == func.greatest(state.c.block_id, held.c.block_id)).scalar_subquery()
    )
    return select(
        *first,
        state.c.block_id,
        state.c.params,
        state.c.unreadable,
        opened.c.market_id,
        markets.c.code,
        held.c.supplied_raw,
        held.c.borrowed_raw,
        held.c.is_collateral,
        held.c.size_raw,
        held.c.entry_notional_raw,
        held.c.perp_params,
        changed.label("changed"),
    ).select_from(
        base.outerjoin(state, true())
        .outerjoin(opened, true())
        .outerjoin(held, true())
        .outerjoin(markets, markets.c.id == opened.c.market_id)
    )


_given = (
    func.unnest(
        bindparam("slugs", type_=ARRAY(Text)),
        bindparam("wallets", type_=ARRAY(BYTEA)),
        bindparam("units", type_=ARRAY(Text)),
    )
    .table_valued(named("slug", Text), named("wallet", BYTEA), named("unit", Text), name="given")
    .render_derived()
)


def given_names() -> Select[Any]:
    """Deployment's surrogate id, wallet and unit of the account keys passed as `key_parameters`."""
    return select(deployments.c.id, _given.c.wallet, _given.c.unit).select_from(
        _given.join(deployments, deployments.c.slug == _given.c.slug)
    )


def given_keys() -> FromClause:
    """The account keys passed as `key_parameters`, joined to their deployments and rows."""
    return _given.join(deployments, deployments.c.slug == _given.c.slug).join(
        accounts,
        (accounts.c.wallet == _given.c.wallet)
        & (accounts.c.deployment_id == deployments.c.id)
        & (accounts.c.unit == _given.c.unit),
    )


def key_parameters(keys: Sequence[AccountKey]) -> dict[str, str]:
    """`keys` as the parameters of `given_keys`."""
    return {
        "slugs": text_array([key.deployment_id for key in keys]),
        "wallets": bytes_array([key.wallet for key in keys]),
        "units": text_array([key.unit for key in keys]),
    }


def assemble(rows: Sequence[Row]) -> dict[Any, AccountState | NotYetRead]:
    """Values from rows of (any distinct name, deployment's slug, wallet, unit, *the columns of `with_states`)."""
    states: dict[Any, AccountState | NotYetRead] = {}
    open_positions: dict[Any, list[LendingPosition]] = {}
    open_perps: dict[Any, list[PerpPosition]] = {}
    newest: dict[Any, int] = {}
    heads: dict[Any, tuple[AccountKey, tuple[int, ...]]] = {}
    codes: dict[str, str] = {}
    for row in rows:
        name, slug, wallet, unit, block_id, params, unreadable, _, code, supplied, borrowed, flag, size, *perp = row
        changed = perp[-1]
        held = open_positions.get(name)
        if held is None:
            key = AccountKey(slug, Address(wallet), unit)
            if block_id is None:
                states[name] = NotYetRead(key)
                continue
            if unreadable is not None:
                states[name] = Unreadable(key, changed, unreadable)
                continue
            held = open_positions[name] = []
            heads[name] = key, tuple(params)
            newest[name] = changed
            states[name] = Unreadable(key, changed, "")  # keeps the order of the rows; replaced below
        if code is not None:
            if size is None:
                held.append(LendingPosition(codes.setdefault(code, code), supplied, borrowed, flag))
            else:
                open_perps.setdefault(name, []).append(PerpPosition(code, size, perp[0], tuple(perp[1])))
            if changed > newest[name]:
                newest[name] = changed
    for name, held in open_positions.items():
        key, params = heads[name]
        held.sort(key=_market_of)
        perps = tuple(sorted(open_perps[name], key=_market_of)) if name in open_perps else ()
        states[name] = AccountSnapshot(key, newest[name], tuple(held), params, perps)
    return states


def _market_of(position: Position) -> str:
    return position.market


_newest = with_states(
    given_keys().outerjoin(account_due, account_due.c.account_id == accounts.c.id),
    accounts.c.id,
    literal_column(str(NO_LIMIT), BigInteger),
    deployments.c.slug,
    accounts.c.wallet,
    accounts.c.unit,
    accounts.c.id,
    account_due.c.markets.label("due"),
)
_UNUSED = (markets.c.code.name, "changed")
_NEWEST_OF_KEYS = Query(
    # Without their columns Postgres leaves out the joins that bring them.
    _newest.with_only_columns(
        *(column for column in _newest.selected_columns if column.name not in _UNUSED), maintain_column_froms=True
    )
)

KeyTuple: TypeAlias = tuple[str, bytes, str]
"""An account key as rows have it: slug, wallet, unit."""
LendingRow: TypeAlias = tuple[int, int, bool]
"""Supplied, borrowed, collateral flag."""
PerpRow: TypeAlias = tuple[int, int, tuple[int, ...]]
"""Size, entry notional, params."""


@dataclass(slots=True)
class StoredState:
    """The newest stored state of one account, by surrogate ids: what a commit compares with."""

    account_id: int
    params: tuple[int, ...] | None = None
    """None: nothing was ever read."""
    unreadable: str | None = None
    held: dict[int, LendingRow | PerpRow] = field(default_factory=dict)
    """Open positions by market id."""
    due_markets: tuple[str, ...] = ()
    """Codes of the markets that logs have named since, whether it was read after them or not."""
    is_new: bool = False
    """It has no row yet: the id is taken for its first."""


def key_tuple(key: AccountKey) -> KeyTuple:
    """An account key as rows have it."""
    return key.deployment_id, key.wallet, key.unit


def ask_newest(keys: Sequence[AccountKey]) -> Asked:
    """The query for the newest states of these accounts; `newest_states` reads its rows."""
    return _NEWEST_OF_KEYS, key_parameters(keys)


def newest_states(rows: Sequence[Row]) -> dict[KeyTuple, StoredState]:
    """The newest state of every account that has a row."""
    found: dict[KeyTuple, StoredState] = {}
    for slug, wallet, unit, *rest in rows:
        account, due, block, params, unreadable, market, supplied, borrowed, flag, size, *perp = rest
        key = (slug, wallet, unit)
        stored = found.get(key)
        if stored is None:
            stored = StoredState(account, None if block is None else tuple(params), unreadable)
            if due:
                stored.due_markets = tuple(due)
            found[key] = stored
        if market is not None:
            stored.held[market] = (supplied, borrowed, flag) if size is None else (size, perp[0], tuple(perp[1]))
    return found
