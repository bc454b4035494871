"""Positions of perps, beside those of lending, in the same table.

Locks: `positions` exclusively while the check reads through it once (about a second a million rows).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INTEGER_256 = sa.Numeric(78, 0)
_LENDING = ("supplied_raw", "borrowed_raw", "is_collateral")
_COMMENT = (
    "Raw amounts of one position, either of lending or of a perp; a row only when one changed. Counts while its"
    " market is in open_markets."
)
_COMMENT_BEFORE = (
    "Raw amounts of one position; a row only when one changed. Counts while its market is in open_markets."
)
_ONE_KIND = (
    "num_nonnulls(supplied_raw, borrowed_raw, is_collateral) = 3 AND"
    " num_nonnulls(size_raw, entry_notional_raw, perp_params) = 0 OR"
    " num_nonnulls(supplied_raw, borrowed_raw, is_collateral) = 0 AND"
    " num_nonnulls(size_raw, entry_notional_raw, perp_params) = 3"
)


def upgrade() -> None:
    for name in _LENDING:
        op.alter_column("positions", name, nullable=True)
    op.add_column("positions", sa.Column("size_raw", _INTEGER_256))
    op.add_column("positions", sa.Column("entry_notional_raw", _INTEGER_256))
    op.add_column("positions", sa.Column("perp_params", ARRAY(_INTEGER_256, dimensions=1)))
    op.create_check_constraint(op.f("positions_kind_check"), "positions", _ONE_KIND)
    op.create_table_comment("positions", _COMMENT, existing_comment=_COMMENT_BEFORE)


def downgrade() -> None:
    # What older versions cannot hold goes: they know no deployment that has it.
    op.drop_constraint(op.f("positions_kind_check"), "positions")
    op.execute("DELETE FROM positions WHERE size_raw IS NOT NULL")
    for name in ("size_raw", "entry_notional_raw", "perp_params"):
        op.drop_column("positions", name)
    for name in _LENDING:
        op.alter_column("positions", name, nullable=False)
    op.create_table_comment("positions", _COMMENT_BEFORE, existing_comment=_COMMENT)
