"""The command as a person meets it: help, refusals that name the setting, and no secret in what it prints."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

MARKER = "s3cr3t-marker"


def waterline(*arguments: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command in an empty folder with only these settings."""
    environ = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    return subprocess.run(
        (sys.executable, "-m", "app", *arguments),
        cwd=folder,
        env={**environ, **settings, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_help_lists_every_command(tmp_path: Path) -> None:
    done = waterline("--help", folder=tmp_path)
    assert done.returncode == 0
    names = "demo up index monitor serve deliver migrate devnet protocols status watchlist channel key"
    for command in names.split():
        assert command in done.stdout


def test_protocols_lists_the_real_markets_and_what_is_said_of_them(tmp_path: Path) -> None:
    done = waterline("protocols", folder=tmp_path)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    (arbitrum,) = (line for line in lines if " aave-v3-arbitrum " in line)
    assert all(cell in arbitrum for cell in (" yes ", "7,742,429", "0x794a61358D6845594F94dc1DB02A252b5b4814aD"))
    (venus,) = (line for line in lines if " venus-core-bnb " in line)
    assert "on request [" in venus
    (why,) = (line for line in lines if line.startswith(f"[{venus.partition('[')[2][0]}] "))
    assert why.endswith("not yet followed on its own")
    for word in ("exact", "calibrated", "approximate", "not modelled", "getUserAccountData"):
        assert word in done.stdout


def test_protocols_shows_one_chain_or_one_protocol_and_refuses_those_it_does_not_know(tmp_path: Path) -> None:
    done = waterline("protocols", "--chain", "43114", "--protocol", "aave-v3", "--json", folder=tmp_path)
    (protocol,) = json.loads(done.stdout)["items"]
    (deployment,) = protocol["deployments"]
    assert (deployment["id"], deployment["followed_by_default"]) == ("aave-v3-avalanche", True)
    assert "aave-address-book" in deployment["source"]
    assert protocol["coverage"]["exact"]
    for option, value, there in (("--chain", "5", "42161"), ("--protocol", "bank", "aave-v3")):
        refused = waterline("protocols", option, value, folder=tmp_path)
        assert refused.returncode == 2
        assert f"{option} {value}: unknown" in refused.stderr
        assert there in refused.stderr


def test_protocols_lists_also_what_deployments_leaves_out_and_says_so(tmp_path: Path) -> None:
    done = waterline("protocols", "--chain", "43114", folder=tmp_path, DEPLOYMENTS="benqi-avalanche")
    lines = done.stdout.splitlines()
    assert [" yes " in line for line in lines if " benqi-avalanche " in line] == [True]
    assert ["on request" in line for line in lines if " aave-v3-avalanche " in line] == [True]
    assert any(line.endswith("] DEPLOYMENTS does not name it") for line in lines)


@pytest.mark.parametrize(
    ("command", "settings", "named"),
    [
        ("up", {}, "RPC_URL_"),
        ("up", {"RPC_URL_1": f"ftp://host/{MARKER}"}, "RPC_URL_1"),
        ("up", {"RPC_URL_424242": f"http://127.0.0.1:9/{MARKER}"}, "RPC_URL_424242"),
        ("up", {"RPC_URL_1": f"http://127.0.0.1:9/{MARKER}", "DEPLOYMENTS": "nowhere"}, "DEPLOYMENTS"),
        ("serve", {}, "DATABASE_URL"),
        ("serve", {"DATABASE_URL": f"mysql://user:{MARKER}@host/db"}, "DATABASE_URL"),
        ("index --chain 1", {"DATABASE_URL": f"postgresql://u:{MARKER}@127.0.0.1:9/db"}, "RPC_URL_1"),
        ("demo", {"PORT": "notaport"}, "PORT"),
        ("status", {"DEPLOYMENTS_FILE": "/nowhere.json"}, "DEPLOYMENTS_FILE"),
    ],
)
def test_a_missing_or_wrong_setting_is_refused_by_its_name(
    tmp_path: Path, command: str, settings: dict[str, str], named: str
) -> None:
    done = waterline(*command.split(), folder=tmp_path, **settings)
    assert done.returncode == 2
    assert named in done.stderr
    assert MARKER not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_refused_by_the_name_of_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for setting in ("PORT", "DEVNET_PORT"):
            done = waterline("demo", folder=tmp_path, **{setting: port})
            assert done.returncode == 2
            assert f"{setting}={port}" in done.stderr


def test_a_database_out_of_reach_is_one_clear_line_without_its_password(tmp_path: Path) -> None:
    done = waterline("serve", folder=tmp_path, DATABASE_URL=f"postgresql://user:{MARKER}@127.0.0.1:9/db")
    assert done.returncode != 0
    assert MARKER not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip() == "Failed: DATABASE_URL: the database cannot be reached"


def test_an_endpoint_without_json_rpc_is_refused_by_the_name_of_its_setting(tmp_path: Path) -> None:
    class NotFound(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), NotFound) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{MARKER}"
        database = "postgresql://u@127.0.0.1:9/db"
        done = waterline("index", "--chain", "1", folder=tmp_path, RPC_URL_1=url, DATABASE_URL=database)
        server.shutdown()
    assert done.returncode == 2
    assert "RPC_URL_1" in done.stderr
    assert MARKER not in done.stderr
