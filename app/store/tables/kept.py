"""From where on history is whole, as a part of `tables.metadata`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ColumnElement, Table, func, literal_column, select

from app.store.tables.chain import metadata

history_limits = Table(
    "history_limits",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("from_number", BigInteger, nullable=False),
    comment="The stored block from which on a chain's history is whole: what older blocks alone were about is being "
    "dropped, or has been. No row: all of it is kept.",
)


def first_whole(chain_id: ColumnElement[int]) -> ColumnElement[int]:
    """Number of the first block of a chain that may be asked about: of older ones an answer would lack what was
    dropped."""
    number = select(history_limits.c.from_number).where(history_limits.c.chain_id == chain_id)
    # Whatever `chain_id` is of belongs to the statements around, however far out.
    return func.coalesce(number.correlate_except(history_limits).scalar_subquery(), literal_column("0", BigInteger))
