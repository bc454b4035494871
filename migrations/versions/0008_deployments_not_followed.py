"""Deployments that nobody follows any more, told apart from those that refuse to be read.

Locks: `deployment_troubles` for a moment; a column with a constant default does not rewrite the table.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_BEFORE = "From which block on a deployment is not read, and why; both NULL: from which on it is read again."
_AFTER = (
    "From which block on a deployment is not read, and why (or that nobody follows it); trouble NULL: from which on it"
    " is read again."
)


def upgrade() -> None:
    op.add_column(
        "deployment_troubles", sa.Column("is_followed", sa.Boolean, nullable=False, server_default=sa.text("true"))
    )
    op.create_table_comment("deployment_troubles", _AFTER, existing_comment=_BEFORE)


def downgrade() -> None:
    op.create_table_comment("deployment_troubles", _BEFORE, existing_comment=_AFTER)
    op.drop_column("deployment_troubles", "is_followed")
