"""`waterline watchlist run` as cron meets it: its exit status and one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from app.store.engine import Database
from tests.test_cli import MARKER, waterline
from tests.watch.lake_lists import set_up_lists


def test_a_database_out_of_reach_means_it_cannot_know(tmp_path: Path) -> None:
    done = waterline("watchlist", "run", folder=tmp_path, DATABASE_URL=f"postgresql://user:{MARKER}@127.0.0.1:9/db")
    assert done.returncode == 2
    assert done.stderr.strip() == "Cannot know: DATABASE_URL: the database cannot be reached"
    assert MARKER not in done.stdout + done.stderr


def test_a_severity_or_a_format_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for arguments in (("--fail-on", "worse"), ("--format", "xml")):
        done = waterline("watchlist", "run", *arguments, folder=tmp_path, DATABASE_URL="postgresql://127.0.0.1:9/db")
        assert done.returncode == 2
        assert "there are: " in done.stderr


@pytest.mark.database
def test_tables_that_are_missing_mean_it_cannot_know(postgres_url: str, tmp_path: Path) -> None:
    done = waterline("watchlist", "run", folder=tmp_path, DATABASE_URL=postgres_url)
    assert done.returncode == 2
    assert "waterline migrate" in done.stderr


@pytest.mark.database
async def test_a_list_on_a_chain_of_which_nothing_is_stored_says_so_in_every_format(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await set_up_lists(database)
    said = {
        how: waterline("watchlist", "run", "--format", how, folder=tmp_path, DATABASE_URL=database_url)
        for how in ("table", "json", "markdown")
    }
    assert {one.returncode for one in said.values()} == {2}
    assert json.loads(said["json"].stdout)["outcome"] == "cannot_know"
    for how in ("table", "markdown"):
        assert "nothing of this chain is indexed yet" in said[how].stdout


@pytest.mark.database
async def test_it_sends_what_is_due_when_asked_to(database: Database, database_url: str, tmp_path: Path) -> None:
    await set_up_lists(database)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            """INSERT INTO outbox (id, channel_id, kind, dedup_key, severity, body, state, created_at, send_after)
               VALUES ('msg_one', 1, 'test', 'one', 1, '{"type": "test", "data": {}}', 'pending', 0, 0)"""
        )
    kept = waterline("watchlist", "run", folder=tmp_path, DATABASE_URL=database_url)
    assert "msg_one" not in kept.stdout
    sent = waterline("watchlist", "run", "--deliver", folder=tmp_path, DATABASE_URL=database_url)
    assert sent.returncode == 2
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT state FROM outbox").fetchall() == [("delivered",)], sent.stderr
