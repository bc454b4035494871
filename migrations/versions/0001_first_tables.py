"""The first tables.

Locks: none that anybody could wait for; everything is new.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_INTEGER_256 = sa.Numeric(78, 0)

# The large tables follow their blocks by this instead of a foreign key, whose check of every inserted row made writing
# three times slower.
_FORGET_BLOCKS = """
CREATE FUNCTION forget_blocks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM positions USING dropped WHERE positions.block_id = dropped.id;
    DELETE FROM account_states USING dropped WHERE account_states.block_id = dropped.id;
    DELETE FROM market_records USING dropped WHERE market_records.block_id = dropped.id;
    DELETE FROM accounts USING dropped WHERE accounts.first_block_id = dropped.id;
    RETURN NULL;
END
$$
"""
_ON_DELETED_BLOCKS = """
CREATE TRIGGER blocks_forgotten AFTER DELETE ON blocks
REFERENCING OLD TABLE AS dropped FOR EACH STATEMENT EXECUTE FUNCTION forget_blocks()
"""


def upgrade() -> None:
    _create_chain_tables()
    _create_market_tables()
    _create_account_tables()
    _create_work_tables()
    op.execute(_FORGET_BLOCKS)
    op.execute(_ON_DELETED_BLOCKS)


def downgrade() -> None:
    for table in (
        "log_scans",
        "account_due",
        "positions",
        "account_states",
        "accounts",
        "market_records",
        "record_keys",
        "market_descriptions",
        "markets",
        "deployments",
        "blocks",
        "chains",
    ):
        op.drop_table(table)
    op.execute("DROP FUNCTION forget_blocks()")


def _block(table: str, name: str = "block_id") -> tuple[sa.Column[int], sa.Constraint]:
    """A column that names the block its row came with, and the rule that the row goes with the block."""
    rule = sa.ForeignKeyConstraint([name], ["blocks.id"], name=f"{table}_{name}_fkey", ondelete="CASCADE")
    return sa.Column(name, sa.BigInteger, nullable=False), rule


def _deployment(table: str) -> tuple[sa.Column[int], sa.Constraint]:
    rule = sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=f"{table}_deployment_id_fkey")
    return sa.Column("deployment_id", sa.Integer, nullable=False), rule


def _create_chain_tables() -> None:
    op.create_table(
        "chains",
        sa.Column("chain_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("head_number", sa.BigInteger),
        sa.Column("head_hash", sa.LargeBinary),
        sa.Column("head_timestamp", sa.BigInteger),
        sa.Column("safe_number", sa.BigInteger),
        sa.Column("finalized_number", sa.BigInteger),
        sa.Column("observed_at", sa.BigInteger, nullable=False),
        sa.Column("trouble", sa.Text),
        sa.PrimaryKeyConstraint("chain_id", name="chains_pkey"),
        comment="What the indexer last saw of each chain, and what hampers it. Status, not history.",
    )
    op.create_table(
        "blocks",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("chain_id", sa.BigInteger, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("parent_hash", sa.LargeBinary, nullable=False),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="blocks_pkey"),
        sa.UniqueConstraint("chain_id", "number", name="blocks_chain_id_number_key"),
        comment="Indexed blocks. The newest row of a chain is the indexer's cursor.",
    )
    op.create_table(
        "deployments",
        sa.Column("id", sa.Integer, sa.Identity(always=True), nullable=False),
        sa.Column("slug", sa.Text, nullable=False),
        sa.Column("chain_id", sa.BigInteger, nullable=False),
        sa.Column("protocol", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("address", sa.LargeBinary, nullable=False),
        sa.Column("start_block", sa.BigInteger, nullable=False),
        sa.Column("contracts", JSONB, nullable=False),
        sa.PrimaryKeyConstraint("id", name="deployments_pkey"),
        sa.UniqueConstraint("slug", name="deployments_slug_key"),
        comment="Installations of protocols. `slug` is the public id.",
    )


def _create_market_tables() -> None:
    op.create_table(
        "markets",
        sa.Column("id", sa.Integer, sa.Identity(always=True), nullable=False),
        *_deployment("markets"),
        sa.Column("code", sa.Text, nullable=False),
        *_block("markets", "first_block_id"),
        sa.PrimaryKeyConstraint("id", name="markets_pkey"),
        sa.UniqueConstraint("deployment_id", "code", name="markets_deployment_id_code_key"),
        comment="One asset of one deployment.",
    )
    op.create_index("markets_first_block_id_idx", "markets", ["first_block_id"])
    op.create_table(
        "market_descriptions",
        sa.Column("market_id", sa.Integer, nullable=False),
        *_block("market_descriptions"),
        sa.Column("asset", sa.LargeBinary, nullable=False),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("decimals", sa.SmallInteger, nullable=False),
        sa.PrimaryKeyConstraint("market_id", "block_id", name="market_descriptions_pkey"),
        sa.ForeignKeyConstraint(
            ["market_id"], ["markets.id"], name="market_descriptions_market_id_fkey", ondelete="CASCADE"
        ),
        comment="What a market is called; a row only when that changes.",
    )
    op.create_index("market_descriptions_block_id_idx", "market_descriptions", ["block_id"])
    op.create_table(
        "record_keys",
        sa.Column("id", sa.Integer, sa.Identity(always=True), nullable=False),
        *_deployment("record_keys"),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        *_block("record_keys", "first_block_id"),
        sa.PrimaryKeyConstraint("id", name="record_keys_pkey"),
        sa.UniqueConstraint("deployment_id", "kind", "subject", name="record_keys_deployment_id_kind_subject_key"),
        comment="Names of the groups of raw integers a protocol's state is made of.",
    )
    op.create_index("record_keys_first_block_id_idx", "record_keys", ["first_block_id"])
    op.create_table(
        "market_records",
        sa.Column("key_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("block_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("values", ARRAY(_INTEGER_256, dimensions=1), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "block_id", name="market_records_pkey"),
        comment="Raw market state; a row only when a value changed. NULL: could not be read.",
    )
    op.create_index("market_records_block_id_idx", "market_records", ["block_id"])


def _create_account_tables() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Integer, sa.Identity(), nullable=False),
        sa.Column("deployment_id", sa.Integer, nullable=False),
        sa.Column("wallet", sa.LargeBinary, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("first_block_id", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="accounts_pkey"),
        sa.UniqueConstraint("wallet", "deployment_id", "unit", name="accounts_wallet_deployment_id_unit_key"),
        comment="Solvency units. first_block_id: the indexed block that alone vouches for it; NULL once a log scan "
        "does.",
    )
    op.create_index("accounts_first_block_id_idx", "accounts", ["first_block_id"])
    op.create_table(
        "account_states",
        sa.Column("account_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("block_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("params", ARRAY(_INTEGER_256, dimensions=1), nullable=False),
        sa.Column("open_markets", ARRAY(sa.Integer, dimensions=1), nullable=False),
        sa.Column("unreadable", sa.Text),
        sa.PrimaryKeyConstraint("account_id", "block_id", name="account_states_pkey"),
        comment="Account-wide state and which positions are open; a row only when either changed.",
    )
    op.create_index("account_states_block_id_idx", "account_states", ["block_id"])
    op.create_table(
        "positions",
        sa.Column("account_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("market_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("block_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("supplied_raw", _INTEGER_256, nullable=False),
        sa.Column("borrowed_raw", _INTEGER_256, nullable=False),
        sa.Column("is_collateral", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "market_id", "block_id", name="positions_pkey"),
        comment="Raw amounts of one position; a row only when one changed. Counts while its market is in open_markets.",
    )
    op.create_index("positions_block_id_idx", "positions", ["block_id"])


def _create_work_tables() -> None:
    op.create_table(
        "account_due",
        sa.Column("account_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("deployment_id", sa.Integer, nullable=False),
        sa.Column("due_from", sa.BigInteger, nullable=False),
        sa.Column("markets", ARRAY(sa.Text, dimensions=1), nullable=False),
        sa.Column("read_at_block_id", sa.BigInteger),
        sa.PrimaryKeyConstraint("account_id", name="account_due_pkey"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="account_due_account_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["read_at_block_id"], ["blocks.id"], name="account_due_read_at_block_id_fkey", ondelete="SET NULL"
        ),
        comment="Accounts to be read at a coming block. Pending while read_at_block_id is NULL: a reorg makes it so "
        "again.",
    )
    op.create_index(
        "account_due_pending_idx",
        "account_due",
        ["deployment_id", "due_from"],
        postgresql_where=sa.text("read_at_block_id IS NULL"),
    )
    op.create_index(
        "account_due_read_idx",
        "account_due",
        ["read_at_block_id"],
        postgresql_where=sa.text("read_at_block_id IS NOT NULL"),
    )
    op.create_table(
        "log_scans",
        *_deployment("log_scans"),
        sa.Column("to_block", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("from_block", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("deployment_id", "to_block", name="log_scans_pkey"),
        comment="Block ranges whose logs are still to be searched for accounts, inclusive.",
    )
