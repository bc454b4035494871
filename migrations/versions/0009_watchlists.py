"""Watchlists, rules, episodes, channels, the outbox, API keys: what people set up, and what is told to them.

Locks: none; all tables are new and none refers to an old one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("scopes", ARRAY(sa.Text, dimensions=1), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="api_keys_pkey"),
        comment="Keys of the API, by the SHA-256 of their 256 random bits. The key itself is shown once and not kept.",
    )
    op.create_table(
        "change_log",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", JSONB, server_default=sa.text("'{}'"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="change_log_pkey"),
        comment="Who changed what: watchlists, rules, channels, keys. Never a secret.",
    )
    op.create_index("change_log_at_idx", "change_log", ["at"])
    op.create_table(
        "channels",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("settings", JSONB, nullable=False),
        sa.Column("secret", sa.LargeBinary),
        sa.Column("is_enabled", sa.Boolean, server_default=sa.text("true"), nullable=False),
        sa.Column("disabled_reason", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="channels_pkey"),
        sa.UniqueConstraint("name", name="channels_name_key"),
        comment="Where to tell: webhook, telegram, slack, smtp, stdout. `secret` is encrypted with SECRETS_KEY.",
    )
    op.create_table(
        "watch_progress",
        sa.Column("chain_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("block_id", sa.BigInteger, nullable=False),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("block_hash", sa.LargeBinary, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("trail", ARRAY(sa.BigInteger, dimensions=1), nullable=False),
        sa.Column("evaluated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("chain_id", name="watch_progress_pkey"),
        comment="The newest block at which the rules of a chain were evaluated, and the `version` of the lists it was"
        " done with. `trail`: ids of the blocks evaluated before it, the newest first. Whoever evaluates holds its"
        " row.",
    )
    op.create_table(
        "watch_version",
        sa.Column("id", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="watch_version_pkey"),
        comment="One row. Counts changes of lists, members and rules, so that whoever evaluates knows what it has is"
        " current.",
    )
    op.execute("INSERT INTO watch_version (id, version) VALUES (1, 0)")
    op.create_table(
        "watchlists",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("note", sa.Text, server_default="", nullable=False),
        sa.Column("is_paused", sa.Boolean, server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="watchlists_pkey"),
        sa.UniqueConstraint("name", name="watchlists_name_key"),
        comment="Named lists of wallets. A paused one is not evaluated; its open episodes stay as they are.",
    )
    op.create_table(
        "routes",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("watchlist_id", sa.BigInteger, nullable=False),
        sa.Column("channel_id", sa.BigInteger, nullable=False),
        sa.Column("min_severity", sa.SmallInteger, nullable=False),
        sa.Column("timezone", sa.Text, server_default="UTC", nullable=False),
        sa.Column("quiet_from_minute", sa.SmallInteger),
        sa.Column("quiet_to_minute", sa.SmallInteger),
        sa.Column("quiet_override", sa.SmallInteger),
        sa.Column("repeat_seconds", sa.Integer),
        sa.Column("digest_minute", sa.SmallInteger),
        sa.ForeignKeyConstraint(["channel_id"], ["channels.id"], name="routes_channel_id_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["watchlist_id"], ["watchlists.id"], name="routes_watchlist_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="routes_pkey"),
        sa.UniqueConstraint("watchlist_id", "channel_id", name="routes_watchlist_id_channel_id_key"),
        comment="Which list tells which channel, from which severity on, when not, how often until acknowledged.",
    )
    op.create_index("routes_channel_id_idx", "routes", ["channel_id"])
    op.create_table(
        "watch_rules",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("watchlist_id", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("definition", JSONB, nullable=False),
        sa.Column("is_enabled", sa.Boolean, server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(
            ["watchlist_id"], ["watchlists.id"], name="watch_rules_watchlist_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="watch_rules_pkey"),
        sa.UniqueConstraint("watchlist_id", "name", name="watch_rules_watchlist_id_name_key"),
        comment="Conditions on every member of a list. `definition` holds levels and parameters, integers as text.",
    )
    op.create_table(
        "watchlist_members",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("watchlist_id", sa.BigInteger, nullable=False),
        sa.Column("wallet", sa.LargeBinary, nullable=False),
        sa.Column("chain_id", sa.BigInteger),
        sa.Column("label", sa.Text, server_default="", nullable=False),
        sa.Column("tags", ARRAY(sa.Text, dimensions=1), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("given", sa.Text, server_default="", nullable=False),
        sa.Column("added_at", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(
            ["watchlist_id"], ["watchlists.id"], name="watchlist_members_watchlist_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="watchlist_members_pkey"),
        sa.UniqueConstraint(
            "watchlist_id",
            "wallet",
            "chain_id",
            name="watchlist_members_watchlist_id_wallet_chain_id_key",
            postgresql_nulls_not_distinct=True,
        ),
        comment="Wallets of a list. chain_id NULL: on every chain. `given`: as it was written (an ENS name, CAIP-10).",
    )
    op.create_index("watchlist_members_wallet_idx", "watchlist_members", ["wallet"])
    op.create_table(
        "episodes",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("watchlist_id", sa.BigInteger, nullable=False),
        sa.Column("rule_id", sa.BigInteger),
        sa.Column("rule_name", sa.Text, nullable=False),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("chain_id", sa.BigInteger, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("wallet", sa.LargeBinary),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("severity", sa.SmallInteger, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("announced_at", sa.BigInteger),
        sa.Column("closed_at", sa.BigInteger),
        sa.Column("acknowledged_at", sa.BigInteger),
        sa.Column("acknowledged_by", sa.Text),
        sa.CheckConstraint("state IN ('open', 'cleared', 'retracted')", name="episodes_state_check"),
        sa.ForeignKeyConstraint(["rule_id"], ["watch_rules.id"], name="episodes_rule_id_fkey", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["watchlist_id"], ["watchlists.id"], name="episodes_watchlist_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="episodes_pkey"),
        comment="From the moment a rule found something until it cleared. `subject` is text: account:, market: or"
        " chain:. `announced_at` is NULL while it is muted by a cool-down.",
    )
    op.create_index(
        "episodes_open_key", "episodes", ["rule_id", "subject"], unique=True, postgresql_where=sa.text("state = 'open'")
    )
    op.create_index("episodes_rule_id_subject_id_idx", "episodes", ["rule_id", "subject", "id"])
    op.create_index("episodes_wallet_idx", "episodes", ["wallet"], postgresql_where=sa.text("wallet IS NOT NULL"))
    op.create_index("episodes_watchlist_id_id_idx", "episodes", ["watchlist_id", "id"])
    op.create_table(
        "episode_events",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("episode_id", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("severity", sa.SmallInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Numeric(78, 0)),
        sa.Column("level", sa.Numeric(78, 0)),
        sa.Column("inputs", JSONB, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("chain_id", sa.BigInteger, nullable=False),
        sa.Column("block_id", sa.BigInteger),
        sa.Column("block_number", sa.BigInteger),
        sa.Column("block_hash", sa.LargeBinary),
        sa.Column("block_timestamp", sa.BigInteger),
        sa.Column("retracted_at", sa.BigInteger),
        sa.ForeignKeyConstraint(
            ["episode_id"], ["episodes.id"], name="episode_events_episode_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="episode_events_pkey"),
        comment="Steps of episodes. An event whose block_id is no longer in `blocks` is retracted at the next"
        " evaluation.",
    )
    op.create_index("episode_events_episode_id_idx", "episode_events", ["episode_id"])
    op.create_index(
        "episode_events_standing_idx",
        "episode_events",
        ["chain_id", "block_number"],
        postgresql_where=sa.text("retracted_at IS NULL AND block_id IS NOT NULL"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("channel_id", sa.BigInteger, nullable=False),
        sa.Column("event_id", sa.BigInteger),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("dedup_key", sa.Text, nullable=False),
        sa.Column("severity", sa.SmallInteger, nullable=False),
        sa.Column("body", JSONB, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.SmallInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("send_after", sa.BigInteger, nullable=False),
        sa.Column("leased_until", sa.BigInteger),
        sa.Column("delivered_at", sa.BigInteger),
        sa.Column("last_error", sa.Text),
        sa.CheckConstraint("state IN ('pending', 'delivered', 'dead', 'cancelled')", name="outbox_state_check"),
        sa.ForeignKeyConstraint(["channel_id"], ["channels.id"], name="outbox_channel_id_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["event_id"], ["episode_events.id"], name="outbox_event_id_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="outbox_pkey"),
        sa.UniqueConstraint("dedup_key", name="outbox_dedup_key_key"),
        comment="Messages, written in the transaction that made their event. `id` is the webhook-id: the same"
        " at each try.",
    )
    op.create_index("outbox_channel_id_created_at_idx", "outbox", ["channel_id", "created_at"])
    op.create_index("outbox_event_id_idx", "outbox", ["event_id"])
    op.create_index("outbox_pending_idx", "outbox", ["send_after"], postgresql_where=sa.text("state = 'pending'"))
    op.create_table(
        "delivery_attempts",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("took_ms", sa.Integer, nullable=False),
        sa.Column("status", sa.SmallInteger),
        sa.Column("error", sa.Text),
        sa.ForeignKeyConstraint(
            ["message_id"], ["outbox.id"], name="delivery_attempts_message_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="delivery_attempts_pkey"),
        comment="Each try at a message and what came of it. Bodies of answers are not kept.",
    )
    op.create_index("delivery_attempts_message_id_idx", "delivery_attempts", ["message_id"])


def downgrade() -> None:
    op.drop_table("delivery_attempts")
    op.drop_table("outbox")
    op.drop_table("episode_events")
    op.drop_table("episodes")
    op.drop_table("watchlist_members")
    op.drop_table("watch_rules")
    op.drop_table("routes")
    op.drop_table("watchlists")
    op.drop_table("watch_version")
    op.drop_table("watch_progress")
    op.drop_table("channels")
    op.drop_table("change_log")
    op.drop_table("api_keys")
