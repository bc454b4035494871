"""What is known of accounts: of one wallet, of all, over time; and that it is found without reading whole tables."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from app.domain.account import AccountKey, AccountSnapshot
from app.domain.batch import BlockBatch, DueAccount
from app.errors import Refused
from app.store import account_changes, accounts
from app.store.account_changes import load_change_blocks
from app.store.accounts import (
    load_account,
    load_account_history,
    load_accounts,
    load_known_markets,
    load_newest,
    load_wallet,
    load_wallet_at_heads,
)
from app.store.deployments import load_deployments, register_deployments
from app.store.postgres import session as postgres_session
from app.store.postgres.engine import Database
from app.store.postgres.session import Asked
from app.store.scans import queue_due
from app.store.states import NotYetRead, ask_newest, key_parameters
from tests.store.actions import account_at, begin, commit
from tests.store.builders import (
    CHAIN,
    SLUG,
    address,
    batch,
    block,
    deployment,
    key,
    market,
    position,
    snapshot,
    unreadable,
)

pytestmark = pytest.mark.database


async def test_a_wallet_is_answered_on_every_chain_at_that_chains_own_block(database: Database) -> None:
    await begin(database, "eth")
    async with database.write() as session:
        await register_deployments(session, [deployment("far", chain_id=1), deployment("second")])
    near = (snapshot("ann", 2, position("eth", 1)), AccountSnapshot(key("ann", slug="second", unit="7"), 2, (), ()))
    here = await commit(database, batch(2, accounts=near))
    far = snapshot("ann", 5, position("eth", 9), slug="far")
    there = await commit(database, BlockBatch(block(5, chain_id=1), (market("eth", slug="far"),), (), (far,)))
    assert await load_wallet_at_heads(database, address("ann"), [1, 7, CHAIN]) == (
        {CHAIN: here, 1: there},
        [far, *near],
    )
    assert await load_wallet_at_heads(database, address("ann"), [CHAIN]) == ({CHAIN: here}, list(near))
    assert await load_wallet_at_heads(database, address("nobody"), [CHAIN]) == ({CHAIN: here}, [])
    assert await load_wallet_at_heads(database, address("ann"), []) == ({}, [])
    async with database.read() as session:
        assert await load_wallet(session, address("ann"), {CHAIN: here, 1: there}) == [far, *near]
        assert await load_wallet(session, address("ann"), {CHAIN: here}) == list(near)
        assert await load_wallet(session, address("ann"), {}) == []
        assert await load_wallet(session, address("nobody"), {CHAIN: here, 1: there}) == []


async def test_a_wallet_at_an_old_block_is_as_it_was(database: Database) -> None:
    first = await begin(database, "eth")
    second = await commit(database, batch(2, accounts=(snapshot("ann", 2, position("eth", 1)),)))
    await commit(database, batch(3, accounts=(snapshot("ann", 3, position("eth", 2)), snapshot("bob", 3))))
    async with database.read() as session:
        assert await load_wallet(session, address("ann"), {CHAIN: second}) == [snapshot("ann", 2, position("eth", 1))]
        assert await load_wallet(session, address("ann"), {CHAIN: first}) == []
        assert await load_wallet(session, address("bob"), {CHAIN: second}) == []
        assert await load_account(session, key("bob"), second) is None


async def test_an_account_known_from_logs_only_is_not_yet_read(database: Database) -> None:
    head = await begin(database, "eth")
    async with database.write() as session:
        await queue_due(session, [DueAccount(key("ann"), frozenset({"eth"}))])
    assert await account_at(database, "ann", head) == NotYetRead(key("ann"))
    async with database.read() as session:
        assert await load_wallet(session, address("ann"), {CHAIN: head}) == [NotYetRead(key("ann"))]
    assert await load_wallet_at_heads(database, address("ann"), [CHAIN]) == ({CHAIN: head}, [NotYetRead(key("ann"))])
    async with database.read() as session:
        assert await load_accounts(session, SLUG, head) == []


async def test_all_accounts_of_a_deployment_are_loaded_at_any_block(database: Database) -> None:
    await begin(database, "eth", "usdc")
    early = [snapshot(n, 2, position("eth", n + 1), position("usdc", 0, n)) for n in range(50)]
    second = await commit(database, batch(2, accounts=tuple(early)))
    late = [snapshot(n, 3, position("eth", n + 2)) for n in range(10)]
    third = await commit(database, batch(3, accounts=(*late, unreadable(11, 3))))
    async with database.read() as session:
        at_second = {state.key: state for state in await load_accounts(session, SLUG, second)}
        at_third = {state.key: state for state in await load_accounts(session, SLUG, third)}
        assert await load_accounts(session, "unknown", third) == []
    held = [AccountSnapshot(s.key, 2, tuple(p for p in s.positions if not p.is_empty), s.params) for s in early]
    assert at_second == {state.key: state for state in held}
    assert at_third == at_second | {s.key: s for s in (*late, unreadable(11, 3))}


async def test_accounts_that_come_in_several_parts_are_whole(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account's rows may end in one part and go on in the next."""
    monkeypatch.setattr(postgres_session, "_PART_ROWS", 2)
    await begin(database, "eth", "dai")
    everybody = [snapshot(name, 2, position("dai", 7), position("eth", 1)) for name in ("ann", "bob", "cat")]
    first, *others = everybody
    head = await commit(database, batch(2, accounts=(snapshot("dan", 2), first, *others)))
    async with database.read() as session:
        found = await load_accounts(session, "pool", head)
    assert sorted(found, key=lambda one: one.key) == sorted([snapshot("dan", 2), *everybody], key=lambda one: one.key)


