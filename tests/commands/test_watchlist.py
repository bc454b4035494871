"""`waterline key` and `waterline watchlist`, as they are typed, over a real database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from app.api.frame.addresses import to_checksum
from app.cli import app
from app.errors import Refused
from tests.fakes.site import wallet

pytestmark = pytest.mark.database

ALICE, BOB = to_checksum(wallet(1)), to_checksum(wallet(2))
Typed = Callable[..., Result]


@pytest.fixture
def typed(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Typed:
    """Runs a command to its end; what it refuses is raised here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(app, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def _rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(typed: Typed, database_url: str) -> None:
    made = typed("key", "create", "desk")
    key = made.stdout.strip()
    _, key_id, secret = key.split("_", 2)
    assert (len(secret), made.exit_code) == (43, 0)
    listed = typed("key", "list").stdout
    assert key_id in listed
    assert "watch:read, watch:write" in " ".join(listed.split())
    assert secret not in listed
    typed("key", "revoke", key_id)
    assert "revoked" in typed("key", "list").stdout
    with pytest.raises(Refused, match="no live key"):
        typed("key", "revoke", key_id)
    with pytest.raises(Refused, match="there are: watch:read"):
        typed("key", "create", "x", "--scope", "all")
    lines = _rows(database_url, "SELECT actor, action, subject, detail::text FROM change_log ORDER BY id")
    assert [line[:3] for line in lines] == [
        ("cli", "key.create", f"key:{key_id}"),
        ("cli", "key.revoke", f"key:{key_id}"),
    ]
    assert secret not in str(lines)


def test_a_list_is_set_up_shown_paused_and_deleted(typed: Typed, database_url: str) -> None:
    typed("watchlist", "create", "treasury", "--note", "cold ones")
    assert "2 added" in typed("watchlist", "add", "treasury", ALICE, BOB, "--label", "cold", "--tag", "a").stdout
    typed("watchlist", "add", "treasury", f"eip155:10:{ALICE}")
    levels = ("--warning", "1.1", "--critical", "1.02", "--clear-at", "1.15")
    typed("watchlist", "rule", "add", "treasury", "health", "--metric", "health_factor", *levels)
    typed("channel", "add", "log", "--kind", "stdout")
    typed("watchlist", "route", "set", "treasury", "log", "--min-severity", "warning", "--quiet", "22:00-07:00")
    shown = typed("watchlist", "show", "treasury").stdout
    for part in (f"{ALICE}  every chain  cold  #a", f"{ALICE}  chain 10", "treasury: watched, 3 members"):
        assert part in shown
    assert "rule health: health_factor at or below warning 1.1, critical 1.02; clear 1.15" in shown
    assert "tells log from warning on, quiet 22:00-07:00 UTC" in shown
    typed("watchlist", "pause", "treasury")
    assert "paused" in typed("watchlist", "list").stdout
    typed("watchlist", "resume", "treasury")
    assert "1 entries" in typed("watchlist", "remove", "treasury", ALICE, "--chain", "10").stdout
    typed("watchlist", "rule", "remove", "treasury", "health")
    typed("watchlist", "route", "remove", "treasury", "log")
    typed("watchlist", "delete", "treasury")
    assert _rows(database_url, "SELECT 1 FROM watchlist_members") == []
    actors = _rows(database_url, "SELECT DISTINCT actor FROM change_log")
    assert actors == [("cli",)]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("create", "treasury"), "named 'treasury' already"),
        (("create", " x"), "begins or ends with a space"),
        (("show", "none"), "there are: treasury"),
        (("add", "treasury", "0x12"), "40 hexadecimal digits"),
        (("add", "treasury", "alice.eth"), "names are not resolved here"),
        (("remove", "treasury", ALICE), "none of them"),
        (("rule", "add", "treasury", "r", "--metric", "luck"), "metric: "),
        (("rule", "add", "treasury", "r", "--metric", "health_factor"), "at least one severity"),
        (("rule", "add", "treasury", "r", "--metric", "status", "--info", "1"), "status needs statuses"),
        (("rule", "remove", "treasury", "r"), "no rule 'r'"),
        (("route", "set", "treasury", "none"), "no channel 'none'"),
        (("route", "set", "treasury", "none", "--quiet", "22:00"), "two times"),
        (("import", "treasury", "absent.csv"), "absent.csv"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(typed: Typed, arguments: tuple[str, ...], fault: str) -> None:
    typed("watchlist", "create", "treasury")
    with pytest.raises(Refused, match=fault):
        typed("watchlist", *arguments)


def test_a_file_is_imported_whole_or_partly_and_comes_back_as_it_was(typed: Typed, tmp_path: Path) -> None:
    typed("watchlist", "create", "treasury")
    file = tmp_path / "wallets.csv"
    file.write_text(f"address,label\n{ALICE},=cold\n0x12,\n")
    with pytest.raises(Refused, match="1 lines are not members"):
        typed("watchlist", "import", "treasury", str(file))
    partly = typed("watchlist", "import", "treasury", str(file), "--partial")
    assert (partly.exit_code, "line 3:" in partly.stdout, "1 added" in partly.stdout) == (1, True, True)
    exported = typed("watchlist", "export", "treasury").stdout
    assert exported.splitlines() == ["address,chain_id,label,tags", f"{ALICE},,'=cold,"]
    typed("watchlist", "export", "treasury", str(file))
    typed("watchlist", "create", "copy")
    assert typed("watchlist", "import", "copy", str(file)).exit_code == 0
    assert typed("watchlist", "export", "copy").stdout == exported
