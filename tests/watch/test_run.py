"""The run for cron: what it finds, what it says when it cannot know, and that nobody in its way makes it tell twice."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

import pytest

from app.domain.watch import Severity
from app.errors import Refused
from app.store.postgres.engine import Database
from app.store.watch.episodes import load_episodes, load_events
from app.store.watch.outbox import load_deliveries
from app.store.watch.watchlists import update_list
from app.watch.report import as_json, as_markdown
from app.watch.run import Outcome
from tests.fakes.site import DEVNET, EPOCH
from tests.watch.lake_lists import WHO, lake_runner, price_block, set_up_lists

pytestmark = pytest.mark.database


async def test_it_is_calm_when_nothing_is_open_and_every_member_is_known(database: Database) -> None:
    await set_up_lists(database)
    await price_block(database, 1, 3000)
    report = await lake_runner(database).look([DEVNET], [])
    assert report.outcome(Severity.INFO) is Outcome.CALM
    assert report.findings == ()
    (chain,) = report.chains
    assert (chain.measured, chain.unknown, chain.trouble) == (1, 0, None)


async def test_an_open_episode_is_a_finding_from_its_severity_on(database: Database) -> None:
    await set_up_lists(database)
    await price_block(database, 1, 1400)
    report = await lake_runner(database).look([DEVNET], ["treasury"])
    assert report.outcome(Severity.WARNING) is Outcome.FINDINGS
    assert report.outcome(Severity.CRITICAL) is Outcome.CALM
    (found,) = report.findings
    assert (found.episode.subject, found.label, found.place) == (WHO, "cold 1", "Pond (devnet)")
    await price_block(database, 2, 1500)
    (later,) = (await lake_runner(database).look([DEVNET], [])).findings
    assert later.episode.id == found.episode.id
    assert later.event.value == found.event.value
    assert later.value_now is not None
    assert found.event.value is not None
    assert later.value_now > found.event.value


async def test_a_stale_chain_cannot_be_known_whatever_is_open_on_it(database: Database) -> None:
    await set_up_lists(database)
    await price_block(database, 1, 900)
    report = await lake_runner(database, now=EPOCH + 5000).look([DEVNET], [])
    assert report.outcome(Severity.WARNING) is Outcome.CANNOT_KNOW
    assert report.chains[0].trouble is not None
    assert "silent" in report.chains[0].trouble
    assert len(report.findings) == 1


async def test_a_chain_of_which_nothing_is_stored_cannot_be_known(database: Database) -> None:
    await set_up_lists(database)
    report = await lake_runner(database).look([DEVNET], [])
    assert report.outcome(Severity.WARNING) is Outcome.CANNOT_KNOW
    assert report.chains[0].trouble == "nothing of this chain is indexed yet"


async def test_members_that_are_unknown_cannot_be_known_unless_something_is_found(database: Database) -> None:
    await set_up_lists(database)
    await price_block(database, 1, None)
    report = await lake_runner(database).look([DEVNET], [])
    assert report.chains[0].unknown == 1
    assert report.outcome(Severity.WARNING) is Outcome.CANNOT_KNOW


async def test_a_list_that_is_not_there_or_is_paused_is_refused(database: Database) -> None:
    with pytest.raises(Refused, match="no watchlist yet"):
        await lake_runner(database).look([DEVNET], [])
    list_id = await set_up_lists(database)
    with pytest.raises(Refused, match="there are: treasury"):
        await lake_runner(database).look([DEVNET], ["tresury"])
    async with database.write() as session:
        await update_list(session, list_id, "treasury", "", is_paused=True)
    with pytest.raises(Refused, match="paused"):
        await lake_runner(database).look([DEVNET], ["treasury"])


async def test_json_has_every_number_exactly_and_markdown_stays_in_its_table(database: Database) -> None:
    await set_up_lists(database)
    await price_block(database, 1, 900)
    report = await lake_runner(database).look([DEVNET], [])
    body = json.loads(as_json(report, Severity.WARNING))
    assert (body["outcome"], body["exit_status"]) == ("findings", 1)
    (found,) = body["findings"]
    assert (found["value"], found["level"], found["episode"]["severity"]) == ("0.72", "1", "critical")
    assert found["subject"]["label"] == "cold 1"
    assert found["as_of"]["block_number"] == 1
    text = as_markdown(report, Severity.WARNING)
    assert text.startswith("**findings**")
    assert "| critical | treasury | cold 1 (0x" in text


async def test_two_runs_at_once_in_processes_of_their_own_tell_everything_once(
    database: Database, database_url: str
) -> None:
    await set_up_lists(database, wallets=20)
    for number, price in ((1, 900), (2, 3000)):
        await price_block(database, number, price, wallets=20)
        running = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.watch.lake_lists", database_url, stdout=asyncio.subprocess.PIPE
            )
            for _ in range(3)
        ]
        printed = [(await one.communicate())[0] for one in running]
        assert [one.returncode for one in running] == [0, 0, 0]
        assert {len(json.loads(one)["findings"]) for one in printed} == {20 if price == 900 else 0}
    async with database.read() as session:
        episodes = await load_episodes(session, limit=99)
        events = await load_events(session, [one.id for one in episodes])
        deliveries = await load_deliveries(session, limit=99)
    assert len(episodes) == 20
    assert Counter(one.event.kind.value for one in events) == {"opened": 20, "cleared": 20}
    assert Counter(one.kind for one in deliveries) == {"episode.opened": 20, "episode.cleared": 20}
