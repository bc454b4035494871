"""The indexers, each a process of its own that is given a node and an empty database, and where their positions are."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict

from app.errors import Fatal
from app.store.postgres.migrate import upgrade
from benchmarks.peers.chain import Account, EventChain, Holding, Pair
from benchmarks.peers.install import installed, node_environment, node_program
from benchmarks.peers.watch import Observer

CHAIN_ID = 31337
LIFTED_COPIES = 50
"""Ponder's URLs when its limiter is lifted: it starts with 20 requests a second for each."""


class Indexer(ABC):
    """One contestant. Entering `running` starts its process."""

    name: str

    def __init__(self, folder: Path) -> None:
        """`folder`: for its log."""
        self._folder = folder

    @abstractmethod
    def prepare(self, url: str) -> None:
        """Whatever its own tools do once to an empty database before it runs. Not timed."""

    @abstractmethod
    def command(self, chain: EventChain, url: str, sockets: str) -> tuple[list[str], Path, dict[str, str]]:
        """What to run, where, and with which environment."""

    @abstractmethod
    def is_done(self, database: Observer, chain: EventChain) -> bool:
        """Whether it says that all is read. Asked often, so cheap."""

    @abstractmethod
    def shows(self, database: Observer, account: Account) -> bool:
        """Whether the account is there as it is now. Asked often, so cheap."""

    @abstractmethod
    def holdings(self, database: Observer) -> dict[Pair, Holding]:
        """Every account that is not empty, as stored."""

    @contextmanager
    def running(self, chain: EventChain, url: str, sockets: str) -> Iterator[subprocess.Popen[bytes]]:
        """The process, ended with the block."""
        command, folder, environment = self.command(chain, url, sockets)
        with tempfile.TemporaryFile(dir=self._folder) as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                yield process
                if process.poll() is not None:
                    log.seek(0)
                    said = log.read().decode(errors="replace")[-2000:]
                    raise Fatal(f"{self.name} ended by itself with {process.returncode}: {said}")
            finally:
                _signal_group(process, signal.SIGTERM)
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    _signal_group(process, signal.SIGKILL)
                    process.wait()


class Ours(Indexer):
    """`waterline index`, as anybody would start it."""

    name = "ours"

    def prepare(self, url: str) -> None:
        upgrade(url)

    def command(self, chain: EventChain, url: str, sockets: str) -> tuple[list[str], Path, dict[str, str]]:
        listed = self._folder / "deployments.json"
        listed.write_text(json.dumps([chain.morpho.as_row(CHAIN_ID)]))
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("RPC_", "WS_"))}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # it is compiled once, not at each start, as with anybody
        environment |= {
            "DATABASE_URL": url,
            "DEPLOYMENTS_FILE": str(listed),
            "DEPLOYMENTS": chain.morpho.id,
            f"RPC_URL_{CHAIN_ID}": chain.node.url,
            f"WS_URL_{CHAIN_ID}": chain.node.ws_url,
            "AUDIT_ACCOUNTS": "0",
        }
        command = [sys.executable, "-m", "app", "index", "--chain", str(CHAIN_ID), "--no-progress"]
        return command, Path.cwd(), environment

    def is_done(self, database: Observer, chain: EventChain) -> bool:
        return bool(database.value(_OURS_DONE))

    def shows(self, database: Observer, account: Account) -> bool:
        market, _ = account.pair
        rows = database.rows(_OURS + _OURS_ONE, market, bytes(account.wallet))
        return _summed(rows) == ({account.pair: account.holding} if any(account.holding) else {})

    def holdings(self, database: Observer) -> dict[Pair, Holding]:
        return _summed(database.rows(_OURS))


def _summed(rows: list[tuple[Any, ...]]) -> dict[Pair, Holding]:
    found: dict[Pair, list[int]] = {}
    for unit, wallet, code, supplied, borrowed in rows:
        holding = found.setdefault((unit, "0x" + wallet.hex()), [0, 0, 0])
        if code.endswith("-collateral"):
            holding[2] += int(supplied)
        else:
            holding[0] += int(supplied)
            holding[1] += int(borrowed)
    return {pair: (one[0], one[1], one[2]) for pair, one in found.items() if any(one)}


_OURS_DONE: LiteralString = """
SELECT NOT EXISTS (SELECT FROM log_scans) AND EXISTS (SELECT FROM account_states)
AND NOT EXISTS (SELECT FROM account_due WHERE read_at_block_id IS NULL)
"""
_OURS: LiteralString = """
SELECT a.unit, a.wallet, m.code, p.supplied_raw, p.borrowed_raw
FROM accounts a
JOIN LATERAL (SELECT open_markets FROM account_states s WHERE s.account_id = a.id ORDER BY block_id DESC LIMIT 1) s
  ON true
JOIN LATERAL unnest(s.open_markets) AS o(market_id) ON true
JOIN LATERAL (
  SELECT * FROM positions p WHERE p.account_id = a.id AND p.market_id = o.market_id ORDER BY block_id DESC LIMIT 1
) p ON true
JOIN markets m ON m.id = o.market_id
"""
_OURS_ONE: LiteralString = "WHERE a.unit = %s AND a.wallet = %s"


