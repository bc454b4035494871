"""Blindness: an episode of its own, by the clock, once, and over when the data is current again."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import insert, select, update

from app.alerts.timers import TimerOptions, Timers
from app.domain.account import AccountKey
from app.domain.watch import EpisodeState, Metric, Rule, Severity
from app.store.postgres.engine import Database
from app.store.tables.chain import accounts, blocks, deployment_troubles, deployments
from app.store.tables.watch import watchlists
from app.store.watch.rules import create_rule, delete_rule
from app.store.watch.version import bump_watch_version
from app.store.watch.watchlists import delete_list
from tests.alerts.timers.world import CHAIN, START, WALLET, World, kinds

pytestmark = pytest.mark.database


async def test_a_chain_that_is_current_is_nothing_to_tell(database: Database) -> None:
    world = await World(database).begin()

    await world.turn(START + 10)

    assert await world.episodes() == []


async def test_blindness_opens_gets_worse_and_clears_each_once_whoever_looks(database: Database) -> None:
    world = await World(database).begin()
    for later in (119, 120, 121, 300, 601, 700):
        async with Timers(database) as one, Timers(database) as other:
            await asyncio.gather(one.run_due(START + later), other.run_due(START + later))
    await world.follow(START + 710)
    for later in (711, 720):
        await world.turn(START + later)

    (episode,) = await world.episodes()
    assert (episode.metric, episode.chain_id, episode.state) == (Metric.BLIND, CHAIN, EpisodeState.CLEARED)
    assert (episode.rule_id, episode.rule_name, episode.severity) == (None, "blind", Severity.CRITICAL)
    events = await world.events()
    assert kinds(events) == ["opened", "escalated", "cleared"]
    assert [one.event.value for one in events] == [121, 601, 0]
    assert all(one.event.block is None for one in events)
    told = await world.told()
    assert [one.kind for one in told] == ["episode.opened", "episode.escalated", "episode.cleared"]
    text = told[1].body["data"]["text"]  # type: ignore[index]
    assert text.startswith("Ethereum: worse, no current data for 10 min 1 s: the indexer has been silent")


async def test_rules_that_nobody_evaluates_are_blindness_too(database: Database) -> None:
    world = await World(database).begin()
    async with Timers(database) as timers:
        for later in range(10, 301, 10):
            await world.follow(START + later, evaluated=False)
            await world.turn(START + later, timers)

    (episode,) = await world.episodes()
    (opened,) = await world.events()
    assert episode.state is EpisodeState.OPEN
    assert (opened.event.value, opened.event.inputs["cause"]) == (120, "evaluation")


async def test_a_new_list_is_not_blind_for_what_was_before_it(database: Database) -> None:
    world = await World(database).begin()
    async with database.write() as session:
        await session.connection.execute(update(watchlists).values(created_at=START + 9_990))
        await bump_watch_version(session)
    await world.follow(START + 10_000, evaluated=False)

    await world.turn(START + 10_000)

    assert await world.episodes() == []


async def test_a_deployment_set_aside_blinds_the_lists_with_an_account_there_and_no_other(database: Database) -> None:
    world = await World(database).begin()
    async with database.write() as session:
        run = session.connection.execute
        made = await run(
            insert(deployments)
            .values(
                slug="pool",
                chain_id=CHAIN,
                protocol="x",
                name="A pool",
                address=b"\x01" * 20,
                start_block=1,
                contracts={},
            )
            .returning(deployments.c.id)
        )
        deployment_id = int(made.scalar_one())
        key = AccountKey("pool", WALLET)
        await run(insert(accounts).values(deployment_id=deployment_id, wallet=bytes(key.wallet), unit=""))
        block_id = (await run(select(blocks.c.id))).scalar_one()
        await run(
            insert(deployment_troubles).values(
                deployment_id=deployment_id, block_id=block_id, trouble="its contracts changed", since_block=101
            )
        )
        await run(insert(watchlists).values(name="others", created_at=START - 10_000))
    for later in range(20, 201, 20):
        await world.follow(START + later)
        await world.turn(START + later)

    (episode,) = await world.episodes()
    (opened,) = await world.events()
    assert episode.watchlist_id == world.list_id
    assert opened.event.inputs["reason"] == "A pool is set aside: its contracts changed"


async def test_a_lists_own_rule_stands_in_for_the_one_every_list_has(database: Database) -> None:
    world = await World(database).begin()
    await world.turn(START + 130)
    async with database.write() as session:
        own = Rule(0, world.list_id, "sight", Metric.BLIND, {Severity.INFO: 1_000}, 1)
        rule_id = await create_rule(session, own, START)
    await world.turn(START + 140)
    await world.turn(START + 1_000)
    async with database.write() as session:
        await delete_rule(session, world.list_id, rule_id)
    await world.turn(START + 1_010)

    first, second = await world.episodes()
    assert (first.rule_name, first.state) == ("blind", EpisodeState.CLEARED)
    assert (second.rule_name, second.severity) == ("sight", Severity.CRITICAL)
    assert kinds(await world.events()) == ["opened", "cleared", "opened", "escalated"]


async def test_a_paused_list_is_left_as_it_is(database: Database) -> None:
    world = await World(database).begin()
    await world.turn(START + 130)
    async with database.write() as session:
        await session.connection.execute(update(watchlists).values(is_paused=True))
        await bump_watch_version(session)
    await world.turn(START + 700)

    (episode,) = await world.episodes()
    assert (episode.state, episode.severity) == (EpisodeState.OPEN, Severity.WARNING)


async def test_a_list_deleted_meanwhile_does_no_harm(database: Database) -> None:
    world = await World(database).begin()
    async with Timers(database) as timers:
        await world.turn(START + 10, timers)
        async with database.write() as session:
            await delete_list(session, world.list_id)
        await world.turn(START + 130, timers)

    assert await world.episodes() == []


async def test_a_chain_that_must_be_there_and_never_was_is_blindness(database: Database) -> None:
    world = await World(database, TimerOptions(chain_ids=frozenset({CHAIN, 10}))).begin()
    async with database.write() as session:
        await session.connection.execute(insert(watchlists).values(name="all", created_at=START - 700))
        await bump_watch_version(session)
    await world.turn(START)

    (episode,) = await world.episodes()
    assert (episode.chain_id, episode.severity) == (10, Severity.CRITICAL)
