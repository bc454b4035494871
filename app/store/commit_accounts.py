"""The account side of a block's commit: states and positions, written only where they differ.

The newest stored states are known before, the comparison is plain Python, and what differs goes straight into the
tables: no staging tables, and few round trips, which is what a small block costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import BigInteger, Integer, Text, any_, bindparam, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from app.domain.account import AccountSnapshot, AccountState
from app.errors import Fatal
from app.store.footing import Footing
from app.store.postgres.bulk import THIS_BLOCK, BulkTable, Column, insert_rows
from app.store.postgres.session import Asked, Query, WriteSession
from app.store.postgres.types import integer_array, numeric_array
from app.store.states import PerpRow, StoredState, key_tuple
from app.store.tables.chain import account_due, account_states, accounts, positions

_ACCOUNT_IDS = bindparam("account_ids", type_=ARRAY(Integer))

_ACCOUNTS = BulkTable(accounts, "first_block_id")
_STATES = BulkTable(account_states)
_LENDING = BulkTable(positions, left_out=("size_raw", "entry_notional_raw", "perp_params"))
_PERPS = BulkTable(positions, left_out=("supplied_raw", "borrowed_raw", "is_collateral"))

_MARK_READ = Query(
    update(account_due)
    .where(account_due.c.account_id == any_(_ACCOUNT_IDS), account_due.c.read_at_block_id.is_(None))
    .values(read_at_block_id=THIS_BLOCK)
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


@dataclass(slots=True)
class _Changes:
    """Rows to be written, column by column in the tables' order, and which accounts were read. Columns, because a
    tuple a row is one more thing for the garbage collector to look through."""

    states: tuple[list[int], list[str], list[str], list[str | None]] = field(default_factory=lambda: ([], [], [], []))
    """account id, params, open markets, unreadable"""
    lending: tuple[list[int], list[int], list[int], list[int], list[bool]] = field(
        default_factory=lambda: ([], [], [], [], [])
    )
    """account id, market id, supplied, borrowed, collateral flag"""
    perps: tuple[list[int], list[int], list[int], list[int], list[str]] = field(
        default_factory=lambda: ([], [], [], [], [])
    )
    """account id, market id, size, entry notional, params"""
    read: list[int] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)

    def add_state(self, account_id: int, params: str, opened: list[int], unreadable: str | None) -> None:
        account_ids, all_params, open_markets, reasons = self.states
        account_ids.append(account_id)
        all_params.append(params)
        opened.sort()
        open_markets.append(integer_array(opened))
        reasons.append(unreadable)

    def add_lending(self, account_id: int, rows: list[tuple[int, int, int, bool]]) -> None:
        account_ids, market_ids, all_supplied, all_borrowed, flags = self.lending
        rows.sort()  # new accounts have the highest ids: in this order the primary key only grows at its end
        for market_id, supplied, borrowed, flag in rows:
            account_ids.append(account_id)
            market_ids.append(market_id)
            all_supplied.append(supplied)
            all_borrowed.append(borrowed)
            flags.append(flag)

    def add_perp(self, account_id: int, market_id: int, row: PerpRow) -> None:
        account_ids, market_ids, sizes, entry_notionals, all_params = self.perps
        account_ids.append(account_id)
        market_ids.append(market_id)
        sizes.append(row[0])
        entry_notionals.append(row[1])
        all_params.append(numeric_array(row[2]))


async def commit_accounts(
    session: WriteSession,
    block_id: int | None,
    footing: Footing,
    given: Sequence[AccountState],
    *,
    retry_from: int,
) -> list[Asked]:
    """Store what differs in accounts just read, and note in the queue which of them were read.

    Args:
        block_id: as `insert_rows` takes it.
        footing: knows the newest stored state of each of these accounts.
        retry_from: the block from which on unreadable accounts are due again.

    Returns:
        Statements that still have to be sent, together with others.
    """
    names, states = footing.names, footing.known.states
    newest = [states[key_tuple(state.key)] for state in given]
    new = [(state.key, stored.account_id) for state, stored in zip(given, newest, strict=True) if stored.is_new]
    changes = _Changes()

    def rows() -> Iterator[tuple[BulkTable, Sequence[Column]]]:
        """The accounts first: what they hold is worked out while the server takes them in."""
        yield (
            _ACCOUNTS,
            (
                [account_id for _, account_id in new],
                [names.deployment_ids[key.deployment_id] for key, _ in new],
                [key.wallet for key, _ in new],
                [key.unit for key, _ in new],
            ),
        )
        for state, stored in zip(given, newest, strict=True):
            _note(changes, state, stored, names.market_ids)
        yield _STATES, changes.states
        yield _LENDING, changes.lending
        yield _PERPS, changes.perps

    statements = await insert_rows(session, block_id, rows())
    # Accounts that nobody knew cannot be waiting to be read.
    new_ids = {account_id for _, account_id in new}
    if read := [account_id for account_id in changes.read if account_id not in new_ids]:
        statements.append((_MARK_READ, {"account_ids": integer_array(sorted(read))}))
    if changes.unread:
        statements.append((_QUEUE_AGAIN, {"account_ids": integer_array(changes.unread), "due_from": retry_from}))
    return statements


def _note(
    changes: _Changes, state: AccountState, stored: StoredState, market_ids: Mapping[tuple[str, str], int]
) -> None:
    """Note that an account was read, and the rows by which it differs from what is stored."""
    if isinstance(state, AccountSnapshot):
        changes.read.append(stored.account_id)
        _compare(changes, state, stored, market_ids)
        return
    changes.unread.append(stored.account_id)
    if stored.unreadable != state.reason.replace("\0", ""):
        # The last known open markets stay named, so that the next reading knows where to look.
        changes.add_state(stored.account_id, "{}", list(stored.held), state.reason)


def _compare(
    changes: _Changes, state: AccountSnapshot, stored: StoredState, market_ids: Mapping[tuple[str, str], int]
) -> None:
    """Note the rows by which `state` differs from what is stored."""
    slug, account_id, held = state.key.deployment_id, stored.account_id, stored.held
    opened: list[int] = []
    lending: list[tuple[int, int, int, bool]] = []
    for position in state.positions:
        amounts = position.supplied_raw, position.borrowed_raw, position.is_collateral
        if any(amounts):
            opened.append(market_id := _market_id(market_ids, slug, position.market))
            if held.get(market_id) != amounts:
                lending.append((market_id, *amounts))
    if lending:
        changes.add_lending(account_id, lending)
    for perp in state.perps:
        if not perp.is_empty:
            opened.append(market_id := _market_id(market_ids, slug, perp.market))
            row = perp.size_raw, perp.entry_notional_raw, perp.params
            if held.get(market_id) != row:
                changes.add_perp(account_id, market_id, row)
    if stored.params != state.params or stored.unreadable is not None or held.keys() != set(opened):
        changes.add_state(account_id, numeric_array(state.params), opened, None)


def _market_id(market_ids: Mapping[tuple[str, str], int], slug: str, market: str) -> int:
    market_id = market_ids.get((slug, market))
    if market_id is None:
        raise Fatal(f"a position of {slug} is in a market never described: {market}")
    return market_id
