"""Everything a run left in the database, by natural keys: what two runs over the same chain must agree on."""

from __future__ import annotations

from typing import Any

import psycopg

Tables = dict[str, list[tuple[Any, ...]]]

_OF_ACCOUNT = "JOIN accounts a ON a.id = t.account_id JOIN deployments d ON d.id = a.deployment_id"
_NAME = "d.slug, encode(a.wallet, 'hex'), a.unit"

_QUERIES = {
    "blocks": "SELECT chain_id, number, encode(hash, 'hex'), encode(parent_hash, 'hex'), timestamp FROM blocks",
    "markets": """
        SELECT d.slug, m.code, b.number, encode(t.asset, 'hex'), t.symbol, t.decimals FROM market_descriptions t
        JOIN markets m ON m.id = t.market_id JOIN deployments d ON d.id = m.deployment_id
        JOIN blocks b ON b.id = t.block_id""",
    "records": """
        SELECT d.slug, k.kind, k.subject, b.number, t.values FROM market_records t
        JOIN record_keys k ON k.id = t.key_id JOIN deployments d ON d.id = k.deployment_id
        JOIN blocks b ON b.id = t.block_id""",
    "record_keys": "SELECT d.slug, t.kind, t.subject FROM record_keys t JOIN deployments d ON d.id = t.deployment_id",
    "accounts": f"SELECT {_NAME} FROM accounts a JOIN deployments d ON d.id = a.deployment_id",
    "account_states": f"""
        SELECT {_NAME}, b.number, t.params, t.unreadable,
            ARRAY(SELECT m.code FROM markets m WHERE m.id = ANY (t.open_markets) ORDER BY m.code)
        FROM account_states t {_OF_ACCOUNT} JOIN blocks b ON b.id = t.block_id""",
    "positions": f"""
        SELECT {_NAME}, m.code, b.number, t.supplied_raw, t.borrowed_raw, t.is_collateral FROM positions t {_OF_ACCOUNT}
        JOIN markets m ON m.id = t.market_id JOIN blocks b ON b.id = t.block_id""",
    "unreadable accounts that are due": f"""
        SELECT {_NAME} FROM account_due t {_OF_ACCOUNT} WHERE t.read_at_block_id IS NULL AND (
            SELECT s.unreadable FROM account_states s WHERE s.account_id = a.id ORDER BY s.block_id DESC LIMIT 1
        ) IS NOT NULL""",
    "deployment_troubles": """
        SELECT d.slug, b.number, t.trouble, t.since_block, t.is_followed FROM deployment_troubles t
        JOIN deployments d ON d.id = t.deployment_id JOIN blocks b ON b.id = t.block_id""",
    "log_scans": """
        SELECT d.slug, t.from_block, t.to_block FROM log_scans t JOIN deployments d ON d.id = t.deployment_id""",
}


def dump_tables(url: str) -> Tables:
    """Rows of every table by natural keys, each table sorted. The status row is left out: it tells the time."""
    with psycopg.connect(url) as connection:
        return {
            name: sorted((tuple(map(_plain, row)) for row in connection.execute(query.encode())), key=repr)
            for name, query in _QUERIES.items()
        }


def assert_same_tables(found: Tables, wanted: Tables) -> None:
    """Both runs stored the same; the first difference of every table that has one is shown."""
    complaints = []
    for name, rows in wanted.items():
        if found[name] == rows:
            continue  # both are sorted; what follows takes long for many rows
        extra = [row for row in found[name] if row not in rows]
        missing = [row for row in rows if row not in found[name]]
        if extra or missing or len(rows) != len(found[name]):
            complaints.append(f"{name}: {len(extra)} too many {extra[:2]}, {len(missing)} missing {missing[:2]}")
    assert not complaints, "\n".join(complaints)


def _plain(value: Any) -> Any:
    return tuple(map(_plain, value)) if isinstance(value, list) else value
