"""What the monitor derives at each block: the board, totals, changes of status, snapshots.

Locks: none that anybody could wait for longer than a moment; the tables are new. The trigger that forgets blocks is
given two more tables to clear.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INTEGER_256 = sa.Numeric(78, 0)
_TABLES = ("risk_snapshots", "status_changes", "risk_totals", "risk_board", "risk_progress")
_FORGET_BLOCKS = """
CREATE OR REPLACE FUNCTION forget_blocks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {more}
    DELETE FROM positions USING dropped WHERE positions.block_id = dropped.id;
    DELETE FROM account_states USING dropped WHERE account_states.block_id = dropped.id;
    DELETE FROM market_records USING dropped WHERE market_records.block_id = dropped.id;
    DELETE FROM accounts USING dropped WHERE accounts.first_block_id = dropped.id;
    RETURN NULL;
END
$$
"""
_DERIVED = """
    DELETE FROM risk_snapshots USING dropped WHERE risk_snapshots.block_id = dropped.id;
    DELETE FROM status_changes USING dropped WHERE status_changes.block_id = dropped.id;
"""


def upgrade() -> None:
    _create_board()
    _create_history()
    op.execute(_FORGET_BLOCKS.format(more=_DERIVED.strip()))


def downgrade() -> None:
    op.execute(_FORGET_BLOCKS.format(more=""))
    for table in _TABLES:
        op.drop_table(table)


def _block(table: str) -> tuple[sa.Column[int], sa.Constraint]:
    """The block a row goes with."""
    rule = sa.ForeignKeyConstraint(["block_id"], ["blocks.id"], name=f"{table}_block_id_fkey", ondelete="CASCADE")
    return sa.Column("block_id", sa.BigInteger, nullable=False), rule


def _index(table: str) -> None:
    op.create_index(f"{table}_block_id_idx", table, ["block_id"])


def _create_board() -> None:
    op.create_table(
        "risk_progress",
        sa.Column("chain_id", sa.BigInteger, nullable=False, autoincrement=False),
        *_block("risk_progress"),
        sa.PrimaryKeyConstraint("chain_id", name="risk_progress_pkey"),
        comment="The newest block each chain's risk board was made at.",
    )
    _index("risk_progress")
    op.create_table(
        "risk_board",
        sa.Column("chain_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("rank", sa.Integer, nullable=False, autoincrement=False),
        *_block("risk_board"),
        sa.Column("account_id", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("health_factor_wad", _INTEGER_256),
        sa.Column("utilization_wad", _INTEGER_256),
        sa.Column("collateral_value", _INTEGER_256),
        sa.Column("debt_value", _INTEGER_256),
        sa.Column("notional_value", _INTEGER_256),
        sa.Column("currency", sa.Text),
        sa.Column("value_decimals", sa.SmallInteger, nullable=False),
        sa.Column("is_exact", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("chain_id", "rank", name="risk_board_pkey"),
        comment="Each chain's riskiest accounts at its newest block, from rank 1: every liquidatable one, some unknown"
        " ones, the next healthy ones. Numbers are the contract's own; is_exact is false where there are none.",
    )
    _index("risk_board")


def _create_history() -> None:
    op.create_table(
        "risk_totals",
        sa.Column("deployment_id", sa.Integer, nullable=False, autoincrement=False),
        *_block("risk_totals"),
        sa.Column("measure", sa.Text, nullable=False),
        sa.Column("currency", sa.Text),
        sa.Column("liquidatable", sa.Integer, nullable=False),
        sa.Column("unknown", sa.Integer, nullable=False),
        sa.Column("healthy", sa.Integer, nullable=False),
        sa.Column("no_debt", sa.Integer, nullable=False),
        sa.Column("bands", ARRAY(sa.Integer, dimensions=1), nullable=False),
        sa.Column("collateral", sa.Double),
        sa.Column("capacity", sa.Double),
        sa.Column("requirement", sa.Double),
        sa.PrimaryKeyConstraint("deployment_id", "block_id", "measure", name="risk_totals_pkey"),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="risk_totals_deployment_id_fkey"),
        comment="Sums over the accounts of a deployment that are counted in one measure, as floats of whole units; a"
        " row when a status changed, a sum moved noticeably, or an hour began. Unknown accounts are in no sum.",
    )
    _index("risk_totals")
    op.create_table(
        "status_changes",
        sa.Column("account_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("block_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("from_status", sa.Text),
        sa.Column("to_status", sa.Text, nullable=False),
        sa.Column("health_factor_wad", _INTEGER_256),
        sa.PrimaryKeyConstraint("account_id", "block_id", name="status_changes_pkey"),
        comment="Verdicts that turned between two boards; NULL in from_status: an account not known before.",
    )
    _index("status_changes")
    op.create_table(
        "risk_snapshots",
        sa.Column("account_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("block_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("collateral", sa.Double, nullable=False),
        sa.Column("requirement", sa.Double, nullable=False),
        sa.Column("health", sa.Double),
        sa.PrimaryKeyConstraint("account_id", "block_id", name="risk_snapshots_pkey"),
        comment="Accounts with debt at the first board of each hour and where their status changed, as the book's"
        " floats: to be drawn, not to be decided by. Kept for a limited time.",
    )
    _index("risk_snapshots")
