"""Evaluations on Postgres: each block does what it does once, whoever evaluates; what a reorg removes is taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from app.book import BlockReplaced, Keeper, Reading
from app.domain.watch import EpisodeState, EventKind, MarketSubject, Metric, Rule, Severity
from app.store.blocks import StoredBlock
from app.store.postgres.engine import Database
from app.store.postgres.session import Query, ReadSession
from app.store.watch.channels import NewChannel, NewRoute, store_channel, store_route
from app.store.watch.episodes import acknowledge, load_episode, load_episodes
from app.store.watch.members import remove_member
from app.store.watch.rules import delete_rule, replace_rule
from app.store.watch.watchlists import delete_list, update_list
from app.watch.evaluate import Contended
from app.watch.measures import Asked, Found
from tests.watch.evaluating import CALM, CRITICAL, LEVELS, OTHER, WARNING, WHO, MadeUp, Scene

pytestmark = pytest.mark.database


async def test_an_episode_opens_once_escalates_and_clears_and_each_step_is_told_once(database: Database) -> None:
    scene = await Scene(database).set_up()
    for value in (CALM, WARNING, WARNING, 120, CRITICAL, WARNING, 130, 131, 131):
        scene.values[WHO] = value
        await scene.grow()
        scene.now += 12
        await scene.evaluate()
    assert await scene.story() == ["opened warning", "escalated critical", "cleared critical"]
    (episode,) = await scene.episodes()
    assert (episode.state, episode.severity, episode.subject) == (EpisodeState.CLEARED, Severity.CRITICAL, WHO)
    assert (episode.opened_at, episode.closed_at) == (scene.now - 7 * 12, scene.now - 12)
    opened, escalated, cleared = await scene.events()
    assert opened.event.block is not None
    assert (opened.event.block.number, opened.event.block.hash) == (2, scene.blocks[1].ref.hash)
    assert (opened.event.value, opened.event.level, opened.event.inputs) == (110, 110, {"health": 110})
    assert (escalated.event.value, cleared.event.value, cleared.event.level) == (100, 131, 130)
    told = await scene.told()
    assert [one.kind for one in told] == ["episode.opened", "episode.escalated", "episode.cleared"]
    assert told[0].body["data"]["subject"]["label"] == "cold"  # type: ignore[index]


async def test_the_same_block_is_evaluated_once_whoever_comes(database: Database) -> None:
    scene = await Scene(database).set_up()
    scene.values[WHO] = CRITICAL
    await scene.grow()
    mine, yours = scene.evaluator(), scene.evaluator()
    done = await asyncio.gather(*(scene.evaluate(one) for one in (mine, yours) * 3))
    assert sorted(one.is_written for one in done) == [False] * 5 + [True]
    assert await scene.story() == ["opened critical"]
    assert len(await scene.told()) == 1


async def test_many_at_once_over_many_blocks_write_what_one_would(database: Database) -> None:
    scene = await Scene(database).set_up()
    for value in (CRITICAL, CALM) * 6:
        scene.values[WHO] = value
        await scene.grow()
        await asyncio.gather(*(scene.evaluate() for _ in range(4)))
    assert await scene.story() == ["opened critical", "cleared critical"] * 6
    assert len({one.id for one in await scene.told()}) == 12


async def test_who_comes_late_with_an_older_block_writes_nothing(database: Database) -> None:
    scene = await Scene(database).set_up()
    scene.values[WHO] = CALM
    old, _ = await scene.grow(), await scene.grow()
    await scene.evaluate()
    scene.values[WHO] = CRITICAL
    assert not (await scene.evaluate(block=old)).is_written
    assert await scene.story() == []


async def test_what_opened_on_a_replaced_block_is_retracted_and_told(database: Database) -> None:
    scene = await Scene(database).set_up()
    scene.values[WHO] = CALM
    await scene.grow(2)
    await scene.evaluate()
    scene.values[WHO] = CRITICAL
    gone = await scene.grow()
    await scene.evaluate()
    await scene.reorg(1)
    scene.values[WHO] = CALM
    await scene.grow(2)
    await scene.evaluate()
    await scene.evaluate()
    assert await scene.story() == ["opened critical*", "retracted critical"]
    (episode,) = await scene.episodes()
    assert episode.state is EpisodeState.RETRACTED
    retracted = (await scene.events())[1].event
    assert retracted.block is not None
    assert retracted.block.hash == gone.ref.hash
    assert [one.kind for one in await scene.told()] == ["episode.opened", "episode.retracted"]


async def test_what_is_still_so_on_the_other_branch_opens_anew_there(database: Database) -> None:
    scene = await Scene(database).set_up()
    scene.values[WHO] = CRITICAL
    await scene.grow(2)
    await scene.evaluate()
    await scene.reorg(1)
    await scene.grow(2)
    await scene.evaluate()
    assert await scene.story() == ["opened critical*", "retracted critical", "opened critical"]
    assert [one.state.value for one in await scene.episodes()] == ["retracted", "open"]


async def test_a_dropped_end_opens_the_episode_again_and_a_dropped_escalation_is_undone(database: Database) -> None:
    scene = await Scene(database).set_up()
    scene.values[WHO] = WARNING
    await scene.grow()
    await scene.evaluate()
    for value in (CRITICAL, CALM):
        scene.values[WHO] = value
        await scene.grow()
        await scene.evaluate()
    await scene.reorg(2)
    scene.values[WHO] = 120
    await scene.grow()
    await scene.evaluate()
    assert await scene.story() == ["opened warning", "escalated critical*", "cleared critical*", "retracted critical"]
    (episode,) = await scene.episodes()
    assert (episode.state, episode.severity, episode.closed_at) == (EpisodeState.OPEN, Severity.WARNING, None)
    scene.values[WHO] = CALM
    await scene.grow()
    await scene.evaluate()
    assert (await scene.story())[-1] == "cleared warning"


async def test_a_reopened_episode_is_measured_in_the_same_evaluation(database: Database) -> None:
    scene = await Scene(database).set_up()
    scene.values[WHO] = WARNING
    await scene.grow()
    await scene.evaluate()
    scene.values[WHO] = CALM
    await scene.grow()
    await scene.evaluate()
    await scene.reorg(1)
    await scene.grow()
    await scene.evaluate()
    assert scene.made_up.asked[0].must == {WHO}
    assert await scene.story() == ["opened warning", "cleared warning*", "retracted warning", "cleared warning"]


async def test_episodes_of_one_subject_after_each_other_are_unwound_together(database: Database) -> None:
    """The first is open again while the second never was: of both only one is open at any moment."""
    scene = await Scene(database).set_up()
    for value in (WARNING, CALM, WARNING):
        scene.values[WHO] = value
        await scene.grow()
        await scene.evaluate()
    await scene.reorg(2)
    await scene.grow()
    await scene.evaluate()
    assert [one.state.value for one in await scene.episodes()] == ["open", "retracted"]


async def test_the_block_to_compare_with_is_the_newest_evaluated_one_that_is_still_stored(database: Database) -> None:
    scene = await Scene(database).set_up()
    await scene.grow()
    await scene.evaluate()
    assert scene.made_up.before is None
    first = scene.blocks[-1]
    await scene.grow()  # not evaluated
    for _ in range(3):
        await scene.grow()
        await scene.evaluate()
    await scene.reorg(3)
    await scene.grow()
    await scene.evaluate()
    assert scene.made_up.before == first
    here = scene.blocks[-1]
    await scene.grow()
    await scene.evaluate()
    assert scene.made_up.before == here


async def test_a_cool_down_mutes_the_next_opening_until_it_has_passed(database: Database) -> None:
    scene = await Scene(database).set_up(cooldown_seconds=100)
    for value in (WARNING, CALM, WARNING, WARNING):
        scene.values[WHO] = value
        await scene.grow()
        await scene.evaluate()
        scene.now += 20
    assert [one.is_muted for one in await scene.episodes()] == [False, True]
    scene.now += 40
    scene.values[WHO] = None
    await scene.grow()
    await scene.evaluate()
    assert await scene.story() == ["opened warning", "cleared warning", "opened warning", "reminded warning"]
    assert [one.kind.partition(".")[2] for one in await scene.told()] == ["opened", "cleared", "reminded"]
    assert [one.is_muted for one in await scene.episodes()] == [False, False]


async def test_a_muted_episode_ends_and_is_retracted_without_a_word(database: Database) -> None:
    scene = await Scene(database).set_up(cooldown_seconds=1000)
    for value in (WARNING, CALM, WARNING, CALM):
        scene.values[WHO] = value
        await scene.grow()
        await scene.evaluate()
    await scene.reorg(2)
    await scene.grow()
    await scene.evaluate()
    assert await scene.story() == [
        "opened warning", "cleared warning", "opened warning*", "cleared warning*", "retracted warning",
    ]  # fmt: skip
    assert [one.kind for one in await scene.told()] == ["episode.opened", "episode.cleared"]


async def test_what_was_taken_back_does_not_cool_down_the_next_opening(database: Database) -> None:
    scene = await Scene(database).set_up(cooldown_seconds=1000)
    scene.values[WHO] = WARNING
    await scene.grow(2)
    await scene.evaluate()
    await scene.reorg(1)
    await scene.grow()
    await scene.evaluate()
    assert [one.is_muted for one in await scene.episodes()] == [False, False]


async def test_follow_ups_go_to_whom_the_opening_was_told(database: Database) -> None:
    scene = await Scene(database).set_up()
    async with database.write() as session:
        pager = await store_channel(session, NewChannel("pager", "stdout", {}), scene.now)
        await store_route(session, NewRoute(scene.list_id, pager, min_severity=Severity.CRITICAL))
    scene.values.update({WHO: WARNING, OTHER: CRITICAL})
    await scene.grow()
    await scene.evaluate()
    scene.values.update({WHO: CALM, OTHER: CALM})
    await scene.grow()
    await scene.evaluate()
    told = [(one.channel_id == pager, one.kind) for one in await scene.told()]
    assert sorted(told) == sorted(
        [(False, "episode.opened")] * 2
        + [(True, "episode.opened")]
        + [(False, "episode.cleared")] * 2
        + [(True, "episode.cleared")]
    )


@pytest.mark.parametrize("how", ["rule deleted", "rule disabled", "member removed", "metric changed"])
async def test_what_nobody_asks_about_any_more_is_closed_with_its_reason(database: Database, how: str) -> None:
    scene = await Scene(database).set_up()
    scene.values[WHO] = CRITICAL
    await scene.grow()
    evaluator = scene.evaluator()
    await scene.evaluate(evaluator)
    rule = Rule(scene.rule_id, scene.list_id, "health", Metric.HEALTH_FACTOR, LEVELS, 130)
    async with database.write() as session:
        match how:
            case "rule deleted":
                await delete_rule(session, scene.list_id, scene.rule_id)
            case "rule disabled":
                await replace_rule(session, rule, is_enabled=False)
            case "member removed":
                await remove_member(session, scene.list_id, WHO.wallet, None)
            case _:
                await replace_rule(session, replace(rule, metric=Metric.SIGMA_DISTANCE), is_enabled=True)
    scene.values[WHO] = CALM
    await scene.grow()
    await scene.evaluate(evaluator)
    cleared = (await scene.events())[-1].event
    assert cleared.kind is EventKind.CLEARED
    assert cleared.inputs["reason"]
    assert cleared.block is None
    assert (await scene.told())[-1].kind == "episode.cleared"


async def test_a_paused_list_keeps_its_episodes_as_they_are(database: Database) -> None:
    scene = await Scene(database).set_up()
    scene.values[WHO] = CRITICAL
    await scene.grow()
    await scene.evaluate()
    async with database.write() as session:
        await update_list(session, scene.list_id, "treasury", "", is_paused=True)
    scene.values[WHO] = CALM
    await scene.grow()
    await scene.evaluate()
    assert await scene.story() == ["opened critical"]
    async with database.write() as session:
        await update_list(session, scene.list_id, "treasury", "", is_paused=False)
    await scene.grow()
    await scene.evaluate()
    assert await scene.story() == ["opened critical", "cleared critical"]


async def test_a_rule_that_came_since_is_evaluated_at_the_same_block(database: Database) -> None:
    scene = await Scene(database).set_up()
    scene.values[WHO] = CRITICAL
    await scene.grow()
    evaluator = scene.evaluator()
    await scene.evaluate(evaluator)
    await scene.add_rule("again")
    assert (await scene.evaluate(evaluator)).is_written
    assert not (await scene.evaluate(evaluator)).is_written
    assert [one.rule_name for one in await scene.episodes()] == ["health", "again"]


async def test_lists_that_change_while_they_are_measured_are_measured_again(database: Database) -> None:
    scene = await Scene(database).set_up()

    class Meddling(MadeUp):
        times = 1

        async def measure(
            self, keeper: Keeper, reading: Reading, asked: Sequence[Asked], before: StoredBlock | None
        ) -> list[Found]:
            found = await super().measure(keeper, reading, asked, before)
            if self.times:
                self.times -= 1
                await scene.add_rule(f"another {self.times}")
            return found

    scene.values[WHO] = CRITICAL
    await scene.grow()
    await scene.evaluate(scene.evaluator(Meddling(scene.values)))
    assert len(await scene.episodes()) == 2
    always = Meddling(scene.values)
    always.times = 99
    await scene.grow()
    with pytest.raises(Contended):
        await scene.evaluate(scene.evaluator(always))


async def test_a_block_that_is_replaced_while_it_is_measured_leaves_nothing(database: Database) -> None:
    scene = await Scene(database).set_up()

    class Late(MadeUp):
        async def measure(
            self, keeper: Keeper, reading: Reading, asked: Sequence[Asked], before: StoredBlock | None
        ) -> list[Found]:
            await scene.reorg(1)
            return await super().measure(keeper, reading, asked, before)

    scene.values[WHO] = CRITICAL
    await scene.grow(2)
    with pytest.raises(BlockReplaced):
        await scene.evaluate(scene.evaluator(Late(scene.values)))
    assert await scene.episodes() == []


async def test_without_lists_it_costs_one_query_and_lists_are_read_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = await Scene(database).set_up()
    await scene.grow()
    asked: list[str] = []
    rows, rows_in_parts = ReadSession.rows, ReadSession.rows_in_parts

    async def counting(self: ReadSession, query: Query, **parameters: object) -> list[tuple[object, ...]]:
        asked.append(query.sql.decode())
        return await rows(self, query, **parameters)

    async def counting_parts(self: ReadSession, query: Query, **parameters: object) -> list[tuple[object, ...]]:
        asked.append("members")
        return await rows_in_parts(self, query, **parameters)

    monkeypatch.setattr(ReadSession, "rows", counting)
    monkeypatch.setattr(ReadSession, "rows_in_parts", counting_parts)
    evaluator = scene.evaluator()
    for _ in range(3):
        await scene.evaluate(evaluator)
        await scene.grow()
    assert asked.count("members") == 1
    async with database.write() as session:
        await delete_list(session, scene.list_id)
    asked.clear()
    assert not (await scene.evaluate(evaluator)).is_written
    assert len(asked) == 1


async def test_markets_and_many_episodes_are_written_whole(database: Database) -> None:
    scene = await Scene(database).set_up()
    market = MarketSubject("pond-devnet")
    scene.values.update({WHO: CRITICAL, OTHER: WARNING, market: CRITICAL})
    await scene.grow()
    await scene.evaluate()
    found = {one.subject: one for one in await scene.episodes()}
    assert found.keys() == {WHO, OTHER, market}
    async with database.write() as session:
        assert await acknowledge(session, found[WHO].id, "ada", scene.now)
        assert not await acknowledge(session, found[WHO].id, "bob", scene.now)
    scene.values.update({WHO: CALM, OTHER: CALM, market: CALM})
    await scene.grow()
    await scene.evaluate()
    async with database.read() as session:
        of_wallet = await load_episodes(session, wallet=WHO.wallet, limit=9)
        assert [(one.subject, one.acknowledged_by) for one in of_wallet] == [(WHO, "ada")]
        assert len(await load_episodes(session, state=EpisodeState.OPEN, limit=9)) == 0
        assert len(await load_episodes(session, watchlist_id=scene.list_id, before_id=found[OTHER].id, limit=9)) < 3
        assert await load_episode(session, 10**9) is None
