"""Watchlists, rules, episodes, channels, the outbox, keys: what people set up and what is told to them, as a part of
`tables.metadata`.

Nothing in here disappears with a block: an episode that was announced has to be retracted, not forgotten. Its events
name their block by id without a foreign key, and an id that is no longer in `blocks` is how a reorg shows.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from app.store.postgres.types import AddressBytes, HashBytes, Integer256
from app.store.tables.chain import metadata


def _id() -> Column[int]:
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def _of(table: str, name: str, *, ondelete: str = "CASCADE", nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, ForeignKey(f"{table}.id", ondelete=ondelete), nullable=nullable)


watchlists = Table(
    "watchlists",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    Column("is_paused", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("name"),
    comment="Named lists of wallets. A paused one is not evaluated; its open episodes stay as they are.",
)

watchlist_members = Table(
    "watchlist_members",
    metadata,
    _id(),
    _of("watchlists", "watchlist_id"),
    Column("wallet", AddressBytes, nullable=False),
    Column("chain_id", BigInteger),
    Column("label", Text, nullable=False, server_default=""),
    Column("tags", ARRAY(Text, dimensions=1), nullable=False, server_default=text("'{}'")),
    Column("given", Text, nullable=False, server_default=""),
    Column("added_at", BigInteger, nullable=False),
    UniqueConstraint("watchlist_id", "wallet", "chain_id", postgresql_nulls_not_distinct=True),
    Index(None, "wallet"),
    comment="Wallets of a list. chain_id NULL: on every chain. `given`: as it was written (an ENS name, CAIP-10).",
)

watch_rules = Table(
    "watch_rules",
    metadata,
    _id(),
    _of("watchlists", "watchlist_id"),
    Column("name", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("definition", JSONB, nullable=False),
    Column("is_enabled", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("watchlist_id", "name"),
    comment="Conditions on every member of a list. `definition` holds levels and parameters, integers as text.",
)

watch_version = Table(
    "watch_version",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    comment="One row. Counts changes of lists, members and rules, so that whoever evaluates knows what it has is"
    " current.",
)

watch_progress = Table(
    "watch_progress",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("block_id", BigInteger, nullable=False),
    Column("block_number", BigInteger, nullable=False),
    Column("block_hash", HashBytes, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("trail", ARRAY(BigInteger, dimensions=1), nullable=False),
    Column("evaluated_at", BigInteger, nullable=False),
    comment="The newest block at which the rules of a chain were evaluated, and the `version` of the lists it was done"
    " with. `trail`: ids of the blocks evaluated before it, the newest first. Whoever evaluates holds its row.",
)

episodes = Table(
    "episodes",
    metadata,
    _id(),
    _of("watchlists", "watchlist_id"),
    _of("watch_rules", "rule_id", ondelete="SET NULL", nullable=True),
    Column("rule_name", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("wallet", AddressBytes),
    Column("state", Text, nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("announced_at", BigInteger),
    Column("closed_at", BigInteger),
    Column("acknowledged_at", BigInteger),
    Column("acknowledged_by", Text),
    CheckConstraint("state IN ('open', 'cleared', 'retracted')", name="episodes_state_check"),
    Index("episodes_open_key", "rule_id", "subject", unique=True, postgresql_where=text("state = 'open'")),
    Index(None, "rule_id", "subject", "id"),
    Index(None, "watchlist_id", "id"),
    Index(None, "wallet", postgresql_where=text("wallet IS NOT NULL")),
    comment="From the moment a rule found something until it cleared. `subject` is text: account:, market: or chain:."
    " `announced_at` is NULL while it is muted by a cool-down.",
)

episode_events = Table(
    "episode_events",
    metadata,
    _id(),
    _of("episodes", "episode_id"),
    Column("kind", Text, nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("value", Integer256),
    Column("level", Integer256),
    Column("inputs", JSONB, nullable=False, server_default=text("'{}'")),
    Column("chain_id", BigInteger, nullable=False),
    Column("block_id", BigInteger),
    Column("block_number", BigInteger),
    Column("block_hash", HashBytes),
    Column("block_timestamp", BigInteger),
    Column("retracted_at", BigInteger),
    Index(None, "episode_id"),
    Index(
        "episode_events_standing_idx",
        "chain_id",
        "block_number",
        postgresql_where=text("retracted_at IS NULL AND block_id IS NOT NULL"),
    ),
    comment="Steps of episodes. An event whose block_id is no longer in `blocks` is retracted at the next evaluation.",
)

channels = Table(
    "channels",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("settings", JSONB, nullable=False),
    Column("secret", LargeBinary),
    Column("is_enabled", Boolean, nullable=False, server_default=text("true")),
    Column("disabled_reason", Text),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("name"),
    comment="Where to tell: webhook, telegram, slack, smtp, stdout. `secret` is encrypted with SECRETS_KEY.",
)

routes = Table(
    "routes",
    metadata,
    _id(),
    _of("watchlists", "watchlist_id"),
    _of("channels", "channel_id"),
    Column("min_severity", SmallInteger, nullable=False),
    Column("timezone", Text, nullable=False, server_default="UTC"),
    Column("quiet_from_minute", SmallInteger),
    Column("quiet_to_minute", SmallInteger),
    Column("quiet_override", SmallInteger),
    Column("repeat_seconds", Integer),
    Column("digest_minute", SmallInteger),
    UniqueConstraint("watchlist_id", "channel_id"),
    Index(None, "channel_id"),
    comment="Which list tells which channel, from which severity on, when not, how often until acknowledged.",
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),
    _of("channels", "channel_id"),
    _of("episode_events", "event_id", nullable=True),
    Column("kind", Text, nullable=False),
    Column("dedup_key", Text, nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("created_at", BigInteger, nullable=False),
    Column("send_after", BigInteger, nullable=False),
    Column("leased_until", BigInteger),
    Column("delivered_at", BigInteger),
    Column("last_error", Text),
    CheckConstraint("state IN ('pending', 'delivered', 'dead', 'cancelled')", name="outbox_state_check"),
    UniqueConstraint("dedup_key"),
    Index("outbox_pending_idx", "send_after", postgresql_where=text("state = 'pending'")),
    Index(None, "channel_id", "created_at"),
    Index(None, "event_id"),
    comment="Messages, written in the transaction that made their event. `id` is the webhook-id: the same at each try.",
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    _id(),
    Column("message_id", Text, ForeignKey("outbox.id", ondelete="CASCADE"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("took_ms", Integer, nullable=False),
    Column("status", SmallInteger),
    Column("error", Text),
    Index(None, "message_id"),
    comment="Each try at a message and what came of it. Bodies of answers are not kept.",
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("hash", HashBytes, nullable=False),
    Column("scopes", ARRAY(Text, dimensions=1), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
    comment="Keys of the API, by the SHA-256 of their 256 random bits. The key itself is shown once and not kept.",
)

change_log = Table(
    "change_log",
    metadata,
    _id(),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'")),
    Index(None, "at"),
    comment="Who changed what: watchlists, rules, channels, keys. Never a secret.",
)
