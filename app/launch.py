"""`waterline up` and `waterline demo`: everything on one machine, as child processes that end together."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import aiohttp
from rich.console import Console

from app.alerts.vault import keep_key
from app.commands import demo_watch
from app.deployments import followed_deployments
from app.errors import Refused, Retryable, WaterlineError
from app.following import verify_chain
from app.settings import SecretUrl, Settings, environment_with
from app.store.postgres.embedded import EmbeddedPostgres
from app.store.postgres.migrate import upgrade
from app.supervisor import ChildSpec, Supervisor

logger = logging.getLogger(__name__)

T = TypeVar("T")

DEVNET_CHAIN_ID = 31337
_READY_SECONDS = 180
_WATCH_SECONDS = 0.5
_DEMO_PREFIX = "waterline-demo-"
_DEMO_FILES = ("deployments.json", "guide.json", "followed")


async def up(settings: Settings, console: Console) -> int:
    """Follow every configured chain and serve; returns the exit status.

    Raises:
        Refused: no chain is configured, one has no deployment, a port is taken, or no chain's endpoints can be used.
    """
    if not settings.chains:
        raise Refused("no chain to follow: set RPC_URL_<chain id>, such as RPC_URL_1, or try `waterline demo`")
    for chain_id in settings.chains:
        followed_deployments(settings, chain_id)
    _require_free_port(settings.host, settings.port, "PORT")
    async with _database(settings, settings.data_dir / "postgres") as database_url:
        await _verify_chains(settings, console)
        await _migrate(database_url)
        environ = environment_with(DATABASE_URL=database_url.reveal(), **_kept_key(settings, settings.data_dir))

        async def start(children: Supervisor) -> None:
            for chain_id in settings.chains:
                await children.start(_part(environ, "index", "--chain", str(chain_id), "--no-progress", vital=False))
            await children.start(_part(environ, "serve"))
            await children.start(_part(environ, "monitor", vital=False))
            await children.start(_part(environ, "deliver", vital=False))
            console.print(f"Waterline: http://{settings.host}:{settings.port}/", highlight=False)

        async with Supervisor() as children:
            return await children.run(start(children))


async def _verify_chains(settings: Settings, console: Console) -> None:
    """Say at once which chains cannot be followed as they are configured: the others go on without them.

    Raises:
        Refused: none can.
    """
    refused = []
    outcomes = await asyncio.gather(*map(verify_chain, settings.chains.values()), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Refused):
            refused.append(str(outcome))
        elif outcome is not None:
            raise outcome
    if len(refused) == len(settings.chains):
        raise Refused("; ".join(refused))
    for each in refused:
        console.print(f"[bold red]Not followed:[/] {each}", highlight=False, soft_wrap=True)


async def demo(settings: Settings, console: Console) -> int:
    """A local chain with the real contracts, followed and served, out of a folder that is removed at the end."""
    _require_free_port(settings.host, settings.port, "PORT")
    _require_free_port("127.0.0.1", settings.devnet_port, "DEVNET_PORT")
    _remove_left_behind()
    with tempfile.TemporaryDirectory(prefix=_DEMO_PREFIX, ignore_cleanup_errors=True) as folder:
        (Path(folder) / "pid").write_text(str(os.getpid()))
        os.chmod(folder, 0o711)  # noqa: S103 - the database server's own user has to pass through, not to list
        deployments_file, guide_file, followed_file = (Path(folder) / name for name in _DEMO_FILES)
        environ = _demo_environment(settings)
        files = ("--deployments-file", deployments_file, "--guide-file", guide_file, "--history-after", followed_file)
        base_url = f"http://{settings.host}:{settings.port}"

        async def start(children: Supervisor) -> None:
            with console.status("Building a local chain with the real protocol contracts and its population"):
                await children.start(_part(environ, "devnet", *map(str, files)))
                postgres = await _in_thread(lambda: resources.enter_context(_embedded(Path(folder) / "postgres")))
                await _migrate(postgres)
                await _until_file(deployments_file)
            environ.update(DATABASE_URL=postgres.reveal(), DEPLOYMENTS_FILE=str(deployments_file))
            environ.update(SECRETS_KEY=keep_key(Path(folder)))
            with console.status("Following it"):
                await children.start(_part(environ, "index", "--chain", str(DEVNET_CHAIN_ID), "--no-progress"))
                await children.start(_part(environ, "serve"))
                await children.start(_part(environ, "monitor", "--chain", str(DEVNET_CHAIN_ID), vital=False))
                await children.start(_part(environ, "deliver", vital=False))
                await _until_answer(f"{base_url}/v1/status", '"scan_remaining_blocks":0,')
            with console.status("Living through two days of history"):
                followed_file.touch()
                await _until_file(guide_file)
                await _until_answer(f"{base_url}/ready")
            guide = json.loads(guide_file.read_text())
            wallets = [(entry["wallet"], entry["why"]) for entry in guide]
            key = await demo_watch.watch(settings.model_copy(update={"database_url": postgres}), wallets)
            _print_guide(console, settings, guide, key)

        with contextlib.ExitStack() as resources:
            async with Supervisor() as children:
                return await children.run(start(children))


def _kept_key(settings: Settings, folder: Path) -> dict[str, str]:
    """The key of an embedded database's secrets, as a setting, where none is set."""
    is_own = settings.database_url is None and not settings.secrets_keys
    return {"SECRETS_KEY": keep_key(folder)} if is_own else {}