async def test_the_newest_readable_states_are_those_of_the_accounts_asked_for(database: Database) -> None:
    await begin(database, "eth", "usdc")
    await commit(database, batch(2, accounts=(snapshot("ann", 2, position("eth", 1)), snapshot("bob", 2))))
    await commit(database, batch(3, accounts=(snapshot("ann", 3, position("eth", 5)), unreadable("bob", 3))))
    async with database.read() as session:
        newest = await load_newest(session, [key("ann"), key("bob"), key("nobody")])
    assert newest == {key("ann"): snapshot("ann", 3, position("eth", 5))}


async def test_known_markets_are_those_held_or_named_by_logs(database: Database) -> None:
    await begin(database, "eth", "usdc")
    await commit(database, batch(2, accounts=(snapshot("ann", 2, position("eth", 1)),)))
    async with database.write() as session:
        await queue_due(session, [DueAccount(key("ann"), frozenset({"usdc", "not described"}))])
    await commit(database, batch(3, accounts=(unreadable("ann", 3),)))
    keys = [key("ann"), key("nobody"), AccountKey("unknown", address("ann"))]
    async with database.read() as session:
        assert await load_known_markets(session, keys) == {
            key("ann"): {"eth", "usdc", "not described"},
            key("nobody"): frozenset(),
            AccountKey("unknown", address("ann")): frozenset(),
        }


async def test_history_has_every_change_and_evenly_spaced_blocks(database: Database) -> None:
    await begin(database, "eth")
    for number in range(2, 42):
        changing = {3: 1, 17: 2, 18: 2, 30: 3}.get(number)
        states = () if changing is None else (snapshot("ann", number, position("eth", changing)),)
        await commit(database, batch(number, accounts=states))
    async with database.read() as session:
        changes = await load_change_blocks(session, key("ann"), 0, 100, 10)
        assert [one.ref.number for one in changes] == [3, 17, 30]
        newest = await load_change_blocks(session, key("ann"), 0, 29, 1)
        assert [one.ref.number for one in newest] == [17]
        moments = await load_account_history(session, key("ann"), CHAIN, 1, 41, 5)
        assert await load_account_history(session, key("nobody"), CHAIN, 1, 41, 5) == []
    assert [(m.block.ref.number, m.changed) for m in moments] == [
        (3, True),
        (11, False),
        (17, True),
        (21, False),
        (30, True),
        (31, False),
        (41, False),
    ]
    assert [m.state for m in moments if not m.changed] == [
        snapshot("ann", 3, position("eth", 1)),
        snapshot("ann", 17, position("eth", 2)),
        snapshot("ann", 30, position("eth", 3)),
        snapshot("ann", 30, position("eth", 3)),
    ]


async def test_deployments_are_described_anew_but_never_moved(database: Database) -> None:
    async with database.write() as session:
        await register_deployments(session, [deployment(), deployment("far", chain_id=1)])
        await register_deployments(session, [deployment(name="renamed")])
    with pytest.raises(Refused, match="another chain or protocol"):
        async with database.write() as session:
            await register_deployments(session, [deployment(chain_id=5)])
    async with database.read() as session:
        assert await load_deployments(session, CHAIN) == [deployment(name="renamed")]
        assert len(await load_deployments(session)) == 2


async def test_changes_of_several_markets_and_of_the_account_itself_are_one_sequence(database: Database) -> None:
    held = {3: {"eth": 1}, 5: {"eth": 1, "usdc": 1}, 6: {"eth": 2, "usdc": 2}, 8: {"usdc": 2}, 9: {"usdc": 3}, 11: {}}
    await begin(database, "eth", "usdc")
    for number in range(2, 13):
        state = snapshot("ann", number, *(position(code, raw) for code, raw in held.get(number, {}).items()))
        await commit(database, batch(number, accounts=(state,) if number in held else ()))
    async with database.read() as session:
        for limit, wanted in ((99, [3, 5, 6, 8, 9, 11]), (2, [9, 11])):
            found = await load_change_blocks(session, key("ann"), 0, 12, limit)
            assert [one.ref.number for one in found] == wanted
        for first, last, wanted in ((4, 8, [5, 6, 8]), (5, 5, [5]), (7, 7, []), (12, 99, []), (0, 2, []), (20, 30, [])):
            found = await load_change_blocks(session, key("ann"), first, last, 99)
            assert [one.ref.number for one in found] == wanted


