"""From where on each chain's history is whole; and wallets somebody asked to have looked up.

Locks: none that anybody could wait for longer than a moment; the tables are new, and one foreign key to blocks is added
with them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "history_limits",
        sa.Column("chain_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("from_number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("chain_id", name="history_limits_pkey"),
        comment="The stored block from which on a chain's history is whole: what older blocks alone were about is "
        "being dropped, or has been. No row: all of it is kept.",
    )
    op.create_table(
        "tracked_wallets",
        sa.Column("wallet", sa.LargeBinary, nullable=False),
        sa.Column("chain_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
        sa.Column("read_at_block_id", sa.BigInteger),
        sa.Column("accounts_found", sa.Integer),
        sa.PrimaryKeyConstraint("wallet", "chain_id", name="tracked_wallets_pkey"),
        sa.ForeignKeyConstraint(
            ["read_at_block_id"], ["blocks.id"], name="tracked_wallets_read_at_block_id_fkey", ondelete="SET NULL"
        ),
        comment="Wallets to be looked up wherever accounts are named by wallets, without waiting for a log that names "
        "them. Pending while read_at_block_id is NULL: a reorg makes it so again. The only table a serving process "
        "writes.",
    )
    op.create_index(
        "tracked_wallets_pending_idx",
        "tracked_wallets",
        ["chain_id", "asked_at"],
        postgresql_where=sa.text("read_at_block_id IS NULL"),
    )
    op.create_index(
        "tracked_wallets_read_idx",
        "tracked_wallets",
        ["read_at_block_id"],
        postgresql_where=sa.text("read_at_block_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("tracked_wallets")
    op.drop_table("history_limits")
