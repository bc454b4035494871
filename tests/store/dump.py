"""The whole store as plain values by natural keys, so that two runs can be compared whatever ids they drew."""

from __future__ import annotations

from typing import Any

import psycopg

_TABLES = {
    "blocks": "SELECT chain_id, number, hash, parent_hash, timestamp FROM blocks",
    "markets": """
        SELECT d.slug, m.code, b.number FROM markets m
        JOIN deployments d ON d.id = m.deployment_id JOIN blocks b ON b.id = m.first_block_id""",
    "market_descriptions": """
        SELECT m.code, b.number, x.asset, x.symbol, x.decimals FROM market_descriptions x
        JOIN markets m ON m.id = x.market_id JOIN blocks b ON b.id = x.block_id""",
    "record_keys": """
        SELECT d.slug, k.kind, k.subject, b.number FROM record_keys k
        JOIN deployments d ON d.id = k.deployment_id JOIN blocks b ON b.id = k.first_block_id""",
    "market_records": """
        SELECT k.kind, k.subject, b.number, r."values"::text FROM market_records r
        LEFT JOIN record_keys k ON k.id = r.key_id JOIN blocks b ON b.id = r.block_id""",
    "accounts": """
        SELECT d.slug, a.wallet, a.unit, b.number FROM accounts a
        JOIN deployments d ON d.id = a.deployment_id LEFT JOIN blocks b ON b.id = a.first_block_id""",
    "account_states": """
        SELECT a.wallet, b.number, s.params::text, s.unreadable,
               (SELECT array_agg(m.code ORDER BY m.code) FROM markets m WHERE m.id = ANY (s.open_markets)),
               cardinality(s.open_markets)
        FROM account_states s LEFT JOIN accounts a ON a.id = s.account_id JOIN blocks b ON b.id = s.block_id""",
    "positions": """
        SELECT a.wallet, m.code, b.number, p.supplied_raw, p.borrowed_raw, p.is_collateral,
               p.size_raw, p.entry_notional_raw, p.perp_params::text FROM positions p
        LEFT JOIN accounts a ON a.id = p.account_id LEFT JOIN markets m ON m.id = p.market_id
        JOIN blocks b ON b.id = p.block_id""",
    "deployment_troubles": """
        SELECT d.slug, b.number, t.trouble, t.since_block, t.is_followed FROM deployment_troubles t
        JOIN deployments d ON d.id = t.deployment_id JOIN blocks b ON b.id = t.block_id""",
    "log_scans": """
        SELECT d.slug, s.from_block, s.to_block FROM log_scans s
        JOIN deployments d ON d.id = s.deployment_id""",
}
_QUEUE = "SELECT a.wallet, q.read_at_block_id IS NULL FROM account_due q LEFT JOIN accounts a ON a.id = q.account_id"


def dump(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every chain fact, sorted."""
    with psycopg.connect(url) as connection:
        return {
            name: sorted(connection.execute(query.encode()).fetchall(), key=repr) for name, query in _TABLES.items()
        }


def pending_accounts(url: str) -> tuple[set[bytes], set[bytes]]:
    """Wallets in the queue of due accounts: those still to be read, and all of them."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(_QUEUE.encode()).fetchall()
    return {wallet for wallet, pending in rows if pending}, {wallet for wallet, _ in rows}


def empty(url: str) -> None:
    """Remove every row."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "TRUNCATE chains, blocks, deployments, markets, market_descriptions, record_keys, market_records, "
            "accounts, account_states, positions, account_due, log_scans, deployment_troubles, "
            "risk_progress, risk_board, risk_totals, status_changes, risk_snapshots, "
            "audits, audit_findings, tracked_wallets, history_limits, "
            "watchlists, watchlist_members, watch_rules, watch_progress, episodes, episode_events, "
            "channels, routes, outbox, delivery_attempts, api_keys, change_log"
        )
