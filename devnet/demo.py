"""The devnet as a running demo: some history, then a block every few seconds until it is told to end."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from app.domain.chain import Address
from app.errors import Fatal
from devnet.anvil import AnvilFailed
from devnet.life import HOUR
from devnet.pool import WAD, AccountView
from devnet.world import NEIGHBOURS, World

HISTORY_HOURS = 48
HISTORY_BLOCKS = 48
"""One an hour: something to draw a curve from, made in a few seconds."""
SPOILT_IN_A_ROW = 20
"""More blocks than this that cannot be made, one after the other, are a fault of ours."""
USERS_PER_BLOCK = (0, 0, 0, 0, 1, 1)
"""Few: the node keeps every transaction in memory for as long as it lives (some 60 kB for one of the Pool)."""
NEIGHBOURS_EVERY = 6
"""The other protocols take turns, for the same reason."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What a demo announces when it can be used."""

    rpc_url: str
    ws_url: str
    chain_id: int
    deployments_file: Path
    wallets: tuple[tuple[str, Address], ...]
    """Wallets worth looking at: (what is interesting about it, address)."""
    setup_seconds: float


def run(
    port: int | None,
    seed: int,
    wallets: int,
    block_seconds: float,
    deployments_file: Path,
    ready: Callable[[Ready], None],
    *,
    chain_id: int = 31337,
    network: str = "devnet",
    protocols: Sequence[str] = tuple(NEIGHBOURS),
    history_after: Path | None = None,
    stopped: threading.Event | None = None,
) -> None:
    """Build the world, call `ready`, and let it live at wall-clock time until SIGINT, SIGTERM or `stopped`.

    With `history_after` the two days of history begin only once that file exists: whoever follows the chain from
    its deployment on makes it when he does. The deployments file is written before and removed at the end; the node
    ends with this call, and with the calling thread at the latest. Signals are caught only when called from the
    main thread.

    Raises:
        DevnetUnavailable: set-up has not been done and cannot be done now.
        AnvilFailed: the port is taken, or the node ended by itself.
    """
    stop = stopped or threading.Event()
    started = time.perf_counter()
    with _signals_set(stop):
        begin = int(time.time()) - HISTORY_HOURS * HOUR
        with World(
            port,
            seed=seed,
            wallets=wallets,
            chain_id=chain_id,
            start_timestamp=begin,
            network=network,
            users_per_block=USERS_PER_BLOCK,
            protocols=protocols,
            neighbours_every=NEIGHBOURS_EVERY,
        ) as world:
            try:
                world.write_deployments_file(deployments_file)
                _wait_for(history_after, stop)
                _make_history(world, begin, stop)
                found = interesting_wallets(world)
                seconds = time.perf_counter() - started
                ready(Ready(world.rpc_url, world.ws_url, chain_id, deployments_file, found, seconds))
                _live(world, block_seconds, stop)
            finally:
                deployments_file.unlink(missing_ok=True)


def interesting_wallets(world: World) -> tuple[tuple[str, Address], ...]:
    """Up to four different wallets: near liquidation with several collaterals, in an eMode, in both Aaves, and in the
    most protocols at once."""
    by_deployment = [
        {view.wallet: view for view in world.accounts(name, world.wallets) if view is not None}
        for name in world.aave_ids
    ]
    in_debt = sorted(
        (view for views in by_deployment for view in views.values() if view.has_debt and view.health_wad >= WAD),
        key=lambda view: view.health_wad,
    )
    several = (view.wallet for view in in_debt if not view.emode and len(_collaterals(view)) > 1)
    emode = (view.wallet for view in in_debt if view.emode)
    both = (v.wallet for v in in_debt if all(views[v.wallet].has_debt for views in by_deployment if v.wallet in views))
    everywhere, protocols = _most_protocols(world, {view.wallet for view in in_debt})
    found: list[tuple[str, Address]] = []
    wishes = (
        (f"in {', '.join(protocols)} at once", everywhere),
        ("near liquidation, several collaterals", several),
        ("in an eMode", emode),
        ("in both Aave deployments", both),
    )
    for what, candidates in wishes:
        wallet = next((w for w in candidates if w not in {known for _, known in found}), None)
        if wallet is not None:
            found.append((what, wallet))
    return tuple(found)


def _most_protocols(world: World, in_aave: set[Address]) -> tuple[Iterator[Address], list[str]]:
    """Whoever is exposed in the most protocols, and their names."""
    exposed = {"Aave": in_aave}
    for neighbour in world.neighbours.values():
        name, _, _ = str(neighbour.as_row(world.chain_id)["name"]).partition(" (")
        exposed[name] = neighbour.exposed()
    places = {wallet: [name for name, who in exposed.items() if wallet in who] for wallet in world.wallets}
    most = max(places.values(), key=len)
    return (wallet for wallet in world.wallets if len(most) > 1 and places[wallet] == most), most


def _collaterals(view: AccountView) -> list[str]:
    return [symbol for symbol, amount in view.supplied.items() if amount and symbol in view.collateral]


def _make_history(world: World, begin: int, stop: threading.Event) -> None:
    """Blocks spread over the hours up to now."""
    first, now = world.timestamp, int(time.time())
    for index in range(1, HISTORY_BLOCKS + 1):
        if stop.is_set():
            return
        world.step(timestamp=first + (now - first) * index // (HISTORY_BLOCKS + 1), admin=False)


def _wait_for(file: Path | None, stop: threading.Event) -> None:
    """Until the file exists, or it is time to stop."""
    while file is not None and not file.exists() and not stop.wait(0.1):
        pass


def _live(world: World, block_seconds: float, stop: threading.Event) -> None:
    """One block each `block_seconds`; a late block does not make the next ones hurry.

    The node is anybody's to play with: a block that a reorg or somebody's mining spoils is given up, not the demo,
    whatever it is that is read of a chain while it changes.
    """
    spoilt = 0
    while not stop.is_set():
        begun = time.monotonic()
        try:
            try:
                if spoilt:
                    world.start_over()
                world.step_live()
                spoilt = 0
            except Fatal:
                spoilt += 1
                if spoilt > SPOILT_IN_A_ROW:
                    raise
        except OSError as error:
            if stop.is_set():
                return
            raise AnvilFailed("anvil ended by itself (out of memory?): start the devnet again") from error
        stop.wait(max(0.05, block_seconds - (time.monotonic() - begun)))


@contextmanager
def _signals_set(stop: threading.Event) -> Iterator[None]:
    """While inside, SIGINT and SIGTERM set `stop` instead of ending the process in the middle of a block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
