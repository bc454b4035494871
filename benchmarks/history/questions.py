"""What is asked of the store with years of history, and how the naive way would answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from psycopg import AsyncConnection
from sqlalchemy import BigInteger, any_, bindparam, or_, select
from sqlalchemy.dialects.postgresql import BYTEA, distinct_on

from app.domain.account import AccountKey, AccountSnapshot, AccountState, NotYetRead
from app.domain.chain import Address, ChainId
from app.store.postgres.session import Query, Row
from app.store.tables.chain import account_states, accounts, deployments, markets, positions
from benchmarks.history.world import CHAINS, DEPLOYMENTS, FIRST_NUMBER, STEP, Population, wallet

_LIMIT = bindparam("limit_id", type_=BigInteger)
_WALLET = bindparam("wallet", type_=BYTEA)

_known = (
    select(accounts.c.id)
    .join(deployments, deployments.c.id == accounts.c.deployment_id)
    .where(
        accounts.c.wallet == _WALLET,
        deployments.c.chain_id == bindparam("chain_id", type_=BigInteger),
        or_(accounts.c.first_block_id.is_(None), accounts.c.first_block_id <= _LIMIT),
    )
)
_state = (
    select(account_states)
    .ext(distinct_on(account_states.c.account_id))
    .where(account_states.c.account_id.in_(_known), account_states.c.block_id <= _LIMIT)
    .order_by(account_states.c.account_id, account_states.c.block_id.desc())
    .subquery("state")
)
_position = (
    select(positions)
    .ext(distinct_on(positions.c.account_id, positions.c.market_id))
    .where(positions.c.account_id.in_(_known), positions.c.block_id <= _LIMIT)
    .order_by(positions.c.account_id, positions.c.market_id, positions.c.block_id.desc())
    .subquery("position")
)
NAIVE = Query(
    select(
        deployments.c.slug,
        accounts.c.unit,
        _state.c.params,
        markets.c.code,
        _position.c.supplied_raw,
        _position.c.borrowed_raw,
        _position.c.is_collateral,
    ).select_from(
        _state.join(accounts, accounts.c.id == _state.c.account_id)
        .join(deployments, deployments.c.id == accounts.c.deployment_id)
        .outerjoin(
            _position,
            (_position.c.account_id == _state.c.account_id) & (_position.c.market_id == any_(_state.c.open_markets)),
        )
        .outerjoin(markets, markets.c.id == _position.c.market_id)
    )
)
"""A wallet at a block as one writes it first: the newest rows by DISTINCT ON, which reads all older ones too."""

Comparable: TypeAlias = dict[tuple[str, str], tuple[tuple[int, ...], list[tuple[str, int, int, bool]]]]
"""Params and positions by deployment and unit."""


@dataclass(frozen=True, slots=True)
class Question:
    """A wallet at a block of one of its chains."""

    wallet: Address
    chain_id: ChainId
    block_number: int
    key: AccountKey
    """One of its accounts there."""
    first_block: int
    """Number of the first stored block of the chain."""


def draw(people: Population, count: int, seed: int) -> list[Question]:
    """Half of them about any wallet, half about wallets as busy as they are; blocks from all over the history."""
    chance = np.random.default_rng(seed)
    wallets = chance.integers(people.size.wallets, size=count)
    busy = np.searchsorted(np.cumsum(people.weights), chance.random(count)).clip(0, people.size.wallets - 1)
    wallets[::2] = busy[::2]
    first = np.searchsorted(people.account_wallets, wallets)  # the wallet's first account
    heights = chance.integers(people.size.blocks // 2, size=count)
    found = []
    for number, account, height in zip(wallets.tolist(), first.tolist(), heights.tolist(), strict=True):
        chain = people.chain_of(account)
        slug = DEPLOYMENTS[people.account_deployments[account] - 1][0]
        block = FIRST_NUMBER[chain] + height * STEP[chain] + height % STEP[chain]
        address = wallet(number)
        found.append(Question(address, CHAINS[chain], block, AccountKey(slug, address), FIRST_NUMBER[chain]))
    return found


async def ask_naively(connection: AsyncConnection[Row], question: Question, limit_id: int) -> Comparable:
    """The wallet's accounts by NAIVE."""
    parameters: dict[str, Any] = {
        "wallet": bytes(question.wallet),
        "chain_id": question.chain_id,
        "limit_id": limit_id,
    }
    async with connection.cursor() as cursor:
        await cursor.execute(NAIVE.sql, parameters)
        rows = await cursor.fetchall()
    found: Comparable = {}
    for slug, unit, params, code, supplied, borrowed, flag in rows:
        held = found.setdefault((slug, unit), (tuple(params), []))[1]
        if code is not None:
            held.append((code, supplied, borrowed, flag))
    return {key: (params, sorted(held)) for key, (params, held) in found.items()}


def comparable(states: Sequence[AccountState | NotYetRead]) -> Comparable:
    """The product's own answer in the same form."""
    assert all(isinstance(state, AccountSnapshot) for state in states)
    return {
        (state.key.deployment_id, state.key.unit): (
            state.params,
            [(one.market, one.supplied_raw, one.borrowed_raw, one.is_collateral) for one in state.positions],
        )
        for state in states
        if isinstance(state, AccountSnapshot)
    }
