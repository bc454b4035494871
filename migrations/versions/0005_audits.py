"""What audits find: counts a block and deployment, and the accounts in which something differed.

Locks: none that anybody could wait for longer than a moment; the tables are new, and foreign keys to three others are
added with them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_INTEGER_256 = sa.Numeric(78, 0)


def upgrade() -> None:
    op.create_table(
        "audits",
        sa.Column("deployment_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("block_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("checked", sa.Integer, nullable=False),
        sa.Column("exact", sa.Integer, nullable=False),
        sa.Column("state_mismatches", sa.Integer, nullable=False),
        sa.Column("truth_mismatches", sa.Integer, nullable=False),
        sa.Column("unreadable", sa.Integer, nullable=False),
        sa.Column("worst_error_wad", _INTEGER_256),
        sa.PrimaryKeyConstraint("deployment_id", "block_id", name="audits_pkey"),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="audits_deployment_id_fkey"),
        sa.ForeignKeyConstraint(["block_id"], ["blocks.id"], name="audits_block_id_fkey", ondelete="CASCADE"),
        comment="How many stored accounts were held against the chain at a block, and how many of them were equal to "
        "it.",
    )
    op.create_index("audits_block_id_idx", "audits", ["block_id"])
    op.create_table(
        "audit_findings",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("block_id", sa.BigInteger, nullable=False),
        sa.Column("account_id", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("what", ARRAY(sa.Text, dimensions=1), nullable=False),
        sa.Column("expected", ARRAY(_INTEGER_256, dimensions=1), nullable=False),
        sa.Column("got", ARRAY(_INTEGER_256, dimensions=1), nullable=False),
        sa.Column("repaired_block_id", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="audit_findings_pkey"),
        sa.ForeignKeyConstraint(["block_id"], ["blocks.id"], name="audit_findings_block_id_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="audit_findings_account_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["repaired_block_id"], ["blocks.id"], name="audit_findings_repaired_block_id_fkey", ondelete="SET NULL"
        ),
        comment="Accounts in which an audit found a difference. Open while repaired_block_id is NULL: a reorg makes "
        "it so again. It names the block at which the account was checked again and nothing differed.",
    )
    op.create_index("audit_findings_block_id_idx", "audit_findings", ["block_id"])
    op.create_index("audit_findings_account_id_idx", "audit_findings", ["account_id"])
    op.create_index(
        "audit_findings_repaired_block_id_idx",
        "audit_findings",
        ["repaired_block_id"],
        postgresql_where=sa.text("repaired_block_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("audit_findings")
    op.drop_table("audits")
