"""`waterline watchlist run` as cron meets it: its exit status and one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
from rich.console import Console

from app.commands import watching
from app.errors import Refused
from app.settings import load_settings
from app.store.postgres.engine import Database
from tests.test_cli import MARKER, waterline
from tests.watch.lake_lists import set_up_lists


def test_a_database_out_of_reach_means_it_cannot_know(tmp_path: Path) -> None:
    done = waterline("watchlist", "run", folder=tmp_path, DATABASE_URL=f"postgresql://user:{MARKER}@127.0.0.1:9/db")
    assert done.returncode == 2
    assert done.stderr.strip() == "Cannot know: DATABASE_URL: the database cannot be reached"
    assert MARKER not in done.stdout + done.stderr


async def test_a_severity_or_a_format_that_is_not_there_is_refused() -> None:
    settings = load_settings({"DATABASE_URL": "postgresql://127.0.0.1:9/db"})
    for asked in (watching.Asked([], None, "xml", "warning", False), watching.Asked([], None, "json", "worse", False)):
        with pytest.raises(Refused, match="there are: "):
            await watching.run_watchlists(settings, asked, Console())


@pytest.mark.database
async def test_tables_that_are_missing_mean_it_cannot_know(
    postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await _run(postgres_url, "table") == 2
    assert "waterline migrate" in capsys.readouterr().err


@pytest.mark.database
async def test_a_list_on_a_chain_of_which_nothing_is_stored_says_so_in_every_format(
    database: Database, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await set_up_lists(database)
    said = {}
    for how in watching.FORMATS:
        assert await _run(database_url, how) == 2
        said[how] = capsys.readouterr().out
    assert json.loads(said["json"])["outcome"] == "cannot_know"
    for how in ("table", "markdown"):
        assert "nothing of this chain is indexed yet" in said[how]


@pytest.mark.database
async def test_it_sends_what_is_due_when_asked_to(database: Database, database_url: str) -> None:
    await set_up_lists(database)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            """INSERT INTO outbox (id, channel_id, kind, dedup_key, severity, body, state, created_at, send_after)
               VALUES ('msg_one', 1, 'test', 'one', 1, '{"type": "test", "data": {}}', 'pending', 0, 0)"""
        )
    for deliver, state in ((False, "pending"), (True, "delivered")):
        assert await _run(database_url, "table", deliver=deliver) == 2
        with psycopg.connect(database_url) as connection:
            found = connection.execute("SELECT state FROM outbox WHERE id = 'msg_one'").fetchall()
        assert found == [(state,)]


async def _run(url: str, shown_as: str, *, deliver: bool = False) -> int:
    asked = watching.Asked([], None, shown_as, "warning", deliver)
    return await watching.run_watchlists(load_settings({"DATABASE_URL": url}), asked, Console(width=160))
