"""The schema, as SQLAlchemy Core metadata. `migrations/` must always lead exactly here (a test compares them).

How history is kept. Every fact read from a chain is a row that names the block it was read at, and only rows that
differ from the newest earlier one are written; the state at a block is, per key, the newest row at or below it.
Block ids grow in insertion order and a chain's blocks are only ever appended (a fork is deleted first), so inside
one chain `block_id <= X` orders like the block number. Deleting blocks therefore undoes everything they brought.

The tables with many rows (accounts, account_states, positions, market_records) have no foreign key to `blocks`: it is
checked row by row and made writing three times slower (15.3 against 5.5 us a row); nor to `deployments`, which they
are filled from by a join. A trigger of `blocks`, in the first
migration, deletes their rows with the block instead, for whoever deletes it.

What the monitor makes of all this (risk_*, status_changes) is derived: it can be made again from the rest, and goes
with its block in the same ways.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from app.store.postgres.types import AddressBytes, HashBytes, Integer256, Integer256Array

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)


def _bare_block() -> Column[int]:
    """The block a row of a large table belongs to and disappears with, by the trigger."""
    return Column("block_id", BigInteger, primary_key=True, autoincrement=False)


def _block(name: str = "block_id", *, primary_key: bool = False) -> Column[int]:
    """The block a row belongs to and disappears with."""
    foreign = ForeignKey("blocks.id", ondelete="CASCADE")
    return Column(name, BigInteger, foreign, nullable=False, primary_key=primary_key)


chains = Table(
    "chains",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("head_number", BigInteger),
    Column("head_hash", HashBytes),
    Column("head_timestamp", BigInteger),
    Column("safe_number", BigInteger),
    Column("finalized_number", BigInteger),
    Column("observed_at", BigInteger, nullable=False),
    Column("trouble", Text),
    comment="What the indexer last saw of each chain, and what hampers it. Status, not history.",
)

chain_endpoints = Table(
    "chain_endpoints",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", SmallInteger, primary_key=True, autoincrement=False),
    Column("host", Text, nullable=False),
    Column("health", Text, nullable=False),
    Column("head_number", BigInteger),
    Column("lag_blocks", BigInteger),
    Column("error_share", Double, nullable=False),
    Column("latency_seconds", Double),
    Column("trouble", Text),
    Column("range_blocks", Integer),
    Column("chunk_calls", Integer),
    Column("state_blocks", Integer),
    Column("observed_at", BigInteger, nullable=False),
    comment="Endpoints of each chain as its indexer last saw them, and the limits it learned. Status, not history.",
)

blocks = Table(
    "blocks",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("chain_id", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("hash", HashBytes, nullable=False),
    Column("parent_hash", HashBytes, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    UniqueConstraint("chain_id", "number"),
    comment="Indexed blocks. The newest row of a chain is the indexer's cursor.",
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("slug", Text, nullable=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("address", AddressBytes, nullable=False),
    Column("start_block", BigInteger, nullable=False),
    Column("contracts", JSONB, nullable=False),
    UniqueConstraint("slug"),
    comment="Installations of protocols. `slug` is the public id.",
)

deployment_troubles = Table(
    "deployment_troubles",
    metadata,
    Column("deployment_id", Integer, ForeignKey("deployments.id"), primary_key=True, autoincrement=False),
    _block(primary_key=True),
    Column("trouble", Text),
    Column("since_block", BigInteger),
    Column("is_followed", Boolean, nullable=False, server_default=text("true")),
    Index(None, "block_id"),
    comment="From which block on a deployment is not read, and why (or that nobody follows it); trouble NULL: from"
    " which on it is read again.",
)

markets = Table(
    "markets",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("deployment_id", Integer, ForeignKey("deployments.id"), nullable=False),
    Column("code", Text, nullable=False),
    _block("first_block_id"),
    UniqueConstraint("deployment_id", "code"),
    Index(None, "first_block_id"),
    comment="One asset of one deployment.",
)

market_descriptions = Table(
    "market_descriptions",
    metadata,
    Column("market_id", Integer, ForeignKey("markets.id", ondelete="CASCADE"), primary_key=True),
    _block(primary_key=True),
    Column("asset", AddressBytes, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("decimals", SmallInteger, nullable=False),
    Index(None, "block_id"),
    comment="What a market is called; a row only when that changes.",
)

record_keys = Table(
    "record_keys",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("deployment_id", Integer, ForeignKey("deployments.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    _block("first_block_id"),
    UniqueConstraint("deployment_id", "kind", "subject"),
    Index(None, "first_block_id"),
    comment="Names of the groups of raw integers a protocol's state is made of.",
)

market_records = Table(
    "market_records",
    metadata,
    Column("key_id", Integer, primary_key=True, autoincrement=False),
    _bare_block(),
    Column("values", Integer256Array, nullable=False),
    Index(None, "block_id"),
    comment="Raw market state; a row only when a value changed. NULL: could not be read.",
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("deployment_id", Integer, nullable=False),
    Column("wallet", AddressBytes, nullable=False),
    Column("unit", Text, nullable=False),
    Column("first_block_id", BigInteger),
    # No index on deployment_id alone: all accounts of one are a large part of the table, and the planner, while it has
    # no statistics, would look single accounts up by it.
    UniqueConstraint("wallet", "deployment_id", "unit"),
    Index(None, "first_block_id"),
    comment="Solvency units. first_block_id: the indexed block that alone vouches for it; NULL once a log scan does.",
)

account_states = Table(
    "account_states",
    metadata,
    Column("account_id", Integer, primary_key=True, autoincrement=False),
    _bare_block(),
    Column("params", Integer256Array, nullable=False),
    Column("open_markets", ARRAY(Integer, dimensions=1), nullable=False),
    Column("unreadable", Text),
    Index(None, "block_id"),
    comment="Account-wide state and which positions are open; a row only when either changed.",
)

positions = Table(
    "positions",
    metadata,
    Column("account_id", Integer, primary_key=True, autoincrement=False),
    Column("market_id", Integer, primary_key=True, autoincrement=False),
    _bare_block(),
    Column("supplied_raw", Integer256),
    Column("borrowed_raw", Integer256),
    Column("is_collateral", Boolean),
    Column("size_raw", Integer256),
    Column("entry_notional_raw", Integer256),
    Column("perp_params", Integer256Array),
    CheckConstraint(
        "num_nonnulls(supplied_raw, borrowed_raw, is_collateral) = 3 AND"
        " num_nonnulls(size_raw, entry_notional_raw, perp_params) = 0 OR"
        " num_nonnulls(supplied_raw, borrowed_raw, is_collateral) = 0 AND"
        " num_nonnulls(size_raw, entry_notional_raw, perp_params) = 3",
        name="positions_kind_check",
    ),
    Index(None, "block_id"),
    comment="Raw amounts of one position, either of lending or of a perp; a row only when one changed. Counts while its"
    " market is in open_markets.",
)

account_due = Table(
    "account_due",
    metadata,
    Column("account_id", Integer, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("deployment_id", Integer, nullable=False),
    Column("due_from", BigInteger, nullable=False),
    Column("markets", ARRAY(Text, dimensions=1), nullable=False),
    Column("read_at_block_id", BigInteger, ForeignKey("blocks.id", ondelete="SET NULL")),
    Index("account_due_pending_idx", "deployment_id", "due_from", postgresql_where=text("read_at_block_id IS NULL")),
    Index("account_due_read_idx", "read_at_block_id", postgresql_where=text("read_at_block_id IS NOT NULL")),
    comment="Accounts to be read at a coming block. Pending while read_at_block_id is NULL: a reorg makes it so again.",
)

log_scans = Table(
    "log_scans",
    metadata,
    Column("deployment_id", Integer, ForeignKey("deployments.id"), primary_key=True, autoincrement=False),
    Column("to_block", BigInteger, primary_key=True, autoincrement=False),
    Column("from_block", BigInteger, nullable=False),
    comment="Block ranges whose logs are still to be searched for accounts, inclusive.",
)

risk_progress = Table(
    "risk_progress",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    _block(),
    Index(None, "block_id"),
    comment="The newest block each chain's risk board was made at.",
)

risk_board = Table(
    "risk_board",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("rank", Integer, primary_key=True, autoincrement=False),
    _block(),
    Column("account_id", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("health_factor_wad", Integer256),
    Column("utilization_wad", Integer256),
    Column("collateral_value", Integer256),
    Column("debt_value", Integer256),
    Column("notional_value", Integer256),
    Column("currency", Text),
    Column("value_decimals", SmallInteger, nullable=False),
    Column("is_exact", Boolean, nullable=False),
    Index(None, "block_id"),
    comment="Each chain's riskiest accounts at its newest block, from rank 1: every liquidatable one, some unknown"
    " ones, the next healthy ones. Numbers are the contract's own; is_exact is false where there are none.",
)

risk_totals = Table(
    "risk_totals",
    metadata,
    Column("deployment_id", Integer, ForeignKey("deployments.id"), primary_key=True, autoincrement=False),
    _block(primary_key=True),
    Column("measure", Text, primary_key=True),
    Column("currency", Text),
    Column("liquidatable", Integer, nullable=False),
    Column("unknown", Integer, nullable=False),
    Column("healthy", Integer, nullable=False),
    Column("no_debt", Integer, nullable=False),
    Column("bands", ARRAY(Integer, dimensions=1), nullable=False),
    Column("collateral", Double),
    Column("capacity", Double),
    Column("requirement", Double),
    Index(None, "block_id"),
    comment="Sums over the accounts of a deployment that are counted in one measure, as floats of whole units; a row"
    " when a status changed, a sum moved noticeably, or an hour began. Unknown accounts are in no sum.",
)

status_changes = Table(
    "status_changes",
    metadata,
    Column("account_id", Integer, primary_key=True, autoincrement=False),
    _bare_block(),
    Column("from_status", Text),
    Column("to_status", Text, nullable=False),
    Column("health_factor_wad", Integer256),
    Index(None, "block_id"),
    comment="Verdicts that turned between two boards; NULL in from_status: an account not known before.",
)

risk_snapshots = Table(
    "risk_snapshots",
    metadata,
    Column("account_id", Integer, primary_key=True, autoincrement=False),
    _bare_block(),
    Column("collateral", Double, nullable=False),
    Column("requirement", Double, nullable=False),
    Column("health", Double),
    Index(None, "block_id"),
    comment="Accounts with debt at the first board of each hour and where their status changed, as the book's floats:"
    " to be drawn, not to be decided by. Kept for a limited time.",
)
