"""What is known of each endpoint of a chain: its health, for status pages, and what it was found to bear.

Locks: none that anybody could wait for; the table is new and refers to no other.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chain_endpoints",
        sa.Column("chain_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("number", sa.SmallInteger, nullable=False, autoincrement=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("health", sa.Text, nullable=False),
        sa.Column("head_number", sa.BigInteger),
        sa.Column("lag_blocks", sa.BigInteger),
        sa.Column("error_share", sa.Double, nullable=False),
        sa.Column("latency_seconds", sa.Double),
        sa.Column("trouble", sa.Text),
        sa.Column("range_blocks", sa.Integer),
        sa.Column("chunk_calls", sa.Integer),
        sa.Column("state_blocks", sa.Integer),
        sa.Column("observed_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("chain_id", "number", name="chain_endpoints_pkey"),
        comment="Endpoints of each chain as its indexer last saw them, and the limits it learned. Status, not history.",
    )


def downgrade() -> None:
    op.drop_table("chain_endpoints")
