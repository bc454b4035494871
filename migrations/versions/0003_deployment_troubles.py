"""Deployments that are set aside because their contracts refuse to be read, and since when.

Locks: none that anybody could wait for longer than a moment; the table is new, and a foreign key to two others is
added with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deployment_troubles",
        sa.Column("deployment_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("block_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("trouble", sa.Text),
        sa.Column("since_block", sa.BigInteger),
        sa.PrimaryKeyConstraint("deployment_id", "block_id", name="deployment_troubles_pkey"),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name="deployment_troubles_deployment_id_fkey"),
        sa.ForeignKeyConstraint(
            ["block_id"], ["blocks.id"], name="deployment_troubles_block_id_fkey", ondelete="CASCADE"
        ),
        comment="From which block on a deployment is not read, and why; both NULL: from which on it is read again.",
    )
    op.create_index("deployment_troubles_block_id_idx", "deployment_troubles", ["block_id"])


def downgrade() -> None:
    op.drop_table("deployment_troubles")
