"""The tables of the audit, as a part of `tables.metadata`. Small, so they follow their blocks by foreign keys."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Identity, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY

from app.store.postgres.types import Integer256, Integer256Array
from app.store.tables.chain import metadata

audits = Table(
    "audits",
    metadata,
    Column("deployment_id", Integer, ForeignKey("deployments.id"), primary_key=True, autoincrement=False),
    Column("block_id", BigInteger, ForeignKey("blocks.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("checked", Integer, nullable=False),
    Column("exact", Integer, nullable=False),
    Column("state_mismatches", Integer, nullable=False),
    Column("truth_mismatches", Integer, nullable=False),
    Column("unreadable", Integer, nullable=False),
    Column("worst_error_wad", Integer256),
    Index(None, "block_id"),
    comment="How many stored accounts were held against the chain at a block, and how many of them were equal to it.",
)

audit_findings = Table(
    "audit_findings",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("block_id", BigInteger, ForeignKey("blocks.id", ondelete="CASCADE"), nullable=False),
    Column("account_id", Integer, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("what", ARRAY(Text, dimensions=1), nullable=False),
    Column("expected", Integer256Array, nullable=False),
    Column("got", Integer256Array, nullable=False),
    Column("repaired_block_id", BigInteger, ForeignKey("blocks.id", ondelete="SET NULL")),
    Index(None, "block_id"),
    Index(None, "account_id"),
    Index(
        "audit_findings_repaired_block_id_idx",
        "repaired_block_id",
        postgresql_where=text("repaired_block_id IS NOT NULL"),
    ),
    comment="Accounts in which an audit found a difference. Open while repaired_block_id is NULL: a reorg makes it so "
    "again. It names the block at which the account was checked again and nothing differed.",
)
