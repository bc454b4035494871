"""The account side of a block's commit: states and positions, written only where they differ.

The newest stored states come in one query, the comparison is plain Python, and what differs goes out by COPY into
the tables themselves: measured faster than staging tables at 200 rows and at 50,000 (docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import BigInteger, Integer, Text, any_, bindparam, func, insert, literal, select, update
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA
from sqlalchemy.dialects.postgresql import insert as upsert

from app.domain.account import AccountSnapshot, AccountState, Unreadable
from app.errors import Fatal
from app.store.commit_markets import require_distinct, resolve_markets
from app.store.engine import Query, WriteSession
from app.store.states import StoredState, load_newest_by_key
from app.store.tables import account_due, accounts
from app.store.types import copy_text, integer_array, numeric_array

_STATE_COLUMNS = ("account_id", "block_id", "params", "open_markets", "unreadable")
_POSITION_COLUMNS = ("account_id", "market_id", "block_id", "supplied_raw", "borrowed_raw", "is_collateral")

_BLOCK = bindparam("block_id", type_=BigInteger)
_ACCOUNT_IDS = bindparam("account_ids", type_=ARRAY(Integer))

_new = func.unnest(
    bindparam("deployment_ids", type_=ARRAY(Integer)),
    bindparam("wallets", type_=ARRAY(BYTEA)),
    bindparam("units", type_=ARRAY(Text)),
).table_valued(named("deployment_id", Integer), named("wallet", BYTEA), named("unit", Text), name="new")
_new = _new.render_derived()
_INSERT_ACCOUNTS = Query(
    insert(accounts)
    .from_select(
        ["deployment_id", "wallet", "unit", "first_block_id"],
        select(_new.c.deployment_id, _new.c.wallet, _new.c.unit, _BLOCK),
    )
    .returning(accounts.c.deployment_id, accounts.c.wallet, accounts.c.unit, accounts.c.id)
)
_MARK_READ = Query(
    update(account_due)
    .where(account_due.c.account_id == any_(_ACCOUNT_IDS), account_due.c.read_at_block_id.is_(None))
    .values(read_at_block_id=_BLOCK)
)
_unread = (
    select(accounts.c.id, accounts.c.deployment_id, bindparam("due_from", type_=BigInteger), literal([], ARRAY(Text)))
    .where(accounts.c.id == any_(_ACCOUNT_IDS))
    .order_by(accounts.c.id)
)
_queue_again = upsert(account_due).from_select(["account_id", "deployment_id", "due_from", "markets"], _unread)
_QUEUE_AGAIN = Query(
    _queue_again.on_conflict_do_update(
        index_elements=["account_id"],
        set_={"due_from": _queue_again.excluded.due_from, "read_at_block_id": None},
    )
)


async def commit_accounts(
    session: WriteSession,
    block_id: int,
    deployment_ids: Mapping[str, int],
    given: Sequence[AccountState],
    *,
    retry_from: int,
) -> None:
    """Store what differs in accounts just read, and note in the queue which of them were read.

    Args:
        retry_from: the block from which on unreadable accounts are due again.
    """
    if not given:
        return
    by_key = {(deployment_ids[s.key.deployment_id], bytes(s.key.wallet), s.key.unit): s for s in given}
    require_distinct(len(given), len(by_key), "account")
    market_ids = await resolve_markets(session, sorted({deployment for deployment, _, _ in by_key}))
    newest = await load_newest_by_key(session, [state.key for state in given], dict(deployment_ids))
    if missing := [key for key in by_key if key not in newest]:
        rows = await session.rows(
            _INSERT_ACCOUNTS,
            deployment_ids=[deployment for deployment, _, _ in missing],
            wallets=[wallet for _, wallet, _ in missing],
            units=[unit for _, _, unit in missing],
            block_id=block_id,
        )
        for deployment, wallet, unit, account_id in rows:
            newest[deployment, wallet, unit] = StoredState(account_id, None, None, {})
    state_lines: list[str] = []
    position_lines: list[str] = []
    read: list[int] = []
    unread: list[int] = []
    for key, state in by_key.items():
        stored = newest[key]
        if isinstance(state, Unreadable):
            unread.append(stored.account_id)
            _add_unreadable(state_lines, block_id, state, stored)
        else:
            read.append(stored.account_id)
            _add_snapshot(state_lines, position_lines, block_id, state, stored, key[0], market_ids)
    if state_lines:
        await session.copy("account_states", _STATE_COLUMNS, state_lines)
    if position_lines:
        await session.copy("positions", _POSITION_COLUMNS, position_lines)
    if read:
        await session.run(_MARK_READ, account_ids=read, block_id=block_id)
    if unread:
        await session.run(_QUEUE_AGAIN, account_ids=unread, due_from=retry_from)


def _add_unreadable(lines: list[str], block_id: int, state: Unreadable, stored: StoredState) -> None:
    reason = state.reason.replace("\0", "")
    if stored.unreadable == reason:
        return
    # The last known open markets stay named, so that the next reading knows where to look.
    lines.append(f"{stored.account_id}\t{block_id}\t{{}}\t{integer_array(sorted(stored.held))}\t{copy_text(reason)}\n")


def _add_snapshot(
    state_lines: list[str],
    position_lines: list[str],
    block_id: int,
    state: AccountSnapshot,
    stored: StoredState,
    deployment: int,
    market_ids: Mapping[tuple[int, str], int],
) -> None:
    account_id, held = stored.account_id, stored.held
    opened: list[int] = []
    for position in state.positions:
        if position.is_empty:
            continue
        market_id = market_ids.get((deployment, position.market))
        if market_id is None:
            raise Fatal(f"a position of {state.key.deployment_id} is in a market never described: {position.market}")
        opened.append(market_id)
        numbers = (position.supplied_raw, position.borrowed_raw, position.is_collateral)
        if held.get(market_id) != numbers:
            supplied, borrowed, flag = numbers
            position_lines.append(f"{account_id}\t{market_id}\t{block_id}\t{supplied}\t{borrowed}\t{flag:d}\n")
    if (
        stored.params != state.params
        or stored.unreadable is not None
        or len(opened) != len(held)
        or any(market_id not in held for market_id in opened)
    ):
        opened.sort()
        state_lines.append(f"{account_id}\t{block_id}\t{numeric_array(state.params)}\t{integer_array(opened)}\t\\N\n")