class Peer(Indexer):
    """One of the others: a Node process with our project around its packages."""

    table: LiteralString
    extra: Mapping[str, str] = {}

    def command(self, chain: EventChain, url: str, sockets: str) -> tuple[list[str], Path, dict[str, str]]:
        folder = installed(self.project)
        environment = node_environment(
            PEER_RPC_URL=chain.node.url,
            PEER_CONTRACT=str(chain.morpho.address),
            PEER_START_BLOCK=str(chain.morpho.start_block),
            **self.extra,
        )
        name = conninfo_to_dict(url)["dbname"]
        # no TCP: the socket's folder is the host
        environment |= self.database_environment(
            f"postgresql://postgres@localhost/{name}?host={sockets}", sockets, str(name)
        )
        return [node_program(), *self.arguments()], folder, environment

    @property
    @abstractmethod
    def project(self) -> str:
        """Its folder here."""

    @abstractmethod
    def arguments(self) -> list[str]:
        """Of Node."""

    @abstractmethod
    def database_environment(self, url: str, sockets: str, name: str) -> dict[str, str]:
        """How it is told of its database."""

    def is_done(self, database: Observer, chain: EventChain) -> bool:
        """Events are taken in order: the last one is there."""
        return self.shows(database, chain.last)

    def shows(self, database: Observer, account: Account) -> bool:
        market, wallet = account.pair
        row = database.row(self._one, market, wallet)
        return row is not None and tuple(map(int, row)) == account.holding

    def holdings(self, database: Observer) -> dict[Pair, Holding]:
        found = {(market, wallet): tuple(map(int, row)) for market, wallet, *row in database.rows(self._all)}
        return {pair: (row[0], row[1], row[2]) for pair, row in found.items() if any(row)}

    @property
    def _all(self) -> LiteralString:
        return "SELECT market, wallet, supply_shares, borrow_shares, collateral FROM " + self.table

    @property
    def _one(self) -> LiteralString:
        return (
            "SELECT supply_shares, borrow_shares, collateral FROM " + self.table + " WHERE market = %s AND wallet = %s"
        )


class Ponder(Peer):
    """Ponder; it holds back the newest 30 blocks of an unknown chain from its history."""

    table = "bench.position"
    project = "ponder"

    def __init__(self, folder: Path, *, lifted: bool = False, web_socket: str | None = None) -> None:
        super().__init__(folder)
        self.name = "Ponder, limiter lifted" if lifted else "Ponder as shipped"
        self.extra = {
            "PONDER_TELEMETRY_DISABLED": "true",
            "DATABASE_SCHEMA": "bench",
            "PEER_RPC_COPIES": str(LIFTED_COPIES if lifted else 1),
        }
        if web_socket is not None:
            self.name = "Ponder by WebSocket"
            self.extra |= {"PEER_WS_URL": web_socket}

    def prepare(self, url: str) -> None:
        """It makes its tables when it starts."""

    def arguments(self) -> list[str]:
        program = "node_modules/ponder/dist/esm/bin/ponder.js"
        return [program, "start", "--port", str(_free_port()), "--hostname", "127.0.0.1", "--log-format", "json"]

    def database_environment(self, url: str, sockets: str, name: str) -> dict[str, str]:
        return {"PEER_DATABASE_URL": url}


class Subsquid(Peer):
    """Subsquid's processor, told of a node only."""

    name = "Subsquid"
    table = "position"
    project = "subsquid"

    def prepare(self, url: str) -> None:
        """What its migration tool would do: the tables of its model."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE position (id varchar PRIMARY KEY, market text NOT NULL, wallet text NOT NULL,"
                " supply_shares numeric NOT NULL, borrow_shares numeric NOT NULL, collateral numeric NOT NULL)"
            )

    def arguments(self) -> list[str]:
        return ["lib/main.js"]

    def database_environment(self, url: str, sockets: str, name: str) -> dict[str, str]:
        return {"DB_HOST": sockets, "DB_NAME": name, "DB_USER": "postgres", "DB_PASS": ""}

    def shows(self, database: Observer, account: Account) -> bool:
        row = database.row(_SUBSQUID_ONE, "-".join(account.pair))
        return row is not None and tuple(map(int, row)) == account.holding


_SUBSQUID_ONE: LiteralString = "SELECT supply_shares, borrow_shares, collateral FROM position WHERE id = %s"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
