"""Wallets somebody asked to have looked up, as a part of `tables.metadata`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, text

from app.store.postgres.types import AddressBytes
from app.store.tables.chain import metadata

tracked_wallets = Table(
    "tracked_wallets",
    metadata,
    Column("wallet", AddressBytes, primary_key=True),
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("read_at_block_id", BigInteger, ForeignKey("blocks.id", ondelete="SET NULL")),
    Column("accounts_found", Integer),
    Index("tracked_wallets_pending_idx", "chain_id", "asked_at", postgresql_where=text("read_at_block_id IS NULL")),
    Index("tracked_wallets_read_idx", "read_at_block_id", postgresql_where=text("read_at_block_id IS NOT NULL")),
    comment="Wallets to be looked up wherever accounts are named by wallets, without waiting for a log that names them."
    " Pending while read_at_block_id is NULL: a reorg makes it so again. The only table a serving process writes.",
)