def _part(environ: dict[str, str], command: str, *arguments: str, vital: bool = True) -> ChildSpec:
    """One part of Waterline as a child process. `environ` is read when the child starts."""
    chain = arguments[arguments.index("--chain") + 1] if "--chain" in arguments else ""
    name = f"{command} {chain}".strip()
    return ChildSpec(name, (sys.executable, "-m", "app", command, *arguments), environ, vital)


@contextlib.asynccontextmanager
async def _database(settings: Settings, data_dir: Path) -> AsyncIterator[SecretUrl]:
    """DATABASE_URL, or an embedded Postgres that lives as long as the block, whatever ends it in between."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    with EmbeddedPostgres(data_dir) as postgres:
        keeping = asyncio.create_task(keep_running(postgres))
        try:
            yield SecretUrl(postgres.url)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)


async def keep_running(postgres: EmbeddedPostgres) -> None:
    """Start the server again where it was whenever it has ended by itself, until cancelled."""
    while True:
        await asyncio.sleep(_WATCH_SECONDS)
        if postgres.has_ended():
            logger.error("the embedded Postgres has ended: starting it again")
            try:
                await _in_thread(postgres.start)
            except (WaterlineError, OSError) as failure:
                logger.error("the embedded Postgres does not start: %s", failure)


@contextlib.contextmanager
def _embedded(data_dir: Path) -> Iterator[SecretUrl]:
    with EmbeddedPostgres(data_dir.absolute()) as postgres:
        yield SecretUrl(postgres.url)


async def _in_thread(work: Callable[[], T]) -> T:
    """Do blocking work that must not go on by itself: when cancelled, this waits for its end all the same."""
    working = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait((working,))
        working.exception()  # taken notice of: whoever cancels does not care how it went
        raise


def _demo_environment(settings: Settings) -> dict[str, str]:
    """What the demo's processes are told: the local chain and nothing else, whatever else is configured here."""
    other_chains = {
        f"{name}_{chain_id}": "" for chain_id in settings.chains for name in ("RPC_URL", "WS_URL", "FROM_BLOCK")
    }
    own_chain = {
        f"RPC_URL_{DEVNET_CHAIN_ID}": f"http://127.0.0.1:{settings.devnet_port}",
        f"WS_URL_{DEVNET_CHAIN_ID}": f"ws://127.0.0.1:{settings.devnet_port}",
    }
    quiet = {} if "log_level" in settings.model_fields_set else {"LOG_LEVEL": "WARNING"}
    unset = ("DEPLOYMENTS", "DEPLOYMENTS_FILE", "METRICS_PORT", "MONITOR_METRICS_PORT", "DELIVER_METRICS_PORT")
    return environment_with(**{**other_chains, **own_chain, **quiet, **dict.fromkeys(unset, "")})


def _remove_left_behind() -> None:
    """Remove the folders of demos that were killed before they could do so themselves."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_DEMO_PREFIX}*"):
        try:
            os.kill(int((folder / "pid").read_text()), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (OSError, ValueError):
            continue  # somebody else's, or not known to be nobody's


async def _migrate(url: SecretUrl) -> None:
    try:
        await asyncio.to_thread(upgrade, url.reveal())
    except Retryable as error:
        raise Refused(f"DATABASE_URL: {error}") from error


def _require_free_port(host: str, port: int, setting: str) -> None:
    """Refuse to start when somebody else already listens there."""
    with contextlib.closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Refused(f"{setting}={port}: cannot listen on {host}: {error.strerror}; choose another") from error


async def _until_file(path: Path) -> None:
    """Wait for a child to finish its work; if the child ends instead, the supervisor cancels this."""
    while not await asyncio.to_thread(path.exists):  # noqa: ASYNC110 - the file is another process's
        await asyncio.sleep(0.1)


async def _until_answer(url: str, containing: str = "") -> None:
    """Wait for a page to answer 200 with a text in it."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
        asyncio.timeout(_READY_SECONDS),
    ):
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(url) as answer:
                    if answer.status == 200 and containing in await answer.text():
                        return
            await asyncio.sleep(0.2)


def _print_guide(console: Console, settings: Settings, guide: list[dict[str, str]], key: str) -> None:
    base = f"http://{settings.host}:{settings.port}"
    console.print(f"\n[bold]Waterline[/] is at {base}/", highlight=False)
    console.print(f"  API  {base}/v1/status    contract {base}/openapi.json", highlight=False)
    console.print(f"  node http://127.0.0.1:{settings.devnet_port}    chain id {DEVNET_CHAIN_ID}\n", highlight=False)
    console.print("Wallets worth looking at:", highlight=False)
    for entry in guide:
        console.print(f"  {base}/wallet/{entry['wallet']}\n      {entry['why']}", highlight=False)
    console.print(f"\nThey are on a watchlist; critical alerts appear here: {base}/watchlists", highlight=False)
    console.print(f"  log in, or ask the API, with the key {key}", highlight=False, soft_wrap=True)
    console.print("\nPrices move, users act, a liquidator works. Ctrl-C ends everything and keeps nothing.\n")
