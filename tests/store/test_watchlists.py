"""Lists, members and rules: as they were written, and each write moves the version."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from app.domain.chain import Address
from app.domain.risk import RiskStatus
from app.domain.units import WAD
from app.domain.watch import Member, Metric, Rule, Severity
from app.errors import Refused
from app.store.postgres.engine import Database
from app.store.postgres.session import WriteSession
from app.store.watch.members import (
    Added,
    add_members,
    load_members,
    remove_member,
)
from app.store.watch.rules import (
    StoredRule,
    create_rule,
    delete_rule,
    load_rule,
    load_rules,
    replace_rule,
    rule_from_row,
    rule_to_json,
)
from app.store.watch.watchlists import (
    WatchedList,
    create_list,
    delete_list,
    find_list,
    hold_list,
    load_list,
    load_lists,
    load_watch_version,
    load_watched,
    update_list,
)

pytestmark = pytest.mark.database

ALICE, BOB = Address(b"a" * 20), Address(b"b" * 20)
EVERYTHING = Rule(
    id=0,
    watchlist_id=1,
    name="all at once",
    metric=Metric.DEBT_AT_RISK,
    levels={Severity.WARNING: 2**90, Severity.CRITICAL: 2**200},
    clear_at=2**80 + 1,
    asset='W"ETH\\',
    group="eth",
    move_wad=-WAD // 3,
    window_seconds=3600,
    statuses=frozenset({RiskStatus.LIQUIDATABLE, RiskStatus.UNKNOWN}),
    deployment_id="pond",
    chain_id=1,
    cooldown_seconds=60,
)
HEALTH = Rule(0, 1, "health", Metric.HEALTH_FACTOR, {Severity.WARNING: WAD}, WAD)


async def _version(database: Database) -> int:
    async with database.read() as session:
        return await load_watch_version(session)


@pytest.mark.parametrize("rule", [EVERYTHING, HEALTH])
async def test_a_rule_comes_back_as_it_was(database: Database, rule: Rule) -> None:
    definition = rule_to_json(rule)
    assert rule_from_row(rule.id, rule.watchlist_id, rule.name, rule.metric.value, definition) == rule
    async with database.write() as session:
        list_id = await create_list(session, "treasury", "", 5)
        made = replace(rule, watchlist_id=list_id)
        rule_id = await create_rule(session, made, 6)
        assert await load_rule(session, list_id, rule_id) == StoredRule(replace(made, id=rule_id), True, 6)
        assert await load_rule(session, list_id + 1, rule_id) is None


async def test_what_is_watched_is_not_paused_enabled_and_of_the_chain(database: Database) -> None:
    async with database.write() as session:
        first = await create_list(session, "treasury", "", 5)
        second = await create_list(session, "paused", "", 5)
        third = await create_list(session, "empty", "", 5)
        rule_id = await create_rule(session, replace(HEALTH, watchlist_id=first), 6)
        await create_rule(session, replace(HEALTH, watchlist_id=first, name="off"), 6, is_enabled=False)
        await create_rule(session, replace(HEALTH, watchlist_id=second), 6)
        everywhere = Member(ALICE, None, 'co"ld', ("a,b", "c\\"), "alice.eth")
        here = Member(BOB, 1, "here")
        members = [everywhere, Member(BOB, None, "everywhere"), here, Member(BOB, 10, "elsewhere")]
        await add_members(session, first, members, 7)
        await add_members(session, second, members, 7)
        await update_list(session, second, "paused", "", is_paused=True)
    async with database.read() as session:
        watched = await load_watched(session, 1)
        assert watched == [
            WatchedList(first, "treasury", (everywhere, here), (replace(HEALTH, id=rule_id, watchlist_id=first),)),
            WatchedList(third, "empty", (), ()),
        ]
        assert [member.label for member in (await load_watched(session, 5))[0].members] == ['co"ld', "everywhere"]


async def test_every_write_moves_the_version_and_a_write_that_fails_does_not(database: Database) -> None:
    assert await _version(database) == 0
    writes: list[Callable[[WriteSession], Awaitable[object]]] = [
        lambda session: create_list(session, "treasury", "", 5),
        lambda session: update_list(session, 1, "renamed", "why", is_paused=False),
        lambda session: hold_list(session, 1),
        lambda session: add_members(session, 1, [Member(ALICE)], 5),
        lambda session: remove_member(session, 1, ALICE, None),
        lambda session: create_rule(session, HEALTH, 5),
        lambda session: replace_rule(session, replace(HEALTH, id=1), is_enabled=False),
        lambda session: delete_rule(session, 1, 1),
        lambda session: delete_list(session, 1),
    ]
    for number, write in enumerate(writes, 1):
        async with database.write() as session:
            await write(session)
        assert await _version(database) == number
    with suppress(RuntimeError):
        async with database.write() as session:
            await create_list(session, "treasury", "", 5)
            raise RuntimeError
    assert await _version(database) == len(writes)


async def test_names_are_taken_once_also_by_two_at_once(database: Database) -> None:
    async def create() -> int:
        async with database.write() as session:
            return await create_list(session, "treasury", "", 5)

    results = await asyncio.gather(create(), create(), return_exceptions=True)
    assert sorted(isinstance(one, Refused) for one in results) == [False, True]
    async with database.write() as session:
        listed = await find_list(session, "treasury")
        assert listed is not None
        other = await create_list(session, "other", "", 5)
        with pytest.raises(Refused, match="'treasury'"):
            await update_list(session, other, "treasury", "", is_paused=False)
        assert await update_list(session, other, "other", "its own name", is_paused=True)
        await create_rule(session, replace(HEALTH, watchlist_id=other), 5)
        with pytest.raises(Refused, match="'health'"):
            await create_rule(session, replace(HEALTH, watchlist_id=other), 5)
        await create_rule(session, replace(HEALTH, watchlist_id=listed.id), 5)


async def test_lists_are_shown_with_what_is_in_them(database: Database) -> None:
    async with database.write() as session:
        first = await create_list(session, "a", "note", 5)
        await create_list(session, "b", "", 6)
        await add_members(session, first, [Member(ALICE), Member(BOB)], 7)
        await create_rule(session, replace(HEALTH, watchlist_id=first), 8)
    async with database.read() as session:
        shown = await load_lists(session, 10)
        assert [(one.name, one.note, one.members, one.rules, one.open_episodes) for one in shown] == [
            ("a", "note", 2, 1, 0),
            ("b", "", 0, 0, 0),
        ]
        assert await load_lists(session, 10, after=first) == shown[1:]
        assert await load_list(session, first) == shown[0]
        assert await load_list(session, 99) is None


async def test_adding_again_writes_anew_and_removing_is_of_a_chain_or_of_all(database: Database) -> None:
    async with database.write() as session:
        list_id = await create_list(session, "a", "", 5)
        assert await add_members(session, list_id, [Member(ALICE), Member(ALICE, 1), Member(BOB)], 6) == Added(3, 0)
        again = [Member(ALICE, None, "first"), Member(ALICE, None, "last", ("t",)), Member(ALICE, 10)]
        assert await add_members(session, list_id, again, 7) == Added(1, 1)
        entries = await load_members(session, list_id, 10, wallet=ALICE)
        assert [(one.member.chain_id, one.member.label, one.added_at) for one in entries] == [
            (None, "last", 6),
            (1, "", 6),
            (10, "", 7),
        ]
        assert await load_members(session, list_id, 1, after=entries[0].id) == entries[1:2]
        assert await remove_member(session, list_id, ALICE, 10) == 1
        assert await remove_member(session, list_id, ALICE, None) == 2
        assert await remove_member(session, list_id, ALICE, None) == 0
        assert [one.member.wallet for one in await load_members(session, list_id, 10)] == [BOB]


async def test_rules_are_replaced_and_deleted_within_their_list_only(database: Database) -> None:
    async with database.write() as session:
        list_id = await create_list(session, "a", "", 5)
        rule_id = await create_rule(session, replace(HEALTH, watchlist_id=list_id), 5)
        new = replace(EVERYTHING, id=rule_id, watchlist_id=list_id)
        assert not await replace_rule(session, replace(new, watchlist_id=list_id + 1), is_enabled=True)
        assert await replace_rule(session, new, is_enabled=False)
        assert await load_rules(session, list_id) == [StoredRule(new, False, 5)]
        assert not await delete_rule(session, list_id + 1, rule_id)
        assert await delete_rule(session, list_id, rule_id)
        assert await load_rules(session, list_id) == []