def _read_rows(plan: dict[str, Any], table: str) -> int:
    """Rows of a table that an executed plan has read."""
    own = plan["Actual Rows"] * plan["Actual Loops"] if plan.get("Relation Name") == table else 0
    return int(own) + sum(_read_rows(child, table) for child in plan.get("Plans", ()))


async def test_the_newest_changes_of_a_busy_account_are_found_without_reading_its_others(database_url: str) -> None:
    query, names = account_changes._CHANGE_BLOCKS, {"slug": SLUG, "wallet": b"ann", "unit": ""}
    with psycopg.connect(database_url) as connection:
        connection.execute(_HISTORY.replace("20000", "50").encode())
        connection.execute(b"INSERT INTO accounts (id, deployment_id, wallet, unit) VALUES (99, 1, 'ann', '')")
        connection.execute(
            b"INSERT INTO positions (account_id, market_id, block_id, supplied_raw, borrowed_raw, is_collateral)"
            b" SELECT 99, m, b, b, 0, true FROM generate_series(1, 4) m, generate_series(1, 2000) b"
        )
        asked = {**query.constants, **names, "from_block": 1, "to_block": 4000, "most": 5}
        explained = connection.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + query.sql, asked).fetchone()
        found = connection.execute(query.sql, asked).fetchall()
    assert [row[2] for row in found] == [2000, 1999, 1998, 1997, 1996]
    assert explained is not None
    assert _read_rows(explained[0][0]["Plan"], "positions") <= 4 * 5 + 4


def _scanned(plan: dict[str, Any]) -> set[str]:
    """Tables a plan reads from end to end."""
    found = {plan["Relation Name"]} if plan["Node Type"] == "Seq Scan" else set()
    for child in plan.get("Plans", ()):
        found |= _scanned(child)
    return found


_HISTORY = """
INSERT INTO deployments (slug, chain_id, protocol, name, address, start_block, contracts)
    VALUES ('pool', 31337, 'p', 'n', '', 0, '{}');
INSERT INTO blocks (chain_id, number, hash, parent_hash, timestamp)
    SELECT 31337, n, int8send(n), int8send(n - 1), n FROM generate_series(1, 5000) n;
INSERT INTO markets (deployment_id, code, first_block_id) SELECT 1, 'm' || n, 1 FROM generate_series(1, 40) n;
INSERT INTO accounts (deployment_id, wallet, unit)
    SELECT 1, substring(sha256(int8send(n)) FOR 20), '' FROM generate_series(1, 20000) n;
INSERT INTO account_states (account_id, block_id, params, open_markets)
    SELECT a, 1 + (a * 7 + k * 1200) % 5000, '{}', '{1,2,3}' FROM generate_series(1, 20000) a, generate_series(0, 3) k;
INSERT INTO positions (account_id, market_id, block_id, supplied_raw, borrowed_raw, is_collateral)
    SELECT a, m, 1 + (a * 7 + k * 800) % 5000, a, k, true
    FROM generate_series(1, 20000) a, generate_series(1, 3) m, generate_series(0, 4) k;
ANALYZE;
"""


@pytest.mark.parametrize("plan_mode", ["force_custom_plan", "force_generic_plan"])
async def test_no_lookup_reads_a_big_table_from_end_to_end(database_url: str, plan_mode: str) -> None:
    wallet = "substring(sha256(int8send(77)) FOR 20)"
    with psycopg.connect(database_url) as connection:
        connection.execute(_HISTORY.encode())
        connection.execute(f"SET plan_cache_mode = {plan_mode}".encode())
        connection.prepare_threshold = 0
        row = connection.execute(f"SELECT {wallet}".encode()).fetchone()
        assert row is not None
        names = {"slug": SLUG, "wallet": row[0], "unit": ""}
        asked: list[Asked] = [
            (accounts._WALLET_STATES, {"wallet": row[0], "chain_ids": [CHAIN], "limit_ids": [900]}),
            (accounts._WALLET_AT_HEADS, {"wallet": row[0], "chain_ids": [CHAIN]}),
            (accounts._STATES_OVER_TIME, {**names, "limit_ids": [900, 1800]}),
            (account_changes._CHANGE_BLOCKS, {**names, "from_block": 1, "to_block": 4000, "most": 50}),
            (accounts._KNOWN_MARKETS, key_parameters([AccountKey(SLUG, row[0])])),
            ask_newest([AccountKey(SLUG, row[0])]),
        ]
        for query, parameters in asked:
            explained = connection.execute(
                b"EXPLAIN (FORMAT JSON) " + query.sql, {**query.constants, **parameters}
            ).fetchone()
            assert explained is not None
            plan = explained[0] if isinstance(explained[0], list) else json.loads(explained[0])
            assert not _scanned(plan[0]["Plan"]) & {"accounts", "account_states", "positions", "blocks"}, plan
